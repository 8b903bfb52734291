"""Squashes the histories in another tool's test suite, and prints a table: a row a file.

    python -m tests.suites.run regress /path/to/postgresql-15.18
    python -m tests.suites.run pg-schema-diff /path/to/clone --only partition --keep /tmp/failing

It fetches nothing: the path is that of a clone or source tree. Each case is replayed on a throwaway server, statements
that fail are left out, and what the rest makes is squashed as `tests.laboratory` does. The exit code is 1 where a case
did not come out exact.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue

from tasklib import interrupts
from tasklib.errors import BUG, SquashError
from tasklib.postgres import server
from tasklib.postgres.server import Server
from tests.suites import table, trial
from tests.suites.case import Case
from tests.suites.collected import SUITES
from tests.suites.trial import Row

TOKEN = "5u17e000"


def main(words: Sequence[str] | None = None) -> int:
    given = options().parse_args(words)
    # Tests share their schemas: a history is squashed once, as the first that has it.
    unique = {case.pieces: case for case in reversed([*SUITES[given.suite](given.top)]) if case.pieces}
    cases = [case for case in reversed(unique.values()) if given.only in case.shown]
    with interrupts.heard():
        return run(cases, given.jobs, given.seconds, given.keep, markdown=given.markdown)


def run(cases: Sequence[Case], jobs: int, seconds: int, keep: Path | None, *, markdown: bool) -> int:
    """Try the cases and print the table; a line on standard error for each as it ends."""
    rows: list[Row] = []
    started = time.monotonic()
    for row in results(cases, jobs, seconds):
        rows.append(row)
        wrong = row.code != 0 or row.dump not in ("", trial.EXACT)
        if keep and wrong:
            trial.kept_on_disk(row, keep)
        print(f"{len(rows)}/{len(cases)} {table.line(row)}", file=sys.stderr, flush=True)
    print(table.markdown(rows) if markdown else table.plain(rows))
    print(f"{table.total(rows)}; {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 1 if any(row.code for row in rows) else 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("top", type=Path, help="the clone or source tree")
    parser.add_argument("--only", default="", metavar="NAME", help="cases whose file or name holds this")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write history, base and error of what failed there")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time, each with a server of its own")
    parser.add_argument("--seconds", type=int, default=180, help="a case that takes longer is stuck")
    return parser


def results(cases: Sequence[Case], jobs: int, seconds: int) -> Iterator[Row]:
    """The rows in the order of the cases."""
    with tempfile.TemporaryDirectory(prefix="alembic-squash-suites-") as directory:
        servers: Queue[Server] = Queue()
        made: list[Server] = []
        try:
            for _ in range(jobs):
                made.append(server.start(directory, owner_pid=os.getpid()))
                servers.put(made[-1])

            def tried(case: Case) -> Row:
                mine = servers.get()
                try:
                    return apart(case, mine, Path(directory) / str(mine.port), seconds)
                except (SquashError, OSError) as error:  # what an earlier case left cannot be taken away
                    return Row(case, (), code=BUG, said=f"{type(error).__name__}: {error}")
                finally:
                    servers.put(mine)

            with ThreadPoolExecutor(jobs) as pool:
                yield from pool.map(tried, cases)
        finally:
            for one in made:
                server.stop(one.home)


def apart(case: Case, mine: Server, work: Path, seconds: int) -> Row:
    """The case in a process of its own, which is ended where it is stuck."""
    trial.sweep(mine, TOKEN)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    # Data files of many rows are made only where git would take them.
    subprocess.run(["git", "init", "--quiet", str(work)], check=True)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_tried, args=(case, mine, work, there))
    process.start()
    there.close()
    try:
        if here.poll(seconds):
            row = here.recv()
            assert isinstance(row, Row)
            return row
        return Row(case, (), code=BUG, said=f"stuck: more than {seconds} seconds")
    except EOFError:
        return Row(case, (), code=BUG, said="the process died")
    finally:
        process.kill()
        process.join()
        here.close()


def _tried(case: Case, mine: Server, work: Path, to: Connection) -> None:
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):  # the program's own progress
        to.send(trial.tried(case, mine, work, TOKEN))


if __name__ == "__main__":
    sys.exit(main())
