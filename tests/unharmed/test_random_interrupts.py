"""Signals at random moments: hundreds over the steps that only git sees, tens over whole squashes; the world is as it
was each time. Seeds are fixed, so the moments are about the same ones in each run.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.conftest import MakePlain
from tests.support import needs
from tests.support.project import BIN, VARIABLE, Plain
from tests.support.world import TINY, world
from tests.unharmed.running import PATIENCE, assert_all_is_back, begin, plan_path, processes

pytestmark = needs.proc

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Begins and gives up squashes until it is interrupted, and says when everything should be back.
LOOP = f"""
from pathlib import Path
from tasklib import interrupts
from tasklib.proof import squash_branch
from tasklib.settings import Settings
from tasklib.steps import checkout, reinit, restore

chosen = Settings(rev="head-1", set=(("{VARIABLE}", "{{url}}"),))
while True:
    print("go", flush=True)
    try:
        with interrupts.heard():
            while True:
                bench = checkout.run(Path.cwd(), chosen, None)
                try:
                    reinit.run(bench, init=True)
                    restore.run(bench)
                    bench.write_base("a draft")
                    bench.tree()
                finally:
                    with interrupts.uninterrupted():
                        trouble = squash_branch.put_back(bench)
                    assert not trouble, trouble
    except KeyboardInterrupt:
        pass
    print("back", flush=True)
"""


@pytest.fixture
def tiny(make_plain: MakePlain) -> Iterator[Plain]:
    project = make_plain(TINY)
    yield project
    for pid in processes(project):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("seed", "rounds"), [(1, 20), pytest.param(2, 500, marks=pytest.mark.slow)])
def test_a_signal_at_a_random_moment_between_git_and_us_is_never_lost_and_all_is_put_back(
    tiny: Plain, seed: int, rounds: int
) -> None:
    chance, before = random.Random(seed), world(tiny)
    tiny.temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [BIN / "python", "-c", LOOP], cwd=tiny.top, env={**os.environ, "TMPDIR": str(tiny.temporary)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS],
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    try:
        for number in range(rounds):
            assert says(process, "go"), process.stderr.read()
            time.sleep(chance.uniform(0, 1.2))
            for _ in range(chance.choice((1, 1, 1, 2, 5))):
                os.killpg(process.pid, chance.choice(SIGNALS))
            assert says(process, "back"), f"round {number}: {process.stderr.read()!r}"
            assert world(tiny) == before, f"round {number}"
            assert not (tiny.top / ".git/alembic-squash").exists()
            assert [path.name for path in tiny.temporary.iterdir()] == []
    finally:
        process.kill()
        process.wait()


def says(process: subprocess.Popen[bytes], word: str) -> bool:
    """Whether the next line is this one; False where it does not come, as in a deadlock."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    return bool(ready) and process.stdout.readline().strip() == word.encode()


@pytest.mark.parametrize(("seed", "rounds"), [(3, 1), pytest.param(4, 40, marks=pytest.mark.slow)])
def test_a_signal_at_a_random_moment_of_a_squash_leaves_the_world_as_it_was_or_as_it_should_be(
    tiny: Plain, seed: int, rounds: int
) -> None:
    chance, before, head = random.Random(seed), world(tiny), tiny.git("rev-parse", "HEAD")
    databases, took = tiny.databases(), 20.0
    for number in range(rounds):
        running = begin(tiny, "squash", "--rev", "head-1", "--uri-var", VARIABLE)
        started = time.monotonic()
        wait = chance.uniform(0.5, took)
        while running.process.poll() is None and time.monotonic() < started + wait:
            time.sleep(0.01)
        for _ in range(chance.choice((1, 1, 2))):
            if running.process.poll() is None:
                os.killpg(running.process.pid, chance.choice(SIGNALS))
        done = running.done()
        assert "Traceback" not in done.said, f"round {number}: {done.said}"
        if tiny.git("rev-parse", "main") != head:
            took = min(took, time.monotonic() - started)
            # One that comes when the last line has been said is nobody's any more.
            late = done.code < 0 and " are one base migration, " in done.out
            assert done.code == 0 or late or "after the squash was finished" in done.err, done.said
            tiny.assert_nothing_left()
            tiny.git("reset", "--quiet", "--hard", head)
        elif done.code != 130:
            # Before the program had begun to listen: the signal's own end.
            assert wait < 5 and "checkout" not in done.err, f"round {number}: {done.code} {done.said}"
        assert world(tiny) == before, f"round {number}"
        assert_all_is_back(tiny, head, databases)


@pytest.mark.parametrize(
    "lines", [3, pytest.param(15, marks=pytest.mark.slow), pytest.param(28, marks=pytest.mark.slow)]
)
def test_when_nobody_reads_on_everything_is_put_back(tiny: Plain, lines: int) -> None:
    before, head, databases = world(tiny), tiny.git("rev-parse", "HEAD"), tiny.databases()
    command = f"{BIN}/alembic-squash squash --rev head-1 --uri-var {VARIABLE} 2>&1 | head -{lines}"
    done = tiny.run(["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"], check=False)
    assert done.out.rstrip().endswith("141") and "Traceback" not in done.said, done.said
    assert world(tiny) == before
    assert_all_is_back(tiny, head, databases)


def test_ctrl_c_while_tee_reads_puts_everything_back(tiny: Plain) -> None:
    before, head, databases = world(tiny), tiny.git("rev-parse", "HEAD"), tiny.databases()
    tiny.temporary.mkdir(exist_ok=True)
    log = tiny.top.parent / "log"
    command = f"{BIN}/alembic-squash squash --rev head-1 --uri-var {VARIABLE} 2>&1 | tee {log}"
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=tiny.top, env={**os.environ, "TMPDIR": str(tiny.temporary)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in SIGNALS],
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while not (log.exists() and "createdb" in log.read_text()):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=PATIENCE)
    end = time.monotonic() + PATIENCE
    while plan_path(tiny).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert world(tiny) == before
    assert_all_is_back(tiny, head, databases)


def test_a_terminal_that_is_closed_is_an_interrupt(tiny: Plain) -> None:
    """The squash runs at a terminal of its own; whoever looks at it goes away in the middle."""
    before, head, databases = world(tiny), tiny.git("rev-parse", "HEAD"), tiny.databases()
    tiny.temporary.mkdir(exist_ok=True)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", str(BIN / "alembic-squash"), "squash", "--rev", "head-1", "--uri-var", VARIABLE],
        cwd=tiny.top, env={**os.environ, "TMPDIR": str(tiny.temporary)}, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"createdb" not in seen:
        ready, _, _ = select.select([ours], [], [], PATIENCE)
        assert ready, seen
        seen += os.read(ours, 4096)
    os.close(ours)
    process.wait(timeout=PATIENCE)
    end = time.monotonic() + PATIENCE
    while plan_path(tiny).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert world(tiny) == before
    assert_all_is_back(tiny, head, databases)
