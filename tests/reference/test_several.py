"""Several databases in one script directory, with the env.py that Flask-Migrate and Alembic write for them."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasklib import binds
from tasklib.postgres import client
from tasklib.postgres.server import Server
from tests.conftest import MakePlain
from tests.support.decoy import decoy
from tests.support.project import APP, BIN, VARIABLE, Done, Plain, Project, build, query, whole
from tests.support.traps import assert_laid_out
from tests.unharmed.running import assert_all_is_back, begin, until

pytestmark = pytest.mark.usefixtures("put_back")

USERS = "USERS_DATABASE_URL"
BOTH = ("--uri-var", VARIABLE, "--set", f"{USERS}={{url:users}}")
LINE = 'app.config["SQLALCHEMY_TRACK_MODIFICATIONS"]'
TWO = APP.replace(LINE, f'app.config["SQLALCHEMY_BINDS"] = {{"users": os.environ["{USERS}"]}}\n{LINE}')

MIGRATION = '''"""{message}

Revision ID: {revision}
Revises: {down}
Create Date: 2024-01-02 10:00:00

"""
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade(engine_name):
    globals()["upgrade_%s" % engine_name]()


def downgrade(engine_name):
    globals()["downgrade_%s" % engine_name]()
'''

# What each migration does, in Python: for the first database (Flask-Migrate's default one), and for the second.
Bodies = tuple[str, str]
STEPS: Mapping[str, Bodies] = {
    "plans": (
        """
        plans = op.create_table("plans", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("code", sa.Text()))
        op.bulk_insert(plans, [{"code": "free"}, {"code": "it's 100%"}])
        """,
        """
        op.create_table("people", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
        op.execute("INSERT INTO people (name) SELECT 'person ' || n FROM generate_series(1, 1200) n")
        """,
    ),
    "views": (
        """
        op.execute("CREATE VIEW free AS SELECT * FROM plans WHERE code = 'free'")
        op.execute("CREATE TABLE people (of_this_database text DEFAULT 'yes')")
        """,
        """
        op.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        op.execute("ALTER TABLE people ADD mood mood NOT NULL DEFAULT 'glad'")
        op.create_table("plans", sa.Column("only_here", sa.Boolean(), server_default="true"))
        """,
    ),
    "orders": (
        'op.add_column("plans", sa.Column("price", sa.Numeric(10, 2), server_default="0", nullable=False))',
        'op.execute("CREATE INDEX people_name ON people (lower(name))")',
    ),
    "notes": ("op.execute(\"UPDATE plans SET price = 9 WHERE code <> 'free'\")", "pass"),
    "only one": ("pass", 'op.execute("DELETE FROM people WHERE id > 1190")'),
}


@dataclass(frozen=True)
class Two:
    """A project with two databases: what env.py calls them, the variables of their addresses, and the options."""

    project: Project
    engines: tuple[str, str]
    variables: tuple[str, str]
    options: tuple[str, ...]

    def add(self, steps: Mapping[str, Bodies]) -> None:
        project = self.project
        for message, bodies in steps.items():
            number, down = len(project.ids) + 1, project.ids[-1] if project.ids else None
            revision = f"{number:04d}{'abcdef'[number % 6] * 8}"
            text = MIGRATION.format(message=message, revision=revision, down=down)
            for engine, body in zip(self.engines, bodies, strict=True):
                inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
                text += f"\n\ndef upgrade_{engine}():\n{inner}\n\n\ndef downgrade_{engine}():\n    pass\n"
            project.write(f"{project.script}/versions/{revision}_{message.replace(' ', '_')}.py", text)
            project.ids.append(revision)
            project.commit(message)

    def addresses(self, names: Sequence[str]) -> dict[str, str]:
        """Environment with the addresses of these databases of the test server."""
        urls = [self.project.address(name).url("postgresql+psycopg2") for name in names]
        return dict(zip(self.variables, urls, strict=True))

    def db(self, *words: str, names: Sequence[str], check: bool = True, cwd: Path | None = None) -> Done:
        """The project's own command with these two databases of the test server."""
        given = self.addresses(names)
        if not isinstance(self.project, Plain):
            return self.project.run([BIN / "flask", "db", *words], check, cwd, **given)
        ini = (cwd or self.project.top) / "local.ini"
        text = ini.with_name("alembic.ini").read_text()
        for section, url in zip(self.engines, given.values(), strict=True):
            before, line, after = text.partition(f"[{section}]\nsqlalchemy.url = ")
            text = before + line + url.replace("%", "%%") + "\n" + after.partition("\n")[2]
        ini.write_text(text, encoding="utf-8")
        try:
            return self.project.run([BIN / "alembic", "-c", ini.name, *words], check, cwd)
        finally:
            ini.unlink()

    def tool(self, *words: str, server: bool = True) -> Done:
        options = ("--server", self.project.server_url) if server else ()
        done = self.project.tool(*words, *options)
        assert self.project.server.password not in done.said
        return done

    def squash(self, rev: str, *words: str) -> Done:
        return self.tool("squash", "--rev", rev, *self.options, *words)

    def built(self, name: str, commit: str, beside: Path) -> list[str]:
        """What the project's own command builds in two new databases with a commit's migrations, as pg_dump has it."""
        names = [f"{name}_{n}" for n in (1, 2)]
        addresses = [self.project.new_database(one) for one in names]
        self.project.git("worktree", "add", "--quiet", "--detach", str(beside), commit)
        self.db("upgrade", "heads", names=names, cwd=beside)
        self.project.git("worktree", "remove", "--force", str(beside))
        return [whole(self.project.server, address) for address in addresses]


@pytest.fixture(scope="session")
def flask_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the installed Flask-Migrate's own `flask db init --multidb` writes."""
    directory = tmp_path_factory.mktemp("multidb")
    (directory / "app.py").write_text(TWO, encoding="utf-8")
    nowhere = "postgresql+psycopg2://nobody@127.0.0.1:1/none"
    environment = {"PATH": "/usr/bin:/bin", VARIABLE: nowhere, USERS: nowhere}
    argv = [str(BIN / "flask"), "db", "init", "--multidb"]
    subprocess.run(argv, cwd=directory, env=environment, check=True, capture_output=True)
    return directory / "migrations"


@pytest.fixture
def two(tmp_path: Path, server: Server, flask_template: Path) -> Two:
    """A Flask-Migrate project with a default database and the bind users, of five migrations."""
    made = Two(build(tmp_path / "project", server, flask_template, [], TWO), ("", "users"), (VARIABLE, USERS), BOTH)
    made.add(STEPS)
    return made


# --- what the options and the files say ---------------------------------------------------------------------------


def test_templates_name_binds_and_are_filled_with_their_addresses() -> None:
    assert binds.named([("A", "{url}"), ("B", "no {word:x}"), ("C", "{password:users}")]) == ("", "users")
    assert binds.named([("HOST", "{host}"), ("ONE", "{database:one}"), ("TWO", "{url:two}")]) == ("one", "two")
    assert binds.named([("HOST", "{host}")]) == binds.named([]) == ("",)
    assert binds.fill("{url}|{url:users}|{other}|{a:b}", {"url": "u", "url:users": "v"}) == "u|v|{other}|{a:b}"
    assert binds.option("engine1:sqlalchemy.url", "alembic") == ("engine1", "sqlalchemy.url")
    assert binds.option("sqlalchemy.url", "alembic") == ("alembic", "sqlalchemy.url")


# --- Flask-Migrate -----------------------------------------------------------------------------------------------


def test_two_databases_are_squashed_into_one_file_with_a_function_for_each_and_the_same_is_built(
    two: Two, tmp_path: Path
) -> None:
    project = two.project
    old = project.git("rev-parse", "HEAD")
    done = two.squash("head-2")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    # Of each database its own counts, in the report and in the commit.
    for text in (done.out, project.git("show", "--no-patch", "--format=%B", "HEAD")):
        assert len(re.findall(r"\(the default database\): the same \(\d+ objects, 3 rows in 3 tables", text)) == 4
        assert len(re.findall(r"\(the bind users\): the same \(\d+ objects, 1[12]\d1 rows in 3 tables", text)) == 4
    base = project.base_file.read_text()
    assert '    globals()[f"upgrade_{engine_name}"]()\n' in base
    assert "def upgrade(engine_name):\n    refuse_tables_that_are_there(ROWS[engine_name])\n" in base
    assert re.findall(r"(?m)^def ((?:up|down)grade\w*)\(", base) == [
        *("upgrade", "downgrade", "upgrade_", "downgrade_", "upgrade_users", "downgrade_users")
    ]
    assert_laid_out(project)
    data = project.base_file.with_suffix(".users_people.jsonl")
    assert len(data.read_text().splitlines()) == 1201
    head = project.git("rev-parse", "HEAD")
    was, now = two.built("was", old, tmp_path / "was"), two.built("now", head, tmp_path / "now")
    assert was == now and all("0005" in text for text in now)
    assert "CREATE VIEW public.free" in now[0] and "CREATE TYPE public.mood" in now[1]


@pytest.mark.slow
def test_a_base_of_two_databases_is_squashed_again_and_prints_its_sql(two: Two, tmp_path: Path) -> None:
    project = two.project
    old = project.git("rev-parse", "HEAD")
    for rev in ("head-2", "head-1"):
        done = two.squash(rev)
        assert done.code == 0, done.said
        project.assert_nothing_left()
    assert sorted(path.name[:4] for path in project.versions.glob("*.py")) == ["0004", "0005"]
    # The data file of the first base went with it.
    assert [path.name[:4] for path in project.versions.glob("*.jsonl")] == ["0004"]
    was, now = two.built("was", old, tmp_path / "was"), two.built("now", "HEAD", tmp_path / "now")
    assert was == now
    # Without a connection, env.py of Flask-Migrate writes a file of SQL for each database.
    names = [f"now_{n}" for n in (1, 2)]
    two.db("upgrade", project.ids[3], "--sql", names=names)
    written = {path.name: path.read_text() for path in project.top.glob("*.sql")}
    assert re.search(r"CREATE VIEW (public\.)?free", written.pop(".sql"))
    (users,) = written.values()
    assert "CREATE TYPE mood AS" in users
    assert users.count("person ") == 1200


@pytest.mark.slow
def test_after_a_kill_abort_drops_the_databases_of_both(two: Two) -> None:
    project = two.project
    head, databases = project.git("rev-parse", "HEAD"), project.databases()
    running = begin(project, "squash", "--rev", "head-2", *two.options, INVOKE_SQUASH_SERVER=project.server_url)
    until("the new chain", lambda: "\nmigrate\n" in running.said, running)
    running.process.kill()
    running.process.wait()
    assert len(project.databases() - databases) >= 4
    aborted = two.tool("abort")
    assert aborted.code == 0, aborted.said
    assert_all_is_back(project, head, databases)


@pytest.mark.slow
def test_downgrade_of_the_base_loses_rows_of_neither_database(two: Two) -> None:
    project = two.project
    assert two.squash("head").code == 0
    names = ["live_1", "live_2"]
    first, second = (project.new_database(name) for name in names)
    two.db("upgrade", "head", names=names)
    for address, table in ((first, "plans"), (second, "people")):
        column = "code" if table == "plans" else "name"
        with client.connect(address) as connection, connection.usual_path():
            connection.run(f"INSERT INTO {table} ({column}) VALUES ('of a user')")
        refused = two.db("downgrade", "base", names=names, check=False)
        assert refused.code != 0 and f"{table} holds rows that this migration did not insert" in refused.said
        assert query(first, "SELECT count(*) > 1 FROM plans") == [(True,)]
        assert query(second, "SELECT count(*) > 1000 FROM people") == [(True,)]
        with client.connect(address) as connection, connection.usual_path():
            connection.run(f"DELETE FROM {table} WHERE {column} = 'of a user'")
    two.db("downgrade", "base", names=names)
    left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    assert query(first, left) == query(second, left) == [("alembic_version",)]


def refused(two: Two, *options: str, **variables: str) -> str:
    """A squash that is refused: everything is as it was, and what it said comes back."""
    head = two.project.git("rev-parse", "HEAD")
    done = two.project.tool(
        "squash", "--rev", "head-2", "--server", two.project.server_url, *options, cwd=None, **variables
    )
    assert done.code == 1 and two.project.server.password not in done.said, done.said
    two.project.assert_nothing_left(head)
    return done.err


def test_a_bind_that_is_swapped_or_called_otherwise_is_refused_by_its_name(two: Two) -> None:
    said = refused(two, "--set", f"{VARIABLE}={{url:users}}", "--set", f"{USERS}={{url}}")
    assert "For the default database, env.py goes to the scratch database of the bind users" in said
    assert "leave --set out: env.py's names are found out" in said
    said = refused(two, "--uri-var", VARIABLE, "--set", f"{USERS}={{url:people}}")
    assert "env.py calls its databases the default one, users; --set names the default one, people" in said


@pytest.mark.parametrize("held", ["nothing", "both", "one"])
def test_several_databases_are_told_apart_by_env_pys_own_names_whatever_the_shell_has(two: Two, held: str) -> None:
    project = two.project
    with decoy() as live:
        addresses = {VARIABLE: live.url(), USERS: live.url().replace("/live", "/users")}
        if held == "one":
            del addresses[USERS]
        project.environment = addresses if held != "nothing" else {}
        assert project.tool("checkout", "--rev", "head-2").code == 0
        done = two.tool("createdb")
        assert done.code == 0, done.said
        assert "a scratch database (the bind users)" in done.err and "(the default database)" in done.err
        plan = json.loads((project.top / ".git/alembic-squash/plan.json").read_text())
        assert sorted(plan["names"]) == ["", "users"] == sorted(plan["targets"].values())
        assert (f"localhost:{live.server.port}/users → a scratch database (the bind users)" in done.err) == (
            held == "both"
        )
        assert two.tool("abort").code == 0
        project.assert_nothing_left()


def test_what_is_for_one_database_is_refused_for_several_in_one_sentence(two: Two) -> None:
    for option, value in (("--before", "flask create-db"), ("--reference", two.project.server_url)):
        done = two.tool("plan", "--rev", "head-2", *BOTH, option, value)
        assert done.code == 1 and f"{option} " in done.err, done.said
        assert "--set names 2: the default one, users" in done.err and "leave it out" in done.err
    done = two.tool("plan", "--rev", "head-2", "--set", f"{USERS}={{url:my-users}}")
    assert done.code == 1 and "a bind's name has letters, digits and _ only" in done.err, done.said
    two.add({"role": ("op.execute('CREATE ROLE clerk')", "pass")})
    done = two.project.tool("squash", "--rev", "head-2")
    assert done.code == 1 and "Migrations make or change roles" in done.err, done.said


@pytest.mark.slow
def test_verify_notices_what_was_changed_in_the_base_of_one_database_and_says_of_which(two: Two) -> None:
    project = two.project
    assert two.squash("head-2").code == 0
    done = two.tool("verify", *BOTH, server=False)
    assert done.code == 0 and "(the bind users): the same" in done.out, done.said
    file, text = project.base_file, project.base_file.read_text()
    assert text.count('server_default=sa.text("true")') == 1
    file.write_text(text.replace('server_default=sa.text("true")', 'server_default=sa.text("false")'), encoding="utf-8")
    project.commit("tamper")
    done = two.tool("verify", *BOTH)
    assert done.code == 3 and "In the bind users:" in done.err and "TABLE public.plans" in done.err, done.said
    assert "In the default database" not in done.err
    # What downgrade() leaves in one of them, too.
    file.write_text(re.sub(r"(?m)^.*drop_table\(\"people\"\).*\n", "    pass\n", text, count=1), encoding="utf-8")
    project.commit("leave a table")
    done = two.tool("verify", *BOTH)
    assert done.code == 3 and "leaves something behind (the " in done.err, done.said


MODELS = """

class Plan(db.Model):
    __tablename__ = "plans"
    id = db.Column(db.Integer, primary_key=True)
    code = db.Column(db.Text)


class Person(db.Model):
    __bind_key__ = "users"
    __tablename__ = "people"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.Text)
"""


@pytest.mark.slow
def test_autogenerate_drafts_the_base_of_both_databases(tmp_path: Path, server: Server, flask_template: Path) -> None:
    project = build(tmp_path / "project", server, flask_template, [], TWO + MODELS)
    two = Two(project, ("", "users"), (VARIABLE, USERS), BOTH)
    table = 'op.create_table("{}", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("{}", sa.Text()))'
    two.add({
        "one": (table.format("plans", "code"), "pass"),
        "other": ("pass", table.format("people", "name")),
        "kept": ("op.execute('INSERT INTO plans (code) VALUES (1)')", "pass"),
    })  # fmt: skip
    done = two.squash("head-1", "--source", "models")
    assert done.code == 0, done.said
    base = project.base_file.read_text()
    assert "def upgrade_users(" in base and '"people"' in base.replace("'", '"')
    project.assert_nothing_left()


# --- plain Alembic -----------------------------------------------------------------------------------------------

ENGINES = ("--set", "engine1:sqlalchemy.url={url:engine1}", "--set", "engine2:sqlalchemy.url={url:engine2}")


@pytest.fixture
def plain_two(make_plain: MakePlain) -> Two:
    """A project by `alembic init -t multidb`, of five migrations."""
    made = Two(
        make_plain([], template="multidb", env="", name="plain"), ("engine1", "engine2"), ("ONE", "TWO"), ENGINES
    )
    made.add(STEPS)
    return made


def test_sections_of_an_ini_that_are_swapped_are_refused_by_name(plain_two: Two) -> None:
    said = refused(plain_two, "--set", "engine1:sqlalchemy.url={url:engine2}", "--set",
                   "engine2:sqlalchemy.url={url:engine1}")  # fmt: skip
    assert "For the bind engine1, env.py goes to the scratch database of the bind engine2" in said


@pytest.mark.slow
def test_two_databases_of_plain_alembic_are_squashed_step_by_step(plain_two: Two, tmp_path: Path) -> None:
    two, project = plain_two, plain_two.project
    ini, old = (project.top / "alembic.ini").read_text(), project.git("rev-parse", "HEAD")
    done = project.tool("checkout", "--rev", "head-1", *ENGINES)
    assert done.code == 0, done.said
    for step in ("reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge"):
        takes = step not in ("reinit", "restore")
        done = two.tool(step, server=takes) if takes else project.tool(step)
        assert done.code == 0, done.said
    proof = project.git("log", "-1", "--format=%B")
    assert "(the bind engine1): the same" in proof and "(the bind engine2): the same" in proof
    assert (project.top / "alembic.ini").read_text() == ini
    assert re.findall(r"(?m)^def upgrade_(\w+)", project.base_file.read_text()) == ["engine1", "engine2"]
    assert_laid_out(project)
    head = project.git("rev-parse", "HEAD")
    assert two.built("was", old, tmp_path / "was") == two.built("now", head, tmp_path / "now")


@pytest.mark.slow
def test_a_column_that_differs_in_each_run_of_one_database_is_listed_with_its_bind(plain_two: Two) -> None:
    project = plain_two.project
    made = 'op.execute("INSERT INTO {} VALUES (clock_timestamp())")'
    plain_two.add({
        "tables": ('op.execute("CREATE TABLE days (day date)")', 'op.execute("CREATE TABLE days (at timestamptz)")'),
        "chance": ("op.execute(\"INSERT INTO days VALUES ('2024-02-29')\")", made.format("days")),
    })  # fmt: skip
    done = plain_two.squash("head", "--data", "days")
    assert done.code == 0, done.said
    assert "Rows left out, as --data says: engine1:plans, engine2:people" in done.out.splitlines(), done.out
    listed = "Was different in each database, is now always the same value: engine2:days.at"
    assert listed in done.out.splitlines() and listed in project.git("show", "--no-patch", "--format=%B").splitlines()
    project.assert_nothing_left()
