"""The standard streams: made usable, written to, and given up once nobody reads them any more."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TextIO

from tasklib import interrupts


def prepare() -> None:
    """Make standard streams that can be used: a closed one leads nowhere, and what the locale cannot encode is escaped.

    A number that is free would be given to the next file that is opened, and what is said be written into that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    # The number of one that was closed may be a library's by now (libffi keeps its own file open).
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDWR))
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDWR), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_RDWR), "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(stream: TextIO, text: str) -> None:
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
