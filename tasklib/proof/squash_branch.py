"""The squash branch: brought up to the original branch, brought into it, or given up."""

from __future__ import annotations

import re
from dataclasses import replace

from tasklib import console
from tasklib.errors import Conflict, Refused
from tasklib.history import revisions
from tasklib.proof import deployed_condition
from tasklib.proof.record import Proof
from tasklib.repository import log, refs, status, worktree
from tasklib.repository.git import Repository
from tasklib.workbench import inplace, plan
from tasklib.workbench.bench import Bench
from tasklib.workbench.plan import Plan
from tasklib.workbench.scratch import GROUND

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
    tip = repository.commit(f"refs/heads/{made.original}")
    if tip is None:
        raise Refused(f"The original branch {made.original} is gone.", f"{made.program} abort")
    held = refs.merging(repository)
    if held is not None and held != made.tip and refs.merge_message(repository).startswith(DRAFT):
        refs.abort_merge(repository)  # ours, killed before the plan knew of it
        held = None
    if held is None and not log.is_ancestor(repository, tip, "HEAD"):
        _merge(bench, tip)
    elif tip == made.tip or held not in (None, tip) or not log.is_ancestor(repository, made.tip, tip):
        return
    # Merged now, or by hand. Other code is in the work tree: it may make something else there, and what is held has
    # the old one.
    bench.end_held()
    if made.place is not None:
        bench.drop(GROUND)
    kept = revisions.read_history(repository, tip, made.layout).cut(made.revision).kept
    bench.save(replace(bench.plan, tip=tip, kept=tuple(m.id for m in kept), proof=None, replayed=None))


def _merge(bench: Bench, tip: str) -> None:
    repository, made = bench.repository, bench.plan
    refuse_changes_elsewhere(bench)  # they would be committed with ours
    console.note(f"  … merging {made.original} ({tip[:12]}) into {made.branch}")
    worktree.stage(repository, bench.ours)
    message = f"{DRAFT} {made.revision}\n\nNot proven; see the merge that follows.\n"
    if repository.tree("HEAD") != repository.ask("write-tree"):
        refs.commit_index(repository, message)
    history = revisions.read_history(repository, tip, made.layout)
    gone = sorted({*bench.gone(tip), *(m.path for m in history.cut(made.revision).gone)} - {made.base_path})
    ours = bench.base.read_bytes()
    conflicts = refs.merge_without_commit(repository, tip, message)
    strange = [path for path in conflicts if path not in gone and path != made.base_path]
    if strange:
        refs.abort_merge(repository)
        raise Conflict(
            f"{made.original} and {made.branch} conflict in {', '.join(strange)}; only squashed files may.",
            f"git merge {made.original} by hand, then {made.program} merge; or {made.program} abort",
        )
    worktree.take_out(repository, tip, gone)
    bench.base.parent.mkdir(parents=True, exist_ok=True)
    bench.base.write_bytes(ours)
    worktree.stage(repository, bench.ours)


def refuse_changes_elsewhere(bench: Bench) -> None:
    """`Refused` where other tracked files were changed meanwhile: they are no part of the squash."""
    if refs.merging(bench.repository):
        return
    head = bench.head()
    # What a run of the project's command changed is left out of the commit anyway.
    known = {*bench.ours, *bench.gone(head), *bench.plan.left}
    if changed := [path for path in status.differing(bench.repository, head) if path not in known]:
        raise Refused(
            f"Files that are no part of the squash were changed meanwhile: {', '.join(changed[:5])}.",
            f"git stash push -- {changed[0]}, then {bench.plan.program} merge",
        )


def commit(bench: Bench, proof: Proof) -> str:
    """Commit the proven tree on the squash branch; `Refused` where a hook made another tree of it."""
    repository, made = bench.repository, bench.plan
    before = bench.head()
    worktree.stage(repository, bench.ours)
    if (
        repository.tree(before) == proof.tree
        and not refs.merging(repository)
        and proof.tree in repository.message(before)
    ):
        return before
    tables = bench.version_tables()
    message = "\n".join([
        f"Squash {len(made.gone)} migrations into the base {made.revision}", "",
        *summary(made, proof), "", *proof.lines(), "",
        *deployed_condition.condition(made.revision, made.kept, tables), deployed_condition.BRANCHES, "",
        f"Originals: git commit {made.tip}", "",
    ])  # fmt: skip
    new = refs.commit_index(repository, message)
    if repository.tree(new) != proof.tree:
        made_of_it = repository.tree(new)
        # Its message holds a proof of another tree: only what the hook left in the work tree stays.
        refs.uncommit(repository, before)
        raise Refused(
            f"Probably a git hook changed the tree of the commit: {made_of_it} is not the proven {proof.tree}.",
            f"look at `git diff HEAD`, then {made.program} merge proves what is there now",
        )
    return new


def summary(made: Plan, proof: Proof) -> list[str]:
    """What went and what stays, and what a new database gains."""
    stay = f"{len(made.kept)} migration{'s' if len(made.kept) != 1 else ''}"
    found = [
        f"Gone: {len(made.gone)} migrations, {made.gone[0]} to {made.revision}, now {made.base_path}.",
        f"Stay: {stay}, {made.kept[0]} to {made.kept[-1]}." if made.kept else "Nothing stays: it is the head.",
    ]
    return [*found, *([proof.speed()] if proof.seconds else [])]


