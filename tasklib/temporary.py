"""Temporary directories of ours: each is held by the process that made it, so that a later one knows what a kill left.

The system lets go of a lock however a process ends; that its number is in the name spares a fresh directory, too.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "alembic-squash-"
# What is nobody's once its process is gone. (A directory of a plan that is kept is not one of these.)
PASSING = ("index", "read", "objects", "init", "ini")


@contextmanager
def directory(what: str) -> Iterator[Path]:
    """A temporary directory for the length of a block."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{what}-{os.getpid()}-") as name:
        number = _lock(Path(name))
        try:
            yield Path(name)
        finally:
            os.close(number)


def make(what: str) -> Path:
    """A temporary directory that is held until this process ends, and is not taken away by itself."""
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-{os.getpid()}-"))
    _lock(made)
    return made


def stale(*kinds: str) -> list[Path]:
    """Directories of these kinds that this user's processes made which are gone."""
    found = []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        match = re.fullmatch(rf"{PREFIX}(\w+)-(\d+)-\w+", path.name)
        with suppress(OSError):  # it is being taken away
            if match and match[1] in kinds and path.stat().st_uid == os.getuid() and not _is_held(path, int(match[2])):
                found.append(path)
    return found


def sweep() -> None:
    """Take away what commands that were killed have left."""
    for path in stale(*PASSING):
        shutil.rmtree(path, ignore_errors=True)


def _is_held(path: Path, pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        pass
    except PermissionError:
        return True
    else:
        return True
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False


def _lock(path: Path) -> int:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(number, fcntl.LOCK_EX)
    return number
