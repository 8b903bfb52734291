"""What only a whole squash shows of exactness: by the project's own command, with two runs of the old migrations."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tests.conftest import Make
from tests.support.project import VARIABLE, Project, Step
from tests.support.traps import assert_laid_out, ddl

STEPS = (
    ddl("parcels", "CREATE TABLE parcel (id serial PRIMARY KEY, status varchar(9) CHECK (status IN ('new', 'sent')))",
        "INSERT INTO parcel (status) VALUES ('new'), ('sent')", "GRANT SELECT ON parcel TO postgres"),
    ddl("search", "CREATE EXTENSION IF NOT EXISTS pg_trgm", "CREATE EXTENSION hstore"),
    ddl("a draw", "CREATE MATERIALIZED VIEW draw AS SELECT id, random() AS chance FROM parcel"),
    ddl("the last one of the base", "ALTER TABLE parcel ADD COLUMN weight numeric"),
    ddl("seen", "ALTER TABLE parcel ADD COLUMN seen timestamptz", "UPDATE parcel SET seen = clock_timestamp()"),
)  # fmt: skip


def by_itself(project: Project, rev: str) -> str:
    """Squash on a throwaway server; returns what was said."""
    done = project.tool("squash", "--rev", rev, "--uri-var", VARIABLE)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    return done.said


@pytest.mark.e2e
def test_a_squash_says_what_it_compared_and_keeps_what_the_history_said(make: Make) -> None:
    project = make(STEPS)
    base = project.file_of(project.ids[3])
    old = base.read_text(encoding="utf-8")
    message = "Create Date: 2024-03-01 10:00:00\nRevision ID: x\nWeigh parcels,\nas the carrier asks"
    base.write_text(old.replace("the last one of the base", message, 1), encoding="utf-8")
    project.commit("a docstring as some write it")
    by_itself(project, project.ids[3])
    assert_laid_out(project)
    text = project.base_text(project.ids[3])
    assert text.startswith('"""Weigh parcels,\nas the carrier asks\n\nThe base of this history: replaces 4')
    assert "\nCreate Date: 2024-03-01 10:00:00\n" in text
    assert "status IN ('new', 'sent')" in text
    assert "GRANT SELECT ON TABLE parcel TO postgres" in text  # and not to whoever migrates
    assert 'op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")' in text
    assert 'op.execute("CREATE EXTENSION hstore")' in text
    assert 'op.execute("DROP EXTENSION hstore")' in text and "DROP EXTENSION pg_trgm" not in text
    proof = project.git("log", "-1", "--format=%B")
    for words in (
        "- at head, old chain and new chain: the same (",
        "Compared at head: ",
        " columns of relations",
        "Every object also prints the same, to the letter.",
        "Roles that must be on every server, since the migrations name and do not make them: postgres",
        "Is different in each database, as before, by migrations that stay: draw.chance, parcel.seen",
    ):
        assert words in proof
    assert "is now always the same value" not in proof  # a query's rows are no constants


def test_a_stale_materialized_view_is_refused_with_the_migration_that_filled_it(make: Make) -> None:
    project = make([
        ddl("people", "CREATE TABLE person (id int)"),
        ddl("a count", "CREATE MATERIALIZED VIEW headcount AS SELECT count(*) FROM person"),
        ddl("somebody", "INSERT INTO person VALUES (1)"),
        ddl("later", "SELECT 1"),
    ])  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    filled = project.file_of(project.ids[1]).name
    assert done.code == 1, done.said
    assert f"these materialized views are stale: headcount, filled by migrations/versions/{filled}" in done.said
    assert f"REFRESH MATERIALIZED VIEW headcount\") to the end of upgrade() in {project.ids[2]}'s file" in done.said
    project.assert_nothing_left(head)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("a int CHECK (f(a) < 2)", 'ROWS public.t: new row for relation "t" violates check constraint "t_a_check"'),
        ("a int, b int GENERATED ALWAYS AS (f(a)) STORED", "changed  ROWS public.t\n    -(1,1)\n    +(1,2)"),
    ],
)
def test_what_postgresql_could_not_restore_is_refused_as_such(make: Make, column: str, said: str) -> None:
    function = "FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS"
    project = make([
        ddl("a function", f"CREATE {function} 'SELECT $1'"),
        ddl("a row", f"CREATE TABLE t ({column})", "INSERT INTO t VALUES (1)"),
        ddl("another function", f"CREATE OR REPLACE {function} 'SELECT $1 + 1'"),
        ddl("later", "SELECT 1"),
    ])  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1", "--uri-var", VARIABLE)
    assert done.code == 1, done.said
    assert "PostgreSQL cannot restore its own dump of what the old migrations make" in done.said
    assert said in done.said
    assert f"mend it at the end of upgrade() in {project.ids[2]}'s file" in done.said
    project.assert_nothing_left(head)


