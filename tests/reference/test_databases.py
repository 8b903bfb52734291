"""What migrations do beyond tables: whose the objects are, who may what, several schemas, other version tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasklib.judge import catalog, objects
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tests.conftest import MakePlain
from tests.support.project import BIN, URL_IN_ENV, VARIABLE, Plain, Step, query
from tests.support.traps import ddl, squash


@pytest.fixture(scope="module")
def clerk(server: Server) -> None:
    """The role clerk is on the test server; no migration makes it."""
    with (
        client.connect(Address(server.host, server.port, server.user, server.password)) as connection,
        connection.usual_path(),
    ):
        connection.run("CREATE ROLE clerk")


def differences(project: Plain, old: str, beside: Path, user: Address | None = None) -> list[objects.Difference]:
    """What the judge says of two databases that the project's own command made, by the old and by the new chain."""
    project.git("worktree", "add", "--quiet", "--detach", str(beside), old)
    snapshots = []
    for name, top in (("by_old", beside), ("by_new", project.top)):
        address = project.new_database(name)
        if user is not None:
            with client.connect(address) as connection, connection.usual_path():
                connection.run(f"ALTER DATABASE {name} OWNER TO {user.user}")
            address = user.at(name)
        one = Plain(top, project.server, environment={VARIABLE: address.url("postgresql+psycopg2")})
        one.run([BIN / "alembic", "-c", project.ini, "upgrade", "heads"])
        snapshots.append(catalog.snapshot(address, project.server.binaries, beside.parent).objects())
    project.git("worktree", "remove", "--force", str(beside))
    assert len(snapshots[0]) > 40
    return objects.compare(*snapshots)


BELONGINGS = (
    ddl(
        "tables",
        "CREATE TABLE users (id serial PRIMARY KEY, name text)",
        "CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id integer,"
        " CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)",
        "CREATE TABLE hens (id serial PRIMARY KEY, egg integer, UNIQUE (egg) DEFERRABLE)",
        "CREATE TABLE eggs (id serial PRIMARY KEY, hen integer REFERENCES hens)",
        "ALTER TABLE hens ADD CONSTRAINT hens_egg FOREIGN KEY (egg) REFERENCES eggs",
        "INSERT INTO users (name) VALUES ('a')",
    ),
    ddl(
        "keys switched off",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "INSERT INTO orders (user_id) VALUES (1), (4711)",
        "ALTER TABLE hens DISABLE TRIGGER ALL",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touched BEFORE UPDATE ON hens FOR EACH ROW EXECUTE FUNCTION touch()",
        "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgisinternal AND"
        " tgrelid = 'users'::regclass LOOP EXECUTE format('ALTER TABLE users ENABLE REPLICA TRIGGER %I', t);"
        " END LOOP; END $$",
    ),
    ddl(
        "owners",
        "CREATE SCHEMA store AUTHORIZATION clerk",
        "CREATE TYPE store.size AS ENUM ('s', 'm')",
        "CREATE TABLE store.items (id serial, size store.size, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE store.items_all PARTITION OF store.items DEFAULT",
        "CREATE VIEW store.small AS SELECT id FROM store.items WHERE size = 's'",
        "CREATE SEQUENCE store.numbers",
        "CREATE FUNCTION store.count(text, VARIADIC integer[]) RETURNS bigint LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT 1'",
        "CREATE AGGREGATE store.total(integer) (sfunc = int4pl, stype = integer)",
        *(
            f"ALTER {one} OWNER TO clerk"
            for one in ("TYPE store.size", "TABLE store.items", "TABLE store.items_all", "VIEW store.small",
                        "SEQUENCE store.numbers", "FUNCTION store.count(text, integer[])",
                        "AGGREGATE store.total(integer)", "TABLE users")
        ),
        "GRANT SELECT ON store.items TO PUBLIC",
        "REVOKE DELETE ON store.items FROM clerk",
    ),
    ddl(
        "who may what",
        "REVOKE DELETE ON orders FROM CURRENT_USER",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk",
        "ALTER DEFAULT PRIVILEGES FOR ROLE clerk IN SCHEMA store GRANT USAGE ON SEQUENCES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA store REVOKE SELECT ON TABLES FROM CURRENT_USER",
        "CREATE FOREIGN DATA WRAPPER dummy",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER dummy",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (a 'b')",
        "CREATE USER MAPPING FOR clerk SERVER elsewhere",
    ),
    ddl(
        "the database itself",
        "DO $$ BEGIN EXECUTE format('ALTER ROLE clerk IN DATABASE %I SET search_path = store, public',"
        " current_database()); EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());"
        " EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO clerk WITH GRANT OPTION',"
        " current_database());"
        " EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 50', current_database()); END $$",
        "CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler",
        "CREATE TABLE kept_otherwise (id serial PRIMARY KEY, n integer) USING heap_too",
        "INSERT INTO kept_otherwise (n) VALUES (7)",
    ),
    ddl("later", "DELETE FROM orders WHERE user_id = 4711", "ALTER TABLE store.items ADD COLUMN later integer",
        "INSERT INTO hens (egg) VALUES (99)"),
    ddl("last", "ALTER TABLE orders ENABLE TRIGGER ALL", "ALTER TABLE users OWNER TO CURRENT_USER"),
)  # fmt: skip


