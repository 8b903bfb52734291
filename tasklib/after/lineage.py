"""Every revision that a project ever had, through all squashes, and the one that all databases must have reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.history.cut import History, Migration
from tasklib.history.originals import Base, Squashed
from tasklib.project import discovery
from tasklib.repository.git import Repository
from tasklib.settings import Settings

AUTO = "auto"  # --rev: R is yet to be found


@dataclass(frozen=True)
class Lineage:
    """``revision`` is R: the base of this checkout, or what is to become one. ``tree`` holds every migration that there
    ever was, ``history`` is theirs; ``today`` is that of ``head``, the checkout's commit.

    ``lacking`` says why there is no such tree: what is known of the old ones then is their order in the base alone.
    """

    squashed: Squashed
    head: str
    tree: str
    revision: str
    history: History
    today: History
    base: Base | None = None
    lacking: Refused | None = None

    def closure(self, ids: set[str]) -> set[str]:
        """Every revision that a database with these ids has run."""
        known = ids & self.history.migrations.keys()
        return known.union(*(self.history.ancestors(one) for one in known))

    def to_r(self) -> set[str]:
        """R and every revision before it."""
        return self.closure({self.revision})


def read(repository: Repository, settings: Settings, cwd: Path) -> Lineage:
    """The lineage of the commit that is checked out, up to --rev or to the base that a squash made.

    `Refused` where there is neither.
    """
    head = repository.commit("HEAD") or ""
    squashed = Squashed(repository, discovery.find_layout(repository, head, settings, cwd), settings, cwd)
    today = revisions.read_history(repository, head, squashed.layout)
    found = squashed.bases(head)
    if settings.rev is None and len(found) != 1:
        raise Refused(
            f"{len(found)} base migrations of this checkout name the commit of their originals; one was expected.",
            "--rev R, for the revision that is to become the base",
        )
    if settings.rev == AUTO:
        revision = today.heads[0]  # as good as any other one, to ask how far databases have come
    else:
        revision = found[0].migration.id if settings.rev is None else today.resolve(settings.rev).id
    base = next((one for one in found if one.migration.id == revision), None)
    try:
        tree = squashed.whole(head)
        history = revisions.read_history(repository, tree, squashed.layout)
    except Refused as error:
        if base is None or squashed.lacks(base) is None:
            raise
        replaced = revisions.replaced(repository.read(head, base.migration.path))
        return Lineage(squashed, head, "", revision, _in_order(today, revision, replaced), today, base, error)
    return Lineage(squashed, head, tree, revision, history, today, base)


def _in_order(today: History, revision: str, replaced: tuple[str, ...]) -> History:
    """The history with the ids that a base replaces before it, one after the other."""
    old = [one for one in replaced if one not in today.migrations]
    line = [Migration(one, tuple(old[n - 1 : n]) if n else (), (), (), "", "") for n, one in enumerate(old)]
    at = today.migrations[revision]
    known = [Migration(m.id, tuple(old[-1:]), (), m.labels, m.path, m.message) if m == at else m
             for m in today.migrations.values()]  # fmt: skip
    return History([*line, *known])
