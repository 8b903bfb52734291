"""Shapes that real projects have: arguments of migrations, odd version tables, programs of their own."""

from __future__ import annotations

import pytest

from tasklib.postgres import client
from tests.conftest import SHOP, Make, MakePlain
from tests.project.test_urls import aborted, asked
from tests.support import needs
from tests.support.project import APP, URL_IN_ENV, VARIABLE, Step, query
from tests.unharmed.test_hostile import edit_env

pytestmark = pytest.mark.usefixtures("put_back")

BLOCK = "    with connectable.connect() as connection:\n"


@needs.wheel
def test_a_server_is_taken_that_has_the_extensions_which_the_history_makes(make: Make) -> None:
    made = make([Step("vectors", sql=("CREATE EXTENSION vector", "CREATE TABLE items (at vector(3))")),
                 Step("more", sql=("ALTER TABLE items ADD COLUMN n int",))])  # fmt: skip
    done = made.tool("squash", "--rev", "head")
    assert done.code == 0, done.said
    made.assert_nothing_left()


def test_the_base_takes_the_arguments_that_env_py_gives_to_the_others(make_plain: MakePlain) -> None:
    project = make_plain([])
    edit_env(
        project,
        "context.run_migrations()",
        "context.run_migrations(op=__import__('alembic').op, tables={}, tester=None)",
    )
    for step in SHOP[:3]:
        (one,) = project.add(step, commit=False)
        file = project.file_of(one)
        text = file.read_text().replace("def upgrade():", "def upgrade(op, tables: dict, tester=None):")
        file.write_text(text.replace("def downgrade():", "def downgrade(op, tables, tester=None):"))
    project.commit("migrations with arguments")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    assert "def upgrade(op, tables, tester=None):" in project.base_text(project.ids[1])
    project.new_database("arguments")
    project.db("upgrade", "head", database="arguments")
    project.assert_nothing_left()


MAKES = """        import sqlalchemy as sa

        {makes}
        connection.commit()
"""
TABLES = {
    # As people do whose ids are longer than 32 characters.
    "makes it wider": "connection.execute(sa.text('CREATE TABLE IF NOT EXISTS alembic_version "
    "(version_num varchar(128) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)'))",
    "names the default schema": "",
    # From the schema where it was to the one where it is now.
    "copies it": "connection.execute(sa.text('CREATE SCHEMA IF NOT EXISTS new'))\n"
    "        if sa.inspect(connection).has_table('alembic_version'):\n"
    "            copy = 'CREATE TABLE IF NOT EXISTS new.alembic_version AS TABLE alembic_version'\n"
    "            connection.execute(sa.text(copy))\n"
    "        else:\n"
    "            connection.execute(sa.text('CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32))'))",
}


@pytest.mark.parametrize("way", TABLES)
def test_version_tables_that_env_py_makes_or_names_are_its_own(make_plain: MakePlain, way: str) -> None:
    project = make_plain(SHOP[:4])
    edit_env(project, BLOCK, BLOCK + MAKES.format(makes=TABLES[way] or "pass"))
    schema = {"names the default schema": "public", "copies it": "new"}.get(way)
    if schema:
        edit_env(
            project,
            "target_metadata=target_metadata\n",
            f"target_metadata=target_metadata,\n            version_table_schema={schema!r},\n",
        )
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    address = project.new_database("tables")
    project.db("upgrade", "head", database="tables")
    assert query(address, f"SELECT version_num FROM {schema or 'public'}.alembic_version") == [(project.ids[3],)]
    assert "alembic_version" not in project.base_text(project.ids[2])


