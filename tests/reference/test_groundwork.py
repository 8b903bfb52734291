"""What must be there before the first migration: a schema that env.py makes for its version table, an extension."""

from __future__ import annotations

import pytest
from alembic.ddl.impl import DefaultImpl

from tasklib.postgres import client
from tests.conftest import SHOP, Make, MakePlain
from tests.project.test_urls import in_use
from tests.proof.test_verify import clone
from tests.support.project import URL_IN_ENV, VARIABLE, Plain, Step, query, reaches
from tests.unharmed.test_hostile import edit_env

pytestmark = pytest.mark.usefixtures("put_back")

# The version table is in a schema of its own, which Alembic does not make.
IN_STORE = """
from functools import partial

context.configure = partial(
    context.configure, version_table="migrations", version_table_schema="store", include_schemas=True
)
"""
BLOCK = "    with connectable.connect() as connection:\n"
# What people write for it, before and since SQLAlchemy 2; and with an extension.
MAKES = """        import sqlalchemy as sa

        connection.execute(sa.text("create schema if not exists store"))
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS plpgsql; CREATE SCHEMA IF NOT EXISTS \\"Audit\\""))
        connection.commit()
"""
ASKS_FIRST = """        import sqlalchemy as sa

        with connectable.begin() as first:
            if "store" not in sa.inspect(first).get_schema_names():
                first.execute(sa.schema.CreateSchema("store"))
"""
STORE = (
    Step("items", """
        op.execute("CREATE SCHEMA IF NOT EXISTS store")
        op.create_table("items", sa.Column("id", sa.Integer(), primary_key=True), schema="store")
        op.create_table("log", sa.Column("id", sa.Integer(), primary_key=True), schema="Audit")
        op.execute("INSERT INTO store.items VALUES (7)")
    """),
    Step("whose", sql=[
        "GRANT USAGE ON SCHEMA store TO PUBLIC", "COMMENT ON SCHEMA store IS 'what is sold'",
        'ALTER TABLE "Audit".log ADD COLUMN note text',
    ]),
    Step("later", 'op.add_column("items", sa.Column("name", sa.Text()), schema="store")'),
)  # fmt: skip


def in_store(make_plain: MakePlain, makes: str, steps: tuple[Step, ...] = STORE, env: str = "") -> Plain:
    project = make_plain(steps, env=URL_IN_ENV + IN_STORE + env)
    if makes:
        edit_env(project, BLOCK, BLOCK + makes)
    return project


@pytest.mark.slow
def test_schemas_that_env_py_makes_whenever_it_is_asked_stay_its_own(make_plain: MakePlain) -> None:
    project = in_store(make_plain, MAKES)
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "env.py makes the schema Audit, schema store" in done.err
    proof = project.git("log", "-1", "--format=%B")
    assert "Made by env.py before any migration, and left to it: schema Audit, schema store" in proof
    text = project.base_text(project.ids[1])
    assert "CREATE SCHEMA" not in text and "DROP SCHEMA" not in text and '"migrations"' not in text
    address = project.new_database("in_store")
    for words in (["upgrade", "head"], ["-x", "squash_downgrade=drop", "downgrade", "base"], ["upgrade", "head"]):
        project.db(*words, database="in_store")
    assert query(address, "SELECT id, name FROM store.items") == [(7, None)]
    assert query(address, "SELECT version_num FROM store.migrations") == [(project.ids[2],)]
    assert query(address, "SELECT obj_description('store'::regnamespace)") == [("what is sold",)]
    verified = clone(project, "ci").tool("verify")
    assert verified.code == 0, verified.said


