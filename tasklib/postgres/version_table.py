"""Alembic's version table in a database: which revisions it says, and whether its definition is Alembic's own."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from tasklib.postgres import client
from tasklib.postgres.client import Address, Connection

Name = tuple[str, str]  # schema ("" for the default one) and table


def written_out(tables: Sequence[Name]) -> set[Name]:
    """The same, with public for the default schema."""
    return {(schema or "public", name) for schema, name in tables}


def versions(address: Address, tables: Sequence[Name]) -> set[str]:
    """The ids in the version table: of all of ``tables`` that are there; empty where none is."""
    return {one for found in by_table(address, tables).values() for one in found}


def by_table(address: Address, tables: Sequence[Name]) -> dict[Name, set[str]]:
    """The ids in each of ``tables`` that is there, by its name with the schema written out."""
    with client.connect(address, read_only=True) as connection:
        return {table: set(ids(connection, table)) for table in existing(connection, tables, anywhere=True)}


def existing(connection: Connection, tables: Sequence[Name], *, anywhere: bool = False) -> list[Name]:
    """Those of ``tables`` that the database has as version tables, with their schema written out.

    One in the default schema is in public; or ``anywhere``, where a search_path of env.py's may have put it.
    """
    there = {
        (str(schema), str(name))
        for schema, name in connection.rows(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped"
            " WHERE c.relkind = 'r'"
        )
    }
    found: list[Name] = []
    for schema, name in tables:
        usual = (schema or "public", name)
        alike = sorted(one for one in there if one[1] == name) if anywhere and not schema else []
        found += [usual] if usual in there else alike
    return found


def ids(connection: Connection, table: Name) -> list[str]:
    """The revisions that a version table holds, in order of text."""
    found = connection.rows(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(sql.Identifier(*table)))
    return [str(one) for (one,) in found]


def lookalikes(connection: Connection) -> list[Name]:
    """All tables with a column ``version_num``: version tables that no file of the project names, perhaps."""
    found = connection.rows(
        "SELECT n.nspname, c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE a.attname = 'version_num' AND c.relkind = 'r' AND NOT a.attisdropped ORDER BY 1, 2"
    )
    return [(str(schema), str(name)) for schema, name in found]


def id_type(connection: Connection, table: Name) -> str:
    """The type of ``version_num``, as SQL: character varying(32) unless the project made it wider."""
    return str(
        connection.value(
            "SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND a.attname = 'version_num'",
            list(table),
        )
    )


def triggers(connection: Connection, table: Name) -> list[str]:
    """Triggers and rules of a version table."""
    found = connection.rows(
        "SELECT 'the trigger ' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s AND NOT t.tgisinternal"
        " UNION ALL SELECT 'the rule ' || r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s ORDER BY 1",
        [*table, *table],
    )
    return [str(one) for (one,) in found]


def is_alembics_own(connection: Connection, table: Name) -> bool:
    """Whether Alembic of today would make the table just so: one key column, its key's name, nothing granted.

    Versions before 0.9 made no key, and privileges are often granted on all tables of a schema. The type is left to the
    project: long ids need a wider one.
    """
    return bool(
        connection.value(
            "SELECT c.relacl IS NULL AND obj_description(c.oid, 'pg_class') IS NULL"
            " AND (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
            "      AND NOT a.attisdropped AND a.attacl IS NULL) = ARRAY['version_num']"
            " AND (SELECT array_agg(k.conname || ' ' || pg_get_constraintdef(k.oid)) FROM pg_constraint k WHERE"
            "      k.conrelid = c.oid AND k.contype <> 'n') = ARRAY[c.relname || '_pkc PRIMARY KEY (version_num)']"
            " AND (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid) = 1"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            list(table),
        )
    )
