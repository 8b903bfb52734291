"""`--reference`: whether a real database is what can stand for the old migrations: at R, and readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.history.cut import History
from tasklib.judge import catalog, compare
from tasklib.postgres import client, read_only, version_table
from tasklib.postgres.client import Address, Connection
from tasklib.postgres.version_table import Name
from tasklib.project import sources
from tasklib.repository.git import Repository
from tasklib.workbench.plan import Plan

# pg_dump locks every table for reading, which needs these two privileges.
UNREADABLE = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1
"""
MAPPINGS = "SELECT usename || ' on ' || srvname FROM pg_user_mappings ORDER BY 1"


@dataclass(frozen=True)
class Wanted:
    """What the real database must be: at ``revision`` of ``history``; ``data`` names tables whose rows are taken."""

    revision: str
    history: History
    tables: Sequence[Name]
    data: str


def wanted(repository: Repository, plan: Plan, history: History) -> Wanted:
    known = plan.version_table
    tables = (known,) if known else sources.version_tables(repository, plan.tip)
    return Wanted(plan.revision, history, tables, plan.settings.data)


def privileges(address: Address) -> str:
    """What the user needs in the real database, as a hint."""
    return (
        f"GRANT pg_read_all_data TO {client.identifier(address.user)} (from PostgreSQL 14 on), or USAGE on the "
        "schemas and SELECT on their tables (and on the sequences of those that --data names); nothing more is needed"
    )


def refuse_unusable_reference(repository: Repository, plan: Plan) -> int:
    """`refuse_unusable` for the database that --reference names, which is only read; returns its major version."""
    address = client.parse_url(plan.settings.reference or "", "--reference")
    history = revisions.read_history(repository, plan.tip, plan.layout)
    with read_only.opened(address) as connection:
        refuse_unusable(connection, address, wanted(repository, plan, history))
        return connection.major()


def refuse_unusable(connection: Connection, address: Address, must: Wanted) -> None:
    """`Refused` where the database is not at R, or cannot be read, or must not."""
    refuse_unreadable(connection, address)
    _refuse_elsewhere(connection, address, must)
    compare.refuse_unknown_tables(must.data, catalog.tables(connection))
    mappings = [str(name) for (name,) in connection.rows(MAPPINGS)]
    if mappings:
        raise Refused(
            f"{address.masked()} has user mappings ({', '.join(mappings)}). They hold passwords, which would be in the "
            "base migration, in git.",
            "name a copy of it without them (DROP USER MAPPING there)",
        )


def refuse_unreadable(connection: Connection, address: Address) -> None:
    """`Refused` where a table's definition cannot be dumped."""
    with connection.usual_path():  # names as their users know them
        unreadable = [str(name) for (name,) in connection.rows(UNREADABLE)]
    if unreadable:
        more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
        raise Refused(
            f"The user {address.user} may not read {', '.join(unreadable[:3])}{more} in {address.masked()}; pg_dump "
            "reads a table's definition only where its rows may be read.",
            privileges(address),
        )


def _refuse_elsewhere(connection: Connection, address: Address, must: Wanted) -> None:
    """`Refused` where the database is not exactly at R, with what was found."""
    there = version_table.existing(connection, must.tables)
    expected = f"{must.revision} alone was expected there."
    if not there:
        alike = [".".join(one) for one in version_table.lookalikes(connection)]
        looked = ", ".join(f"{schema}.{name}" if schema else name for schema, name in must.tables)
        raise Refused(
            f"{address.masked()} has no version table ({looked}); {expected}",
            f"{alike[0]} looks like one: does env.py name it (version_table=…) in words that can be read?"
            if alike
            else "is it the right database?",
        )
    found = sorted({one for table in there for one in version_table.ids(connection, table)})
    if found == [must.revision]:
        return
    text = f"{address.masked()} is at {', '.join(found) or 'no revision: its version table is empty'}; {expected}"
    if len(found) != 1:
        raise Refused(text, "another database, or a backup of the time when it was there")
    one = found[0]
    history = must.history
    if one not in history.migrations:
        raise Refused(f"{text} No file of the script directory has {one}.", "is it the right database?")
    legal = f"--rev {one} squashes up to there" if history.legal(one) else ""
    if one in history.ancestors(must.revision):
        hint = f"upgrade a copy of it to {must.revision} and name that"
        raise Refused(f"{text} It is behind.", f"{legal}; or {hint}" if legal else hint)
    hint = "name a backup of the time when it was there, restored somewhere"
    raise Refused(f"{text} It is past it.", f"{legal}; or {hint}" if legal else hint)
