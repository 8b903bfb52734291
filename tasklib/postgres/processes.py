"""Which processes are a server's own, and whether one that was noted is still the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tasklib.postgres.binaries import ROOT, environment
from tasklib.shell import run

DATA = "data"  # the data directory in home; those of clusters of their own are called data-NAME
PROC = Path("/proc/self/stat")


def at_work(home: Path, data: str = "") -> dict[int, str]:
    """{pid: "initdb", "pg_ctl" or "postgres"} at work on home's data directories (on one of them), also those whose
    starter was killed.

    By the command line, never by postmaster.pid: after a crash or a reboot its number may be any process.
    """
    name = re.escape(data) if data else rf"{DATA}(?:-\w+)?"
    wanted = re.compile(rf"(?:.*/)?(initdb|pg_ctl|postgres) -D {re.escape(str(home.resolve()))}/{name}(?: |$)")
    return {pid: match[1] for pid, line in _command_lines() if (match := wanted.match(line))}


def _command_lines() -> Iterator[tuple[int, str]]:
    """(pid, command line) of every process that we may look at."""
    if not PROC.exists():  # macOS
        listed = run(["ps", "-axww", "-o", "pid=,args="], cwd=ROOT, env=environment()).stdout
        for pid, _, line in (row.strip().partition(" ") for row in listed.splitlines()):
            yield int(pid), line.strip()
        return
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes().replace(b"\0", b" "))


def started(pid: int) -> str | None:
    """When a process started, only good for comparing; None where it has ended."""
    if not PROC.exists():
        told = run(["ps", "-p", str(pid), "-o", "lstart="], cwd=ROOT, env=environment(), ok=None).stdout.strip()
        return told or None
    try:
        # proc(5): the name in parentheses may hold anything; then the state is field 3 and the start time field 22.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]  # a zombie has ended; only its parent has not asked yet
