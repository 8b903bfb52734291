"""The originals of a base migration, from the commit that it names: also where files moved since, and of bases that
were squashed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tasklib.errors import Refused
from tasklib.history import data_files, revisions
from tasklib.history.cut import Migration
from tasklib.project import discovery
from tasklib.project.layout import Layout
from tasklib.repository import trees
from tasklib.repository.git import Entry, Repository
from tasklib.settings import Settings


@dataclass(frozen=True)
class Base:
    """A base migration that a squash made, and the commit that has its originals."""

    migration: Migration
    commit: str


@dataclass(frozen=True)
class Squashed:
    """Where the squash is looked at from: ``settings`` and ``cwd`` are for commits whose layout is another one."""

    repository: Repository
    layout: Layout
    settings: Settings
    cwd: Path

    def bases(self, tree: str) -> list[Base]:
        """The base migrations of a commit (or tree) that name the commit of their originals."""
        history = revisions.read_history(self.repository, tree, self.layout)
        without = [m for m in history.migrations.values() if not m.parents]
        named = [(m, revisions.originals(self.repository.read(tree, m.path))) for m in without]
        return [Base(migration, commit) for migration, commit in named if commit]

    def lacks(self, base: Base) -> Refused | None:
        """The refusal of a base whose originals are not in this clone, or None."""
        if self.repository.commit(base.commit) is not None:
            return None
        return Refused(
            f"{base.migration.path} says that its originals are in the commit {base.commit}, which this clone does not "
            "have.",
            f"git fetch --unshallow, or git fetch origin {base.commit}",
        )

    def written(self, tree: str, base: Base) -> list[str]:
        """The files of a base migration at a commit (or tree)."""
        data = data_files.of_bases(self.repository, tree, [base.migration])
        return [base.migration.path, *(entry.path for entry in data)]

    def files(self, base: Base) -> list[Entry]:
        """The files that a base replaces, where they would be today; `Refused` where its commit has them not."""
        if (lacking := self.lacks(base)) is not None:
            raise lacking
        repository, commit, revision = self.repository, base.commit, base.migration.id
        then = self.layout
        if revision not in revisions.read_history(repository, commit, then).migrations:
            then = discovery.find_layout(repository, commit, replace(self.settings, directory=None), self.cwd)
        history = revisions.read_history(repository, commit, then)
        if revision not in history.migrations or len(then.locations) != len(self.layout.locations):
            raise Refused(f"The commit {commit} has no revision {revision} in {', '.join(then.locations)}.")
        gone = history.cut(revision).gone
        there = {entry.path: entry for entry in revisions.files(repository, commit, then)}
        found = [*(there[m.path] for m in gone), *data_files.of_bases(repository, commit, gone)]
        return [replace(entry, path=_moved(entry.path, then, self.layout)) for entry in found]

    def with_originals(self, tree: str, base: Base) -> str:
        """A tree like this one with the originals in the place of a base migration."""
        return trees.composed_tree(self.repository, tree, remove=self.written(tree, base), add=self.files(base))

    def whole(self, tree: str) -> str:
        """A tree with every migration that there ever was: originals of bases, and of bases among those."""
        while found := self.bases(tree):
            tree = self.with_originals(tree, found[0])
        return tree


def _moved(path: str, then: Layout, now: Layout) -> str:
    """Where a file of the old version locations would be in those of today."""
    for old, new in sorted(zip(then.locations, now.locations, strict=True), reverse=True):
        if path.startswith(f"{old}/"):
            return f"{new}/{path.removeprefix(f'{old}/')}"
    return path
