"""What a squash took, step by step: seconds, CPU, starts of the project's command and forks of it."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """Counts that go up: starts of the project's command, forks of it with the CPU seconds that those took, why starts
    were made where forks might have been, and the SQLite databases that runs made.
    """

    starts: int = 0
    forks: int = 0
    cpu: float = 0.0
    reasons: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    def because(self, reason: str) -> None:
        if reason and reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(frozen=True)
class Took:
    """One step: wall clock and CPU (ours, and of all processes that have ended) in seconds, starts and forks."""

    step: str
    seconds: float
    cpu: float
    starts: int
    forks: int


@dataclass
class Timings:
    """The steps that were timed, over one `Tally`."""

    tally: Tally
    steps: list[Took] = field(default_factory=list)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        before = self._now()
        yield
        after = self._now()
        seconds, cpu, starts, forks = (b - a for a, b in zip(before, after, strict=True))
        self.steps.append(Took(step, seconds, cpu, int(starts), int(forks)))

    def _now(self) -> tuple[float, float, float, float]:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(one.ru_utime + one.ru_stime for one in used) + self.tally.cpu
        return time.monotonic(), cpu, self.tally.starts, self.tally.forks

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """A table with a head and a sum, as text."""
        total = Took(
            "all",
            sum(one.seconds for one in self.steps),
            sum(one.cpu for one in self.steps),
            sum(one.starts for one in self.steps),
            sum(one.forks for one in self.steps),
        )
        found = [("step", "seconds", "CPU", "starts", "forks")]
        for one in (*self.steps, total):
            found.append((one.step, f"{one.seconds:.1f}", f"{one.cpu:.1f}", str(one.starts), str(one.forks)))
        return found

    def as_json(self) -> dict[str, Any]:
        """The same as numbers, and why starts were made where forks might have been."""
        return {
            "steps": [asdict(one) for one in self.steps], "starts": self.tally.starts, "forks": self.tally.forks,
            "reasons": list(self.tally.reasons),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """What to say below the table."""
        plural = "s" if self.tally.starts != 1 else ""
        found = [f"{self.tally.starts} start{plural} of the application, {self.tally.forks} forks of it."]
        return found + [f"Started anew for each run: {reason}." for reason in self.tally.reasons]
