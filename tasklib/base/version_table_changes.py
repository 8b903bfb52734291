"""What migrations change about Alembic's own table. Alembic makes it in a new database, so no base migration can make
it another one: what comes of the table there is compared like anything else, and what is missing is refused.
"""

from __future__ import annotations

from tasklib.base.contents import Reference
from tasklib.base.trials import Verdicts
from tasklib.errors import Refused
from tasklib.judge import objects
from tasklib.postgres import client, version_table
from tasklib.postgres.archive import Key, shown
from tasklib.workbench import groundwork
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND

# Of the table's own definition, which no item of the base migration is for.
KINDS = ("TABLE", "COLUMNS", "CONSTRAINT")


def refuse_what_acts(bench: Bench, read: Reference) -> None:
    """`Refused` where Alembic's own writing sets something off: it writes less often than it did."""
    of_env = groundwork.read(bench.address(GROUND, read.bind), bench.binaries(), bench.work).objects
    with client.connect(bench.address("reference", read.bind), read_only=True) as connection:
        for schema, name in version_table.existing(connection, bench.version_tables()):
            more = version_table.triggers(connection, (schema, name))
            if more and ("TABLE", schema, name) not in of_env:
                raise _refused(", ".join(more))


def refuse_differences(bench: Bench, verdicts: Verdicts) -> None:
    """`Refused` where Alembic made another table than the migrations leave."""
    for verdict in verdicts.values():
        found = [one for one in verdict.found if one.kind in KINDS and _is_of(bench, one.key)]
        if found:
            raise _refused(f"\n{objects.report(found, 'reference', 'candidate')}")


def refuse_failure(bench: Bench, key: Key | None) -> None:
    """`Refused` where it is something about the table that could not be made."""
    if key and _is_of(bench, key):
        raise _refused(shown(key))


def _is_of(bench: Bench, key: Key) -> bool:
    tables = {name for schema, name in version_table.written_out(bench.version_tables()) if schema == key[1]}
    return objects.is_of(key, tables) or any(key[2].endswith(f" ON {name}") for name in tables)


def _refused(what: str) -> Refused:
    return Refused(
        "Migrations change Alembic's own table, which Alembic makes in a new database, so that no base migration could "
        f"make the same: {what}",
        "take that out of the old migrations in a commit of its own (a table of one's own can have it)",
    )
