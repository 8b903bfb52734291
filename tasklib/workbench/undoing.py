"""An undo under way: its files are in index and work tree before its commit is made.

What it is about to do is written down first, in git's private directory, so that whatever a kill leaves is put back by
the next command that changes something (`recover`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasklib import console, interrupts
from tasklib.repository import refs, worktree
from tasklib.repository.git import Repository
from tasklib.workbench import journal, plan

JOURNAL = "undo.json"
SUBJECT = "Bring back the "  # how the message of an undo's commit begins


@contextmanager
def journaled(repository: Repository, head: str, tree: str, paths: Sequence[str]) -> Iterator[None]:
    """For a block that puts ``paths`` of ``tree`` in the place of what ``head`` has, and commits them.

    Where it ends without that commit, all is as it was.
    """
    state = plan.state_directory(repository)
    state.mkdir(exist_ok=True)
    with journal.held(_file(repository), {"head": head, "tree": tree, "paths": [*paths]}):
        try:
            yield
        finally:
            with interrupts.uninterrupted():
                _put_right(repository)


def is_half_done(repository: Repository) -> bool:
    """Whether a process that is gone left an undo half done."""
    return journal.is_left(_file(repository))


def recover(repository: Repository) -> bool:
    """Put back what such a process left; whether there was anything."""
    with journal.left(_file(repository)) as told:
        if told:
            _put_right(repository)
        elif told is not None:
            _end(repository)
        return told is not None


def _file(repository: Repository) -> Path:
    return plan.state_directory(repository) / JOURNAL


def _put_right(repository: Repository) -> None:
    """Nothing to do where the proven tree is committed, else all as it was. Harmless when repeated."""
    told = json.loads(_file(repository).read_text(encoding="utf-8"))
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
    _file(repository).unlink()
    state = plan.state_directory(repository)
    if not any(state.iterdir()):
        state.rmdir()
