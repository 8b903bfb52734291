"""SIGKILL at every point of every command: afterwards `status` is true, `abort` puts back byte for byte, and a squash
works. The points are the program's own: each change that it makes by git, each line in which it says what it does.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tasklib.squash import HISTORY
from tasklib.workbench.bench import TASKS
from tests.conftest import MakePlain
from tests.support import needs
from tests.support.project import BIN, VARIABLE, Done, Plain, Project, server_homes
from tests.support.world import TINY, world
from tests.unharmed.test_interruptions import PATIENCE, Running, processes
from tests.unharmed.test_interruptions import begin as start

pytestmark = needs.proc

BEGIN = ("checkout", "--rev", "head-1", "--uri-var", VARIABLE)
INIT = ("reinit", "--init")
DONE = (BEGIN, INIT, ("restore",), ("migrate",), ("verify",), ("cleanup",))
# What was typed before each command. One that is missing here fails below: a new command is killed too.
BEFORE: dict[str, tuple[tuple[str, ...], ...]] = {
    "plan": (),
    "checkout": (),
    "reinit": (BEGIN,),
    "restore": (BEGIN, INIT),
    "createdb": (BEGIN, INIT, ("restore",)),
    "replay": (BEGIN, INIT, ("restore",)),
    "migrate": (BEGIN, INIT, ("restore",)),
    "verify": (*DONE[:4], ("cleanup",)),
    "cleanup": (BEGIN, INIT, ("restore",), ("createdb",)),
    "merge": DONE,
    "squash": (),
    "status": DONE,
    "abort": DONE,
}
WORDS = {"checkout": BEGIN, "reinit": INIT, "squash": ("squash", *BEGIN[1:]), "plan": ("plan", *BEGIN[1:])}
# What changes refs, or index and work tree (an index of our own is no harm).
CHANGES = "checkout|update-index|checkout-index|commit|update-ref|symbolic-ref|merge|reset|config"
SHIM = f"""#!/bin/bash
words=("$@")
while [ "${{words[0]}}" = "-c" ]; do words=("${{words[@]:2}}"); done
if [[ -z "$GIT_INDEX_FILE" && "${{words[0]}}" =~ ^({CHANGES})$ && "$*" != *"symbolic-ref --quiet"* ]]; then
    echo "${{words[0]}}" >> "$KILL_LOG"
    if [ "$(wc -l < "$KILL_LOG")" = "$KILL_AT" ]; then
        case "$KILL_HOW" in
            before) kill -9 $PPID; exit 1 ;;
            after) REAL "$@"; kill -9 $PPID; exit 1 ;;
            git) REAL "$@" <&0 & git=$!; sleep "$KILL_AFTER"; kill -9 $git; wait $git; exit $? ;;
        esac
    fi
