"""What a squash costs beside one plain replay: `invoke bench` prints the table of docs/bench.md, of projects made
for it, side by side in one run.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from tasklib import console
from tasklib.postgres import client
from tasklib.postgres import server as servers
from tasklib.postgres.server import Server
from tests.support.project import APP, BIN, VARIABLE, Project, Step, build, init_template, plain, plain_template

KEPT = 20  # migrations after R
HEAD = (
    "project", "migrations", "(a) one upgrade", "(b) squash", "(b) / (a)", "starts", "peak memory",
    "(c) new database: before", "after", "psql -f",
)  # fmt: skip


def history(count: int) -> Iterator[Step]:
    """A made history: tables with keys, columns, indexes, rows, types and foreign keys, one thing a migration."""
    for number in range(count):
        at, turn = number // 5, number % 5
        table = f"t{at}"
        if turn == 0:
            columns = ", ".join(f'sa.Column("c{n}", sa.String(length=80), nullable=True)' for n in range(6))
            yield Step(
                f"table {at}", f'op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True), {columns})'
            )
        elif turn == 1:
            yield Step(
                f"column {at}", f'op.add_column("{table}", sa.Column("total", sa.Numeric(10, 2), server_default="0"))'
            )
        elif turn == 2:
            yield Step(f"index {at}", f'op.create_index("ix_{table}_c1", "{table}", ["c1", "c2"])')
        elif turn == 3:
            rows = ", ".join(f"({n}, 'row {n}')" for n in range(1, 6))
            yield Step(f"rows {at}", sql=[f"INSERT INTO {table} (id, c0) VALUES {rows}"])
        else:
            yield Step(
                f"key {at}",
                f'op.add_column("{table}", sa.Column("up_id", sa.Integer(), sa.ForeignKey("t{max(at - 1, 0)}.id")))',
            )


def _median(runs: int, work: Callable[[], float]) -> float:
    return statistics.median(work() for _ in range(runs))


def _upgrade(project: Project, name: str) -> float:
    """Seconds of one upgrade of a new database with the chain that is in the tree."""
    project.new_database(name)
    started = time.monotonic()
    project.db("upgrade", "head", database=name)
    return time.monotonic() - started


def _psql(project: Project, server: Server, name: str) -> float:
    """Seconds of `psql -f` of the dump of a database, on a new one."""
    environment = {**client.clean_environment(), **project.address(name).environment()}
    dump = project.top.parent / "dump.sql"
    programs = server.binaries.bin
    subprocess.run([programs / "pg_dump", "-f", dump, name], env=environment, check=True)
    project.new_database("restored")
    started = time.monotonic()
    subprocess.run([programs / "psql", "-q", "-f", dump, "restored"], env=environment, check=True, capture_output=True)
    return time.monotonic() - started


def row(kind: str, count: int, runs: int, server: Server, directory: Path) -> tuple[str, ...]:
    """One row of the table: a project of this kind with so many migrations."""
    top = directory / f"{kind}-{count}"
    if kind == "Flask-Migrate":
        project: Project = build(top / "project", server, init_template(top / "init"), [], APP)
    else:
        project = plain(top / "project", server, plain_template(top / "init"), [])
    for step in history(count):
        project.add(step, commit=False)
    project.commit("a history")
    before = _median(runs, lambda: _upgrade(project, "bench"))
    project.environment = {VARIABLE: project.address("bench").url("postgresql+psycopg2")}
    head = project.git("rev-parse", "HEAD")
    seconds: list[float] = []
    said, memory = "", 0
    for _ in range(runs):
        project.git("reset", "--quiet", "--hard", head)
        started = time.monotonic()
        argv = [str(BIN / "alembic-squash"), "squash", "--rev", f"head-{KEPT}", "--timings"]
        process = subprocess.Popen(
            argv, cwd=project.top, env={**os.environ, **project.environment}, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        said = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, said
        memory = max(memory, used.ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        seconds.append(time.monotonic() - started)
    squash = statistics.median(seconds)
    starts = re.search(r"(\d+) starts?", said)
    project.environment = {}
    after = _median(runs, lambda: _upgrade(project, "bench"))
    restored = _median(runs, lambda: _psql(project, server, "bench"))
    return (
        kind, str(count), f"{before:.1f} s", f"{squash:.1f} s", f"{squash / before:.1f}",
        starts.group(1) if starts else "", f"{memory // 1024} MB", f"{before:.1f} s", f"{after:.1f} s",
        f"{restored:.1f} s",
    )  # fmt: skip


@task(help={"sizes": "Numbers of migrations, with commas between.", "runs": "Each figure is the median of so many."})
def bench(context: Context, sizes: str = "100,500,1000", runs: int = 5) -> None:
    """Measure a squash against a plain replay, on projects made for it (many minutes)."""
    del context
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server = servers.start(directory, owner_pid=os.getpid())
        try:
            console.say(f"| {' | '.join(HEAD)} |")
            console.say("|" + "---|" * len(HEAD))
            for count in (int(one) for one in sizes.split(",")):
                for kind in ("Flask-Migrate", "plain Alembic"):
                    console.say(f"| {' | '.join(row(kind, count, int(runs), server, Path(directory)))} |")
        finally:
            servers.stop(server.home)