def test_a_server_whose_user_the_migrations_name_is_refused(make: Make) -> None:
    project = make([ddl("a", "CREATE TABLE t (i int)")])
    project.add(ddl("b", f"GRANT SELECT ON t TO {project.server.user}"), Step("c", sql=["SELECT 1"]))
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    assert done.code == 1, done.said
    assert f"names the role {project.server.user}, and so does --server" in done.said
    assert "leave --server out, or name a user there that no migration names" in done.said
    project.assert_nothing_left(head)


@pytest.fixture
def places(server: Server) -> Iterator[str]:
    """An extension with a table for rows of its users, and rows of its own there, as PostGIS has one."""
    name = f"places_{secrets.token_hex(4)}"
    address = Address(server.host, server.port, server.user, server.password, "postgres")
    with client.connect(address) as connection, connection.usual_path():
        share = str(connection.value("SELECT setting FROM pg_config() WHERE name = 'SHAREDIR'"))
    directory = Path(share, "extension")
    if not os.access(directory, os.W_OK):
        pytest.skip(f"{directory} may not be written to")
    files = {
        f"{name}.control": "default_version = '1.0'\nrelocatable = true\n",
        f"{name}--1.0.sql": f"""
            CREATE TABLE {name} (srid integer PRIMARY KEY, name text NOT NULL);
            INSERT INTO {name} VALUES (4326, 'WGS 84'), (3857, '100% Mercator: web');
            SELECT pg_catalog.pg_extension_config_dump('{name}', 'WHERE NOT (srid BETWEEN 1 AND 9999)');
        """,
    }
    try:
        for file, text in files.items():
            (directory / file).write_text(text)
        yield name
    finally:
        for file in files:
            (directory / file).unlink(missing_ok=True)


@pytest.mark.parametrize("made", ["CREATE EXTENSION", "CREATE EXTENSION IF NOT EXISTS"])
def test_rows_that_a_history_puts_into_an_extensions_table_are_in_the_base(make: Make, places: str, made: str) -> None:
    project = make([
        ddl("statements", f"{made} pg_stat_statements"),
        ddl("places", f"{made} {places}", f"INSERT INTO {places} VALUES (900913, 'ours: 50% ''more''')"),
        ddl("shops", "CREATE TABLE shop (id serial PRIMARY KEY)"),
        ddl("the last one of the base", f"INSERT INTO {places} VALUES (900914, 'another')"),
        ddl("later", f"DELETE FROM {places} WHERE srid = 900914"),
    ])  # fmt: skip
    by_itself(project, project.ids[3])
    text = project.base_text(project.ids[3])
    assert "900913" in text and "900914" in text and "4326" not in text
    assert text.index(f"{made} {places}") < text.index("900913")


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("ALTER TABLE {} ADD COLUMN datum text", "EXTENSION MEMBERS {}"),
        ("DELETE FROM {} WHERE srid = 4326", '+(4326,"WGS 84")'),  # no dump holds the extension's own rows
    ],
)
def test_a_table_of_an_extension_that_the_history_changes_is_refused(
    make: Make, places: str, change: str, shown: str
) -> None:
    project = make([ddl("places", f"CREATE EXTENSION IF NOT EXISTS {places}"), ddl("more", change.format(places))])
    done = project.tool("squash", "--rev", "head", "--uri-var", VARIABLE)
    assert done.code == 1 and "PostgreSQL cannot restore its own dump" in done.err, done.said
    assert shown.format(places) in done.err, done.said
    project.assert_nothing_left()
