"""What a database holds: pg_dump's entries, and from the catalogs what the dump is silent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql

from tasklib import postgres
from tasklib.archive import Entry, Key
from tasklib.binaries import Binaries
from tasklib.postgres import Address, Connection

# (kind, query for schema, name and value) of what pg_dump does not print.
SILENT = (
    (
        "EXTENSION VERSION",
        "SELECT '', extname, extversion FROM pg_extension",
    ),
    (
        "INVALID INDEX",
        "SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive",
    ),
    (
        "DATABASE SETTING",
        "SELECT '', coalesce(r.rolname || ' ', '') || split_part(entry, '=', 1), entry FROM pg_db_role_setting s"
        " JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,"
        " unnest(s.setconfig) entry"
        f" WHERE d.datname = current_database() AND split_part(entry, '=', 1) <> '{postgres.MARKER}'",
    ),
    (
        "DATABASE COMMENT",
        "SELECT '', 'database', shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = current_database()"
        " AND shobj_description(oid, 'pg_database') IS NOT NULL"
        f" AND shobj_description(oid, 'pg_database') NOT LIKE '{postgres.MARKER}=%'",
    ),
    (
        "DATABASE PRIVILEGE",
        "SELECT '', acl.grantee::regrole::text || ' ' || acl.privilege_type, acl.is_grantable::text FROM pg_database d,"
        " aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl WHERE d.datname = current_database()",
    ),
    (
        # A foreign key's own triggers, which no dump prints: DISABLE TRIGGER ALL switches the key off.
        "DISABLED FOREIGN KEY",
        "SELECT n.nspname, c.relname || ' ' || con.conname || ' ' || t.tgfoid::regproc, t.tgenabled FROM pg_trigger t"
        " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_constraint con ON con.oid = t.tgconstraint WHERE t.tgisinternal AND t.tgenabled <> 'O'",
    ),
    (
        "MATERIALIZED VIEW STATE",
        "SELECT n.nspname, c.relname, c.relispopulated::text FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'",
    ),
    (
        "LARGE OBJECTS",
        "SELECT '', 'large objects', count(*)::text FROM pg_largeobject_metadata HAVING count(*) > 0",
    ),
)  # fmt: skip

# Said in every report: what neither the dump nor these queries show.
BLIND_SPOTS = (
    "roles and tablespaces (they belong to the server, not to the database)",
    "owners of objects",
    "subscriptions' remote side and large objects' contents",
    "planner statistics and physical order of rows",
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

    def objects(self) -> dict[Key, str]:
        """Every object's text by its key; the texts of entries that share a key are joined in order of text."""
        found: dict[Key, list[str]] = {}
        for entry in self.entries:
            found.setdefault(entry.key, []).append(_normal(entry))
        return {**{key: "\n".join(sorted(texts)) for key, texts in found.items()}, **self.facts}


# Not objects: settings of the dump itself.
NO_OBJECTS = ("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES")


def snapshot(address: Address, binaries: Binaries, directory: Path) -> Snapshot:
    """The schema of a database. ``directory`` is ours and holds the archive for a moment."""
    entries = tuple(
        e
        for e in postgres.dump(address, binaries, directory)
        # The database's comment is tagged with its name, which differs: it is one of the facts.
        if e.kind not in NO_OBJECTS and not (e.kind == "COMMENT" and not e.schema and e.tag.startswith("DATABASE "))
    )
    with postgres.connect(address, read_only=True) as connection:
        return Snapshot(entries, facts(connection))


def facts(connection: Connection) -> dict[Key, str]:
    """What the dump is silent on."""
    found = {}
    for kind, query in SILENT:
        for schema, name, value in connection.rows(query):
            found[(kind, str(schema), str(name))] = str(value)
    return found


def _normal(entry: Entry) -> str:
    text = entry.ddl.strip()
    if entry.kind in ("ACL", "DEFAULT ACL"):
        # Privileges are a set; the order is that in which they were granted.
        return "\n".join(sorted(text.splitlines()))
    return text


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
