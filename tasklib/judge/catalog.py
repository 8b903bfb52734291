"""What a database holds: pg_dump's entries, what the catalogs say where the dump is silent, tables and sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasklib.judge import built_in, not_dumped
from tasklib.postgres import client, sqltext
from tasklib.postgres.archive import Entry, Key
from tasklib.postgres.binaries import Binaries
from tasklib.postgres.client import Address, Connection, sql

# Said in every report: what neither the dump nor these queries show.
BLIND_SPOTS = (
    "rows of foreign tables (they are on other servers)",
    "what belongs to the server and not to the database (but for roles where the history makes them)",
    "planner statistics, the physical order of rows, the gaps that dropped columns leave, the names of array types,"
    " and the storage and compression of columns of indexes",
)


@dataclass(frozen=True)
class Column:
    """A column of a table: name, PostgreSQL's type text, whether the server computes it."""

    name: str
    type: str
    generated: bool


@dataclass(frozen=True)
class Table:
    """A table (or materialized view) whose rows are compared."""

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]

    @property
    def shown(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def sql(self) -> sql.Composable:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class Snapshot:
    """A database's schema: entries in pg_dump's order, and what the catalogs add, by (kind, schema, name)."""

    entries: tuple[Entry, ...]
    facts: Mapping[Key, str]

    @property
    def kinds(self) -> list[str]:
        """The kind of each object, as often as there are such."""
        return [entry.kind for entry in self.entries] + [kind for kind, _, _ in self.facts]

    def objects(self) -> dict[Key, str]:
        """Every object's text by its key; the texts of entries that share a key are joined in order of text."""
        found: dict[Key, list[str]] = {}
        for entry in self.entries:
            schema = entry.tag.removeprefix("SCHEMA ")
            # A fact says them whole, and not by what the server was made with.
            if entry.kind == "ACL" and (built_in.OF_A_SCHEMA, "", sqltext.unquoted(schema) or schema) in self.facts:
                continue
            found.setdefault(entry.key, []).append(_normal(entry))
        return {**{key: "\n".join(sorted(texts)) for key, texts in found.items()}, **self.facts}


# Not objects: settings of the dump itself.
NO_OBJECTS = ("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES")
# Kinds that are tagged with what they are on.
ABOUT_OTHERS = ("ACL", "COMMENT", "SECURITY LABEL")
# Kinds of objects with an owner of their own; what hangs on one (an index, a trigger) has its object's.
OWNED = (
    *("AGGREGATE", "COLLATION", "CONVERSION", "DOMAIN", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "FOREIGN TABLE"),
    *("FUNCTION", "MATERIALIZED VIEW", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY", "PROCEDURAL LANGUAGE"),
    *("PROCEDURE", "PUBLICATION", "SCHEMA", "SEQUENCE", "SERVER", "SHELL TYPE", "STATISTICS", "TABLE"),
    *("TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY", "TYPE", "VIEW"),
)


def snapshot(address: Address, binaries: Binaries, directory: Path) -> Snapshot:
    """The schema of a database. ``directory`` is ours and holds the archive for a moment."""
    entries = tuple(
        e
        for e in client.dump(address, binaries, directory)
        # What is about the database itself is tagged with its name, which differs: it is one of the facts.
        if e.kind not in NO_OBJECTS
        and not (e.kind in ABOUT_OTHERS and not e.schema and e.tag.startswith("DATABASE "))
        # Nobody makes it; whose it is and whether it is there are facts.
        and (e.kind, e.tag) != ("SCHEMA", "public")
    )
    with client.connect(address, read_only=True) as connection:
        return Snapshot(entries, {**not_dumped.facts(connection), **_owners(entries, address.user)})


def _owners(entries: Sequence[Entry], user: str) -> dict[Key, str]:
    """Owners other than the user who made the database: facts by ("OWNER", schema, "KIND name")."""
    return {
        ("OWNER", entry.schema, f"{entry.kind} {entry.tag}"): entry.owner
        for entry in entries
        if entry.kind in OWNED and entry.owner not in ("", user)
    }


def _normal(entry: Entry) -> str:
    text = entry.ddl.strip()
    if entry.kind in ("ACL", "DEFAULT ACL"):
        # Privileges are a set; the order is that in which they were granted.
        return "\n".join(sorted(text.splitlines()))
    return f"{text}\nUSING {entry.access_method}" if entry.access_method else text


def tables(connection: Connection) -> list[Table]:
    """All tables and materialized views with rows of their own, outside of PostgreSQL's schemas, by name."""
    found = connection.rows(
        "SELECT n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> ''"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE (c.relkind = 'r' OR c.relkind = 'm' AND c.relispopulated)"
        " AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"
        " ORDER BY n.nspname, c.relname, a.attnum".replace("%%", "%")
    )
    grouped: dict[tuple[str, str, str], list[Column]] = {}
    for schema, name, kind, column, type_, generated in found:
        columns = grouped.setdefault((schema, name, kind), [])
        if column is not None:
            columns.append(Column(column, type_, generated))
    return [Table(schema, name, kind, tuple(columns)) for (schema, name, kind), columns in grouped.items()]


def of_extensions(connection: Connection) -> set[tuple[str, str]]:
    """Tables (schema, name) that come with an extension."""
    query = (
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_depend d"
        " ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' WHERE c.relkind IN ('r', 'p')"
    )
    return {(str(schema), str(name)) for schema, name in connection.rows(query)}


def configured(connection: Connection) -> dict[tuple[str, str], tuple[str, str]]:
    """Tables (schema, name) of extensions for rows of their users: the extension, and the condition (``WHERE …`` or "")
    of the rows that are not its own, as pg_dump dumps them.
    """
    query = (
        "SELECT n.nspname, c.relname, e.extname, own.condition FROM pg_extension e,"
        " unnest(e.extconfig, e.extcondition) AS own (oid, condition) JOIN pg_class c ON c.oid = own.oid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
    )
    return {(schema, name): (of, condition) for schema, name, of, condition in connection.rows(query)}


def sequences(connection: Connection) -> dict[tuple[str, str], tuple[int, bool]]:
    """Every sequence's state: (schema, name) → (last_value, is_called)."""
    names = connection.rows(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1, 2"
    )
    found = {}
    for schema, name in names:
        state = connection.rows(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
        found[(str(schema), str(name))] = (int(state[0][0]), bool(state[0][1]))
    return found
