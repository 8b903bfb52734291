"""Commits and branches: what reaches what, and what touched a path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasklib.repository.git import Repository


def is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    return repository.run("merge-base", "--is-ancestor", older, newer, ok=(0, 1)).code == 0


def commits_touching(repository: Repository, paths: Sequence[str], start: str) -> list[str]:
    """Commits reachable from ``start`` that touch one of ``paths``, newest first; merges are followed."""
    return repository.run("rev-list", "--full-history", start, "--", *paths).stdout.split()


def renamed_from(repository: Repository, path: str, start: str) -> tuple[str, str] | None:
    """(commit, earlier path) of the last time that a file was renamed, as git sees it; None where it never was."""
    words = ["log", "--follow", "--diff-filter=R", "--name-status", "--format=%H", "-z", "-1", start, "--", path]
    parts = [part.strip() for part in repository.run(*words).stdout.split("\0")]
    at = next((number for number, part in enumerate(parts) if re.fullmatch(r"R\d+", part)), None)
    return (parts[0], parts[at + 1]) if at else None


def commits_since(repository: Repository, commit: str, *known: str) -> list[str]:
    """Commits that ``commit`` reaches and none of the ``known`` does."""
    return repository.run("rev-list", commit, "--not", *known).stdout.split()
