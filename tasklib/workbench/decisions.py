"""What only the user can decide, found in one go: asked there and then on a terminal, else said in one message with one
line to paste.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tasklib import console
from tasklib.errors import Refused
from tasklib.workbench.bench import Bench


class Undecided(Refused):
    """Nobody was there to decide, or somebody said no."""


@dataclass(frozen=True)
class Decision:
    """One value that would be in the base migration, readable in git: ``name`` is what --keep-value calls it, ``why``
    the sentence that says what it is; ``table`` is one whose rows --data may leave out, or "".
    """

    name: str
    why: str
    table: str = ""


def settle(bench: Bench, found: Iterable[Decision]) -> None:
    """Have all of them decided; `Refused`, with all of them, where somebody says no or nobody can be asked."""
    kept = set(bench.plan.settings.keep_value)
    left = [one for one in found if one.name not in kept]
    if not left:
        return
    if console.can_ask():
        console.note("To be decided: these would be in the base migration, readable in git.")
        if all(console.agrees(f"  {one.why} Keep {one.name}?") for one in left):
            names = (*bench.plan.settings.keep_value, *(one.name for one in left))
            bench.save(replace(bench.plan, settings=replace(bench.plan.settings, keep_value=names)))
            return
    raise Undecided(_text(left), _hint(left))


def _text(left: Sequence[Decision]) -> str:
    if len(left) == 1:
        return f"{left[0].why} In the base migration it would be readable in git."
    listed = "\n  ".join(one.why for one in left)
    return f"{len(left)} values would be in the base migration, readable in git:\n  {listed}"


def _hint(left: Sequence[Decision]) -> str:
    options = " ".join(f"--keep-value {one.name}" for one in left)
    tables = ", ".join(dict.fromkeys(one.table for one in left if one.table))
    without = f", or a list of tables without {tables} for --data" if tables else ", or a list of tables for --data"
    return f"{options}   (if that is harmless){without}"
