"""Real kills in the middle of a squash: what is put back at once, and what `abort` puts back afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tasklib.postgres import client
from tasklib.postgres import server as servers
from tests.conftest import SHOP, Make
from tests.support import needs
from tests.support.project import BIN, Project, Step, server_homes
from tests.unharmed.running import (
    NAMED,
    PATIENCE,
    assert_all_is_back,
    begin,
    command_lines,
    home,
    is_replaying,
    password,
    place,
    plan_path,
    processes,
    until,
)

pytestmark = needs.proc

# A migration that takes as many seconds as the environment says: long for the squash that is killed, none for others.
SLOW = Step("a slow one", 'import os\nop.execute("SELECT pg_sleep(" + os.environ.get("NAP", "0") + ")")')


@pytest.fixture
def slow(make: Make) -> Iterator[Project]:
    """The shop with a migration that can be made to sleep; no process of it outlives a test."""
    project = make([*SHOP[:3], SLOW, *SHOP[3:]])
    yield project
    for pid in processes(project):
        os.kill(pid, signal.SIGKILL)
    for one in server_homes(project):
        servers.stop(one)


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("Ctrl-C", "throwaway server"),
        ("SIGTERM", "named server"),
        pytest.param("SIGHUP", "throwaway server", marks=pytest.mark.slow),
        pytest.param("Ctrl-C", "named server", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_during_the_replay_puts_everything_back(slow: Project, how: str, where: str) -> None:
    head, databases = slow.git("rev-parse", "HEAD"), slow.databases()
    named = {} if where == "throwaway server" else {"INVOKE_SQUASH_SERVER": slow.server_url}
    running = begin(slow, **named)
    until("the replay", lambda: is_replaying(slow), running)
    secret = slow.server.password if named else password(home(slow))
    assert secret not in plan_path(slow).read_text()
    assert secret not in command_lines()
    if how == "Ctrl-C":  # the terminal sends it to everything that runs in the foreground
        os.killpg(running.process.pid, signal.SIGINT)
    else:
        running.process.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP)
    done = running.done()
    assert done.code == 130, done.said
    assert "interrupted; everything is as it was" in done.err
    assert secret not in done.said and "Traceback" not in done.said
    assert_all_is_back(slow, head, databases)


def test_an_impatient_second_interrupt_does_not_stop_the_putting_back(slow: Project) -> None:
    head, databases = slow.git("rev-parse", "HEAD"), slow.databases()
    running = begin(slow)
    until("the replay", lambda: is_replaying(slow), running)
    os.killpg(running.process.pid, signal.SIGINT)
    while plan_path(slow).exists():
        assert running.process.poll() is None or not plan_path(slow).exists(), running.said
        os.killpg(running.process.pid, signal.SIGINT)
        time.sleep(0.02)
    assert running.done().code == 130, running.said
    assert_all_is_back(slow, head, databases)


def test_a_second_interrupt_in_the_very_moment_of_the_first_is_none(tmp_path: Path) -> None:
    # The first lines of an `except`, stretched to seconds.
    code = (
        "import time\nfrom pathlib import Path\nfrom tasklib import interrupts, shell\n"
        "with interrupts.heard():\n  try:\n    print('begun', flush=True); shell.run(['sleep', '60'], cwd=Path('.'))\n"
        "  except KeyboardInterrupt:\n    print('first', flush=True); shell.run(['sleep', '2'], cwd=Path('.'))\n"
        "    print('put back', flush=True)\n"
    )
    out = tmp_path / "out"
    with out.open("w") as stdout:
        process = subprocess.Popen(
            [BIN / "python", "-c", code], stdout=stdout, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    until("the block", lambda: "begun" in out.read_text())
    process.send_signal(signal.SIGINT)
    until("the first interrupt", lambda: "first" in out.read_text())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    assert process.wait(timeout=PATIENCE) == 0
    assert out.read_text().split("\n") == ["begun", "first", "put back", ""]


def test_a_program_with_a_handler_of_its_own_is_not_interrupted_while_things_are_put_back(tmp_path: Path) -> None:
    # As git is: it handles the signal whatever it inherited, and its other threads write the lock that it removes.
    program = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "open('begun', 'w'); time.sleep(2); open('ended', 'w')\n"
    )
    code = (
        "import sys\nfrom pathlib import Path\nfrom tasklib import interrupts, shell\n"
        "with interrupts.heard(), interrupts.uninterrupted():\n"
        f"  shell.run([sys.executable, '-c', {program!r}], cwd=Path('.'))\n"
    )
    process = subprocess.Popen([BIN / "python", "-c", code], cwd=tmp_path, start_new_session=True)
    until("the program", lambda: (tmp_path / "begun").exists())
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 0
    assert (tmp_path / "ended").exists()


def test_after_a_kill_status_says_where_it_stands_and_abort_puts_everything_back(slow: Project) -> None:
    head, databases = slow.git("rev-parse", "HEAD"), slow.databases()
    running = begin(slow)
    until("the replay", lambda: is_replaying(slow), running)
    running.process.kill()
    running.process.wait()
    assert processes(slow) != {}
    status = slow.tool("status")
    assert status.code == 0, status.said
    assert f"Squash of 5 migrations into {slow.ids[4]}, for the branch main" in status.out
    assert f"on squash-{slow.ids[4]}" in status.out
    done = [line.split()[0] for line in status.out.splitlines() if line.endswith("  done")]
    assert done == ["checkout", "reinit", "restore", "createdb"]
    assert "Next: alembic-squash migrate" in status.out and "alembic-squash abort puts everything back" in status.out
    refused = slow.tool("squash", "--rev", "head-2", *NAMED)
    assert refused.code == 1 and "already under way" in refused.err and "alembic-squash abort" in refused.err
    abort = slow.tool("abort")
    assert abort.code == 0, abort.said
    assert "Everything is as it was; on main." in abort.out
    assert_all_is_back(slow, head, databases)
    assert slow.tool("abort").out.startswith("No squash is under way")


def test_after_a_kill_on_a_named_server_abort_asks_for_its_password_and_drops_the_databases(slow: Project) -> None:
    head, databases = slow.git("rev-parse", "HEAD"), slow.databases()
    running = begin(slow, INVOKE_SQUASH_SERVER=slow.server_url)
    until("the replay", lambda: is_replaying(slow), running)
    running.process.kill()
    running.process.wait()
    assert slow.databases() > databases
    first = slow.tool("abort", HOME="/nonexistent")
    assert first.code == 2, first.said
    assert "alembic_squash_" in first.err and "abort --server URL" in first.err
    assert plan_path(slow).exists() and slow.databases() > databases
    second = slow.tool("abort", "--server", slow.server_url)
    assert second.code == 0, second.said
    assert slow.server.password not in first.said + second.said
    assert_all_is_back(slow, head, databases)


@pytest.mark.slow
def test_an_interrupted_step_by_hand_leaves_no_process_at_work_and_can_be_taken_up_again(slow: Project) -> None:
    head, databases = slow.git("rev-parse", "HEAD"), slow.databases()
    for words in (("checkout", "--rev", "head-2", *NAMED), ("reinit",), ("restore",)):
        assert slow.tool(*words).code == 0
    running = begin(slow, "replay")
    until("the replay", lambda: is_replaying(slow), running)
    running.process.send_signal(signal.SIGTERM)
    done = running.done()
    assert done.code == 130 and "interrupted; alembic-squash status" in done.err, done.said
    assert "Traceback" not in done.said
    until("only the server is left", lambda: all("postgres" in line for line in processes(slow).values()))
    assert slow.tool("replay").code == 0
    assert slow.tool("abort").code == 0
    assert_all_is_back(slow, head, databases)


@pytest.mark.slow
def test_after_a_kill_one_can_go_on_by_hand_although_the_server_was_swept_meanwhile(slow: Project) -> None:
    databases = slow.databases()
    running = begin(slow)
    until("the replay", lambda: is_replaying(slow), running)
    running.process.kill()
    running.process.wait()
    old = home(slow)
    # What the next squash on this machine does, in whatever repository.
    until("the sweep", lambda: servers.sweep() or not old.exists())
    assert not old.exists()
    for step in ("migrate", "cleanup", "merge"):
        done = slow.tool(step)
        assert done.code == 0, f"{step}: {done.said}"
    assert_all_is_back(slow, slow.git("rev-parse", "HEAD"), databases)
    assert sorted(p.name[:12] for p in slow.versions.glob("*.py")) == slow.ids[4:]


@pytest.mark.slow
def test_a_server_whose_plan_was_removed_by_hand_is_swept_by_the_next_squash(slow: Project) -> None:
    databases = slow.databases()
    running = begin(slow)
    until("the replay", lambda: is_replaying(slow), running)
    running.process.kill()
    running.process.wait()
    stale, work = home(slow), Path((place(slow) or {})["work"])
    shutil.rmtree(plan_path(slow).parent)
    slow.git("checkout", "--quiet", "--force", "main")
    slow.git("branch", "--quiet", "-D", f"squash-{slow.ids[4]}")
    done = slow.tool("squash", "--rev", "head-2", *NAMED)
    assert done.code == 0, done.said
    assert not stale.exists() and not work.exists()
    assert_all_is_back(slow, slow.git("rev-parse", "HEAD"), databases)


def test_a_failure_in_the_middle_leaves_no_server(make: Make) -> None:
    project = make([*SHOP, Step("a column too many", sql=["ALTER TABLE users DROP COLUMN no_such_column"])])
    head, databases = project.git("rev-parse", "HEAD"), project.databases()
    done = project.tool("squash", "--rev", "head-2", *NAMED)
    assert done.code == 2, done.said
    assert "everything was put back" in done.err
    assert f"the migration {project.ids[6]}" in done.err
    assert_all_is_back(project, head, databases)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["throwaway server", "named server"])
def test_a_second_squash_is_refused_and_no_password_shows_while_the_first_one_runs(slow: Project, where: str) -> None:
    databases = slow.databases()
    named = {} if where == "throwaway server" else {"INVOKE_SQUASH_SERVER": slow.server_url}
    running = begin(slow, nap="5", **named)
    until("the replay", lambda: is_replaying(slow), running)
    before, at = plan_path(slow).read_text(), slow.git("rev-parse", "HEAD")
    second = slow.tool("squash", "--rev", "head-1", *NAMED)
    assert second.code == 1 and "already under way" in second.err, second.said
    assert plan_path(slow).read_text() == before and slow.git("rev-parse", "HEAD") == at
    secret = slow.server.password if named else password(home(slow))
    looks = 0
    while running.process.poll() is None:
        assert secret not in command_lines()
        for directory, _, names in os.walk(plan_path(slow).parent):  # which may go meanwhile
            for name in names:
                with suppress(FileNotFoundError):
                    assert secret not in Path(directory, name).read_text()
        looks += 1
    done = running.done()
    assert done.code == 0, done.said
    assert looks > 20
    assert secret not in done.said
    assert secret not in slow.git("log", "-1", "-p", "--format=%B")
    with client.connect(slow.address()) as connection, connection.usual_path():
        assert connection.value("SELECT 1") == 1
    assert_all_is_back(slow, slow.git("rev-parse", "HEAD"), databases)
