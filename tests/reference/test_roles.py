"""Histories that reach beyond their database, to the server: roles made, changed, named, and set by env.py."""

from __future__ import annotations

import re

import pytest

from tasklib.judge import passwords, roles
from tasklib.postgres import client
from tasklib.postgres.client import Address, Connection
from tasklib.postgres.server import Server
from tests.conftest import SHOP, MakePlain
from tests.support.project import URL_IN_ENV, VARIABLE, Done, Plain, Step, query, server_homes
from tests.support.traps import assert_native

GUARDED = (
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN"
    " CREATE ROLE reader NOINHERIT CONNECTION LIMIT 3; END IF; END $$"
)
ROLES = (
    Step("roles", sql=[
        "CREATE TABLE books (id serial PRIMARY KEY, title text)",
        GUARDED,
        "CREATE ROLE writer LOGIN CREATEDB VALID UNTIL '2040-01-01 00:00:00+00'",
        "COMMENT ON ROLE writer IS 'it''s a role: 100%'",
        "CREATE ROLE short",
        "DROP ROLE short",
        "ALTER ROLE writer SET search_path = public, pg_temp",
        "ALTER ROLE writer NOCREATEDB BYPASSRLS",
        "GRANT reader TO writer WITH ADMIN OPTION",
        "GRANT pg_read_all_data TO reader",
        "ALTER ROLE auditor SET work_mem = '5MB'",
        "GRANT auditor TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, auditor, writer",
        "ALTER DEFAULT PRIVILEGES FOR ROLE writer GRANT SELECT ON TABLES TO reader",
        "CREATE SCHEMA own AUTHORIZATION writer",
        "CREATE POLICY for_readers ON books FOR SELECT TO reader USING (id > 0)",
        "DO $$ BEGIN IF current_setting('server_version_num')::int >= 150000 THEN"
        " GRANT SET ON PARAMETER log_min_messages TO writer WITH GRANT OPTION; SET SESSION AUTHORIZATION writer;"
        " GRANT SET ON PARAMETER log_min_messages TO reader; RESET SESSION AUTHORIZATION; END IF; END $$",
    ]),
    Step("more", sql=["INSERT INTO books (title) VALUES ('a')"]),
    Step("later", sql=["GRANT INSERT ON books TO writer", "CREATE ROLE third", "ALTER ROLE reader CONNECTION LIMIT 5"]),
    Step("last", sql=["DROP ROLE third", "REVOKE reader FROM writer"]),
)  # fmt: skip


def squash(project: Plain, rev: str, *words: str, code: int = 0) -> Done:
    """Squash on throwaway servers; nothing is left."""
    done = project.tool("squash", "--rev", rev, "--uri-var", VARIABLE, *words)
    assert done.code == code, done.said
    project.assert_nothing_left()
    assert server_homes(project) == []
    return done


@pytest.mark.slow
def test_roles_that_a_history_makes_are_made_by_the_base_and_compared_in_clusters_of_their_own(
    make_plain: MakePlain,
) -> None:
    project = make_plain(ROLES)
    said = squash(project, "head-2").out
    assert "each run gets a server of its own" in said
    assert "Roles that must be on every server, since the migrations name and do not make them: auditor" in said
    text = project.base_file.read_text()
    assert_native(text, 0.08)
    assert 'CREATE ROLE "auditor"' not in text and "short" not in text
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run("CREATE ROLE auditor")
    address = project.new_database("with_roles")
    project.db("upgrade", project.ids[1], database="with_roles")
    attributes = "SELECT rolname, rolcanlogin, rolinherit, rolcreatedb, rolbypassrls, rolconnlimit, rolvaliduntil::text"
    assert query(address, f"{attributes} FROM pg_roles WHERE rolname IN ('reader', 'writer') ORDER BY 1") == [
        ("reader", False, False, False, False, 3, None),
        ("writer", True, True, False, True, -1, "2040-01-01 00:00:00+00"),
    ]
    members = "SELECT roleid::regrole::text, admin_option FROM pg_auth_members WHERE member = '{}'::regrole ORDER BY 1"
    assert query(address, members.format("writer")) == [("reader", True)]
    assert query(address, members.format("reader")) == [("auditor", False), ("pg_read_all_data", False)]
    settings = "SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting WHERE setdatabase = 0 ORDER BY 1"
    assert query(address, settings) == [("auditor", ["work_mem=5MB"]), ("writer", ["search_path=public, pg_temp"])]

    # As the old history: a role that it makes without asking stands in the way where it is already.
    project.new_database("another")
    done = project.db("upgrade", project.ids[1], database="another", check=False)
    assert done.code != 0 and 'role "writer" already exists' in done.err
    project.db("-x", "squash_downgrade=drop", "downgrade", "base", database="with_roles")
    left = "SELECT rolname FROM pg_roles WHERE rolname IN ('reader', 'writer')"
    assert query(address, left) == [("reader",)]
    project.db("upgrade", "head", database="another")