@pytest.mark.slow
def test_owners_privileges_of_the_database_and_keys_that_are_switched_off_are_in_the_base_for_whoever_migrates(
    make_plain: MakePlain, server: Server, clerk: None, tmp_path: Path
) -> None:
    project = make_plain(BELONGINGS)
    old = project.git("rev-parse", "HEAD")
    text = squash(project, "head-2", share=0.1, odd_tables=("store.items", "store.items_all", "kept_otherwise"))
    # The name of whoever migrates here is in no statement; elsewhere it is another one.
    assert not re.search(rf"\b{server.user}\b", text)
    assert 'op.execute(\'ALTER TABLE "public"."orders" DISABLE TRIGGER ALL\')' in text
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run("CREATE ROLE shopkeeper SUPERUSER LOGIN PASSWORD 'keeper of shops'")
    user = Address(server.host, server.port, "shopkeeper", "keeper of shops")
    assert differences(project, old, tmp_path / "beside", user) == []
    address = project.address("by_new")
    assert query(address, "SELECT id, user_id FROM orders") == [(1, 1)]
    off = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'hens'::regclass AND tgenabled = 'D'"
    assert query(address, off) == [(5,)]


# --- env.py's ways -----------------------------------------------------------------------------------------------

# What projects add to env.py: a version table of another name, filters, a naming convention, a lock, a transaction for
# each migration, and a setting without which it does not begin.
ENV = (
    URL_IN_ENV
    + """
from functools import partial

from sqlalchemy import MetaData, Table, Column, Integer, event, text
from sqlalchemy.engine import Engine

REGION = os.environ["REGION"]
convention = {"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
named = MetaData(naming_convention=convention)
Table("of_a_model", named, Column("id", Integer, primary_key=True))


def include_object(object, name, type_, reflected, compare_to):
    return not (type_ == "table" and name.startswith("legacy_"))


def include_name(name, type_, parent_names):
    return name in (None, "store") if type_ == "schema" else True


@event.listens_for(Engine, "connect", once=True)
def one_at_a_time(connection, record):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")


context.configure = partial(
    context.configure, version_table="schema_version", include_schemas=True, include_object=include_object,
    include_name=include_name, transaction_per_migration=True,
)
"""
)
WAYS = (
    Step("schemas", """
        op.execute("CREATE SCHEMA store")
        op.create_table("legacy_users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
        op.create_table(
            "items", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("region", sa.Text()),
            sa.Column("user_id", sa.Integer(), sa.ForeignKey("legacy_users.id")), schema="store",
        )
        op.create_table("alembic_version", sa.Column("id", sa.Integer(), primary_key=True),
                        sa.Column("note", sa.Text()))
        op.execute("INSERT INTO alembic_version (note) VALUES ('of the application')")
    """),
    Step("outside of the transaction", """
        if hasattr(op.get_context(), "autocommit_block"):
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY items_region ON store.items (region)")
                op.execute("CREATE TYPE size AS ENUM ('s')")
                op.execute("ALTER TYPE size ADD VALUE 'm'")
        else:  # before Alembic 1.2
            op.execute("CREATE INDEX items_region ON store.items (region)")
            op.execute("CREATE TYPE size AS ENUM ('s', 'm')")
        op.create_index("items_user", "items", ["user_id"], schema="store", postgresql_concurrently=False)
    """),
    Step("a connection of its own", """
        import os
        from sqlalchemy import create_engine
        op.execute("INSERT INTO legacy_users (name) VALUES ('a')")
        engine = create_engine(os.environ["DATABASE_URL"])
        with engine.connect() as other:
            found = other.execute(sa.text("SELECT count(*) FROM store.items")).scalar()
        engine.dispose()
        op.execute("INSERT INTO store.items (region, user_id) VALUES ('%s %s', 1)" % (os.environ["REGION"], found))
    """),
    Step("later", sql=["ALTER TABLE store.items ADD COLUMN size size DEFAULT 'm'", "DROP INDEX store.items_region",
                       "UPDATE alembic_version SET note = 'still ours'"]),
)  # fmt: skip


def test_the_ways_of_env_py_and_of_migrations_need_no_option_but_the_settings_that_they_read(
    make_plain: MakePlain,
) -> None:
    project = make_plain(WAYS, env=ENV)
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    assert (done.code == 1 and "--set REGION" in done.err) or "REGION" in done.err, done.said
    project.assert_nothing_left(head)
    text = squash(project, "head-1", "--set", "REGION=eu", share=0.6)
    assert '"alembic_version"' in text and 'drop_table("schema_version")' not in text
    assert "CONCURRENTLY" not in text and "concurrently" not in text
    address = project.new_database("ways")
    project.environment["REGION"] = "us"
    project.db("upgrade", "head", database="ways")
    assert query(address, "SELECT region, size::text FROM store.items") == [("eu 0", "m")]
    assert query(address, "SELECT note FROM alembic_version") == [("still ours",)]
    assert query(address, "SELECT version_num FROM schema_version") == [(project.ids[-1],)]


def test_databases_that_env_py_does_not_name_to_their_migrations_are_refused(make_plain: MakePlain) -> None:
    project = make_plain([Step("a"), Step("b"), Step("c")])
    file = project.top / project.script / "env.py"
    # One after the other, and the same migrations in each.
    second = """

from sqlalchemy import create_engine

for url in [os.environ["OTHER_URL"]]:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection, target_metadata=None)
        with context.begin_transaction():
            context.run_migrations()
"""
    file.write_text(file.read_text(encoding="utf-8") + second, encoding="utf-8")
    project.commit("two databases")
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1", "--set", "OTHER_URL={url}")
    assert done.code == 1 and "env.py runs the migrations 2 times in one database" in done.err, done.said
    project.assert_nothing_left(head)
    project.environment = {"OTHER_URL": "postgresql+psycopg2://u@other.example/other"}
    done = project.squash("head-1")
    assert done.code == 1 and "does not name them, as run_migrations(engine_name=…) does" in done.err, done.said
    project.assert_nothing_left(head)
