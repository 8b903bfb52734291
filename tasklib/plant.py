"""Version tables of ours in a scratch database, for as long as the project's command is asked what it finds there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg2 import sql

from tasklib import groundwork, postgres, version_table
from tasklib.postgres import Address, Connection
from tasklib.version_table import Name


@contextmanager
def planted_at(address: Address, tables: Sequence[Name]) -> Iterator[Plant]:
    """`planted` in the database of an address."""
    with postgres.connect(address) as connection, planted(connection, tables) as plant:
        yield plant


@contextmanager
def planted(connection: Connection, tables: Sequence[Name]) -> Iterator[Plant]:
    """Version tables for the length of a block: those that are there keep their rows, others are made and dropped.

    Whoever connects to the database meanwhile is read only, by whatever driver: also those that ignore PGOPTIONS.
    """
    plant = Plant(connection, tables)
    try:
        plant.prepare()
        plant.close()
        yield plant
    finally:
        plant.open()
        plant.undo()


class Plant:
    """Call it with an id (or None) and every version table holds just that."""

    def __init__(self, connection: Connection, tables: Sequence[Name]) -> None:
        self.connection = connection
        self.tables = tables
        self.rows: dict[Name, list[str]] = {}
        self.made: list[Name] = []
        self.before = groundwork.there(connection)
        self.database = sql.Identifier(str(connection.value("SELECT current_database()")))

    def close(self) -> None:
        """Whoever connects from now on is read only."""
        self.connection.run(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(self.database))

    def open(self) -> None:
        self.connection.run(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(self.database))

    @contextmanager
    def writable(self) -> Iterator[None]:
        """Whoever connects during the block may write, if it does not say otherwise itself."""
        self.open()
        try:
            yield
        finally:
            self.close()

    def add(self, schema: str, name: str, marker: str | None) -> None:
        """One more version table, which is there already, and goes at the end."""
        self.tables = [*self.tables, (schema, name)]
        self.made.append((schema, name))
        self._fill(schema, name, [marker] if marker else [])

    def lay(self, statements: Sequence[str]) -> None:
        """Groundwork that may be missing; what of it was missing goes again at the end."""
        groundwork.lay(self.connection, statements)

    def prepare(self) -> None:
        there = {(s, t) for s, t in self.connection.rows("SELECT schemaname, tablename FROM pg_tables")}
        schemas = set(self.before["SCHEMA"])
        for schema, name in self.tables:
            if schema and schema not in schemas:
                self.connection.run(sql.SQL("CREATE SCHEMA {0}; GRANT USAGE ON SCHEMA {0} TO PUBLIC").format(
                    sql.Identifier(schema)
                ))  # fmt: skip
                schemas.add(schema)
            if (schema or "public", name) in there:
                self.rows[(schema, name)] = version_table.ids(self.connection, (schema or "public", name))
            else:
                # Readable for all: env.py may set another role.
                made = "CREATE TABLE {0} (version_num varchar(255) NOT NULL PRIMARY KEY); GRANT SELECT ON {0} TO PUBLIC"
                self.connection.run(sql.SQL(made).format(_table(schema, name)))
                self.made.append((schema, name))

    def __call__(self, marker: str | None) -> None:
        for schema, name in self.tables:
            self._fill(schema, name, [marker] if marker else [])

    def undo(self) -> None:
        for schema, name in self.made:
            self.connection.run(sql.SQL("DROP TABLE {}").format(_table(schema, name)))
        groundwork.take_away(self.connection, self.before)
        for (schema, name), rows in self.rows.items():
            self._fill(schema, name, rows)

    def _fill(self, schema: str, name: str, ids: Sequence[str]) -> None:
        self.connection.run(sql.SQL("DELETE FROM {}").format(_table(schema, name)))
        for one in ids:
            self.connection.run(sql.SQL("INSERT INTO {} VALUES (%s)").format(_table(schema, name)), [one])


def _table(schema: str, name: str) -> sql.Composable:
    return sql.Identifier(schema or "public", name)
