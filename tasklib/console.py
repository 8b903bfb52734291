"""Door to the terminal: progress, tables, messages. Progress goes to standard error, results to standard output."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from tasklib import interrupts


def say(text: str = "") -> None:
    """A line of the result, on standard output."""
    _print(sys.stdout, f"{text}\n")


def note(text: str) -> None:
    """A line beside the result (progress, hints), on standard error."""
    _print(sys.stderr, f"{text}\n")


def prepare() -> None:
    """Make standard streams that can be used: a closed one leads nowhere, and what the locale cannot encode is escaped.

    A number that is free would be given to the next file that is opened, and what is said be written into that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print(stream: TextIO, text: str) -> None:
    """Nobody reads it any more (`| head`), or the terminal is gone: that is an interrupt, and from then on silence."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        silence(stream)
        interrupts.note(signal.SIGPIPE)


def silence(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere, with what it still holds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


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
        _print(sys.stderr, f"\r\033[K    {text[:100]}")


def can_ask() -> bool:
    """Whether somebody sits there who can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agrees(question: str) -> bool:
    """Whether somebody says yes; anything else is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def end_live() -> None:
    if sys.stderr.isatty():
        _print(sys.stderr, "\r\033[K")


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows as aligned columns; the last column is left ragged."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"{indent}{line.rstrip()}" for line in lines)
