"""Many histories, one after the other; each kind of failure once, with the fewest statements that show it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tasklib.postgres import client
from tests.random import grammar, trial
from tests.random.trial import Failure, Trials
from tests.random.world import World


@dataclass(frozen=True)
class Found:
    """A failure, and the statements that show it."""

    failure: Failure
    statements: tuple[str, ...]

    def shown(self) -> str:
        listed = "\n".join(f"  {json.dumps(one, ensure_ascii=False)}," for one in self.statements)
        evidence = "\n".join(self.failure.evidence.splitlines()[:40])
        return f"{self.failure.kind}:\n{evidence}\n[\n{listed}\n]"


@dataclass
class Hunt:
    """What was run, and what was found. Failures that say the same are reduced ``each`` times at most."""

    laboratory: Trials
    known: frozenset[str] = grammar.KNOWN
    longest: int = 25
    each: int = 1
    letters: bool = False
    on_found: Callable[[Found], None] = lambda found: None
    on_run: Callable[[int], None] = lambda runs: None
    until: float = float("inf")
    runs: int = 0
    statements: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    _signs: Counter[str] = field(default_factory=Counter)

    def go(self, number: int, start: int) -> None:
        """Run this many histories, from this seed."""
        trial.prepare(self.laboratory)

        @seed(start)
        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            # A database is slow to shrink with: the statements are reduced instead (`trial.reduced`).
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        # One seed a history: single draws are for shrinking, and most of them would be the first choice again.
        @given(st.randoms(use_true_random=True))
        def run(random: Random) -> None:
            if time.monotonic() < self.until:
                self.one(random)

        run()

    def one(self, random: Random) -> None:
        """One history."""
        trial.empty_reference(self.laboratory)
        with client.connect(self.laboratory.bench.address("reference")) as connection, connection.usual_path():
            trial.limit(connection)
            world = World(connection, random, self.known)
            grammar.grow(world, self.longest)
        self.runs += 1
        self.statements += len(world.history)
        failure = trial.failure(self.laboratory, world.history)
        self.kinds[failure.kind if failure else "exact"] += 1
        self.on_run(self.runs)
        if failure is None:
            return
        self._signs[failure.sign] += 1
        if failure.kind in trial.SOFT and not self.letters:
            return
        if self._signs[failure.sign] > self.each:
            return
        found = Found(failure, tuple(trial.reduced(self.laboratory, world.history, failure)))
        last = trial.replay(self.laboratory, found.statements)
        again = trial.failure(self.laboratory, last)
        found = Found(again or failure, tuple(last))
        self.found.append(found)
        self.on_found(found)

    def report(self) -> str:
        """How many of what."""
        counted = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
        signs = "".join(f"\n{count:6} {sign}" for sign, count in self._signs.most_common())
        return f"{self.runs} histories of {self.statements} statements: {counted}{signs}"
