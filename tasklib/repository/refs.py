"""Door to git's branches and commits: every ref is moved by naming the value that it is expected to have."""

from __future__ import annotations

import os

from tasklib.errors import CommandFailed, Refused
from tasklib.repository import status, trees
from tasklib.repository.git import Repository

# The user's hooks are for commits that stay: one that fails after a switch would make it look as if there was none.
# An ignored file is somebody's too, which a checkout would write over.
CHECKOUT = ("-c", f"core.hooksPath={os.devnull}", "checkout", "--quiet", "--no-overwrite-ignore")


def switch_to_new_branch(repository: Repository, branch: str, start: str) -> None:
    repository.run(*CHECKOUT, "--no-track", "-b", branch, start, "--")


def switch(repository: Repository, branch: str) -> None:
    """Check out ``branch``; git refuses where it would write over what is not committed."""
    repository.run(*CHECKOUT, branch, "--")


def commit_index(repository: Repository, message: str) -> str:
    """Commit the index (as it is already, where nothing changed) with the user's own hooks and signing."""
    repository.run("commit", "--quiet", "--allow-empty", "--file=-", stdin=message)
    return repository.ask("rev-parse", "HEAD")


def commit_tree(repository: Repository, tree: str, parent: str, message: str) -> str:
    """A commit of a tree that is checked out nowhere, signed where commits are; no ref is moved, no hook runs."""
    signed = repository.run("config", "--type=bool", "commit.gpgSign", ok=None).stdout.strip() == "true"
    words = ("commit-tree", *(["-S"] if signed else []), "-p", parent, tree)
    return repository.run(*words, stdin=message).stdout.strip()


def uncommit(repository: Repository, to: str) -> None:
    """Take the branch back to ``to``; index and tree stay as they are."""
    repository.run("reset", "--quiet", "--soft", to)


def merge_without_commit(repository: Repository, commit: str, message: str) -> list[str]:
    """Merge into index and tree, uncommitted; returns the paths in conflict."""
    words = ("--no-commit", "--no-ff", "--quiet", "-X", "no-renames", "-m", message)
    result = repository.run("merge", *words, commit, ok=(0, 1))
    conflicts = repository.run("diff", "--name-only", "--diff-filter=U", "-z").stdout.split("\0")
    paths = [path for path in conflicts if path]
    if result.code and not paths:
        raise CommandFailed(result.argv, result.code, result.stdout, result.stderr)
    return paths


def merging(repository: Repository) -> str | None:
    """The commit of a merge that is under way."""
    return repository.commit("MERGE_HEAD")


def merge_message(repository: Repository) -> str:
    """What the commit of a merge that is under way will say, as it was given."""
    path = repository.top / repository.ask("rev-parse", "--git-path", "MERGE_MSG")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def abort_merge(repository: Repository) -> None:
    """As before the merge; files that somebody added to the index meanwhile stay, where git would delete them."""
    known = {entry.path for one in ("HEAD", "MERGE_HEAD") for entry in repository.files(one)}
    trees.set_entries(repository, dict.fromkeys(path for path in status.entries(repository) if path not in known))
    repository.run("merge", "--abort")


def move_branch(repository: Repository, branch: str, new: str, old: str) -> None:
    """Compare-and-swap: `Refused` where ``branch`` is no longer at ``old``."""
    result = repository.run("update-ref", "-m", "alembic-squash", f"refs/heads/{branch}", new, old, ok=None)
    if result.code:
        at = repository.commit(f"refs/heads/{branch}")
        if at == old:  # a lock, say, or a hook of git's (reference-transaction)
            raise CommandFailed(result.argv, result.code, result.stdout, result.stderr)
        raise Refused(
            f"The branch {branch} is at {at}, it was expected at {old}: somebody moved it meanwhile. Nothing was "
            "merged.",
        )


def point_head_at(repository: Repository, branch: str) -> None:
    """Make ``branch`` current; index and tree stay, so it must hold the same tree as HEAD."""
    repository.run("symbolic-ref", "-m", "alembic-squash", "HEAD", f"refs/heads/{branch}")


def delete_branch(repository: Repository, branch: str, old: str) -> None:
    repository.run("update-ref", "-d", f"refs/heads/{branch}", old)
    # update-ref leaves the branch's section in the configuration, which `git branch -D` would remove.
    repository.run("config", "--remove-section", f"branch.{branch}", ok=None)
