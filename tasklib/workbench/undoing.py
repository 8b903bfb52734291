"""An undo under way: its files are in index and work tree before its commit is made.

What it is about to do is written down first, in git's private directory, so that whatever a kill leaves is put back by
the next command that changes something (`recover`).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tasklib import console, interrupts
from tasklib.repository import refs, worktree
from tasklib.repository.git import Repository
from tasklib.workbench import plan

JOURNAL = "undo.json"
SUBJECT = "Bring back the "  # how the message of an undo's commit begins


@contextmanager
def journaled(repository: Repository, head: str, tree: str, paths: Sequence[str]) -> Iterator[None]:
    """For a block that puts ``paths`` of ``tree`` in the place of what ``head`` has, and commits them.

    Where it ends without that commit, all is as it was.
    """
    state = plan.state_directory(repository)
    state.mkdir(exist_ok=True)
    with _journal(repository).open("w", encoding="utf-8") as file:
        # Released when this process ends, however it ends: so another one knows whether it still runs.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"head": head, "tree": tree, "paths": [*paths]}))
        file.flush()
        try:
            yield
        finally:
            with interrupts.uninterrupted():
                _put_right(repository)


def is_half_done(repository: Repository) -> bool:
    """Whether a process that is gone left an undo half done."""
    with _left(repository) as file:
        return file is not None


def recover(repository: Repository) -> bool:
    """Put back what such a process left; whether there was anything."""
    with _left(repository) as file:
        if file is None:
            return False
        if file.read().endswith("}"):
            _put_right(repository)
        else:  # killed before it had written the journal, and so before it did anything
            _end(repository)
        return True


def _journal(repository: Repository) -> Path:
    return plan.state_directory(repository) / JOURNAL


@contextmanager
def _left(repository: Repository) -> Iterator[IO[str] | None]:
    """The journal of an undo whose process is gone, held for the block."""
    if not _journal(repository).exists():
        yield None
        return
    with _journal(repository).open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def _put_right(repository: Repository) -> None:
    """Nothing to do where the proven tree is committed, else all as it was. Harmless when repeated."""
    told = json.loads(_journal(repository).read_text(encoding="utf-8"))
    head, tree = told["head"], told["tree"]
    worktree.remove_stale_locks(repository)
    now = repository.commit("HEAD") or ""
    # A hook may have put something before the subject.
    ours = repository.commit("HEAD^") == head and SUBJECT in repository.message(now).partition("\n")[0]
    if now != head and ours:
        if repository.tree(now) == tree:
            _end(repository)
            return
        refs.uncommit(repository, head)  # a hook made another tree of it
        now = head
    if now == head:  # else somebody went on by hand
        left = worktree.put_back(
            repository, head, told["paths"], {}, plan.state_directory(repository) / "aside", [tree]
        )
        for path in left.alone:
            console.note(f"{path} was changed meanwhile; it stays as it is")
    _end(repository)


def _end(repository: Repository) -> None:
    _journal(repository).unlink()
    state = plan.state_directory(repository)
    if not any(state.iterdir()):
        state.rmdir()
