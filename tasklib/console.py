"""Door to the terminal: progress, tables, messages. Progress goes to standard error, results to standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def say(text: str = "") -> None:
    """A line of the result, on standard output."""
    print(text, flush=True)


def note(text: str) -> None:
    """A line beside the result (progress, hints), on standard error."""
    print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    note(f"warning: {text}")


def listing(title: str, lines: Sequence[str]) -> None:
    """Lines below a title, the first twenty of them."""
    say(f"{title}:")
    for line in lines[:20]:
        say(f"  {line}")
    if len(lines) > 20:
        say(f"  … and {len(lines) - 20} more")


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Says what is being done, then how long it took in seconds."""
    note(f"  … {what}")
    started = time.monotonic()
    yield
    note(f"    {time.monotonic() - started:.1f} s")


def live(text: str) -> None:
    """A passing state, overwritten by the next one; only where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K    {text[:100]}", end="", file=sys.stderr, flush=True)


def end_live() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows as aligned columns; the last column is left ragged."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"{indent}{line.rstrip()}" for line in lines)
