"""undo. Before: a squash in the history of the current branch, a clean work tree. After: a commit on top, in which the
original migrations are back in the place of the base; it is proven that they build the same database at the head.

Never rewrites a commit, and writes to no database but ours: deployed databases need nothing.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console, settings
from tasklib.after import undone
from tasklib.options import Given, dry, ended, step
from tasklib.repository import git

OPTIONS = ("rev", "directory", "command", "uri-var", "set", "same", "server", "before", "reference", "data")


@step(*OPTIONS)
def undo(context: Context, given: Given) -> None:
    """Bring the original migrations back after a squash was merged; `squash` squashes them again.

    Of a squash of a squash it undoes the last one; run it again for the one before. --rev names the base where there
    are several. Example: undo
    """
    names = [name.replace("-", "_") for name in OPTIONS]
    chosen = settings.resolve(context, {name: given[name] for name in names})
    repository = git.find(Path.cwd())
    undone.refuse_early(repository)
    prepared = undone.prepared(repository, Path.cwd(), chosen)
    made = prepared.plan
    if dry(context):
        console.say(f"Would bring {len(made.gone)} migrations back, in the place of the base {made.revision}.")
        return
    try:
        proof = undone.prove(prepared, chosen)
        commit = undone.commit(prepared, proof)
    except KeyboardInterrupt:
        raise ended("everything is as it was") from None
    console.say("\n".join(proof.lines(10)))
    console.say()
    console.say(f"{len(made.gone)} migrations are back in the place of the base {made.revision}; commit {commit[:12]} "
                f"on {repository.branch()}.")  # fmt: skip
