"""`--before`: projects whose first tables come from a command of theirs, and not from a migration."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasklib.repository import git
from tasklib.workbench import inplace
from tests.conftest import MakePlain
from tests.support.project import BIN, VARIABLE, Done, Plain, Step, _clean_environment, query

# What a project's own "create everything" command does: tables and rows, then the version.
CREATE = """
import os
import sys

import psycopg2
from alembic import command
from alembic.config import Config

url = os.environ["DATABASE_URL"].replace("+psycopg2", "")
connection = psycopg2.connect(url)
with connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE users (id serial PRIMARY KEY, email varchar(120) NOT NULL)")
    cursor.execute("INSERT INTO users (email) VALUES ('admin@example.com')")
    for statement in sys.argv[2:]:
        cursor.execute(statement)
connection.close()
command.stamp(Config("alembic.ini"), sys.argv[1])
"""
OLD = Step("long ago", "import a_module_of_long_ago")
NAME = Step("names", 'op.add_column("users", sa.Column("name", sa.String(length=80)))')
PLANS = Step("plans", sql=("CREATE TABLE plans (id serial PRIMARY KEY, code text NOT NULL)",
                           "INSERT INTO plans (code) VALUES ('free')"))  # fmt: skip
LATER = Step("later", sql=("UPDATE plans SET code = 'gratis' WHERE code = 'free'",))


def project_of(make_plain: MakePlain, *steps: Step, create: str = CREATE) -> Plain:
    project = make_plain(steps)
    project.write("create_db.py", create)
    project.commit("a command that makes the tables")
    return project


def created(project: Plain, *words: str) -> str:
    """The option's value: the project's command with these words after it."""
    return " ".join(["python create_db.py", *words])


def refused(project: Plain, rev: str, before: str, code: int, *says: str, **variables: str) -> Done:
    """The squash must end with this code and say all this, and leave everything as it was."""
    head = project.git("rev-parse", "HEAD")
    done = project.squash(rev, "--before", before, **variables)
    assert done.code == code, done.said
    for text in says:
        assert text in done.err, f"{text!r} is not said:\n{done.err}"
    assert "/tasklib/" not in done.said, done.said
    assert project.server.password not in done.said
    project.assert_nothing_left(head)
    return done


@pytest.mark.slow
def test_the_replay_goes_on_from_where_the_command_left_the_database(make_plain: MakePlain) -> None:
    project = project_of(make_plain, OLD, NAME, PLANS, LATER)
    before = created(project, project.ids[0])
    done = project.squash("head-1", "--before", before)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert sorted(p.name[:12] for p in project.versions.glob("*.py")) == project.ids[2:]
    text = project.base_text(project.ids[2])
    assert f"Made from their replay after `{before}` on an empty database" in text
    assert f"The old chain began with `{before}`" in project.git("log", "-1", "--format=%B")

    address = project.new_database("after")
    project.db("upgrade", "head", database="after")
    assert query(address, "SELECT email, name FROM users") == [("admin@example.com", None)]
    assert query(address, "SELECT code FROM plans") == [("gratis",)]

    # In a checkout, as in CI, it is needed again.
    named = ("--uri-var", VARIABLE, "--server", project.server_url)
    without = project.tool("verify", *named)
    assert without.code == 1 and f"hint: --before '{before}'" in without.err, without.said
    again = project.tool("verify", *named, "--before", before)
    assert again.code == 0 and "the same" in again.out, again.said
    project.assert_nothing_left()


def test_at_the_head_a_command_that_makes_all_and_stamps_the_head_is_the_whole_history(make_plain: MakePlain) -> None:
    project = project_of(make_plain, OLD, NAME)
    name = '"ALTER TABLE users ADD COLUMN name varchar(80)"'
    done = project.squash("head", "--before", created(project, "head", name))
    assert done.code == 0, done.said
    project.assert_nothing_left()
    address = project.new_database("whole")
    project.db("upgrade", "head", database="whole")
    assert query(address, "SELECT email, name FROM users") == [("admin@example.com", None)]
    assert query(address, "SELECT version_num FROM alembic_version") == [(project.ids[1],)]


def test_a_command_that_makes_the_tables_of_a_later_revision_is_refused(make_plain: MakePlain) -> None:
    project = project_of(make_plain, OLD, NAME, PLANS)
    done = refused(project, "head-1", created(project, "head"), 1, project.ids[2], f"which is past {project.ids[1]}")
    assert f"hint: --rev {project.ids[2]}" in done.err and "--reference URL" in done.err


@pytest.mark.slow
def test_a_command_that_fails_or_goes_elsewhere_or_writes_into_the_tree_is_named(make_plain: MakePlain) -> None:
    project = project_of(make_plain, OLD, NAME)
    elsewhere = project.new_database("elsewhere")
    environment = {"OTHER_URL": elsewhere.url("postgresql+psycopg2")}
    refused(project, "head", created(project, "head", '"SELECT 1/0"'), 2, "failed on an empty", "division by zero")
    refused(project, "head", "no_such_program", 1, "--before names", "no_such_program")

    project.write("create_db.py", CREATE.replace("DATABASE_URL", "OTHER_URL"))
    project.commit("another variable")
    refused(project, "head", created(project, "head"), 1, "writes to a second database", "elsewhere", "--same",
            **environment)  # fmt: skip
    assert query(elsewhere, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]

    project.write("create_db.py", CREATE + 'open("dump.sql", "w").write("SELECT 1")\n')
    project.commit("a file")
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head", "--before", created(project, "head"))
    assert done.code == 1 and "left files in the work tree" in done.err and "dump.sql" in done.err, done.said
    assert project.git("rev-parse", "HEAD") == head
    assert project.git("status", "--porcelain") == "?? dump.sql"


@pytest.mark.slow
def test_half_of_a_sql_file_is_not_the_truth(make_plain: MakePlain) -> None:
    project = make_plain([Step("names", 'op.add_column("users", sa.Column("name", sa.Text()))')])
    project.put_psql_on_path()
    project.write("schema.sql", "CREATE TABLE users (id integer);\nSELECT nonsense;\nCREATE TABLE more (id integer);\n")
    project.add(Step("later", sql=["CREATE TABLE later (id integer)"]))
    refused(project, "head", "psql -f schema.sql", 2, "ERROR:", "nonsense")
    project.write("schema.sql", "CREATE TABLE users (id integer);\n")
    project.commit("repaired")
    done = project.squash("head", "--before", "psql -f schema.sql")
    assert done.code == 0, done.said
    assert 'op.create_table(\n        "users"' in project.base_text(project.ids[1])


def test_a_password_in_the_command_is_refused_and_not_shown(make_plain: MakePlain) -> None:
    project = make_plain([NAME, LATER])
    for word in ("postgresql://me:hidden@host/db", "'host=h password=hidden'", "--password=hidden"):
        done = refused(project, "head", f"psql {word}", 1, "--before holds a password")
        assert "hidden" not in done.said


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_killed_while_the_command_runs_everything_can_be_put_back(make_plain: MakePlain, how: signal.Signals) -> None:
    project = project_of(make_plain, OLD, NAME)
    project.write("slow.py", "import time, pathlib\npathlib.Path('../begun').touch()\ntime.sleep(300)\n")
    project.write("create_db.py", CREATE + "\nimport slow\n")
    head = project.commit("a slow one")
    named = ("--uri-var", VARIABLE, "--before", created(project, "head"))
    process = subprocess.Popen(
        [BIN / "alembic-squash", "squash", "--rev", "head", *named],
        cwd=project.top, env={**_clean_environment(), "TMPDIR": str(project.temporary)}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # A shell ignores Ctrl-C in what it runs in the background, and this test may be.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    begun = project.top.parent / "begun"
    until = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert begun.exists() and project.file_of(project.ids[0]).exists()  # the old chain is in the tree meanwhile
    os.killpg(process.pid, how)
    process.wait(timeout=60)
    done = project.tool("abort")
    assert done.code == 0, done.said
    project.assert_nothing_left(head)


def test_what_stood_in_the_way_of_the_old_chain_is_back_after_a_kill(make_plain: MakePlain) -> None:
    project = make_plain([NAME, PLANS, LATER])
    first, second = (project.file_of(one) for one in project.ids[:2])
    old = second.read_text()
    project.git("rm", "--quiet", str(first))
    second.write_text("# edited by hand\n", encoding="utf-8")
    status = project.git("status", "--porcelain")
    paths = [path.relative_to(project.top).as_posix() for path in (first, second)]
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tasklib.repository import git\nfrom tasklib.workbench import inplace\n"
        f"with inplace.old_chain(git.find(Path({str(project.top)!r})), 'HEAD', {paths!r}):\n"
        "    print(open(sys.argv[1]).read())\n    sys.stdout.flush()\n    os._exit(9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(second)], capture_output=True, text=True, check=False)
    assert killed.returncode == 9, killed.stderr
    assert killed.stdout.strip() == old.strip() and first.exists()
    repository = git.find(project.top)
    with inplace.old_chain(repository, "HEAD", paths):  # puts back first what the other one left
        assert first.exists() and second.read_text() == old
        inplace.recover(repository)  # nothing: it still runs
        assert first.exists() and second.read_text() == old
    assert not first.exists() and second.read_text() == "# edited by hand\n"
    assert project.git("status", "--porcelain") == status
    assert not Path(project.top, ".git/alembic-squash").exists()
    assert re.search("edited", second.read_text())