fi
exec REAL "$@"
"""


@dataclass
class Killing:
    """A project in the state before a command, as often as it is wanted."""

    original: Plain
    before: dict[str, tuple[int, str]]
    head: str
    shims: Path

    def fresh(self, name: str) -> Plain:
        top = self.original.top.parent / name / "project"
        shutil.copytree(self.original.top, top, symlinks=True)
        made = replace(self.original, top=top, environment=dict(self.original.environment))
        made.git("status")  # the index knows files by their inodes
        return made

    def run(self, project: Plain, words: Sequence[str], at: int = 0, how: str = "", after: float = 0.0) -> Done:
        log = project.top.parent / "log"
        log.write_text("")
        return project.run(
            [BIN / "alembic-squash", *words], check=False, KILL_LOG=str(log), KILL_AT=str(at), KILL_HOW=how,
            KILL_AFTER=f"{after:.4f}", PATH=f"{self.shims}{os.pathsep}{os.environ['PATH']}",
        )  # fmt: skip


@pytest.fixture
def killing(make_plain: MakePlain, tmp_path: Path) -> Iterator[Killing]:
    project = make_plain(TINY)
    project.write(".gitignore", "__pycache__/\n*.pyc\n*.local\n")
    project.write("settings.py", "DEBUG = False\n")
    project.commit("settings")
    project.git("update-index", "--assume-unchanged", "settings.py")
    project.write("settings.py", "DEBUG = True  # here only\n")
    project.write("migrations/versions/helper.local", "ignored\n")
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "git").write_text(SHIM.replace("REAL", shutil.which("git") or "git"))
    (shims / "git").chmod(0o755)
    made = Killing(project, world(project), project.git("rev-parse", "HEAD"), shims)
    yield made
    for pid in processes(project):
        os.kill(pid, signal.SIGKILL)


def words_of(command: str) -> tuple[str, ...]:
    return WORDS.get(command, (command,))


def assert_all_can_be_put_right(killing: Killing, project: Plain, what: str) -> None:
    """`status` says what is so, `abort` works, and then everything is as it was, or finished."""
    state = project.top / ".git/alembic-squash/plan.json"
    merged = project.git("rev-parse", "main") != killing.head
    status = project.tool("status")
    assert status.code == 0 and "Traceback" not in status.said, f"{what}: {status.said}"
    if not state.exists():
        assert "No squash is under way" in status.out, f"{what}: {status.said}"
        assert project.git("symbolic-ref", "--short", "HEAD") == "main", what
    elif merged:
        assert "is in main already" in status.out and "Next: alembic-squash merge" in status.out, (
            f"{what}: {status.out}"
        )
    else:
        assert "puts everything back" in status.out, f"{what}: {status.out}"
        done = json.loads(state.read_text())["done"]
        assert [line.split()[0] for line in status.out.splitlines() if line.endswith("  done")] == [
            one for one in TASKS if one in done
        ], what
    abort = project.tool("abort")
    assert abort.code == 0 and "Traceback" not in abort.said, f"{what}: {abort.said}"
    assert_is_back(killing, project, what, merged)


def assert_is_back(killing: Killing, project: Plain, what: str, merged: bool = False) -> None:
    if merged:
        assert project.git("rev-parse", "HEAD^") == killing.head, what
        project.git("reset", "--quiet", "--hard", killing.head)
        project.git("update-index", "--assume-unchanged", "settings.py")
        project.write("settings.py", "DEBUG = True  # here only\n")
    after = world(project)
    assert {name for name in after.keys() | killing.before.keys() if after.get(name) != killing.before.get(name)} == (
        set()
    ), what
    assert not (project.top / ".git/alembic-squash").exists(), what
    assert project.git("for-each-ref", "--format=%(refname)", "refs/heads").split() == ["refs/heads/main"], what
    assert server_homes(project) == [], what
    assert [path.name for path in project.temporary.iterdir()] == [], what
    until_end = time.monotonic() + PATIENCE
    while processes(project) and time.monotonic() < until_end:
        time.sleep(0.05)
    assert processes(project) == {}, what


def prepare(killing: Killing, command: str) -> None:
    for words in BEFORE[command]:
        done = killing.original.tool(*words)
        assert done.code == 0, f"{words}: {done.said}"


# What runs each time, at three points of each; all else is slow.
SHARE = {"checkout": ("after",), "reinit": ("git",), "merge": ("before",)}


def share(request: pytest.FixtureRequest, points: list[tuple[int, str]]) -> list[tuple[int, str]]:
    slow = request.node.get_closest_marker("slow") is not None
    return points if slow else points[:: -(-len(points) // 3)]


@pytest.mark.parametrize(
    ("command", "how"),
    [
        pytest.param(command, how, marks=[] if how in SHARE.get(command, ()) else [pytest.mark.slow])
        for command in TASKS
        for how in ("before", "after", "git")
    ],
)
def test_after_a_kill_at_a_change_by_git_everything_can_be_put_right(
    killing: Killing, command: str, how: str, request: pytest.FixtureRequest
) -> None:
    if command == "cleanup":
        pytest.skip("changes nothing by git; its server cannot be copied")
    prepare(killing, command)
    whole = killing.fresh("whole")
    done = killing.run(whole, words_of(command))
    assert done.code == 0, done.said
    points = (whole.top.parent / "log").read_text().split()
    if (whole.top / ".git/alembic-squash").exists():
        assert whole.tool("abort").code == 0
    chance = random.Random(5)
    for number, point in share(request, list(enumerate(points, 1))):
        project = killing.fresh(f"{number}")
        what = f"{command}, {how} change {number} of {len(points)}, git {point}"
        done = killing.run(project, words_of(command), number, how, chance.uniform(0, 0.01))
        assert "Traceback" not in done.said, f"{what}: {done.said}"
        if how != "git":
            assert done.code == -signal.SIGKILL, f"{what}: {done.said}"
        elif command == "squash" and done.code:
            assert_is_back(killing, project, what, project.git("rev-parse", "main") != killing.head)
        assert_all_can_be_put_right(killing, project, what)
        shutil.rmtree(project.top.parent)


VICTIMS = ("tool", "group", "server", "command")


@pytest.mark.parametrize(
    ("command", "victim"),
    [
        (command, victim)
        for command in ("squash", "createdb", "replay", "migrate", "verify", "cleanup", "merge")
        for victim in VICTIMS
    ],
)
@pytest.mark.slow
def test_after_a_kill_at_what_it_says_it_does_everything_can_be_put_right(
    killing: Killing, command: str, victim: str
) -> None:
    project = killing.original
    prepare(killing, command)
    running = start(project, *words_of(command), nap="0")
    assert running.done().code == 0, running.said
    said = [line for line in running.err.read_text().splitlines() if line.startswith("  … ") or " " not in line]
    assert project.tool("abort").code == 0
    project.git("reset", "--quiet", "--hard", killing.head)
    project.git("update-index", "--assume-unchanged", "settings.py")
    project.write("settings.py", "DEBUG = True  # here only\n")
    chance = random.Random(6)
    for number, line in enumerate(said or [""]):
        what = f"{command}, the {victim}, after {line!r}"
        prepare(killing, command)
        running = start(project, *words_of(command), nap="0")
        until_said(running, line, said[:number].count(line) + 1)
        time.sleep(chance.uniform(0, 0.5))
        kill(project, running, victim)
        code = running.process.wait(timeout=PATIENCE)
        assert "Traceback" not in running.said, f"{what}: {running.said}"
        merged = project.git("rev-parse", "main") != killing.head
        if command == "squash" and code not in (0, -signal.SIGKILL) and not merged:
            assert_is_back(killing, project, what)
        assert_all_can_be_put_right(killing, project, what)


def until_said(running: Running, line: str, times: int) -> None:
    end = time.monotonic() + PATIENCE
    while running.err.read_text().splitlines().count(line) < times and running.process.poll() is None:
        assert time.monotonic() < end, running.said
        time.sleep(0.01)


def kill(project: Project, running: Running, victim: str) -> None:
    """SIGKILL, to what is there of it now."""
    if running.process.poll() is not None:
        return
    if victim == "tool":
        running.process.kill()
    elif victim == "group":
        os.killpg(running.process.pid, signal.SIGKILL)
    else:
        mark = "postgres -D" if victim == "server" else f"{BIN}/alembic "
        for pid, line in processes(project).items():
            if mark in line:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


@pytest.mark.slow
@pytest.mark.parametrize("step", HISTORY[1:])
def test_a_squash_works_after_one_that_was_killed_in_the_step(killing: Killing, step: str) -> None:
    project = killing.original
    running = start(project, *words_of("squash"), nap="0")
    until_said(running, step, 1)
    time.sleep(random.Random(step).uniform(0, 1))
    running.process.kill()
    running.process.wait()
    assert project.tool("abort").code == 0
    if project.git("rev-parse", "main") == killing.head:
        done = project.tool(*words_of("squash"))
        assert done.code == 0, done.said
    assert_is_back(killing, project, step, merged=True)
