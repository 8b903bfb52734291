"""The copy of a real database that is the reference: its schema, and the rows of the tables that `--data` names.

The real one is dumped and never written to; what is restored goes into a scratch database of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from tasklib import console
from tasklib.errors import CommandFailed, Failed, Refused
from tasklib.history.chains import Chain
from tasklib.judge import catalog, compare, roles
from tasklib.postgres import client, missing_extension, read_only, version_table
from tasklib.postgres.client import Address, Connection, sql
from tasklib.postgres.version_table import Name
from tasklib.project import sources
from tasklib.reference import deployed_database, version_row
from tasklib.reference.server_objects import RolesMissing
from tasklib.workbench import provenance
from tasklib.workbench.bench import Bench

# What a restore says that is no loss: the schema is there, and an older server lacks a setting of the dump's session.
NO_LOSS = re.compile(r'schema "public" already exists|unrecognized configuration parameter "\w+_timeout"')
# Roles that a dump names: in policies; and in privileges, of which default ones name the role that they are of.
OF_POLICIES = """
SELECT DISTINCT r.rolname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.refobjid
WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'r'
"""
ROLES = (
    OF_POLICIES.replace("= 'r'", "IN ('r', 'a')")
    + " UNION "
    + OF_POLICIES.replace("s.deptype = 'r'", "s.classid = 'pg_default_acl'::regclass")
)
VIEWS = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'"
)
OF_THE_DATABASE = """
SELECT 1 FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
"""


def carries_privileges(bench: Bench) -> bool:
    """Whether the real database's privileges are the history's: where no migration grants any, they are the
    deployment's, and the roles that they name are not there in other databases.
    """
    return bool(
        sources.grants(bench.repository, bench.plan.tip, (bench.plan.layout.script, *bench.plan.layout.locations))
    )


def take(bench: Bench, chain: Chain, role: str) -> None:
    """Make the scratch database of ``role`` a copy of the real one: its schema, and the rows that `--data` names.

    Raises `Refused` where it is not at R, cannot be read, or needs what the scratch server does not have.
    """
    address = bench.reference()
    must = deployed_database.wanted(bench.repository, bench.plan, chain.history)
    schema, contents = bench.work / "reference.schema", bench.work / "reference.rows"
    try:
        with read_only.opened(address) as connection:
            deployed_database.refuse_unusable(connection, address, must)
            granted = carries_privileges(bench)
            _refuse_poorer_server(connection, address, bench.address())
            _need_roles(bench, connection, address, ROLES if granted else OF_POLICIES)
            tools = client.client_for(connection.major())
            names = _patterns(connection, must)
            filled = {(str(row[0]), str(row[1])) for row in connection.rows(f"{VIEWS} AND relispopulated")}
            if connection.value(OF_THE_DATABASE):
                console.note("    its settings (ALTER DATABASE … SET) are not taken: they are no part of its schema")
            if not granted:
                console.note("    its privileges are not taken: no migration grants any")
            words = [f"--snapshot={connection.value('SELECT pg_export_snapshot()')}"]
            words += [] if granted else ["--no-privileges"]
            try:
                read_only.dump(address, tools, schema, "--schema-only", *words)
                read_only.dump(address, tools, contents, "--data-only", *words, *(f"--table={n}" for n in names))
            except CommandFailed as error:
                raise Failed(
                    f"pg_dump could not read {address.masked()}:\n  | {error.stderr.strip()}",
                    deployed_database.privileges(address),
                ) from None
        target = bench.create(role, bare=True)
        errors = [
            *client.restore(schema, target, tools, "--section=pre-data"),
            *client.restore(contents, target, tools),
            *client.restore(schema, target, tools, "--section=post-data"),
        ]
    finally:
        for path in (schema, contents):
            path.unlink(missing_ok=True)
    _refuse_loss(errors, address)
    _refresh(target, filled)
    version_row.renew(bench, chain, role)
    more = " (--data TABLE,… names those that new databases need)" if must.data == "none" else ""
    console.note(f"    at {must.revision}; its schema, and the rows of {provenance.rows_of(must.data)}{more}")


def take_schema(bench: Bench, address: Address, role: str, option: str) -> None:
    """Make the scratch database of ``role`` a copy of a real one's schema, without owners.

    Raises `RolesMissing`, or `Refused` where it cannot be read or made here; ``option`` names it, for messages.
    """
    path = bench.work / "real.schema"
    try:
        with read_only.opened(address, option) as connection:
            deployed_database.refuse_unreadable(connection, address)
            granted = carries_privileges(bench)
            _refuse_poorer_server(connection, address, bench.address())
            _need_roles(bench, connection, address, ROLES if granted else OF_POLICIES)
            tools = client.client_for(connection.major())
            words = [] if granted else ["--no-privileges"]
            snapshot = f"--snapshot={connection.value('SELECT pg_export_snapshot()')}"
            read_only.dump(address, tools, path, "--schema-only", snapshot, *words)
        _refuse_loss(client.restore(path, bench.create(role, bare=True), tools), address)
    finally:
        path.unlink(missing_ok=True)


def _patterns(connection: Connection, must: deployed_database.Wanted) -> list[str]:
    """pg_dump's patterns for the tables whose rows are taken: those named, and the version table."""
    chosen = compare.data_filter(must.data)
    keys = [(t.schema, t.name) for t in catalog.tables(connection) if t.kind == "r" and chosen(t)]
    keys += version_table.existing(connection, must.tables)
    return [client.identifier(name, schema) for schema, name in dict.fromkeys(keys)]


