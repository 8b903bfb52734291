"""The old chain in the work tree itself, for the length of a run: for a command that knows no other script directory.

What is done is written down first, in git's private directory, so that whatever a kill leaves is put right by the next
command (`recover`). A file that stands in the way is kept there meanwhile; git's index is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from tasklib import interrupts
from tasklib.repository import trees, worktree
from tasklib.repository.git import Repository
from tasklib.workbench import journal, plan

JOURNAL = "in-place.json"
ASIDE = "in-place"  # the directory of what stood in the way, numbered as in the journal


@contextmanager
def old_chain(repository: Repository, tree: str, paths: Sequence[str]) -> Iterator[None]:
    """Files of ``tree`` (a commit or a tree) in the work tree for a block; all is as it was afterwards."""
    recover(repository)
    wanted = sorted(set(paths) - worktree.as_committed(repository, tree, paths))
    if not wanted:
        yield
        return
    standing = [path for path in wanted if worktree.exists(repository.top / path)]
    above = {parent.as_posix() for path in wanted for parent in PurePosixPath(path).parents}
    made = sorted((one for one in above if not (repository.top / one).exists()), reverse=True)
    state = plan.state_directory(repository)
    told = {"tree": tree, "written": wanted, "aside": standing, "made": made, "fresh": not state.exists()}
    (state / ASIDE).mkdir(parents=True, exist_ok=True)
    with journal.held(state / JOURNAL, told):
        try:
            for number, path in enumerate(standing):
                worktree.move(repository.top / path, state / ASIDE / str(number))
            trees.export(repository, tree, wanted, repository.top)
            yield
        finally:
            with interrupts.uninterrupted():
                _put_back(repository)


def is_left(repository: Repository) -> bool:
    """Whether a process that is gone left the old chain in the work tree."""
    return journal.is_left(plan.state_directory(repository) / JOURNAL)


def recover(repository: Repository) -> bool:
    """Put back what such a process left behind; whether there was anything."""
    with journal.left(plan.state_directory(repository) / JOURNAL) as told:
        if told:
            _put_back(repository)
        elif told is not None:
            (plan.state_directory(repository) / JOURNAL).unlink()
        return told is not None


def _put_back(repository: Repository) -> None:
    """Harmless when repeated: what stood in the way is kept until it stands there again."""
    state = plan.state_directory(repository)
    told = json.loads((state / JOURNAL).read_text(encoding="utf-8"))
    aside = {path: state / ASIDE / str(number) for number, path in enumerate(told["aside"])}
    # Only what still is the file that was put there.
    for path in worktree.as_committed(
        repository, told["tree"], [path for path in told["written"] if path not in aside]
    ):
        (repository.top / path).unlink()
    for path, kept in aside.items():
        if kept.exists():
            worktree.move(kept, repository.top / path)
    for one in told["made"]:
        directory = repository.top / one
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
    (state / ASIDE).rmdir()
    (state / JOURNAL).unlink()
    if told["fresh"] and not any(state.iterdir()):
        state.rmdir()