def _is_ours(repository: Repository, commit: str) -> bool:
    return is_squash(repository, commit) or DRAFT in repository.message(commit).partition("\n")[0]


def is_squash(repository: Repository, commit: str) -> bool:
    """Whether a commit's message is that of `commit`; a hook may have put something before it."""
    message = repository.message(commit)
    subject = message.partition("\n")[0]
    return bool(
        re.search(r"\bSquash \d+ migrations into the base ", subject)
        and re.search(r"(?m)^Originals: git commit [0-9a-f]+$", message)
    )


def bring_in(bench: Bench, new: str) -> None:
    """Move the original branch to the proven commit, by compare-and-swap; then nothing of the squash is left."""
    repository, made = bench.repository, bench.plan
    refs.move_branch(repository, made.original, new, made.tip)
    finish(bench)


def is_brought_in(repository: Repository, made: Plan) -> bool:
    """Whether the original branch was moved to the squash, and a kill came before the plan was forgotten."""
    now = repository.commit(f"refs/heads/{made.original}")
    squash = repository.commit(f"refs/heads/{made.branch}") or now
    if now is None or squash is None or made.proof is None or not is_squash(repository, squash):
        return False
    return repository.tree(squash) == made.proof["tree"] and log.is_ancestor(repository, squash, now)


def finish(bench: Bench) -> None:
    """What is left to do after the original branch was moved: back to where the user was, and nothing of ours left."""
    repository, made = bench.repository, bench.plan
    if repository.current_branch() == made.branch:
        _leave(repository, made)
    if (at := repository.commit(f"refs/heads/{made.branch}")) is not None:
        refs.delete_branch(repository, made.branch, at)
    plan.forget(repository)


def _leave(repository: Repository, made: Plan) -> None:
    """Back to where the user was, after the original branch holds the squash."""
    if made.head_was == made.original and repository.commit(f"refs/heads/{made.original}") == repository.commit("HEAD"):
        refs.point_head_at(repository, made.original)
    else:
        refs.switch(repository, made.head_was)


def put_back(bench: Bench) -> list[str]:
    """Everything of ours back as it was before `checkout`; what could not be taken away comes back as text.

    A kill in the last moment of `merge` may leave a squash that is already in the original branch: that stays.
    """
    repository, made = bench.repository, bench.plan
    worktree.remove_stale_locks(repository)
    inplace.recover(repository)
    trouble = bench.close_place()
    if is_brought_in(repository, made):
        if not trouble:
            finish(bench)
        return trouble
    at = repository.commit(f"refs/heads/{made.branch}")
    _put_files_back(bench)
    # The plan is written before the branch is made: a branch of that name that we did not make has no plan.
    if at is not None:
        refs.delete_branch(repository, made.branch, at)
        theirs = [c for c in log.commits_since(repository, at, made.start, made.tip) if not _is_ours(repository, c)]
        if theirs:
            console.note(f"{made.branch} had commits of somebody's; git still holds them: git branch NAME {at[:12]}")
    if left := status.dirty(repository):
        console.note(f"not of the squash, so it stays in the work tree: {', '.join(line[3:] for line in left[:10])}"
                     + (f" and {len(left) - 10} more" if len(left) > 10 else ""))  # fmt: skip
    if not trouble:
        plan.forget(repository)
    return trouble


def _put_files_back(bench: Bench) -> None:
    """Our files in index and tree as the current commit has them, and back to the branch where the user was."""
    repository, made = bench.repository, bench.plan
    here, away = bench.head(), repository.current_branch() != made.branch
    if refs.merging(repository) and not away:
        refs.abort_merge(repository)
    # Where a switch was interrupted, the tree holds files of either commit.
    other = repository.commit(made.start if away else f"refs/heads/{made.head_was}") or here
    placed = {**made.placed, **dict.fromkeys(_drafts(bench), "")}
    paths = {*placed, made.base_path, *_gone(bench, here), *status.differing(repository, here, other)}
    tell(worktree.put_back(repository, here, paths, placed, bench.aside, [other]))
    if not away:
        refs.switch(repository, made.head_was)


def _gone(bench: Bench, here: str) -> list[str]:
    """What ``here`` has of the squashed revisions; by their paths where somebody's commit left half a history there."""
    try:
        return bench.gone(here)
    except Refused:
        there = {entry.path for entry in bench.repository.files(here)}
        return [path for path in bench.gone(bench.plan.tip) if path in there]


def _drafts(bench: Bench) -> list[str]:
    """Files that the project's own `migrate` made under a name of its choice, where a kill came before it was R's."""
    repository, made = bench.repository, bench.plan
    if made.source != "models":
        return []
    found = []
    for path in status.unheld(repository, "."):
        if made.layout.holds_revision(path) and path not in (made.base_path, *made.placed):
            text = (repository.top / path).read_text(encoding="utf-8", errors="replace")
            if re.search(rf"(?m)^revision\b.*= ['\"]{re.escape(made.revision)}['\"]", text):
                found.append(path)
    return found


def tell(left: worktree.Left) -> None:
    """Name what files of the user's were met while ours were put back."""
    for path in left.alone:
        console.note(f"{path} is not as git or this program left it: it stays as it is")
    for path, blob in left.edited.items():
        console.note(f"{path} was edited since it was written; that text is kept: git cat-file blob {blob[:12]}")
