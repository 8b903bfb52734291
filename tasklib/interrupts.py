"""Ctrl-C, SIGTERM, SIGHUP and streams that nobody reads any more: a flag, looked at where we wait for others.

A handler that raises would do so in the middle of a fork, of the logging module's lock or of a `finally`, and leave
them half done. So the handler notes, and `check` raises: before each process of ours and while it runs (`shell`), which
is where the time goes. Work that must come to its end runs as `uninterrupted`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_noted: list[int] = []  # what came; appending is one step, whoever is interrupted by it
_deaf: list[None] = []  # one for each `uninterrupted` around us
_thread = threading.local()  # whether a thread was told already: what it then cleans up is not interrupted once more


@contextmanager
def heard() -> Iterator[None]:
    """For the length of a block the signals are noted, but for those that are ignored (`nohup`, `&`). Main thread only.

    Blocks may lie in each other: the outermost one counts.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if note in before.values():
        yield
        return
    _noted.clear()
    _thread.told = False
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def note(number: int, frame: object = None) -> None:
    """Somebody wants us to end: a signal, or (SIGPIPE) that nobody reads any more what we say."""
    _noted.append(number)


def noted() -> int:
    """The first of what came, or 0."""
    return _noted[0] if _noted else 0


def pending() -> bool:
    """Whether what runs in this thread should end now."""
    return bool(_noted) and not _deaf and not getattr(_thread, "told", False)


def check() -> None:
    """Raise KeyboardInterrupt, once in each thread, where what runs should end now."""
    if pending():
        _thread.told = True
        raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What comes during the block is noted, and looked at after it. Main thread only."""
    _deaf.append(None)
    try:
        yield
    finally:
        _deaf.pop()
