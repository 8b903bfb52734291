"""What is checked out, staged and under way, and whether git could commit."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tasklib.errors import CommandFailed, Refused
from tasklib.repository.git import Entry, Repository, reading_only

# What git leaves in its directory while it waits for the user, and what it is called.
UNDER_WAY = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


def under_way(repository: Repository) -> str | None:
    """What git is in the middle of (a rebase, a merge …) and waits for the user to go on with, or None."""
    return next((word for name, word in UNDER_WAY.items() if repository.own(name).exists()), None)


def dirty(repository: Repository) -> list[str]:
    """Lines of ``git status --porcelain``, untracked files included; empty for a clean work tree."""
    try:
        listed = repository.run("status", "--porcelain=v1", "-z", "--untracked-files=all").stdout
    except CommandFailed as failure:
        # As where git-lfs is not installed: an attribute of a file names it.
        if (found := re.search(r"clean filter '([^']+)' failed", failure.stderr)) is None:
            raise
        raise Refused(
            f"git cannot tell what was changed: its filter {found[1]!r} failed ({failure.stderr.splitlines()[0]}).",
            f"git config --get-regexp filter.{found[1]} says which program that is; install it",
        ) from None
    return [line for line in listed.split("\0") if line]


def entries(repository: Repository) -> dict[str, Entry]:
    """The index by path; the mode of one that is in conflict is "conflict"."""
    found = {}
    for line in repository.run("ls-files", "--stage", "-z").stdout.split("\0"):
        if line:
            meta, path = line.split("\t", 1)
            mode, blob, stage = meta.split()
            found[path] = Entry(path, blob, mode if stage == "0" else "conflict")
    return found


def in_other_work_tree(repository: Repository, branch: str) -> str | None:
    """The path of another work tree that has ``branch`` checked out, or None."""
    trees = repository.run("worktree", "list", "--porcelain").stdout.split("\n\n")
    # The first one is the main one, and of a submodule or a separate git directory it is named by the latter.
    main = (repository.top / repository.ask("rev-parse", "--git-dir")).resolve() == repository.common
    for number, tree in enumerate(trees):
        lines = tree.splitlines()
        path = lines[0].removeprefix("worktree ") if lines else ""
        mine = number == 0 if main else Path(path).resolve() == repository.top.resolve()
        if f"branch refs/heads/{branch}" in lines and not mine:
            return path
    return None


def has_identity(repository: Repository) -> bool:
    """Whether git knows a name and an address to commit with."""
    return repository.run("var", "GIT_COMMITTER_IDENT", ok=(0, 128)).code == 0


def why_not_signed(repository: Repository) -> str | None:
    """What git said where it should sign commits and cannot; None where it can, or need not."""
    if repository.run("config", "--type=bool", "commit.gpgSign", ok=None).stdout.strip() != "true":
        return None
    with reading_only(repository) as trial:  # the object goes with the trial
        empty = trial.ask("hash-object", "-w", "-t", "tree", os.devnull)
        result = trial.run("commit-tree", "-S", empty, stdin="a trial\n", ok=None)
    return (result.stderr.strip() or "nothing") if result.code else None


def differing(repository: Repository, *commits: str) -> list[str]:
    """Files that differ between two commits, or between one and index or work tree."""
    words = ("diff", "--name-only", "--no-renames", "-z", *commits)
    return [path for path in repository.run(*words).stdout.split("\0") if path]


def changed(repository: Repository) -> list[str]:
    """Tracked files whose work tree is not what the index holds."""
    return [path for path in repository.run("diff", "--name-only", "-z").stdout.split("\0") if path]


def unheld(repository: Repository, under: str) -> list[str]:
    """Files below ``under`` that git does not hold, ignored ones included; never ours to delete."""
    words = ["ls-files", "-z", "--others", "--", under or "."]
    return [path for path in repository.run(*words).stdout.split("\0") if path]


def ignoring(repository: Repository, path: str) -> str | None:
    """The rule by which git ignores an untracked file of this path (file:line:pattern), or None."""
    return repository.run("check-ignore", "--verbose", "--", path, ok=(0, 1)).stdout.split("\t")[0].strip() or None