SETS_A_ROLE = (
    URL_IN_ENV
    + """
from sqlalchemy import event
from sqlalchemy.engine import Engine

@event.listens_for(Engine, "connect")
def become_the_owner(connection, record):
    connection.autocommit = True  # else it would be undone with the first transaction
    connection.cursor().execute("SET ROLE store_owner")
    connection.autocommit = False
"""
)
HIDDEN = (
    SHOP[0],
    Step("a role in hiding", """
        op.execute("CREATE " + "ROLE hidden LOGIN PASSWORD 'a secret of ours'")
        op.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO hidden")
        op.execute("CREATE SEQUENCE not_given_away")
        op.execute("REASSIGN OWNED BY store_owner TO hidden")
        op.execute("ALTER SEQUENCE not_given_away OWNER TO store_owner")
    """),
    Step("later", sql=["CREATE TABLE later (id serial PRIMARY KEY)"]),
)  # fmt: skip


@pytest.mark.slow
def test_a_role_that_env_py_sets_and_a_password_of_a_role_that_no_text_shows_are_noticed(make_plain: MakePlain) -> None:
    project = make_plain(HIDDEN, env=SETS_A_ROLE)
    head = project.git("rev-parse", "HEAD")
    done = squash(project, "head-1", code=1)
    assert "the history names the role store_owner and does not make it" in done.err
    assert (
        "each run gets a server of its own" in done.err and "The history gives the role hidden a password" in done.err
    )
    assert f"--keep-value {roles.PASSWORDS}" in done.err and "--data" in done.err
    assert "a secret of ours" not in done.said and "SCRAM-SHA-256$" not in done.said
    project.assert_nothing_left(head)

    done = squash(project, "head-1", "--keep-value", roles.PASSWORDS)
    assert "a secret of ours" not in done.said and "SCRAM-SHA-256$" not in done.said
    text = project.base_file.read_text()
    assert_native(text, 0.33)
    assert re.search(r"CREATE ROLE \\?\"hidden\\?\"\s+WITH LOGIN PASSWORD 'SCRAM-SHA-256\$", text), text
    assert 'ALTER TABLE public.users OWNER TO "hidden"' in text and "not_given_away OWNER" not in text
    assert "ALTER TABLE public.alembic_version OWNER TO CURRENT_USER" in text.split("def downgrade")[1]
    server = project.server
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run("CREATE ROLE store_owner SUPERUSER")
    address = project.new_database("kept")
    project.db("upgrade", "head", database="kept")
    login = Address(server.host, server.port, "hidden", "a secret of ours", "kept")
    assert query(login, "SELECT current_user::text") == [("hidden",)]
    assert query(address, "SELECT tableowner FROM pg_tables WHERE tablename = 'later'") == [("store_owner",)]

    # Each run salts it anew; that it is the same password is known from the migration's text, which is never shown.
    path = project.base_file
    for password, code in (("a secret of ours", 0), ("another", 3)):
        path.write_text(re.sub(r"PASSWORD 'SCRAM[^']*'", f"PASSWORD '{password}'", text), encoding="utf-8")
        project.commit("a password in the base")
        verified = project.tool("verify", "--uri-var", VARIABLE)
        assert verified.code == code, verified.said
        assert password not in verified.said
    assert "changed  ROLE hidden" in verified.err


