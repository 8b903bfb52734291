"""The application starts once: a run in a fork of it is what a start of its own would be, and where it is not, no fork
is made.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tasklib.command.project_command import Ran
from tasklib.postgres import client
from tasklib.workbench.bench import Bench, open_bench
from tests.conftest import SHOP, Make, MakePlain
from tests.support.decoy import decoy
from tests.support.project import APP, VARIABLE, Project, Step, query, reaches, whole
from tests.unharmed.running import begin, until

pytestmark = pytest.mark.usefixtures("put_back")

# One that prints, one that fails in the database, one that ends the process.
STEPS = (
    *SHOP[:3],
    Step("says", "import os, sys; print(os.environ.get('PGOPTIONS')); print('on stderr', file=sys.stderr)"),
    Step("breaks", sql=["ALTER TABLE users DROP COLUMN nowhere"]),
)


@contextmanager
def opened(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The bench of a squash for which `createdb` was run, in this process."""
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(project.temporary))
    for words in (("checkout", "--rev", project.ids[1]), ("createdb",)):
        done = project.tool(*words)
        assert done.code == 0, done.said
    bench = open_bench(project.top)
    try:
        yield bench
    finally:
        for held in bench._held.values():
            held.close()
        assert project.tool("abort").code == 0
    project.assert_nothing_left()


def both(bench: Bench, words: list[str]) -> tuple[Ran, Ran, list[str]]:
    """The same run in a fork and in a start of its own, on databases that are alike: what each said and saw, and what
    both databases then hold.
    """
    chain = bench.chain("old", bench.plan.tip)
    command = bench.command()
    found: list[Ran] = []
    for role, one in (("first", command), ("second", replace(command, held=None))):
        found.append(one.run(chain, words, bench.targets(role)))
    server = bench._ours(str(bench.place().server))
    held = [whole(server, bench.address(role)) for role in ("first", "second")]
    return found[0], found[1], held


def said(ran: Ran, bench: Bench) -> tuple[int, str, str]:
    """Exit code and both streams, without what is another one in each run: names of databases, addresses."""

    def same(text: str) -> str:
        text = re.sub(rf"{bench.place().token}_(one|two|ground)", "DATABASE", text)
        # Of a traceback, the frames above Alembic's command: a fork was started with another one.
        text = re.sub(r'  File "[^"]*/(?:alembic_squash_guard|flask\w*|click|bin|alembic)/.*\n(?:    .*\n)*', "", text)
        return re.sub(r"0x[0-9a-f]+", "0x", text)

    return ran.code, same(ran.stdout), same(ran.stderr)


RUNS = (["current"], ["upgrade", "0002cccccccc"], ["current"], ["upgrade", "heads"], ["current"], ["downgrade", "base"],
        ["stamp", "0003dddddddd"], ["upgrade", "nowhere"])  # fmt: skip


