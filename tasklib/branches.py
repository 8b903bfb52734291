"""The squash branch: brought up to the original branch, brought into it, or given up."""

from __future__ import annotations

import re
from dataclasses import replace

from tasklib import console, inplace, plan, revisions
from tasklib.bench import Bench
from tasklib.errors import Conflict, Refused
from tasklib.git import Repository
from tasklib.plan import Plan
from tasklib.proof import Proof

DRAFT = "Draft of the base migration"  # how the message of a commit of ours begins that is not proven yet


def refuse_other_branch(bench: Bench) -> None:
    """`Refused` where the user has meanwhile switched away from the squash branch."""
    current = bench.repository.branch()
    if current != bench.plan.branch:
        raise Refused(
            f"The current branch is {current}; the squash is on {bench.plan.branch}.",
            f"git checkout {bench.plan.branch}",
        )


def integrate(bench: Bench) -> None:
    """Merge the original branch into the squash branch where it holds commits that the latter lacks, uncommitted.

    So for --source models, which starts at an old commit, and where somebody committed meanwhile. Squashed files
    resolve to delete and R's file to ours; any other conflict puts the merge back and raises `Conflict`.
    """
    repository, made = bench.repository, bench.plan
    if repository.merging():
        return
    tip = repository.commit(f"refs/heads/{made.original}")
    if tip is None:
        raise Refused(f"The original branch {made.original} is gone.", f"{made.program} abort")
    if repository.is_ancestor(tip, "HEAD"):
        return
    refuse_changes_elsewhere(bench)  # they would be committed with ours
    console.note(f"  … merging {made.original} ({tip[:12]}) into {made.branch}")
    repository.add_changes(bench.places, made.left)
    if repository.tree("HEAD") != repository.work_tree_as_tree(bench.places, made.left):
        repository.commit_index(f"{DRAFT} {made.revision}\n\nNot proven; see the merge that follows.\n")
    history = revisions.read_history(repository, tip, made.layout)
    gone = sorted({*bench.gone(tip), *(m.path for m in history.cut(made.revision).gone)})
    ours = bench.base.read_bytes()
    conflicts = repository.merge_without_commit(tip)
    strange = [path for path in conflicts if path not in gone and path != made.base_path]
    if strange:
        repository.abort_merge()
        raise Conflict(
            f"{made.original} and {made.branch} conflict in {', '.join(strange)}; only squashed files may.",
            f"git merge {made.original} by hand, then {made.program} merge; or {made.program} abort",
        )
    repository.remove([path for path in gone if path != made.base_path])
    bench.base.parent.mkdir(parents=True, exist_ok=True)
    bench.base.write_bytes(ours)
    repository.add_changes(bench.places, made.left)
    bench.proven.clear()  # other code is in the work tree now, which may connect elsewhere
    bench.save(
        replace(made, tip=tip, kept=tuple(m.id for m in history.cut(made.revision).kept), proof=None, replayed=None)
    )


def refuse_changes_elsewhere(bench: Bench) -> None:
    """`Refused` where tracked files outside of the script directory were changed meanwhile: they are no part of it."""
    ours = [*bench.places, *([bench.plan.layout.ini] if bench.plan.layout.ini else [])]
    # What a run of the project's command changed is left out of the commit anyway.
    changed = [path for path in bench.repository.changed_outside(ours) if path not in bench.plan.left]
    if changed and not bench.repository.merging():
        raise Refused(
            f"Files that are no part of the squash were changed meanwhile: {', '.join(changed[:5])}.",
            f"git stash push -- {changed[0]}, then {bench.plan.program} merge",
        )


def commit(bench: Bench, proof: Proof) -> str:
    """Commit the proven tree on the squash branch; `Refused` where a hook made another tree of it."""
    repository, made = bench.repository, bench.plan
    before = repository.commit("HEAD") or ""
    repository.add_changes(bench.places, made.left)
    if repository.tree("HEAD") == proof.tree and not repository.merging() and proof.tree in repository.message("HEAD"):
        return before
    message = "\n".join([
        f"Squash {len(made.gone)} migrations into the base {made.revision}", "",
        *proof.lines(), "", f"Originals: git commit {made.tip}", "",
    ])  # fmt: skip
    new = repository.commit_index(message)
    if repository.tree(new) != proof.tree:
        made_of_it = repository.tree(new)
        # Its message holds a proof of another tree: only what the hook left in the work tree stays.
        repository.uncommit(before)
        raise Refused(
            f"Probably a git hook changed the tree of the commit: {made_of_it} is not the proven {proof.tree}.",
            f"look at `git diff HEAD`, then {made.program} merge proves what is there now",
        )
    return new


def _is_ours(repository: Repository, commit: str) -> bool:
    return is_squash(repository, commit) or repository.message(commit).startswith(DRAFT)


def is_squash(repository: Repository, commit: str) -> bool:
    """Whether a commit's message is that of `commit`."""
    message = repository.message(commit)
    return message.startswith("Squash ") and re.search(r"(?m)^Originals: git commit [0-9a-f]+$", message) is not None


def bring_in(bench: Bench, new: str) -> None:
    """Move the original branch to the proven commit, by compare-and-swap, and delete the squash branch."""
    repository, made = bench.repository, bench.plan
    repository.move_branch(made.original, new, made.tip)
    _leave(repository, made)
    repository.delete_branch(made.branch, new)


def _leave(repository: Repository, made: Plan) -> None:
    """Back to where the user was, after the original branch holds the squash."""
    if made.head_was == made.original:
        repository.point_head_at(made.original)
    else:
        repository.switch(made.head_was)


def put_back(bench: Bench) -> list[str]:
    """Everything back as it was before `checkout`; what could not be taken away comes back as text.

    A kill in the last moment of `merge` may leave a squash that is already in the original branch: that stays.
    """
    repository, made = bench.repository, bench.plan
    inplace.recover(repository)
    trouble = bench.close_place()
    at = repository.commit(f"refs/heads/{made.branch}")
    # The plan is written before the branch is made: a branch of that name that we did not make has no plan.
    if at is not None:
        if repository.current_branch() == made.branch:
            if at == repository.commit(f"refs/heads/{made.original}") and at != made.tip:
                _leave(repository, made)
            else:
                if repository.merging():
                    repository.abort_merge()
                mine = [*bench.places, *([made.layout.ini] if made.layout.ini else [])]
                # What the user changed elsewhere meanwhile is brought over to the branch that he comes back to.
                with repository.set_aside(repository.changed_outside(mine)):
                    repository.switch_forced(made.head_was)
        repository.delete_branch(made.branch, at)
        theirs = [c for c in repository.commits_since(at, made.start, made.tip) if not _is_ours(repository, c)]
        if theirs:
            console.note(f"{made.branch} had commits of somebody's; git still holds them: git branch NAME {at[:12]}")
    # What git knew of went with the branch; the plan names no file that was there before.
    for path in set(made.data) & set(repository.unheld(".")):
        (repository.top / path).unlink()
    if not trouble:
        plan.forget(repository)
    return trouble