@pytest.mark.slow
def test_extensions_with_operators_functions_and_quoted_names_stay_env_pys_own(make_plain: MakePlain) -> None:
    project = make_plain(SHOP[:3])
    wanted = "SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'uuid-ossp', 'vector') ORDER BY 1"
    names = [str(name) for (name,) in query(project.address(), wanted)]
    assert names, "this server has no extension to try it with"
    # One is there when the run that may write begins, another comes only then.
    makes = "        import sqlalchemy as sa\n\n" + "".join(
        f"        connection.execute(sa.text('CREATE EXTENSION IF NOT EXISTS \"{name}\"'))\n"
        "        connection.commit()\n"
        for name in names
    )
    edit_env(project, BLOCK, BLOCK + makes)
    done = project.squash("head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    proof = project.git("log", "-1", "--format=%B")
    assert f"left to it: {', '.join(f'extension {name}' for name in names)}" in proof
    assert "EXTENSION" not in project.base_text(project.ids[1])
    verified = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert verified.code == 0, verified.said


@pytest.mark.slow
def test_a_schema_that_nobody_makes_is_given_to_scratch_databases_and_named(make_plain: MakePlain) -> None:
    steps = (Step("none", "pass"), *(Step(s.message, s.python.replace("Audit", "public"), s.sql) for s in STORE[:1]),
             STORE[2])  # fmt: skip
    project = in_store(make_plain, "", steps)
    done = project.squash("head-1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    proof = project.git("log", "-1", "--format=%B")
    assert (
        "Must be in a database before its first migration, as before, since no migration makes it: schema store"
        in proof
    )
    # Whoever may not make schemas need not.
    assert "CREATE SCHEMA" not in project.base_text(project.ids[1])
    address = project.new_database("given")
    assert 'schema "store" does not exist' in project.db("upgrade", "head", database="given", check=False).err
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE SCHEMA store")
    project.db("upgrade", "head", database="given")
    assert query(address, "SELECT id, name FROM store.items") == [(7, None)]


@pytest.mark.slow
@pytest.mark.parametrize("before", ["CREATE SCHEMA store; CREATE TABLE public.old (id int)", ""])
def test_it_goes_together_with_before_and_with_an_env_py_that_asks_whether_it_is_there(
    make_plain: MakePlain, before: str
) -> None:
    steps = (Step("none", "pass"), Step("items", STORE[0].python.replace("Audit", "public")), STORE[2])
    project = in_store(make_plain, "" if before else ASKS_FIRST, steps)
    project.put_psql_on_path()
    done = project.squash("head-1", *(["--before", f'psql -qc "{before}"'] if before else []))
    assert done.code == 0, done.said
    project.assert_nothing_left()
    address = project.new_database("together")
    if before:
        with client.connect(address) as connection, connection.usual_path():
            connection.run("CREATE SCHEMA store")
    project.db("upgrade", "head", database="together")
    tables = "SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'store') ORDER BY 1"
    expected = ["items", "log", "migrations", *(["old"] if before else [])]
    assert [name for (name,) in query(address, tables)] == expected
    real = project.address("together")
    project.git("reset", "--quiet", "--hard", "HEAD^")
    done = project.squash("head", "--reference", real.url(), "--data", "store.items")
    assert done.code == 0, done.said
    project.assert_nothing_left()


def test_a_table_that_env_py_makes_is_its_own_and_one_of_a_model_is_refused(make_plain: MakePlain) -> None:
    table = '        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS store.more (id int)"))\n'
    project = in_store(make_plain, MAKES + table + "        connection.commit()\n")
    said = reaches(project)
    assert said.startswith("1 ") and "makes tables when it is only asked where it stands: store.more" in said, said
    assert "anywhere but in a scratch database" in said
    # Where the models are known, one that is none of theirs is env.py's own affair.
    models = "import sqlalchemy as sa\ntarget = sa.MetaData()\nsa.Table('items', target, sa.Column('id', sa.Integer))\n"
    edit_env(project, "target_metadata = None", f"{models}target_metadata = target")
    said = reaches(project)
    assert said.startswith("0 ") and "table store.more" in said, said


def test_a_program_that_env_py_starts_may_only_read(make_plain: MakePlain) -> None:
    # As psql would: it heeds PGOPTIONS, and the guard does not get into it.
    goes = "import os, psycopg2; psycopg2.connect(os.environ['LIVE']).cursor().execute('CREATE TABLE written (id int)')"
    starts = f"""        import subprocess
        import sys
        subprocess.run([sys.executable, "-I", "-c", {goes!r}], check=False)
"""
    project = in_store(make_plain, MAKES + starts)
    with in_use(project) as live:
        project.environment = {"LIVE": live.url()}
        assert reaches(project).startswith("0 ")


@pytest.mark.slow
def test_an_async_env_py_and_psycopg_may_make_a_schema_too(make_plain: MakePlain) -> None:
    project = make_plain(SHOP[:2], template="async", env=URL_IN_ENV + IN_STORE)
    file = project.top / "migrations/env.py"
    before, line, after = file.read_text().partition("    async with connectable.connect() as connection:\n")
    assert line
    # asyncpg takes one statement at a time.
    makes = MAKES.replace("connection.", "await connection.").replace("CREATE EXTENSION IF NOT EXISTS plpgsql; ", "")
    file.write_text(before + line + makes + after, encoding="utf-8")
    project.commit("a schema")
    checkout = project.tool("checkout", "--rev", "head", "--uri-var", VARIABLE)
    assert checkout.code == 0, checkout.said
    project.environment = {VARIABLE: "postgresql+asyncpg://u@127.0.0.1:1/live"}
    done = project.tool("createdb")
    assert done.code == 0 and "schema store" in done.err, done.said
    assert project.tool("abort").code == 0
    project.environment = {VARIABLE: "postgresql+psycopg://u@127.0.0.1:1/live"}
    assert reaches(project).startswith("0 ")


@pytest.mark.slow
def test_autogenerate_runs_where_env_py_makes_a_schema(make_plain: MakePlain) -> None:
    models = """
import sqlalchemy as sa

target = sa.MetaData()
sa.Table("items", target, sa.Column("id", sa.Integer, primary_key=True), schema="store")
"""
    first = Step("items", 'op.create_table("items", sa.Column("id", sa.Integer(), primary_key=True), schema="store")')
    project = in_store(make_plain, MAKES, (), env=models)
    edit_env(project, "target_metadata = None", "target_metadata = target")
    project.add(first, Step("nothing", "pass"))
    done = project.squash("head", "--source", "models")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "op.create_table('items'" in project.base_text(project.ids[1])


# --- a version table that no file names in words that can be read ------------------------------------------------

COMPUTED = """
from functools import partial

place = "_".join(["the", "store"])
context.configure = partial(context.configure, version_table=f"{place}_versions", version_table_schema=place)
"""


@pytest.mark.slow
def test_a_version_table_whose_name_and_schema_are_computed_is_found_out(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=URL_IN_ENV + COMPUTED)
    done = project.squash("head-2")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "nobody makes the schema the_store for the version table" in done.err
    proof = project.git("log", "-1", "--format=%B")
    assert (
        "Must be in a database before its first migration, as before, since no migration makes it: schema the_store"
        in proof
    )
    assert "the_store" not in project.base_text(project.ids[3])
    address = project.new_database("computed")
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE SCHEMA the_store")
    project.db("upgrade", "head", database="computed")
    assert query(address, "SELECT version_num FROM the_store.the_store_versions") == [(project.ids[5],)]


SEARCH_PATH = """        import sqlalchemy as sa

        place = context.get_x_argument(as_dictionary=True).get("place", "shop")
        {makes}
        connection.execute(sa.text(f"SET search_path TO {place}"))
        connection.commit()
        connection.dialect.default_schema_name = place
"""
MAKES_PLACE = 'connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {place}"))'


@pytest.mark.slow
def test_a_schema_that_env_py_searches_is_the_bases_own_and_refused_where_an_option_chooses_it(
    make_plain: MakePlain,
) -> None:
    project = make_plain(SHOP)
    edit_env(project, BLOCK, BLOCK + SEARCH_PATH.replace("{makes}", MAKES_PLACE))
    done = project.squash("head-2", "--command", "alembic -x place=books")
    assert done.code == 3, done.said
    assert "run for whichever schema the argument -x place=… names (books in this squash)" in done.err, done.said
    edit_env(project, 'context.get_x_argument(as_dictionary=True).get("place", "shop")', '"shop"')
    done = project.squash("head-2")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert 'schema="shop"' in project.base_text(project.ids[3])
    address = project.new_database("searched")
    project.db("upgrade", "head", database="searched")
    assert query(address, "SELECT code FROM shop.plans ORDER BY id") == [("free",), ("premium",)]
    edit_env(project, MAKES_PLACE, "")
    done = project.squash("head")
    assert done.code == 1 and "a search_path that leads to no schema of an empty database" in done.err, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize("revision", ["head", "head-1"])
def test_an_extension_that_is_made_by_hand_is_given_to_every_scratch_database(make: Make, revision: str) -> None:
    """As an administrator makes it, who alone may: in what goes, and in what stays."""
    project = make([
        SHOP[0],
        Step("names", sql=["CREATE TABLE names (id integer PRIMARY KEY, name text)"]),
        Step("search", sql=["CREATE INDEX by_name ON names USING gin (name gin_trgm_ops)"]),
    ])  # fmt: skip
    done = project.tool("squash", "--rev", revision, VARIABLE=project.address().url("postgresql+psycopg2"))
    assert done.code == 0, done.said
    assert "the migrations need the extension pg_trgm, which none of them makes" in done.said
    base = project.ids[-1 if revision == "head" else -2]
    assert "EXTENSION" not in project.base_text(base)
    needed = "Must be in a database before its first migration, as before, since no migration makes it: "
    assert f"{needed}extension pg_trgm" in project.git("log", "-1", "--format=%B")
    project.assert_nothing_left()


WIDER = """
import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl

class Impl(PostgresqlImpl):
    __dialect__ = "postgresql"

    def version_table_impl(self, **named):
        table = super().version_table_impl(**named)
        table.append_column(sa.Column("applied_at", sa.DateTime(), server_default=sa.func.now(), nullable=False))
        table.append_column(sa.Column("applied_by", sa.Text(), server_default=sa.text("session_user")))
        return table
"""


@pytest.mark.skipif(not hasattr(DefaultImpl, "version_table_impl"), reason="Alembic before 1.14")
def test_a_version_table_with_columns_of_its_own_says_when_it_was_filled(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=URL_IN_ENV + WIDER)
    done = project.squash("head-2")
    assert done.code == 0 and "volatile columns (another value in each run): alembic_version.applied_at" in done.err, (
        done.said
    )
    project.assert_nothing_left()
    assert "applied" not in project.base_text(project.ids[3])
