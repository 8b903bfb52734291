"""Journals in git's private directory: what a process is about to do, written down first and held while it is done.

The system lets go of it however the process ends; so another one knows whether it still runs, or left things half done.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def held(path: Path, told: Mapping[str, Any]) -> Iterator[None]:
    """Write a journal, and hold it for a block."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(told))
        file.flush()
        yield


def is_left(path: Path) -> bool:
    """Whether there is a journal whose process is gone."""
    with left(path) as told:
        return told is not None


@contextmanager
def left(path: Path) -> Iterator[Mapping[str, Any] | None]:
    """What such a journal says, held for a block; None where there is none, or its process still runs.

    Nothing where a kill came before it was written, and so before anything was done.
    """
    if not path.exists():
        yield None
        return
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        text = file.read()
        yield json.loads(text) if text.endswith("}") else {}