@pytest.mark.slow
def test_a_role_whose_password_is_left_out_is_made_without_one_and_a_changed_role_is_noticed(
    make_plain: MakePlain,
) -> None:
    project = make_plain(HIDDEN, env=SETS_A_ROLE)
    done = squash(project, "head-1", "--data", "none")
    assert "Rows left out, as --data says: pg_catalog.pg_authid" in done.out
    text = project.base_file.read_text()
    assert "PASSWORD" not in text
    path = project.base_file
    path.write_text(text.replace("WITH LOGIN", "WITH LOGIN CREATEDB"), encoding="utf-8")
    project.commit("more than it had")
    verified = project.tool("verify", "--uri-var", VARIABLE, "--data", "none")
    assert verified.code == 3 and "changed  ROLE hidden" in verified.err and "CREATEDB" in verified.err, verified.said


def test_a_role_that_the_users_server_lacks_is_named(make_plain: MakePlain) -> None:
    project = make_plain([SHOP[0], Step("grant", sql=["GRANT SELECT ON users TO nobody_made_me"]), SHOP[2]])
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    assert done.code == 1 and "names the role nobody_made_me and does not make it" in done.err, done.said
    assert 'CREATE ROLE "nobody_made_me"' in done.err and "leave --server out" in done.err
    project.assert_nothing_left(head)


BEYOND = (
    "CREATE TABLESPACE fast LOCATION '/srv/fast'",
    "ALTER SYSTEM SET wal_level = logical",
    "CREATE DATABASE beside",
    "CREATE SUBSCRIPTION news CONNECTION 'host=elsewhere' PUBLICATION news",
    "SELECT pg_create_logical_replication_slot('slot', 'pgoutput')",
)


def test_what_belongs_to_the_server_and_is_no_role_is_refused_before_it_is_run(make_plain: MakePlain) -> None:
    talk = '"""Create database tables, create user table and create tablespace."""\n'
    project = make_plain([
        Step("create database tables", talk + "op.create_table('user', sa.Column('id', sa.Integer()))"),
        *(Step(f"beyond {number}", sql=[statement]) for number, statement in enumerate(BEYOND)),
    ])  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    done = squash(project, "head-1", code=1)
    shown = project.tool("plan", "--rev", "head-1", "--uri-var", VARIABLE)
    assert shown.code == 0 and "make roles" not in shown.out
    for number, statement in enumerate(BEYOND):
        said = f"beyond_{number}.py:19: {statement.split('(')[0].removeprefix('SELECT ')}".split(" ")
        assert " ".join(said[:3]) in done.err, done.err
        # `plan` looks at the squashed migrations alone.
        assert (" ".join(said[:3]) in shown.out) is (number < len(BEYOND) - 1), shown.out
    assert done.err.count("migrations/versions/") == len(BEYOND), done.err
    project.assert_nothing_left(head)