@pytest.mark.parametrize("kind", ["flask", "plain", "async"])
def test_every_kind_of_run_is_the_same_in_a_fork(
    make: Make, make_plain: MakePlain, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "flask":
        project = make(STEPS)
        project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    else:
        project = make_plain(STEPS, template="generic" if kind == "plain" else "async")
        scheme = "psycopg2" if kind == "plain" else "asyncpg"
        project.environment = {VARIABLE: f"postgresql+{scheme}://u:p@db.example/shop"}
    env = project.top / "migrations/env.py"
    asks = "import sys\nprint([w for w in sys.argv[1:] if w in sys.argv[-1] or w == 'upgrade'])\n"
    asks += (
        "print(getattr(getattr(config.cmd_opts, 'cmd', [print])[0], '__name__', ''), sorted(vars(config.cmd_opts)))\n"
    )
    env.write_text(
        env.read_text(encoding="utf-8").replace("config = context.config\n", f"config = context.config\n{asks}")
    )
    project.commit("an env.py that asks how it was started")
    with opened(project, monkeypatch) as bench:
        # What is held was started for a run that may only read: no other one inherits that.
        assert bench.command().current(bench.chain("old", bench.plan.tip), bench.targets("first"), None).code == 0
        for words in RUNS:
            forked, plain, databases = both(bench, list(words))
            assert said(forked, bench) == said(plain, bench), words
            assert databases[0] == databases[1], words
            for seen in (forked.seen, plain.seen):
                assert seen.there and {c.target for c in seen.contacts} <= {"db.example:5432/shop"}
            assert forked.seen.revisions == plain.seen.revisions
            assert forked.seen.modules.keys() >= plain.seen.modules.keys()
            visits = [[replace(v, database="") for v in one.seen.visits] for one in (forked, plain)]
            assert visits[0] == visits[1]
        held = bench.command().held
        assert held is not None and held.reason == "" and held.forks == len(RUNS) + 1


CHANCE = """
import random, uuid
AT_START = str(uuid.uuid4())
"""


def test_what_is_chance_is_chance_in_every_fork_and_what_is_drawn_at_the_start_is_noticed(make: Make) -> None:
    project = make(SHOP[:1], app=CHANCE + APP)
    project.add(Step("chance", """
        import random, app
        op.execute("CREATE TABLE drawn (at_start text, later text)")
        op.execute(f"INSERT INTO drawn VALUES ('{app.AT_START}', '{random.random()}')")
    """))  # fmt: skip
    done = project.tool("squash", "--rev", "head")
    assert done.code == 0, done.said
    assert "always the same value: drawn.at_start, drawn.later" in done.out


# What makes a fork another thing than a fresh process: found out at run time, and said.
NOT_HELD = {
    "the application has threads": "import threading, time\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
    "the application has child processes": "import subprocess\nsubprocess.Popen(['sleep', '2'])\n",
    "the application connects to a database at its start": "import sqlalchemy, os\n"
    "sqlalchemy.create_engine(os.environ['DATABASE_URL']).connect().close()\n",
    "the application has temporary files or directories, which the first fork would take away": "import atexit\n"
    "import shutil, tempfile\nPLACE = tempfile.mkdtemp()\natexit.register(shutil.rmtree, PLACE)\n",
    "Alembic is entered while a module is imported": "import alembic.command, alembic.config\n"
    "from alembic.config import Config\n"
    "try:\n    alembic.command.current(Config('migrations/alembic.ini'))\nexcept Exception:\n    pass\n",
}


@pytest.mark.parametrize("reason", NOT_HELD)
def test_where_a_fork_would_be_another_thing_plain_starts_are_made_and_the_reason_is_named(
    make: Make, reason: str
) -> None:
    project = make(SHOP[:2], app=NOT_HELD[reason] + APP)
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head", "--timings")
    assert done.code == 0, done.said
    assert f"Started anew for each run: {reason}." in done.out, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize("given", [True, False])
def test_a_squash_starts_the_application_twice_or_once_more_to_see_that_it_lacks_a_variable(
    make: Make, given: bool
) -> None:
    project = make(SHOP, app="print('started')\n" + APP)
    starts = project.temporary / "starts"
    project.temporary.mkdir(exist_ok=True)
    app = project.top / "app.py"
    app.write_text(app.read_text().replace("print('started')", f"open({str(starts)!r}, 'a').write('x')"))
    project.commit("count the starts")
    # One that shows that it does not start without the variable, and two with it.
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"} if given else {}
    done = project.tool("squash", "--rev", "head-2", "--timings")
    assert done.code == 0, done.said
    assert starts.read_text() == ("xx" if given else "xxx")
    assert re.search(rf"{len(starts.read_text())} starts of the application, \d+ forks", done.out), done.out
    starts.unlink()
    project.assert_nothing_left()


# What an application has for itself alone as long as it runs.
ALONE = {
    "a port": "import socket\nLISTENING = socket.create_server(('127.0.0.1', {port}))\n",
    "a port that a thread serves": "import http.server, threading\n"
    "SERVER = http.server.HTTPServer(('127.0.0.1', {port}), http.server.BaseHTTPRequestHandler)\n"
    "threading.Thread(target=SERVER.serve_forever, daemon=True).start()\n",
    "a file": "import fcntl\nFILE = open('{place}/alone', 'w')\nfcntl.flock(FILE, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
}


def test_a_program_of_the_projects_own_that_listens_on_a_port_runs_once_after_the_other(make_plain: MakePlain) -> None:
    """It takes Alembic's words, so each run is a start of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        listening = ALONE["a port"].format(port=free.getsockname()[1])
    project = make_plain(SHOP[:3])
    program = listening + "from alembic.config import CommandLine\n\nCommandLine().main()\n"
    project.write("own.py", program)
    project.commit("a program of its own")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1", "--command", "python own.py")
    assert done.code == 0 and "does not start beside itself" in done.said, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize("what", ALONE)
def test_an_application_that_does_not_start_beside_itself_is_started_one_after_the_other(
    make: Make, what: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    project = make(SHOP[:3], app=ALONE[what].format(port=port, place=tmp_path) + APP)
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1")
    assert done.code == 0, done.said
    assert re.search(
        r"does not start beside itself \(.*(in use|unavailable).*: one start after the other", done.said
    ), done.said
    project.assert_nothing_left()


# An application that upgrades its database at its start, and works with it there.
UPGRADES = (
    APP.replace("import Migrate", "import Migrate, stamp, upgrade")
    + """
with app.app_context():
    {how}
    db.session.execute(db.text("INSERT INTO plans (code) VALUES ('of the start')"))
    db.session.commit()
    KNOWN = db.session.execute(db.text("SELECT code FROM plans")).fetchall()  # in a transaction that nobody ends
"""
)
BY_MODELS = """if not db.inspect(db.engine).has_table("plans"):
        db.session.execute(db.text("CREATE TABLE plans (id serial PRIMARY KEY, code text)"))
        db.session.commit()
        stamp()"""


HOOKS = """
[post_write_hooks]
hooks = stamp
stamp.type = exec
stamp.executable = ./stamp.sh
stamp.options = REVISION_SCRIPT_FILENAME
"""


@pytest.mark.parametrize("how", ["upgrade()", BY_MODELS])
def test_an_application_that_upgrades_at_its_start_is_held_there(make: Make, how: str) -> None:
    project = make([*SHOP, Step("a role", sql=["CREATE ROLE shop_reader"])], app=UPGRADES.format(how=how))
    ini = project.top / "migrations/alembic.ini"
    ini.write_text(ini.read_text(encoding="utf-8") + HOOKS, encoding="utf-8")
    project.write("stamp.sh", "#!/bin/sh\necho '# by a hook' >> $1\n").chmod(0o755)
    project.commit("a hook")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-2", "--timings")
    assert done.code == 0, done.said
    assert "it was held there for each run" in " ".join(done.out.split()), done.said
    assert all("of the start" not in file.read_text(encoding="utf-8") for file in project.versions.glob("*.py"))
    assert project.base_text(project.ids[-3]).endswith("# by a hook\n") and "hooks did not run" not in done.err
    project.assert_nothing_left()
    verified = project.tool("verify")
    assert verified.code == 0, verified.said
    address = project.new_database("behind")
    with client.connect(address) as connection, connection.usual_path():
        connection.run(f"CREATE TABLE alembic_version AS SELECT '{project.ids[1]}'::varchar(32) AS version_num")
    caught_up = project.tool("catchup", "--url", address.url(), "--yes")
    assert caught_up.code == 1 and "start the application there as it was before the squash" in caught_up.err


MANAGE = """
from app import app
from flask.cli import FlaskGroup
from flask_migrate import upgrade

with app.app_context():
    upgrade()
if __name__ == "__main__":
    FlaskGroup(create_app=lambda: app)()
"""


def test_a_program_that_upgrades_where_nothing_is_imported_is_held_there(make: Make) -> None:
    project = make(SHOP[:4])
    project.write("manage.py", MANAGE)
    project.commit("a program")
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1", "--command", "python manage.py db")
    assert done.code == 0 and "it was held there for each run" in " ".join(done.out.split()), done.said
    project.assert_nothing_left()


# What an old revision leaves in the process that loads it, and what the start of the application has found out.
LEAVES = """
from alembic.operations import MigrateOperation, Operations


@Operations.register_operation("audit")
class Audit(MigrateOperation):
    @classmethod
    def audit(cls, operations, text):
        operations.execute("INSERT INTO audits VALUES ('%s')" % text)


def fill(table, connection, **named):
    connection.exec_driver_sql("INSERT INTO audits VALUES ('%s')" % table.name)


sa.event.listen(sa.Table, "after_create", fill)
"""
KNOWS = """
    from app import KNOWN
    op.execute("INSERT INTO audits VALUES ('the start knew %d')" % len(KNOWN))
    op.create_table("noted", sa.Column("id", sa.Integer()))
"""


@pytest.mark.parametrize("kept", ["CREATE TABLE kept (id integer)", ""])
def test_what_an_upgrade_at_the_start_leaves_in_its_process_is_in_no_run(make: Make, kept: str) -> None:
    start = UPGRADES.format(how="upgrade()").replace("with app.app_context", "KNOWN = []\nwith app.app_context")
    start = start.replace("    KNOWN =", "    KNOWN[:] =")
    steps = [Step("audits", sql=["CREATE TABLE audits (what text)"]), *SHOP[:3], Step("noted", KNOWS)]
    project = make(steps, app=start)
    file = next(project.versions.glob("*noted.py"))
    file.write_text(file.read_text(encoding="utf-8").replace("\n\ndef upgrade", LEAVES + "\n\ndef upgrade"))
    project.commit("an operation of one's own")
    project.add(Step("kept", "" if kept else "op.audit('kept')", sql=[kept] if kept else ()))
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1")
    if not kept:  # nobody has the operation any more
        assert done.code == 2 and "has no attribute 'audit'" in done.err, done.said
        project.assert_nothing_left()
        return
    assert done.code == 0, done.said
    address = project.new_database("made")
    project.db("current", database="made")  # its start upgrades it
    rows = [("noted",), ("orders",), ("plans",), ("the start knew 0",), ("users",)]
    assert query(address, "SELECT what FROM audits ORDER BY 1") == rows
    assert query(address, "SELECT code FROM plans ORDER BY 1") == [("free",), ("of the start",), ("paid",)]
    project.assert_nothing_left()


def test_what_remembers_the_database_of_the_start_does_not_get_there(make: Make) -> None:
    psql = "import os, subprocess\nfrom flask import current_app\nurl = {url}.replace('+psycopg2', '')\n"
    psql += "subprocess.run(['psql', '-X', url, '-c', 'CREATE TABLE {name} (id integer)'], check=True)"
    there = psql.format(url="os.environ['DATABASE_URL']", name="there")
    lost = psql.format(url="current_app.config['SQLALCHEMY_DATABASE_URI']", name="lost")
    project = make([*SHOP[:3], Step("there", there), Step("lost", lost)], app=UPGRADES.format(how="upgrade()"))
    project.put_psql_on_path()
    done = project.tool("squash", "--rev", "head", "--uri-var", VARIABLE)
    assert done.code == 2 and re.search(r"lost\.py:\d+\) failed", done.err), done.said
    project.assert_nothing_left()


def test_an_application_that_ignores_the_end_of_children_is_held_too(make: Make) -> None:
    project = make(SHOP[:3], app="import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + APP)
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-1", "--timings")
    assert done.code == 0 and "2 starts of the application" in done.out, done.said
    project.assert_nothing_left()


def test_init_and_with_it_autogenerate_are_not_for_an_application_that_connects_at_its_start(make: Make) -> None:
    project = make(SHOP, app=UPGRADES.format(how="upgrade()"))
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    done = project.tool("squash", "--rev", "head-2", "--source", "models")
    assert done.code == 1 and "connects to a database at its start, and `init` has none" in done.err, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()\n",
            "has threads",
        ),
        ("import psycopg2\nKEPT = psycopg2.connect('host=db.example dbname=shop')\n", "connects to a database"),
    ],
)
def test_one_that_upgrades_at_its_start_and_cannot_be_held_is_refused(make: Make, more: str, reason: str) -> None:
    project = make(SHOP, app=more + UPGRADES.format(how="upgrade()"))
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-2")
    assert done.code == 1, done.said
    assert f"cannot be: the application {reason}" in done.err, done.said
    assert "out of what the application does at its start" in done.err
    project.assert_nothing_left(head)


def test_what_is_held_gets_the_fence_before_a_port_that_it_was_seen_to_ask_for(make: Make) -> None:
    # The port is made by the code, where nobody can read it; a migration then goes there around the guard.
    with decoy() as live:
        made = f"' + str({live.server.port - 1} + 1) + '"
        url, plain = (repr(one).replace(str(live.server.port), made) for one in (live.url(), live.url("postgresql")))
        python = f"import psycopg2; psycopg2.connect({plain})"
        app = APP.replace('os.environ["DATABASE_URL"]', url)
        assert app != APP
        goes = Step("goes", f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {python!r}])")
        project = make([*SHOP[:2], goes], app=app)
        done = project.tool("squash", "--rev", "head", "--timings")
        assert done.code == 0, done.said
        assert "Fenced (Landlock)" in done.out and "2 starts of the application" in done.out, done.said
    project.assert_nothing_left()


def test_files_that_a_start_writes_are_closed(make: Make) -> None:
    said = reaches(make(SHOP), PYTHONWARNINGS="always::ResourceWarning")
    assert said.startswith("0 ") and "ResourceWarning" not in said, said


def test_a_port_that_only_a_migration_names_is_behind_the_fence(make: Make) -> None:
    with decoy() as live:
        words = ["psql", "-X", "-h", "127.0.0.1", "-p", str(live.server.port), "-d", "postgres", "-c", "SELECT 1"]
        project = make([*SHOP[:2], Step("goes", f"import subprocess; subprocess.run({words!r})")])
        project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
        project.put_psql_on_path()
        done = project.tool("squash", "--rev", "head")
        assert done.code == 0 and "Fenced (Landlock)" in done.out, done.said
        # One that insists ends the squash, in the program's own words.
        project.add(Step("insists", f"import subprocess; subprocess.run({words!r}, check=True)"))
        head = project.git("rev-parse", "HEAD")
        done = project.tool("squash", "--rev", "head")
        assert done.code == 2 and "It said: psql: error: " in done.err and "--uri-var NAME" in done.err, done.said
    project.assert_nothing_left(head)


@contextmanager
def listening(directory: Path) -> Iterator[list[str]]:
    """A Unix socket where libpq looks for a server's; who came, and nobody is answered."""
    came: list[str] = []
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(directory / ".s.PGSQL.5432"))
        there.listen()

        def take() -> None:
            while True:
                try:
                    connection, _ = there.accept()
                except OSError:
                    return
                came.append("somebody")
                connection.close()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield came
        there.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("held", [True, False])
