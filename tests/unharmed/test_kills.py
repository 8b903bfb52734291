"""SIGKILL at every point of every command: afterwards `status` is true, `abort` puts back byte for byte, the command
works when it is typed again, and nothing is left. The points are the program's own: each change that it makes by git,
each line in which it says what it does. `KILLS=2 pytest -m slow …` takes two points of each row.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasklib import ns
from tasklib.postgres.server import Server
from tasklib.steps.order import HISTORY
from tasklib.workbench.bench import TASKS
from tests.support import needs
from tests.support.project import Plain, plain
from tests.support.world import TINY
from tests.unharmed.killing import (
    CASES,
    COMMANDS,
    Killing,
    assert_abort_puts_back,
    assert_is_back,
    assert_it_works_again,
    assert_status_is_true,
    is_finished,
    kill,
    until_said,
)
from tests.unharmed.running import PATIENCE, begin, processes, until

pytestmark = needs.proc

BY_GIT = ("before", "after", "git")  # git kills the tool before a change of its own or after it; git itself is killed
VICTIMS = ("tool", "group", "server", "command")  # killed soon after a line
# What runs each time, and at how many points of each; all else is slow.
SHARE = {("checkout", "after"): 3, ("reinit", "git"): 3, ("merge", "before"): 3}


def rows() -> Iterator[object]:
    for command in COMMANDS:
        case = CASES.get(command)
        by_git = () if case is not None and case.reads else BY_GIT
        for how in (*by_git, *(VICTIMS if case is None or case.works else VICTIMS[:1])):
            yield pytest.param(command, how, marks=[] if (command, how) in SHARE else [pytest.mark.slow])


@pytest.fixture(scope="module")
def killings(
    server: Server, plain_templates: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Killing]:
    """A command's project and its points; made once for all that is killed of it."""
    made: dict[str, Killing] = {}

    def of(command: str) -> Killing:
        if command not in made:
            top = tmp_path_factory.mktemp("killed") / "project"
            made[command] = Killing.of(command, plain(top, server, plain_templates("generic"), TINY))
        return made[command]

    return of


@contextmanager
def copy(killing: Killing, name: str) -> Iterator[Plain]:
    """A project for one kill, whose processes do not outlive it."""
    project = killing.fresh(name)
    try:
        yield project
    finally:
        for pid in processes(project):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(project.top.parent, ignore_errors=True)


def test_every_command_is_killed() -> None:
    # `demo` works in a directory that it makes, on a server of its own.
    assert {*ns.task_names} - {"demo"} == {*TASKS} == {name for name in CASES if "," not in name}


@pytest.mark.parametrize(("command", "how"), list(rows()))
def test_after_a_kill_everything_can_be_put_right(command: str, how: str, killings: Callable[[str], Killing]) -> None:
    killing = killings(command)
    assert not killing.changes or not killing.case.reads
    points = [*enumerate(killing.changes if how in BY_GIT else killing.lines)]
    assert points
    wanted = int(os.environ.get("KILLS", SHARE.get((command, how), len(points))))
    for number, point in points[:: max(1, -(-len(points) // wanted))]:
        what = f"{command}, {how}, {number + 1} of {len(points)}: {point}"
        with copy(killing, f"{how}-{number}") as project:
            code = by_git(killing, project, how, number) if how in BY_GIT else by_us(killing, project, how, number)
            if command == "squash" and how in ("git", "server", "command") and code:
                assert_is_back(killing, project, what)  # it has put everything back by itself
            assert_status_is_true(killing, project, what)
            if killing.case.keeps and number % 2 == (how in ("before", "group", "command")):
                assert_it_works_again(killing, project, what)
            assert_abort_puts_back(killing, project, what)
            if not killing.case.keeps:  # what it left on a server, the next one sweeps
                assert_it_works_again(killing, project, what)
            assert_is_back(killing, project, what)


def by_git(killing: Killing, project: Plain, how: str, number: int) -> int:
    """The command's exit code, where git kills it, or is killed, at one of its changes."""
    done = killing.shimmed(project, number + 1, how, random.Random(number).uniform(0, 0.01))
    assert "Traceback" not in done.said, done.said
    assert how == "git" or done.code == -signal.SIGKILL, done.said
    return done.code


def by_us(killing: Killing, project: Plain, victim: str, number: int) -> int:
    """The same where the victim is killed soon after a line."""
    lines, running = killing.lines, killing.running(project)
    if lines[number]:
        until_said(running, lines[number], lines[: number + 1].count(lines[number]))
    time.sleep(random.Random(f"{victim}{number}").uniform(0, 0.5))
    kill(project, running, victim)
    code = running.process.wait(timeout=PATIENCE)
    assert "Traceback" not in running.said, running.said
    return code


@pytest.mark.slow
@pytest.mark.parametrize("step", HISTORY[1:])
def test_a_squash_works_after_one_that_was_killed_in_the_step(step: str, killings: Callable[[str], Killing]) -> None:
    killing = killings("squash")
    with copy(killing, step) as project:
        running = killing.running(project)
        until_said(running, step, 1)
        time.sleep(random.Random(step).uniform(0, 1))
        running.process.kill()
        running.process.wait()
        assert_abort_puts_back(killing, project, step)
        if not is_finished(killing, project):
            done = project.tool(*killing.words)
            assert done.code == 0, done.said
        assert_is_back(killing, project, step)


@pytest.mark.slow
def test_what_a_killed_command_left_on_a_named_server_is_dropped_by_the_next(
    killings: Callable[[str], Killing],
) -> None:
    killing = killings("catchup")
    with copy(killing, "named") as project:
        server = ("--server", project.server_url)
        before = project.databases()
        running = begin(project, *killing.words, *server, nap="0")
        until("databases", lambda: list(project.temporary.glob("*/place.json")), running)
        until_said(running, killing.lines[1], 1)
        running.process.kill()
        running.process.wait()
        assert project.databases() > before
        secret = project.server.password
        left = [path for path in project.temporary.rglob("*") if path.is_file() and secret in path.read_text("latin-1")]
        assert left == []
        done = project.tool(*killing.words, *server)
        assert done.code == 0, done.said
        assert project.databases() == before
        assert_is_back(killing, project, "on a named server")
