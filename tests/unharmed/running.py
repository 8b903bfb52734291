"""A squash at work in a session of its own, and what there is of it: its plan, its server, its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasklib import interrupts
from tasklib.errors import SquashError
from tasklib.postgres.client import Address
from tests.support.project import BIN, VARIABLE, Done, Project, _clean_environment, query, server_homes

LONG = "300"
NAMED = ("--uri-var", VARIABLE)
PATIENCE = 60.0


@dataclass
class Running:
    """A squash at work, with its streams in files: a pipe would wait for orphans too."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def done(self) -> Done:
        code = self.process.wait(timeout=PATIENCE)
        return Done(code, self.out.read_text(), self.err.read_text())


def begin(project: Project, *words: str, nap: str = LONG, **variables: str) -> Running:
    """Start a squash (or the step that ``words`` say) in a session of its own, as a terminal does; its migrations sleep
    for ``nap`` seconds.
    """
    project.temporary.mkdir(exist_ok=True)
    out, err = (project.top.parent / f"{project.top.name}-{name}" for name in ("out", "err"))
    environment = {**_clean_environment(), "TMPDIR": str(project.temporary), "NAP": nap, **variables}
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            [str(BIN / "alembic-squash"), *(words or ("squash", "--rev", "head-2", *NAMED))], cwd=project.top,
            env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
            # A shell ignores Ctrl-C in what it runs in the background, nohup SIGHUP, and these tests may be.
            preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in interrupts.SIGNALS],
        )  # fmt: skip
    return Running(process, out, err)


def until(what: str, question: Callable[[], Any], running: Running | None = None) -> Any:
    """The first true answer; a failure with the name of what was waited for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := question():
            return answer
        assert running is None or running.process.poll() is None, f"it ended before {what}: {running.said}"
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {PATIENCE} s{f': {running.said}' if running else ''}")


def plan_path(project: Project) -> Path:
    return project.top / ".git" / "alembic-squash" / "plan.json"


def place(project: Project) -> dict[str, Any] | None:
    """Where the scratch databases are, as the plan says."""
    if not plan_path(project).exists():
        return None
    found: dict[str, Any] | None = json.loads(plan_path(project).read_text())["place"]
    return found


def home(project: Project) -> Path:
    found = place(project)
    assert found is not None and found["server"], "there is no throwaway server"
    return Path(found["server"])


def password(home: Path) -> str:
    return (home / "password").read_text().strip()


def address(project: Project) -> Address | None:
    """The server that a squash in this repository works on now."""
    found = place(project)
    if found is None:
        return None
    if found["server"] is None:
        return project.address()
    return Address(found["host"], found["port"], found["user"], password(Path(found["server"])))


def is_replaying(project: Project) -> bool:
    """Whether the slow migration runs, in both of the replays."""
    at = address(project)
    mine = (place(project) or {}).get("token")
    if at is None:
        return False
    asleep = (
        f"SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'"
        f" AND state = 'active' AND datname LIKE 'alembic_squash_{mine}_%'"
    )
    try:
        return query(at, asleep) == [(True,)]
    except SquashError:
        return False


def processes(project: Project) -> dict[int, str]:
    """Processes that work for this project: by their TMPDIR, which all inherit, or in its server's home."""
    marks = (f"TMPDIR={project.temporary}\0".encode(), *(os.fsencode(one) for one in server_homes(project)))
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if line and any(mark in environment or mark in line for mark in marks):
            found[int(entry.name)] = os.fsdecode(line.replace(b"\0", b" "))
    return found


def command_lines() -> str:
    """The arguments of every process on this machine."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            lines.append(os.fsdecode((entry / "cmdline").read_bytes()))
        except OSError:
            continue
    return "\n".join(lines)


def assert_all_is_back(project: Project, head: str, databases: set[str]) -> None:
    project.assert_nothing_left(head)
    assert project.git("symbolic-ref", "--short", "HEAD") == "main"
    assert server_homes(project) == []
    assert project.databases() == databases
    until("no process is left", lambda: not processes(project))