def test_a_database_that_is_reached_by_a_unix_socket_is_behind_the_fence(make: Make, held: bool) -> None:
    with tempfile.TemporaryDirectory() as place, listening(Path(place)) as came:
        url = f"postgresql://u@/shop?host={place}"
        words = ["psql", "-X", url, "-c", "SELECT 1"]
        goes = f"import subprocess; subprocess.run({words!r})"
        thread = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        app = APP if held else thread + APP
        project = make([*SHOP[:2], Step("goes", goes)], app=app)
        project.environment = {VARIABLE: url}
        project.put_psql_on_path()
        done = project.tool("squash", "--rev", "head", "--timings")
        assert done.code == 0 and "Fenced (seccomp): no run could open a Unix socket" in done.out, done.said
        assert ("the application has threads" in done.out) is not held, done.said
        assert came == []
        project.run(words, check=False)
        assert came, "psql does not come there at all"
    project.assert_nothing_left()


PSQL = """
import subprocess
url = os.environ["DATABASE_URL"].replace("+psycopg2", "")
subprocess.run(["psql", "-X", "-q", url, "-c", "BEGIN READ WRITE; INSERT INTO people VALUES ('me'); COMMIT"])
"""


@pytest.mark.parametrize("what", ["init", "the application's own error"])
def test_also_init_and_what_asks_for_an_error_do_not_reach_a_real_database(make: Make, what: str) -> None:
    with decoy() as live:
        project = make(SHOP[:2], app=(APP if what == "init" else APP.replace("Migrate(app, db)", "")) + PSQL)
        project.environment = {VARIABLE: live.url()}
        project.put_psql_on_path()
        if what == "init":
            assert project.tool("checkout", "--rev", "head").code == 0
            assert project.tool("reinit", "--init").code == 0
            assert project.tool("abort").code == 0
        else:
            done = project.tool("squash", "--rev", "head")
            assert done.code == 2 and "is Migrate(app, db) called?" in done.err, done.said
    project.assert_nothing_left()