def _refuse_poorer_server(connection: Connection, address: Address, scratch: Address) -> None:
    """`Refused` where the scratch server lacks extensions that the schema needs, or is older."""
    with client.connect(scratch, read_only=True) as ours:
        older = ours.major() < connection.major()
        majors = f"PostgreSQL {connection.major()} and the scratch server is {ours.major()}"
        extensions = _lacking(connection, "SELECT extname FROM pg_extension", ours,
                              "SELECT name FROM pg_available_extensions")  # fmt: skip
    if older:
        raise Refused(
            f"{address.masked()} is {majors}; the same one, or a later one, was expected.",
            f"name one with --server, or install postgresql-{connection.major()}",
        )
    if extensions:
        raise Refused(
            f"{address.masked()} has the extensions {', '.join(extensions)}, which the scratch server does not have.",
            missing_extension.how_to_get(*extensions),
        )


def _need_roles(bench: Bench, connection: Connection, address: Address, needed: str) -> None:
    """Raise `RolesMissing` where the schema names roles (query ``needed``) that a throwaway server can be given.

    `Refused` where the user's server lacks them.
    """
    with client.connect(bench.address(), read_only=True) as ours:
        lacking = _lacking(connection, needed, ours, "SELECT rolname FROM pg_roles")
    if lacking and bench.place().server is None:
        _refuse_roles(address, lacking)
    if lacking:
        raise RolesMissing(lacking, f"The schema of {address.masked()} names roles that the scratch server lacks.", "")


def _lacking(connection: Connection, what: str, ours: Connection, have: str) -> list[str]:
    there = {str(name) for (name,) in ours.rows(have)}
    return [str(name) for (name,) in connection.rows(what) if str(name) not in there]


def _refuse_roles(address: Address, names: Sequence[str]) -> None:
    raise Refused(
        f"The schema of {address.masked()} names the roles {', '.join(names)} (in privileges or policies), which the "
        "scratch server does not have; and every new database would need them.",
        "make them on a server and name it with --server; or name a copy of the database without them",
    )


def _refuse_loss(errors: Sequence[str], address: Address) -> None:
    """`Refused` for the first thing that the restore lost; rows' values are not shown."""
    lost = [error for error in errors if not NO_LOSS.search(error)]
    if not lost:
        return
    lacking = sorted({name for error in lost for name in roles.MISSING.findall(error)})
    if lacking:
        _refuse_roles(address, lacking)
    for error in lost:
        key = re.search(r'table "([^"]+)" violates foreign key .*\n.*is not present in table "([^"]+)"', error)
        if key:
            raise Refused(
                f"The rows of {key.group(1)} refer to rows of {key.group(2)}, which --data does not name.",
                f"--data …,{key.group(2)}, or leave {key.group(1)} out",
            )
    listed = "\n  | ".join(error.splitlines()[0] for error in lost[:10])
    raise Refused(f"The schema of {address.masked()} cannot be made on the scratch server:\n  | {listed}",
                  "name a server like that one with --server")  # fmt: skip


def _refresh(target: Address, filled: Set[Name]) -> None:
    """Fill the materialized views that are filled in the real database; oids are in the order of what needs what."""
    with client.connect(target) as connection:
        views = connection.rows(f"{VIEWS} ORDER BY c.oid")
        for schema, name in (one for one in views if one in filled):
            with connection.usual_path():
                connection.run(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(schema, name)))