NOTED = (
    "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER noted BEFORE UPDATE ON alembic_version FOR EACH ROW EXECUTE FUNCTION noted()",
)
CHANGED = {
    "column": ("ALTER TABLE alembic_version ADD COLUMN at timestamptz DEFAULT now()", "at timestamp with time zone"),
    "constraint": ("ALTER TABLE alembic_version RENAME CONSTRAINT alembic_version_pkc TO versions", "versions PRIMARY"),
    "replica identity": ("ALTER TABLE alembic_version REPLICA IDENTITY FULL", "REPLICA IDENTITY FULL"),
    "what is said of a constraint": (
        "ALTER TABLE alembic_version RENAME CONSTRAINT alembic_version_pkc TO versions;"
        " COMMENT ON CONSTRAINT versions ON alembic_version IS 'renamed'",
        "COMMENT public.CONSTRAINT versions ON alembic_version",
    ),
    "trigger": ("; ".join(NOTED), "the trigger noted"),
    "rule": ("CREATE RULE kept AS ON DELETE TO alembic_version DO INSTEAD NOTHING", "the rule kept"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_what_migrations_change_of_the_version_table_is_refused_in_words(make_plain: MakePlain, what: str) -> None:
    change, named = CHANGED[what]
    project = make_plain([*SHOP[:2], Step("when", sql=[change])])
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head")
    assert done.code == 1 and "Migrations change Alembic's own table" in done.err, done.said
    assert named in done.err and "a gap of this program" not in done.err, done.said
    project.assert_nothing_left(head)


ACTS = {
    "each migration": (
        "CREATE TABLE IF NOT EXISTS log (id text)", "on_version_apply",
        "context.configure(", "context.configure(on_version_apply=lambda ctx, step, **_:"
        " ctx.connection.exec_driver_sql(f\"INSERT INTO log VALUES ('{step.up_revision_id}')\"),",
    ),
    "each table": (
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "listens_for",
        "config = context.config", "config = context.config\nfrom sqlalchemy import event, Table, text\n"
        "@event.listens_for(Table, 'after_create')\ndef touched(table, connection, **_):\n"
        "    if table.name == 'later':\n"
        "        connection.execute(text('CREATE TRIGGER touch BEFORE UPDATE ON later EXECUTE FUNCTION touch()'))\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ACTS)
def test_what_env_py_does_at_each_migration_or_table_is_said_to_be_its_own(make_plain: MakePlain, what: str) -> None:
    made, named, old, new = ACTS[what]
    project = make_plain(
        [Step("made", sql=[made]), Step("later", 'op.create_table("later", sa.Column("id", sa.Text))')]
    )
    env = project.top / "migrations/env.py"
    assert env.read_text().count(old) >= 1
    env.write_text(env.read_text().replace(old, new))
    project.commit("env.py")
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head")
    assert done.code == 1 and f"of its own whenever a migration runs or makes a table ({named})" in done.err, done.said
    assert "gap of this program" not in done.err and "migrations/env.py:" in done.err, done.said
    project.assert_nothing_left(head)


LEFT = {
    "search_path": "SET search_path TO own, public",
    "role": "SET ROLE pg_database_owner",
    "search_path of one transaction": "SET LOCAL search_path TO own, public",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_migrations_set_for_their_session_is_there_for_those_that_stay(make_plain: MakePlain, what: str) -> None:
    project = make_plain([
        Step("own", sql=["CREATE SCHEMA own", "GRANT ALL ON SCHEMA own, public TO pg_database_owner",
                         "GRANT ALL ON alembic_version TO pg_database_owner"]),
        Step("sets", sql=[LEFT[what]]),
        Step("later", 'op.create_table("later", sa.Column("id", sa.Integer()))'),
    ])  # fmt: skip
    where = "SELECT relnamespace::regnamespace::text, relowner::regrole::text <> current_user FROM pg_class"
    old = project.new_database("old")
    project.db("upgrade", "head", database="old")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0 and "the migrations leave their session with" in done.err, done.said
    project.assert_nothing_left()
    new = project.new_database("new")
    project.db("upgrade", "head", database="new")
    found = query(new, f"{where} WHERE relname = 'later'")
    assert found == query(old, f"{where} WHERE relname = 'later'") != [("public", False)], found


def test_what_a_history_makes_only_where_it_is_missing_may_be_there_already(make_plain: MakePlain) -> None:
    project = make_plain([
        Step("asks", sql=[
            "CREATE SCHEMA IF NOT EXISTS app", 'CREATE SCHEMA "plain"',
            "CREATE OR REPLACE FUNCTION app.touch() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION once() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        ]),
        Step("more", sql=["SELECT 1"]),
        Step("later", 'op.create_table("later", sa.Column("id", sa.Integer()), schema="app")'),
    ])  # fmt: skip
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    text = project.base_text(project.ids[1])
    assert "CREATE SCHEMA IF NOT EXISTS app" in text and "CREATE SCHEMA plain" in text, text
    assert "CREATE OR REPLACE FUNCTION app.touch()" in text and "CREATE FUNCTION once()" in text, text
    address = project.new_database("theirs")
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE SCHEMA app; CREATE FUNCTION app.touch() RETURNS integer LANGUAGE sql AS 'SELECT 2'")
    project.db("upgrade", "head", database="theirs")
    assert query(address, "SELECT app.touch() FROM (SELECT count(*) FROM app.later) AS none") == [(1,)]


PUBLIC = (
    "ALTER SCHEMA public RENAME TO app",
    "CREATE SCHEMA public",
    "ALTER TABLE app.alembic_version SET SCHEMA public",
    "CREATE TABLE app.things (id integer PRIMARY KEY)",
)


@pytest.mark.parametrize("more", [[], ["COMMENT ON SCHEMA app IS NULL"]])
def test_the_schema_public_under_another_name_lets_in_whom_it_let_in(make_plain: MakePlain, more: list[str]) -> None:
    # For pg_dump it is as the server was made, and a schema of another name that is made lets nobody in.
    project = make_plain([SHOP[0], Step("renamed", sql=[*PUBLIC, *more]), Step("later", sql=["SELECT 1"])])
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    address = project.new_database("renamed")
    project.db("upgrade", "head", database="renamed")
    lets_in = "SELECT has_schema_privilege('pg_monitor', nspname, 'USAGE'), nspowner::regrole::text FROM pg_namespace"
    assert query(address, f"{lets_in} WHERE nspname = 'app'") == [(True, "pg_database_owner")]


OWN = """
import sys

from alembic import command
from alembic.config import Config

config = Config("migrations/alembic.ini")
config.set_main_option("script_location", "migrations")
words = [word for word in sys.argv[2:] if word != "--verbose"]
if any(word.startswith("-") for word in words):
    sys.exit(f"shop: error: unrecognized arguments: {' '.join(words)}")
from app import app

with app.app_context():
    getattr(command, words[0])(config, *words[1:])
"""


@pytest.mark.parametrize("server", [True])
def test_a_program_of_the_projects_own_with_a_word_db_is_not_taken_for_flask_migrate(make: Make, server: bool) -> None:
    project = make(SHOP)
    project.write("shop/__init__.py", "")
    project.write("shop/__main__.py", OWN)
    project.commit("a program of its own")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-2", "--command", "python -m shop db")
    assert done.code == 0, done.said
    assert "takes no -d: it is a program of the project's own" in done.err
    project.assert_nothing_left()


BY_DIALECT = """
from pathlib import Path

context.script.version_locations = [str(Path("migrations/versions/postgresql").absolute())]
"""


def test_a_directory_of_revisions_for_each_kind_of_database_that_env_py_chooses(make_plain: MakePlain) -> None:
    project = make_plain([], env=URL_IN_ENV + BY_DIALECT)
    project.add(*SHOP[:3], commit=False)
    for kind in ("postgresql", "sqlite"):
        for file in project.versions.glob("*.py"):
            text = file.read_text().replace("import sqlalchemy", f"# of {kind}\nimport sqlalchemy")
            project.write(f"migrations/versions/{kind}/{file.name}", text)
    for file in project.versions.glob("*.py"):
        file.unlink()
    project.commit("by kind")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    assert len(list((project.versions / "postgresql").glob("*.py"))) == 2
    assert len(list((project.versions / "sqlite").glob("*.py"))) == 3
    project.assert_nothing_left()


def test_backslashes_of_old_python_are_no_warnings_and_line_ends_stay(make_plain: MakePlain) -> None:
    project = make_plain(SHOP[:3])
    for revision in project.ids:
        file = project.file_of(revision)
        text = file.read_text().replace('"""\nimport sqlalchemy', '\\d+ is what they were\n"""\nimport sqlalchemy', 1)
        file.write_text(text, newline="\r\n")
    project.commit("from another system")
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0 and "SyntaxWarning" not in done.said, done.said
    base = project.file_of(project.ids[1]).read_bytes()
    assert base.count(b"\r\n") == base.count(b"\n") > 20
    project.assert_nothing_left()


def test_an_application_that_makes_its_engine_by_hand_and_asks_at_its_start_is_led(make: Make) -> None:
    asks = """
import psycopg2
with app.app_context():
    c = psycopg2.connect("postgresql://u:p@db.example/shop")
    c.close()
"""
    project = make(SHOP, app=APP.replace('os.environ["DATABASE_URL"]', '"postgresql://u:p@db.example/shop"') + asks)
    done = asked(project)
    assert done.code == 0 and "db.example:5432/shop → a scratch database" in done.err, done.said
    aborted(project)


def test_an_extension_that_somebody_made_by_hand_may_be_made_by_an_option_and_is_then_in_the_base(
    make_plain: MakePlain,
) -> None:
    index = "CREATE INDEX by_trigrams ON users USING gin (email gin_trgm_ops)"
    later = "ALTER TABLE users ADD COLUMN later text"
    project = make_plain([SHOP[0], Step("trigrams", sql=[index]), Step("later", sql=[later])])
    done = project.tool("squash", "--rev", "head-1", "--before", "psql -c 'CREATE EXTENSION pg_trgm'")
    assert done.code == 0, done.said
    assert "pg_trgm" in project.file_of(project.ids[1]).read_text()
