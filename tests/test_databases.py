"""What migrations do beyond tables: whose the objects are, who may what, several schemas, other version tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasklib import catalog, postgres, schema
from tasklib.postgres import Address
from tasklib.server import Server
from tests.conftest import MakePlain
from tests.project import BIN, VARIABLE, Plain, Step, query


def ddl(message: str, *statements: str) -> Step:
    """A migration of SQL as it stands: `%` and `:name` in it are neither formatted nor bound."""
    return Step(message, "\n".join(f"op.execute(sa.DDL({one.replace('%', '%%')!r}))" for one in statements))


@pytest.fixture(scope="module")
def clerk(server: Server) -> None:
    """The role clerk is on the test server; no migration makes it."""
    with postgres.connect(Address(server.host, server.port, server.user, server.password)) as connection:
        connection.run("CREATE ROLE clerk")


def squash(project: Plain, rev: str, *words: str) -> str:
    """Squash on the test server: the proof holds and nothing is left. Returns the base migration's text."""
    done = project.squash(rev, *words)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    return next(
        path.read_text() for path in project.versions.glob("*.py") if "down_revision = None" in path.read_text()
    )


def differences(project: Plain, old: str, beside: Path, user: Address | None = None) -> list[schema.Difference]:
    """What the judge says of two databases that the project's own command made, by the old and by the new chain."""
    project.git("worktree", "add", "--quiet", "--detach", str(beside), old)
    snapshots = []
    for name, top in (("by_old", beside), ("by_new", project.top)):
        address = project.new_database(name)
        if user is not None:
            with postgres.connect(address) as connection:
                connection.run(f"ALTER DATABASE {name} OWNER TO {user.user}")
            address = user.at(name)
        one = Plain(top, project.server, environment={VARIABLE: address.url("postgresql+psycopg2")})
        one.run([BIN / "alembic", "-c", project.ini, "upgrade", "heads"])
        snapshots.append(catalog.snapshot(address, project.server.binaries, beside.parent).objects())
    project.git("worktree", "remove", "--force", str(beside))
    assert len(snapshots[0]) > 40
    return schema.compare(*snapshots)


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


def test_owners_privileges_of_the_database_and_keys_that_are_switched_off_are_in_the_base_for_whoever_migrates(
    make_plain: MakePlain, server: Server, clerk: None, tmp_path: Path
) -> None:
    project = make_plain(BELONGINGS)
    old = project.git("rev-parse", "HEAD")
    text = squash(project, "head-2")
    # The name of whoever migrates here is in no statement; elsewhere it is another one.
    assert not re.search(rf"\b{server.user}\b", text)
    assert 'op.execute(\'ALTER TABLE "public"."orders" DISABLE TRIGGER ALL\')' in text
    with postgres.connect(project.address()) as connection:
        connection.run("CREATE ROLE shopkeeper SUPERUSER LOGIN PASSWORD 'keeper of shops'")
    user = Address(server.host, server.port, "shopkeeper", "keeper of shops")
    assert differences(project, old, tmp_path / "beside", user) == []
    address = project.address("by_new")
    assert query(address, "SELECT id, user_id FROM orders") == [(1, 1)]
    off = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'hens'::regclass AND tgenabled = 'D'"
    assert query(address, off) == [(5,)]
