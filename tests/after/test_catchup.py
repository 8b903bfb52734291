"""A database that a squash left behind: brought to R with the old migrations, rows and all; or left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tasklib.postgres import client
from tests.conftest import Make, MakePlain, copied, database_of
from tests.support.project import BIN, VARIABLE, Plain, Project, query, whole
from tests.support.world import TINY


def at(project: Project, name: str) -> str:
    return str(query(project.address(name), "SELECT string_agg(version_num, ' ') FROM alembic_version")[0][0])


def test_it_is_brought_to_r_with_its_rows_after_a_yes(new_shop: Plain) -> None:
    project, ids = new_shop, new_shop.ids
    url = database_of(project, 2, "left")
    before = whole(project.server, project.address("left"))
    words = ("catchup", "--url", url, "--server", project.server_url)
    asked = project.tool(*words)
    assert asked.code == 1 and "nobody said yes" in asked.err, asked.said
    assert ids[2] in asked.out and ids[3] in asked.out and "upgrade" in asked.out
    assert whole(project.server, project.address("left")) == before
    done = project.tool(*words, "--yes")
    assert done.code == 0, done.said
    assert project.server.password not in asked.said + done.said
    assert at(project, "left") == ids[3]
    # As if it had been upgraded in time: schema, rows and sequences.
    assert whole(project.server, project.address("left")) == whole(project.server, project.address("shop_4"))
    project.db("upgrade", "head", database="left")
    assert at(project, "left") == ids[5]
    again = project.tool(*words)
    assert again.code == 0 and "nothing to catch up" in again.out
    assert not [name for name in project.databases() if name.startswith("alembic_squash_")]
    project.assert_nothing_left()


def test_what_it_does_not_understand_it_refuses_and_leaves_alone(new_shop: Plain) -> None:
    project = new_shop
    url = database_of(project, 2, "refused")
    address = project.address("refused")
    for sql, said in (
        ("UPDATE alembic_version SET version_num = 'feedfacecafe'", "unknown revision (feedfacecafe)"),
        ("DELETE FROM alembic_version", "no version table; it is there, and empty"),
        (f"INSERT INTO alembic_version VALUES ('{project.ids[1]}'), ('{project.ids[0]}')", "several rows"),
        (f"DELETE FROM alembic_version WHERE version_num = '{project.ids[0]}'; DROP INDEX ix_users_email",
         "missing  INDEX public.ix_users_email"),
    ):  # fmt: skip
        with client.connect(address) as connection, connection.usual_path():
            connection.run(sql)
        before = whole(project.server, address)
        done = project.tool("catchup", "--url", url, "--yes", "--server", project.server_url)
        assert done.code == 1 and said in done.said, done.said
        assert whole(project.server, address) == before


def test_the_base_refuses_a_database_with_its_tables_and_no_revision(new_shop: Plain, tmp_path: Path) -> None:
    project = copied(new_shop, tmp_path)
    text = project.base_file.read_text()
    assert all(one in text for one in project.ids[:4])
    database_of(project, 2, "lost")
    with client.connect(project.address("lost")) as connection, connection.usual_path():
        connection.run("DELETE FROM alembic_version")
    before = whole(project.server, project.address("lost"))
    done = project.db("upgrade", "head", database="lost", check=False)
    assert done.code != 0 and f"stamp {project.ids[3]}" in done.err and "catchup --url URL" in done.err, done.said
    assert whole(project.server, project.address("lost")) == before
    # Tables of that name elsewhere are none of its business, nor is anything in --sql.
    address = project.new_database("beside")
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE SCHEMA tenant; CREATE TABLE tenant.users (id integer)")
        connection.run("ALTER DATABASE beside SET search_path = public, tenant")
    project.db("upgrade", "head", database="beside")
    assert query(address, "SELECT count(*) FROM public.plans") == [(2,)]
    assert "CREATE TABLE users" in project.db("upgrade", "head", "--sql", database="beside").out


def test_where_the_real_one_fails_it_says_why_and_where_it_stands(new_shop: Plain) -> None:
    project, ids = new_shop, new_shop.ids
    database_of(project, 2, "no_rights")
    address = replace(project.address("no_rights"), user="catchup_reader", password="s3cret-of-the-reader")
    with client.connect(project.address("no_rights")) as connection, connection.usual_path():
        # All that is asked and dumped it may; on a scratch database it never was.
        connection.run(f"CREATE ROLE {address.user} LOGIN PASSWORD '{address.password}' IN ROLE pg_read_all_data")
    before = whole(project.server, project.address("no_rights"))
    try:
        done = project.tool("catchup", "--url", address.url(), "--yes", "--server", project.server_url)
    finally:
        with client.connect(project.address()) as connection, connection.usual_path():
            connection.run(f"DROP ROLE {address.user}")
    assert done.code == 2 and "permission denied" in done.err, done.said
    assert f"/no_rights is at {ids[1]} now; {ids[3]} was expected" in done.err and ids[2] in done.err
    assert address.password not in done.said
    assert whole(project.server, project.address("no_rights")) == before


@pytest.mark.slow
def test_flask_migrate_goes_the_same_way_on_asyncpg_and_psycopg2(make: Make, make_plain: MakePlain) -> None:
    asynchronous = make_plain(TINY, template="async", name="asynchronous")
    made = ((make(TINY, name="flask"), "psycopg2", "flask db"), (asynchronous, "asyncpg", "alembic"))
    for project, scheme, command in made:
        address = project.new_database(f"left_{scheme}")
        program, *words = command.split()
        project.environment = {VARIABLE: address.url(f"postgresql+{scheme}")}
        project.run([BIN / program, *words, "upgrade", project.ids[0]])
        # Whatever database the application would take by itself, it gets the one of the URL.
        project.environment = {VARIABLE: f"postgresql+{scheme}://u@127.0.0.1:1/somewhere"}
        squashed = project.tool("squash", "--rev", "head-1", "--server", project.server_url)
        assert squashed.code == 0, squashed.said
        done = project.tool("catchup", "--url", address.url(), "--yes", "--server", project.server_url)
        assert done.code == 0, done.said
        assert at(project, address.database) == project.ids[1]
        project.assert_nothing_left()
