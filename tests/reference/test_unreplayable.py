"""What is said of an old migration that does not run today: its cause where it shows, and what else is the truth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tasklib.errors import Failed
from tasklib.history.cut import History, Migration
from tasklib.project.layout import Layout
from tasklib.reference import failure_advice
from tasklib.settings import Settings
from tasklib.shell import Result
from tasklib.workbench.plan import Plan
from tests.conftest import SHOP, Make, MakePlain
from tests.support.project import VARIABLE, Step, query

HISTORY = History(
    Migration(name, (below,) if below else (), (), (), f"versions/{name}.py", name)
    for name, below in (("a", ""), ("b", "a"), ("r", "b"), ("k", "r"))
)
PLAN = Plan(
    revision="r", original="main", tip="", branch="", start="", source="history", base_path="versions/r.py",
    gone=("a", "b", "r"), kept=("k",), layout=Layout("flask", "migrations", ("versions",), None, (), "."),
    settings=Settings(), program="alembic-squash", head_was="main",
)  # fmt: skip
MISSING = 'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation "public.users" does not exist\n'


def explained(said: str, revision: str = "b", plan: Plan = PLAN, **files: str) -> Failed:
    result = Result(("flask",), 1, "", said)
    texts = dict.fromkeys(HISTORY.migrations, "") | files
    return failure_advice.explain(Failed("It failed."), result, revision, HISTORY, plan, texts.__getitem__)


def test_a_table_that_no_migration_made_is_told_from_one_that_a_migration_made() -> None:
    elsewhere = 'No migration up to it makes "users"'
    assert elsewhere in explained(MISSING).text
    assert elsewhere in explained(MISSING, a='op.add_column("users", x)', r='op.create_table("users", x)').text
    for made in (
        'op.create_table(\n    "users",',
        "op.execute('CREATE TABLE IF NOT EXISTS public.users (id integer)')",
        'op.rename_table("people", "users")',
        'op.execute("ALTER TABLE people RENAME TO users")',
        'op.execute("CREATE MATERIALIZED VIEW users AS SELECT 1")',
    ):
        assert elsewhere not in explained(MISSING, a=made).text, made
    assert 'makes "users"' in explained("sqlalchemy.exc.NoSuchTableError: users\n").text


def test_a_schema_that_no_migration_made_is_named_and_what_makes_it_comes_first_of_the_ways_out() -> None:
    missing = 'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.InvalidSchemaName) schema "events" does not exist\n'
    found = explained(missing)
    assert 'No migration up to it makes the schema "events": that came from elsewhere.' in found.text
    assert found.hint.startswith("--before 'COMMAND'") and "repair versions/b.py" in found.hint.splitlines()[-1]
    for made in ('op.execute("CREATE SCHEMA IF NOT EXISTS events")', 'op.execute(CreateSchema("events"))'):
        again = explained(missing, a=made)
        assert again.text == "It failed." and again.hint.startswith("repair versions/b.py"), made


def test_a_migration_that_fails_in_python_is_told_from_one_that_the_database_refused() -> None:
    python = "It fails in Python, before the database"
    for said in ("ImportError: cannot import name 'Old' from 'app'\n", "AttributeError: no attribute 'x'\n",
                 "sqlalchemy.exc.ObjectNotExecutableError: Not an executable object: 'UPDATE'\n"):  # fmt: skip
        assert python in explained("Traceback (most recent call last):\n" + said).text, said
    for said in ("psycopg2.errors.UndefinedColumn: column x does not exist\n",
                 "sqlalchemy.exc.DataError: (psycopg.errors.NumericValueOutOfRange) out of range\n"):  # fmt: skip
        assert explained(said).text == "It failed.", said


def test_the_ways_out_are_those_that_are_left() -> None:
    hint = explained(MISSING).hint
    for way in ("repair versions/b.py in a commit of its own", "--before 'COMMAND'", "--reference URL",
                "a real database at r", "--source models"):  # fmt: skip
        assert way in hint, way
    before = replace(PLAN, settings=Settings(before=("flask", "create-db")))
    again = explained('(psycopg2.errors.DuplicateTable) relation "users" already exists\n', plan=before)
    assert "The command of --before made it already" in again.text
    assert "--before" not in again.hint and "--reference URL" in again.hint
    models = explained(MISSING, plan=replace(PLAN, source="models"))
    assert "proves it by one" in models.text and "--source models" not in models.hint


@pytest.mark.parametrize("reference", [None, "postgresql://host/database"])
def test_one_that_stays_must_be_repaired_whatever_the_truth_is(reference: str | None) -> None:
    error = explained(MISSING, "k", replace(PLAN, settings=Settings(reference=reference)))
    assert "repair versions/k.py" in error.hint and "it stays" in error.hint
    assert ("--data TABLE" in error.hint) == (reference is not None) and "--before" not in error.hint


def test_an_error_that_a_migration_caught_is_named_from_the_servers_record(make_plain: MakePlain) -> None:
    careful = Step("careful", """
        try:
            op.add_column("queries", sa.Column("is_draft", sa.Boolean()))
        except sa.exc.ProgrammingError as error:
            if "already exists" not in str(error):
                print("an error was caught")
    """)  # fmt: skip
    project = make_plain([careful, Step("next")])
    done = project.tool("squash", "--rev", "head", "--uri-var", VARIABLE)
    assert done.code == 2 and "current transaction is aborted" in done.err, done.said
    assert 'Error that was caught before it: relation "queries" does not exist; ALTER TABLE queries ADD' in done.err
    # Of the traceback that follows from it, what the database and SQLAlchemy said.
    assert "  | [SQL: " in done.err and "  |   File" not in done.err and "  |     ^" not in done.err, done.err
    assert 'No migration up to it makes "queries"' in done.err and f"the migration {project.ids[0]} (" in done.err
    project.assert_nothing_left()


# What SQLAlchemy 1 took in each of these places.
LEGACY = """
    conn = op.get_bind()
    t = sa.table("plans", sa.column("id", sa.Integer), sa.column("code", sa.String))
    conn.execute("INSERT INTO plans (id, code) VALUES (7, %s), (8, 'a%%')", ("old",))
    conn.execute("INSERT INTO plans (id, code) VALUES (%s, %s)", (11, "p"), (12, "q"))
    conn.execute("INSERT INTO plans (id, code) VALUES (%s, %s)", ((13, "r"), (14, "s")))
    conn.execute("INSERT INTO plans (id, code) VALUES (%s, %s)", 15, "t")
    conn.execute("INSERT INTO plans (id, code) VALUES (%(id)s, 'u')", [{"id": 16}, {"id": 17}])
    conn.execute("UPDATE plans SET code = %(code)s WHERE id = %(id)s", {"id": 8, "code": "b%"})
    assert conn.scalar("SELECT count(*) FROM plans WHERE id IN (7, 8)") == 2
    for row in conn.execute(sa.select([t.c.id, t.c.code], t.c.id.in_([7, 8]))):
        kind = sa.case([(t.c.id == 7, "seven")], else_="other")
        found = conn.execute(sa.select([kind.label("kind")]).where(t.c.id == row["id"])).fetchone()
        conn.execute(t.update().where(t.c.id == row[t.c.id]).values(code=row["code"] + found["kind"]))
    for row in conn.execute("SELECT id, code AS kind FROM plans WHERE id = 7"):
        assert "kind" in row and 7 not in row and list(row) == [7, "oldseven"] and row[0:1] == (7,)
        assert dict(row) == {"id": 7, "kind": "oldseven"} == dict(row.items()) and row.keys() == ["id", "kind"]
    from sqlalchemy.orm import Session
    session = Session(bind=conn)
    session.execute("INSERT INTO plans (id, code) VALUES (:id, 'session')", {"id": 10})
    session.flush()