def test_an_interrupt_or_a_kill_of_the_tool_ends_what_is_held(make: Make) -> None:
    slow = Step("slow", "import time; op.execute('SELECT 1'); time.sleep(60)")
    project = make([*SHOP[:1], slow])
    project.environment = {VARIABLE: "postgresql+psycopg2://u:p@db.example/shop"}
    for number in ("INT", "KILL"):
        running = begin(project, "squash", "--rev", "head")
        until("the replay", lambda now=running: "the reference, and a second run" in now.said, running)  # type: ignore[misc]
        time.sleep(1.5)
        children = _descendants(running.process.pid)
        assert any("flask" in one for one in children.values()), children
        os.kill(running.process.pid, getattr(signal, f"SIG{number}"))
        running.process.wait()
        ended = time.monotonic() + 10
        while left := [pid for pid in children if Path(f"/proc/{pid}").exists() and "flask" in children[pid]]:
            assert time.monotonic() < ended, left
            time.sleep(0.05)
    assert project.tool("abort").code == 0
    project.assert_nothing_left()


def _descendants(pid: int) -> dict[int, str]:
    """Command lines of all processes below one, by their ids."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, str] = {}
    queue = [pid]
    while queue:
        at = queue.pop()
        for child, parent in parents.items():
            if parent == at:
                queue.append(child)
                try:
                    found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
    return found
