"""Door to the terminal: progress, tables, messages. Progress goes to standard error, results to standard output.

How they look is up to the screen: lines, a list that is drawn (`checklist`), nothing (--quiet), JSON (--json).
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tasklib import masking
from tasklib.console import checklist, streams
from tasklib.console.screens import Events, Plain, Quiet
from tasklib.console.streams import prepare, silence

__all__ = ["prepare", "silence"]


class _State:
    screen: Plain = Plain()
    echoes = False


@contextmanager
def shown(*, quiet: bool = False, as_json: bool = False, echo: bool = False) -> Iterator[None]:
    """How everything looks over the block."""
    before = (_State.screen, _State.echoes)
    _State.screen = Events() if as_json else Quiet() if quiet else Plain()
    _State.echoes = echo
    try:
        yield
    finally:
        _State.screen, _State.echoes = before


def say(text: str = "") -> None:
    """A line of the result, on standard output."""
    _State.screen.text(text)


def note(text: str) -> None:
    """A line beside the result (progress, hints), on standard error."""
    _State.screen.note(text)


def warn(text: str) -> None:
    _State.screen.warning(text)


def listing(title: str, lines: Sequence[str]) -> None:
    """Lines below a title, the first twenty of them."""
    say(f"{title}:")
    for line in lines[:20]:
        say(f"  {line}")
    if len(lines) > 20:
        say(f"  … and {len(lines) - 20} more")


def result(kind: str, **fields: Any) -> None:
    """What a command found or made, for programs that read --json."""
    _State.screen.result(kind, fields)


def over(code: int, text: str = "", hint: str = "") -> None:
    """The command ends with this exit code; the text of its error is printed by who calls us."""
    _State.screen.over(code, text, hint)


@contextmanager
def steps(names: Sequence[str]) -> Iterator[None]:
    """These steps are gone through over the block; on a terminal they are a list, drawn anew while it works."""
    terminal = checklist.terminal() if type(_State.screen) is Plain else None
    if terminal is None:
        yield
        return
    before, _State.screen = _State.screen, (drawn := checklist.Checklist(terminal, names))
    try:
        with drawn.live:
            yield
    finally:
        _State.screen = before


@contextmanager
def step(name: str) -> Iterator[None]:
    """One of them."""
    _State.screen.began(name)
    started = time.monotonic()
    yield
    _State.screen.ended(name, time.monotonic() - started)


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Says what is being done, then how long it took in seconds."""
    _State.screen.working(what)
    started = time.monotonic()
    yield
    _State.screen.worked(what, time.monotonic() - started)


def migration(number: int, total: int, revision: str, message: str) -> None:
    """The migration that runs now, of so many; ``message`` is "" where it is not known."""
    _State.screen.migration(number, total, revision, message)


def migrated() -> None:
    _State.screen.migrated()


def echo(words: Sequence[str], cwd: object, environment: Mapping[str, str] | None = None) -> None:
    """An outside command as it could be typed, where the user asked for that; passwords are masked."""
    if _State.echoes:
        given = [
            f"{name}={shlex.quote(masking.value(name, text))}" for name, text in sorted((environment or {}).items())
        ]
        typed = " ".join([*given, *(shlex.quote(masking.masked(word)) for word in words)])
        _State.screen.echo(f"cd {shlex.quote(str(cwd))} && {typed}")


def can_ask() -> bool:
    """Whether somebody sits there who can answer."""
    return _State.screen.asks and sys.stdin.isatty() and sys.stderr.isatty()


def agrees(question: str) -> bool:
    """Whether somebody says yes; anything else is a no."""
    with _State.screen.paused():
        streams.write(sys.stderr, f"{question} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def table(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows as aligned columns; the last column is left ragged."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(f"{indent}{line.rstrip()}" for line in lines)
