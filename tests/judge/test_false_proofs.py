"""Squashes that are not equal, each in a way that a careless judge calls equal: none may be merged."""

from __future__ import annotations

import pytest

from tasklib.postgres import client
from tests.conftest import SHOP, Make
from tests.support.project import VARIABLE, Project, Step, query


def test_rows_that_a_kept_migration_makes_of_rows_that_were_left_out_are_missed(make: Make) -> None:
    fees = Step("fees", sql=["CREATE TABLE fees (plan integer)", "INSERT INTO fees SELECT id FROM plans"])
    project = make([*SHOP[:3], fees])
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1", "--data", "none")
    assert done.code == 3 and "ROWS public.fees" in done.err, done.said
    project.assert_nothing_left(head)


@pytest.mark.slow
def test_in_a_table_with_one_volatile_row_the_other_rows_are_compared_to_the_letter(make: Make) -> None:
    project = make([
        Step("settings", sql=[
            "CREATE TABLE settings (k text PRIMARY KEY, v text)",
            "INSERT INTO settings VALUES ('title', 'Library'), ('instance', gen_random_uuid()::text)",
        ]),
        Step("more", sql=["ALTER TABLE settings ADD COLUMN note text"]),
        Step("later", sql=["CREATE TABLE later (id integer)"]),
    ])  # fmt: skip
    done = project.squash("head-1")
    assert done.code == 0 and "settings.v" in done.out, done.said
    path = project.file_of(project.ids[1])
    path.write_text(path.read_text(encoding="utf-8").replace("Library", "WRONG"), encoding="utf-8")
    project.commit("an edit that changes a row")
    verified = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert verified.code == 3 and "Library" in verified.err, verified.said


def test_row_security_does_not_hide_rows_from_the_judge(make: Make) -> None:
    project = make([
        SHOP[2],
        Step("policies", sql=[
            "ALTER TABLE plans ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE plans FORCE ROW LEVEL SECURITY",
        ]),
        Step("later", sql=["CREATE TABLE later (id integer)"]),
    ])  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run("DROP ROLE IF EXISTS modest")
        connection.run("CREATE ROLE modest LOGIN CREATEDB PASSWORD 'modest'")
    url = f"postgresql://modest:modest@{project.server.host}:{project.server.port}/postgres"
    before = {*project.databases()}  # a test before may have killed somebody whose databases are there
    done = project.tool("squash", "--rev", "head-1", "--uri-var", VARIABLE, "--server", url)
    assert done.code == 1 and "row-level security" in done.err and "BYPASSRLS" in done.err, done.said
    project.assert_nothing_left(head)
    assert {*project.databases()} <= before


@pytest.mark.slow
def test_a_user_who_may_only_create_databases_is_enough(shop: Project) -> None:
    with client.connect(shop.address()) as connection, connection.usual_path():
        connection.run("DROP ROLE IF EXISTS modest")
        connection.run("CREATE ROLE modest LOGIN CREATEDB PASSWORD 'modest'")
    url = f"postgresql://modest:modest@{shop.server.host}:{shop.server.port}/postgres"
    done = shop.tool("squash", "--rev", "head-2", "--uri-var", VARIABLE, "--server", url)
    assert done.code == 0, done.said
    shop.assert_nothing_left()


def test_an_env_py_that_goes_to_a_second_database_is_refused_before_it_writes_there(make: Make) -> None:
    project = make(SHOP)
    other = project.new_database("reports")
    env = project.top / "migrations" / "env.py"
    text = env.read_text(encoding="utf-8")
    env.write_text(
        text
        + "\n\nfrom sqlalchemy import create_engine\n\n"
        + f"with create_engine({other.url('postgresql+psycopg2')!r}).connect() as second:\n"
        + "    context.configure(connection=second, target_metadata=None)\n"
        + "    with context.begin_transaction():\n        context.run_migrations()\n",
        encoding="utf-8",
    )
    project.commit("a second database")
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-2")
    assert done.code in (1, 2), done.said
    assert query(other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    project.assert_nothing_left(head)
