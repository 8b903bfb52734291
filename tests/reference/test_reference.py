"""`--reference`: a real database at R stands for migrations that cannot be replayed. It is only ever read."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.postgres import binaries, client, read_only
from tasklib.postgres import server as servers
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tasklib.project.discovery import find_layout
from tasklib.reference import deployed_database
from tasklib.reference.deployed_database import Wanted
from tasklib.repository.git import find
from tasklib.settings import Settings
from tests.conftest import MakePlain
from tests.support.project import VARIABLE, Plain, Step, query

pytestmark = pytest.mark.usefixtures("put_back")

OLD = Step("long ago", "import a_module_of_long_ago")
R = Step("plans", 'op.add_column("plans", sa.Column("note", sa.Text()))')
KEPT = (
    Step("dearer", sql=("UPDATE plans SET code = 'premium' WHERE code = 'paid'",)),
    Step("events", sql=("CREATE TABLE events (id uuid PRIMARY KEY, at timestamptz, user_id integer REFERENCES users)",
                        "INSERT INTO events VALUES (gen_random_uuid(), now(), NULL)")),  # other ones in each run
)  # fmt: skip
# What a deployed database of that history holds: some of it no migration ever said.
REAL = """
CREATE TABLE users (id serial PRIMARY KEY, email varchar(120) NOT NULL, password_hash text, token text);
CREATE TABLE plans (id serial PRIMARY KEY, code varchar(20) NOT NULL, note text);
CREATE TABLE orders (id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users);
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper($1) $$;
CREATE INDEX ix_users_shouted ON users (shout(email));
CREATE MATERIALIZED VIEW codes AS SELECT shout(code) AS code FROM plans;
INSERT INTO users (email, password_hash, token) VALUES ('somebody@example.com', 'a secret', NULL);
INSERT INTO plans (code) VALUES ('free'), ('paid');
INSERT INTO orders (user_id) VALUES (1);
REFRESH MATERIALIZED VIEW codes;
"""


def real_database(project: Plain, name: str, *ids: str, more: str = "") -> Address:
    """A database on the test server as it was deployed long ago: its version table has no key."""
    address = project.new_database(name)
    version = "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL);"
    version += "".join(f"INSERT INTO alembic_version VALUES ('{one}');" for one in ids)
    with client.connect(address) as connection, connection.usual_path():
        connection.run(REAL + version + more)
    return address


def dumped(project: Plain, address: Address) -> str:
    """Everything that pg_dump says of a database, its rows too."""
    argv = [str(project.server.binaries.bin / "pg_dump"), f"--dbname={address.url()}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", done.stdout)


def reader(project: Plain, address: Address) -> Address:
    """The same database for a role that may only read its tables."""
    role = f"reader_of_{address.database}"
    with client.connect(address) as connection, connection.usual_path():
        connection.run(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'read-it-only'")
        connection.run(f"GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        connection.run(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
    return Address(address.host, address.port, role, "read-it-only", address.database)


def test_a_real_database_at_r_becomes_the_base_and_is_only_read(make_plain: MakePlain) -> None:
    project = make_plain([OLD, R, *KEPT])
    address = real_database(project, "shop_live", project.ids[1])
    read = reader(project, address)
    was = dumped(project, address)
    done = project.squash("head-2", "--reference", read.url(), "--data", "plans")
    assert done.code == 0, done.said
    assert dumped(project, address) == was
    assert read.password not in done.said
    project.assert_nothing_left()
    assert sorted(p.name[:12] for p in project.versions.glob("*.py")) == project.ids[1:]

    text, message = project.base_text(project.ids[1]), project.git("log", "-1", "--format=%B")
    made = (
        f"Made from the database shop_live at {project.ids[1]} (its schema without privileges, and the rows of plans)"
    )
    assert made in text and made in message
    assert "GRANT" not in text and "privileges are not taken: no migration grants any" in done.err
    assert "Not shown: that the old migrations to" in message and "the real database and new chain" in message
    assert all(word not in text + message for word in (read.host, str(read.port), read.password, "somebody@"))

    new = project.new_database("shop_new")
    project.db("upgrade", "head", database="shop_new")
    assert query(new, "SELECT id, code FROM plans ORDER BY id") == [(1, "free"), (2, "premium")]
    assert query(new, "SELECT count(*) FROM users") == [(0,)]
    assert query(new, "SELECT nextval('plans_id_seq'), nextval('users_id_seq')") == [(3, 1)]
    assert query(new, "SELECT code FROM codes ORDER BY code") == [("FREE",), ("PAID",)]

    # In a checkout, as in CI, it is needed again.
    named = ("--uri-var", VARIABLE, "--server", project.server_url)
    without = project.tool("verify", *named)
    assert without.code == 1 and "the database shop_live" in without.err, without.said
    assert "hint: --reference URL --data plans" in without.err, without.said
    again = project.tool("verify", *named, "--data", "plans", "--reference", read.url())
    assert again.code == 0 and "the same" in again.out, again.said
    project.assert_nothing_left()


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Server]:
    """A server of the newest PostgreSQL on this machine, which need not be the one that the tool would take."""
    newest = max(binaries.find_binaries(), key=lambda one: one.major)
    made = servers.start(str(tmp_path), owner_pid=os.getpid(), binaries=newest)
    yield made
    servers.stop(made.home)


@pytest.mark.slow
def test_at_the_head_by_hand_on_a_server_of_ours_with_the_password_given_again(
    make_plain: MakePlain, newest: Server
) -> None:
    project = make_plain([OLD, R])
    elsewhere = replace(project, server=newest)
    address = real_database(elsewhere, "made_by_create_all", project.ids[1])
    named = ("--reference", address.url())
    for words in (
        ["checkout", "--rev", "head", "--uri-var", VARIABLE, *named],
        ["reinit"],
        ["restore"],
        ["createdb", *named],
    ):
        done = project.tool(*words)
        assert done.code == 0, done.said
    plan = (project.top / ".git" / "alembic-squash" / "plan.json").read_text()
    assert address.database in plan and address.password not in plan
    without = project.tool("migrate")
    assert without.code == 1 and "give --reference again" in without.err, without.said
    for name, says in ((address.database, f", at {project.ids[1]}: its schema"), ("postgres", "NOT USABLE: ")):
        shown = project.tool("plan", "--rev", "head", "--uri-var", VARIABLE, "--reference", address.at(name).url())
        assert shown.code == 0 and says in shown.out, shown.said
    other = project.tool("migrate", "--reference", address.at("postgres").url())
    assert other.code == 1 and "this squash was begun with" in other.err, other.said
    for words in (["migrate", *named], ["verify"], ["cleanup"], ["merge"]):
        done = project.tool(*words)
        assert done.code == 0, done.said
        assert address.password not in done.said
    project.assert_nothing_left()
    text = project.base_text(project.ids[1])
    assert "the rows of no table" in text and f"PostgreSQL {newest.major} by" in text  # of the real one's version
    new = project.new_database("from_nothing")
    project.db("upgrade", "head", database="from_nothing")
    assert query(new, "SELECT count(*) FROM plans") == [(0,)]
    assert query(new, "SELECT version_num FROM alembic_version") == [(project.ids[1],)]


def test_a_database_that_is_not_exactly_at_r_is_refused_with_what_was_found(make_plain: MakePlain) -> None:
    project = make_plain([Step("first", "pass"), Step("second", "pass"), R, *KEPT])
    ids = project.ids
    repository = find(project.top)
    history = revisions.read_history(repository, "HEAD", find_layout(repository, "HEAD", Settings(), project.top))

    def refusal(name: str, found: Sequence[str], data: str = "none", more: str = "") -> str:
        address = real_database(project, name, *found, more=more)
        was = dumped(project, address)
        with pytest.raises(Refused) as error, read_only.opened(address) as connection:
            deployed_database.refuse_unusable(
                connection, address, Wanted(ids[2], history, [("", "alembic_version")], data)
            )
        assert dumped(project, address) == was
        text = f"{error.value.text} HINT {error.value.hint}"
        assert address.password not in text
        return text

    behind = refusal("behind", [ids[1]])
    assert f"is at {ids[1]}; {ids[2]} alone was expected there. It is behind." in behind
    assert f"--rev {ids[1]}" in behind
    past = refusal("past", [ids[3]])
    assert "It is past it." in past and f"--rev {ids[3]} squashes up to there" in past
    assert f"is at {ids[1]}, {ids[2]};" in refusal("several", [ids[1], ids[2]])
    assert "no revision: its version table is empty" in refusal("empty", [])
    assert "No file of the script directory has feedfeedfeed" in refusal("stranger", ["feedfeedfeed"])
    moved = refusal("moved", [ids[2]], more="CREATE SCHEMA v; ALTER TABLE alembic_version SET SCHEMA v")
    assert "has no version table (alembic_version)" in moved and "v.alembic_version looks like one" in moved
    assert "--data names the table nothing" in refusal("unnamed", [ids[2]], data="plans,nothing")
    mapped = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
    mapped += "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (password 'hidden')"
    user_mapping = refusal("mapped", [ids[2]], more=mapped)
    assert "user mappings (public on s)" in user_mapping and "hidden" not in user_mapping

    read = reader(project, project.address("mapped"))
    with client.connect(project.address("mapped")) as connection, connection.usual_path():
        connection.run(f"REVOKE SELECT ON orders FROM {read.user}")
    with pytest.raises(Refused, match=f"{read.user} may not read orders in"), read_only.opened(read) as connection:
        deployed_database.refuse_unusable(connection, read, Wanted(ids[2], history, [("", "alembic_version")], "none"))


def test_options_that_do_not_go_with_it_and_a_database_that_is_not_there_are_refused(make_plain: MakePlain) -> None:
    project = make_plain([OLD, R])
    head = project.git("rev-parse", "HEAD")
    nowhere = "postgresql://u:hidden@127.0.0.1:1/live"
    for words, says in (
        (("--data", "all"), "no real database's rows are taken as a whole"),
        (("--before", "flask create-db"), "two answers to one question"),
        ((), "The database of --reference, postgresql://u:***@127.0.0.1:1/live, cannot be reached"),
    ):
        done = project.squash("head", "--reference", nowhere, *words)
        assert done.code == 1 and says in done.err, done.said
        assert "hidden" not in done.said
    project.assert_nothing_left(head)


@pytest.mark.slow
def test_what_the_scratch_server_lacks_is_named(make_plain: MakePlain) -> None:
    granting = Step("grants", sql=("GRANT SELECT ON users TO somebody",))  # so privileges are a matter of the history
    project = make_plain([OLD, granting, R])
    head = project.git("rev-parse", "HEAD")
    address = real_database(project, "granted", project.ids[2])
    read = reader(project, address)  # a role of that server
    with client.connect(address) as connection, connection.usual_path():
        connection.run("INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)"
                       " VALUES (16000, 'no_such_extension', 10, 2200, true, '1')")  # fmt: skip
    done = project.squash("head", "--reference", address.url())
    assert done.code == 1 and "has the extensions no_such_extension" in done.err, done.said
    project.assert_nothing_left(head)
    with client.connect(address) as connection, connection.usual_path():
        connection.run("DELETE FROM pg_extension WHERE extname = 'no_such_extension'")
    # A role of that server: a throwaway server is given it, and every new one would need it.
    done = project.tool("squash", "--rev", "head", "--uri-var", VARIABLE, "--reference", address.url())
    assert done.code == 0 and f"name and do not make them: {read.user}" in done.out, done.said


@pytest.mark.slow
def test_rows_that_need_others_or_hold_credentials_are_refused(make_plain: MakePlain) -> None:
    project = make_plain([OLD, R])
    head = project.git("rev-parse", "HEAD")
    address = real_database(project, "rows", project.ids[1])
    done = project.squash("head", "--reference", address.url(), "--data", "orders")
    assert done.code == 1 and "The rows of orders refer to rows of users" in done.err, done.said
    done = project.squash("head", "--reference", address.url(), "--data", "users")
    assert done.code == 1 and "The column users.password_hash looks like a credential" in done.err, done.said
    assert "a secret" not in done.said
    project.assert_nothing_left(head)
