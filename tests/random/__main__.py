"""Histories by the thousand: `python -m tests.random 2000`; the seed is printed, and gives the same ones again."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tasklib.postgres import server as servers
from tests.random import grammar
from tests.random.hunt import Found, Hunt
from tests.random.trial import Trials


def main(words: Sequence[str]) -> int:
    """0 where every history was exact, 1 where one was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.random", description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=1000, help="how many histories")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--longest", type=int, default=25, help="operations in a history, at most")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument(
        "--letters", action="store_true", help="also show what prints differently and is known to be the same"
    )
    parser.add_argument("--show", action="append", default=[], choices=[*sorted(grammar.KNOWN), "all"],
                        help="a known kind of fault that the grammar would leave out")  # fmt: skip
    parser.add_argument("--each", type=int, default=1, help="how often failures that say the same are reduced")
    chosen = parser.parse_args(words)
    known = frozenset() if "all" in chosen.show else grammar.KNOWN - set(chosen.show)
    print(f"{chosen.number} histories, --seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="random-") as work:
        server = servers.start(work, owner_pid=os.getpid())
        try:
            laboratory = Trials(server, Path(work))
            until = time.monotonic() + chosen.minutes * 60
            hunt = Hunt(laboratory, known, chosen.longest, chosen.each, chosen.letters, show, count, until)
            try:
                hunt.go(chosen.number, chosen.seed)
            finally:
                print(hunt.report(), flush=True)
                laboratory.close()
        finally:
            servers.stop(server.home)
    return 1 if hunt.found else 0


def show(found: Found) -> None:
    """Print what was found at once: a night is long."""
    print(f"{found.shown()}\n", flush=True)


def count(runs: int) -> None:
    """Say now and then how many there were."""
    if runs % 100 == 0:
        print(f"{time.strftime('%H:%M')}  {runs} histories", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