def test_a_password_is_known_again_from_the_text_of_a_migration_whatever_the_salt(server: Server) -> None:
    secret = "it's 100% \u212b"  # whose last letter the server normalizes
    statement = f"ALTER ROLE x PASSWORD {client.literal(secret)}"
    texts = passwords.written([
        '"""No word of it."""\nNAME = "of no interest"\n',
        f'"""Gives a password."""\nSECRET = "computed"\nop.execute({statement!r})\n',
        "password = this is no Python",
    ])  # fmt: skip
    assert texts[0] == secret and "computed" in texts and "of no interest" not in texts
    with (
        client.connect(Address(server.host, server.port, server.user, server.password)) as connection,
        connection.usual_path(),
    ):
        for written, number in ((secret, 1), ("computed", texts.index("computed") + 1), ("another", 0)):
            salted = set()
            for _ in range(2):
                connection.run("BEGIN")
                connection.run(f"CREATE ROLE salted PASSWORD {client.literal(written)}")
                verifier = str(connection.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'salted'"))
                connection.run("ROLLBACK")
                salted.add(verifier)
                assert passwords.number_of(verifier, texts) == number
            assert len(salted) == 2
    assert passwords.number_of("md5" + "0" * 32, texts) == 0
    many = (f"password = {str(number)!r}" for number in range(10 * passwords.LIMIT))
    assert len(passwords.written(many)) == passwords.LIMIT


# (what is mutated, SQL): each in a transaction that is rolled back.
TRUTH = """
CREATE ROLE one; CREATE ROLE two LOGIN PASSWORD 'x'; GRANT one TO two; ALTER ROLE one SET work_mem = '5MB';
COMMENT ON ROLE one IS 'one';
"""
MUTATIONS = (
    ("missing", "DROP ROLE one"), ("extra", "CREATE ROLE three"), ("name", "ALTER ROLE one RENAME TO three"),
    ("superuser", "ALTER ROLE one SUPERUSER"), ("inherit", "ALTER ROLE one NOINHERIT"),
    ("createrole", "ALTER ROLE one CREATEROLE"), ("createdb", "ALTER ROLE one CREATEDB"),
    ("login", "ALTER ROLE two NOLOGIN"), ("replication", "ALTER ROLE one REPLICATION"),
    ("bypassrls", "ALTER ROLE one BYPASSRLS"), ("limit", "ALTER ROLE one CONNECTION LIMIT 1"),
    ("valid until", "ALTER ROLE one VALID UNTIL '2030-01-01'"), ("comment", "COMMENT ON ROLE one IS NULL"),
    ("password", "ALTER ROLE two PASSWORD 'y'"), ("password missing", "ALTER ROLE two PASSWORD NULL"),
    ("membership", "REVOKE one FROM two"), ("membership extra", "GRANT pg_monitor TO one"),
    ("admin option", "GRANT one TO two WITH ADMIN OPTION"), ("setting", "ALTER ROLE one SET work_mem = '6MB'"),
    ("setting missing", "ALTER ROLE one RESET work_mem"), ("setting extra", "ALTER ROLE two SET work_mem = '6MB'"),
    ("parameter", "GRANT SET ON PARAMETER log_min_messages TO one"),
    ("parameter handed on", "GRANT SET ON PARAMETER log_min_messages TO one WITH GRANT OPTION;"
     " SET SESSION AUTHORIZATION one; GRANT SET ON PARAMETER log_min_messages TO two; RESET SESSION AUTHORIZATION"),
)  # fmt: skip


def test_every_mutation_of_a_role_is_noticed(server: Server) -> None:
    with (
        client.connect(Address(server.host, server.port, server.user, server.password)) as connection,
        connection.usual_path(),
    ):
        mutations = [one for one in MUTATIONS if connection.major() >= 15 or "PARAMETER" not in one[1]]
        if connection.major() >= 16:
            mutations += [("inherit option", "GRANT one TO two WITH INHERIT FALSE"),
                          ("set option", "GRANT one TO two WITH SET FALSE")]  # fmt: skip
        survivors = [name for name, text in mutations if not _notices(connection, text)]
    print(f"\nkill rate: {len(mutations) - len(survivors)} of {len(mutations)} mutations of roles noticed")
    assert survivors == []


def _notices(connection: Connection, mutation: str) -> bool:
    connection.run("BEGIN")
    try:
        connection.run(TRUTH)
        before = roles.read(connection).facts()
        assert before == roles.read(connection).facts()
        connection.run(mutation)
        return before != roles.read(connection).facts()
    finally:
        connection.run("ROLLBACK")
