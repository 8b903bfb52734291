"""The steps in their order: which of them are done, and what to type next."""

from __future__ import annotations

from tasklib.proof import squash_branch
from tasklib.repository.git import Repository
from tasklib.workbench.plan import Plan

# What `squash` does, by the names of its steps; `merge` proves again only where the tree has changed since `verify`.
HISTORY = ("checkout", "reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge")
MODELS = ("checkout", "reinit", "restore", "createdb", "migrate", "verify", "cleanup", "merge")
# Who does a step that was not typed.
BY = {"replay": "migrate", "verify": "merge"}


def of(made: Plan) -> tuple[str, ...]:
    return HISTORY if made.source == "history" else MODELS


def state(made: Plan, step: str) -> str:
    """Where a step stands, in a word or two."""
    if step in made.done:
        return "done"
    if step in ("createdb", "replay") and "migrate" in made.done and made.place is None:
        return "done, and taken away again"
    return f"(by {BY[step]}, where it was not typed)" if step in BY and BY[step] not in made.done else ""


def following(repository: Repository, made: Plan) -> str:
    """What to type next, and what that does."""
    current, back = repository.current_branch(), f"{made.program} abort puts everything back"
    if squash_branch.is_brought_in(repository, made):
        return f"{made.program} merge   (the squash is in {made.original} already; that takes away what is left of it)"
    if "checkout" not in made.done or not repository.branch_exists(made.branch):
        return f"{made.program} abort   (it was interrupted while it began, and puts everything back)"
    if current != made.branch:
        return f"git checkout {made.branch}   ({back})"
    left = [step for step in of(made) if step not in made.done and step not in ("replay", "verify", "cleanup")]
    if "migrate" in made.done:
        left = []  # cleanup may have taken the databases away again; merge makes its own where it needs them
    return f"{made.program} {left[0] if left else 'merge'}   ({back})"
