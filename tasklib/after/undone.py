"""A squash undone: the originals of the base in its place, on top of all that came since, proven to be the same."""

from __future__ import annotations

from pathlib import Path

from tasklib import interrupts
from tasklib.errors import Refused
from tasklib.proof import proofs
from tasklib.proof.record import Proof
from tasklib.repository import refs, status, worktree
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.workbench import plan, prepare_verify, undoing
from tasklib.workbench.bench import passing, program
from tasklib.workbench.prepare import Prepared


def refuse_early(repository: Repository) -> None:
    """`Refused` where a commit could not be made here and now."""
    undoing.recover(repository)
    repository.branch()
    if plan.exists(repository):
        raise Refused("A squash is under way in this repository; a finished or aborted one was expected.",
                      f"{program()} status")  # fmt: skip
    if (waiting := status.under_way(repository)) is not None:
        raise Refused(f"A {waiting} is in progress in this repository; a finished one was expected.", "git status")
    if dirty := status.dirty(repository):
        raise Refused(f"The work tree is not clean ({', '.join(line[3:] for line in dirty[:5])}); it must be.",
                      "git stash --include-untracked")  # fmt: skip


def prepared(repository: Repository, cwd: Path, settings: Settings) -> Prepared:
    """The plan whose ``tip`` is the tree with the originals in the place of the base."""
    found = prepare_verify.prepare(repository, cwd, settings)
    head = repository.commit("HEAD") or ""
    there = {entry.path for entry in repository.files(head)}
    new = {entry.path for entry in repository.files(found.plan.tip)} - there
    # A file that git does not hold, an ignored one say.
    if taken := [path for path in sorted(new) if worktree.exists(repository.top / path)]:
        raise Refused(f"{taken[0]} is in the way: an original migration was there.", "put it elsewhere")
    return found


def prove(made: Prepared, settings: Settings) -> Proof:
    """That the originals and the base build the same database, at R and at the head; `Differs` where they do not."""
    with passing(made.repository, made.plan, settings.server) as bench:
        return proofs.prove(bench, made.repository.tree("HEAD"))


def commit(made: Prepared, proof: Proof) -> str:
    """Commit the tree with the originals; all is as it was where that fails. Returns the commit."""
    repository, new = made.repository, made.plan.tip
    head = repository.commit("HEAD") or ""
    paths = status.differing(repository, head, new)
    message = "\n".join([
        f"{undoing.SUBJECT}{len(made.plan.gone)} migrations that the base {made.plan.revision} replaced", "",
        f"Their tree: {new}. The same database as with the base, which was there before:", *proof.lines(), "",
    ])  # fmt: skip
    with interrupts.uninterrupted(), undoing.journaled(repository, head, new, paths):
        aside = plan.state_directory(repository) / "aside"
        left = worktree.put_back(repository, new, paths, {}, aside, [head])
        if left.alone:
            raise Refused(f"{', '.join(left.alone)} was changed meanwhile; it is left alone.", "git status")
        done = refs.commit_index(repository, message)
        if repository.tree(done) != new:
            raise Refused("A git hook changed the tree of the commit, which is not the proven one any more.",
                          "git config core.hooksPath says which hooks run")  # fmt: skip
        return done
