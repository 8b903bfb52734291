"""The version table as the project's own command makes it today, in a scratch database that came with one."""

from __future__ import annotations

from tasklib.command import not_started
from tasklib.errors import Failed
from tasklib.history.chains import Chain
from tasklib.postgres import client, version_table
from tasklib.postgres.client import sql
from tasklib.workbench.bench import Bench


def renew(bench: Bench, chain: Chain, role: str) -> None:
    """Make the version table anew where Alembic would make it otherwise, with the ids and the type that it has.

    It is no migration's work, so no base migration could make the table of long ago (without a key, with privileges),
    and the proof would find a difference that means nothing.
    """
    address = bench.address(role)
    tables = bench.version_tables()
    with client.connect(address) as connection:
        there = version_table.existing(connection, tables)
        odd = [table for table in there if not version_table.is_alembics_own(connection, table)]
        if not odd:
            return
        ids = {table: version_table.ids(connection, table) for table in there}
        types = {table: version_table.id_type(connection, table) for table in there}
        for table in there:
            connection.run(sql.SQL("DROP TABLE {}").format(sql.Identifier(*table)))
    if not any(ids.values()):
        return  # the first upgrade makes it
    # The shortest id: a column that a migration made wider is narrow again for a moment.
    result = bench.command().run(chain, ["stamp", min(chain.history.migrations, key=len)], bench.targets(role))
    with client.connect(address) as connection:
        made = version_table.existing(connection, tables)
        if len(made) != 1:
            not_started.refuse(bench.command(), result, bench.targets(role))
            said = "\n  | ".join((result.stderr or result.stdout).strip().splitlines()[-12:])
            raise Failed(
                f"`stamp` made {len(made)} version tables in a scratch database, not one. It said:\n  | {said}"
            )
        name = sql.Identifier(*made[0])
        type_ = types.get(made[0]) or max(types.values())
        if version_table.id_type(connection, made[0]) != type_:
            connection.run(sql.SQL("ALTER TABLE {} ALTER COLUMN version_num TYPE {}").format(name, sql.SQL(type_)))
        connection.run(sql.SQL("DELETE FROM {}").format(name))
        for one in sorted({one for found in ids.values() for one in found}):
            connection.run(sql.SQL("INSERT INTO {} VALUES (%s)").format(name), [one])