"""
# What is right for 2 as well as for 1, or is another thing in each.
CATCHES = """
    try:
        op.get_bind().execute("SELECT 1")
        which = "1"
    except sa.exc.ObjectNotExecutableError:
        which = "2"
    op.execute(f"INSERT INTO plans (id, code) VALUES (20, 'version {which}')")
"""
IS_2 = int(sa.__version__.split(".")[0]) >= 2


def test_old_migrations_that_were_written_for_sqlalchemy_1_run_as_they_did_and_are_named(make: Make) -> None:
    last = Step("last", sql=["CREATE TABLE last (id integer)"])
    project = make([*SHOP[:3], Step("legacy", LEGACY), Step("catches", CATCHES), last])
    behind = project.new_database("behind")
    project.db("upgrade", project.ids[2], database="behind")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    assert (f"Written for SQLAlchemy 1 (a text for execute(), a list for select() …), and run as it did: "
            f"{project.ids[3]}" in done.out) == IS_2, done.said  # fmt: skip
    address = project.new_database("legacy")
    project.db("upgrade", "head", database="legacy")
    rows = [(1, "free"), (2, "paid"), (7, "oldseven"), (8, "b%other"), (10, "session")]
    rows += [*enumerate("pqrst", 11), (16, "u"), (17, "u"), (20, f"version {2 if IS_2 else 1}")]
    assert query(address, "SELECT id, code FROM plans ORDER BY id") == rows
    caught_up = project.tool("catchup", "--url", behind.url(), "--yes")
    assert caught_up.code == 0 and ("Written for SQLAlchemy 1" in caught_up.out) == IS_2, caught_up.said
    assert query(behind, "SELECT id, code FROM plans ORDER BY id") == rows
    project.assert_nothing_left()


OWN_CONNECTION = """
    with op.get_bind().engine.connect() as own:
        own.execute("CREATE TABLE audit (id integer)")
"""
IN_A_HELPER = """
    from helper import run
    run(op.get_bind(), "CREATE TABLE audit (id integer)")
"""


@pytest.mark.skipif(not IS_2, reason="SQLAlchemy 1 takes it")
@pytest.mark.parametrize("step", [OWN_CONNECTION, IN_A_HELPER])
def test_what_would_not_be_the_same_as_with_sqlalchemy_1_fails_as_it_does(make: Make, step: str) -> None:
    """Outside of a transaction that one committed by itself; what a project's module does is no revision's."""
    project = make([*SHOP[:3], Step("legacy", step)])
    project.write("helper.py", "def run(conn, text):\n    conn.execute(text)\n")
    project.commit("a helper")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head")
    assert done.code == 2 and "ObjectNotExecutableError" in done.err, done.said
    project.assert_nothing_left()


@pytest.mark.skipif(not IS_2, reason="SQLAlchemy 1 takes it")
def test_one_that_was_written_for_sqlalchemy_1_and_stays_is_named_before_anything_is_made(make: Make) -> None:
    project = make([*SHOP[:3], Step("legacy", 'op.get_bind().execute("CREATE TABLE last (id integer)")')])
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 2 and "legacy.py calls SQLAlchemy as it was before version 2" in done.err, done.said
    assert "it stays, and every database will run it" in done.err
    project.assert_nothing_left()
