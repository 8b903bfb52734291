"""The cut: what goes and what stays when R becomes the base. Pure: no file, no database, no process."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasklib.errors import Refused

if TYPE_CHECKING:
    from alembic.script.revision import RevisionMap

LIST = "`flask db history` (`alembic history`)"


@dataclass(frozen=True)
class Migration:
    """One revision file, as its syntax tree says it: ``down`` and ``depends_on`` hold ids, ``path`` is its file."""

    id: str
    down: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    path: str
    message: str

    @property
    def parents(self) -> tuple[str, ...]:
        """All revisions that must run before this one."""
        return self.down + self.depends_on


@dataclass(frozen=True)
class Cut:
    """R, what goes with it (``gone``, oldest first, R last) and what stays (``kept``, oldest first)."""

    revision: Migration
    gone: tuple[Migration, ...]
    kept: tuple[Migration, ...]
    heads: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Branch labels of all that goes: the base carries them."""
        return tuple(label for migration in self.gone for label in migration.labels)

    def run(self, *, from_r: bool) -> tuple[Migration, ...]:
        """The old migrations that a squash runs: all, or those after R where a database at R stands for the rest."""
        return self.kept if from_r else (*self.gone, *self.kept)


class History:
    """The revision graph of one script directory."""

    def __init__(self, migrations: Iterable[Migration]) -> None:
        self.migrations = {migration.id: migration for migration in migrations}
        labels = {label: m.id for m in self.migrations.values() for label in m.labels}
        for migration in list(self.migrations.values()):
            missing = [p for p in migration.parents if p not in self.migrations and p not in labels]
            if missing:
                raise Refused(
                    f"{migration.path} names the revision {missing[0]!r}, which no file of the script directory has.",
                    f"repair the history first: {LIST} must work",
                )
        # depends_on may name a branch label instead of an id. The base carries the labels of all that goes, so such a
        # dependency stays true when what it means goes: (who, what).
        self._by_label = {
            (m.id, labels[d]) for m in self.migrations.values() for d in m.depends_on
            if d in labels and labels[d] not in m.parents
        }  # fmt: skip
        self.migrations = {
            m.id: Migration(m.id, m.down, tuple(labels.get(d, d) for d in m.depends_on), m.labels, m.path, m.message)
            for m in self.migrations.values()
        }
        self._refuse_circle()

    def _refuse_circle(self) -> None:
        """`Refused` where revisions come after one another in a circle, or one after itself."""
        waiting = {m.id: {*m.parents} for m in self.migrations.values()}
        children: dict[str, list[str]] = {}
        for one, parents in waiting.items():
            for parent in parents:
                children.setdefault(parent, []).append(one)
        free = [one for one, parents in waiting.items() if not parents]
        while free:
            gone = free.pop()
            del waiting[gone]
            for child in children.get(gone, ()):
                waiting[child].discard(gone)
                if not waiting[child]:
                    free.append(child)
        if waiting:
            way = [min(waiting)]
            while way[-1] not in way[:-1]:
                way.append(min(waiting[way[-1]]))
            circle = way[way.index(way[-1]) :]
            raise Refused(
                f"{self.migrations[circle[0]].path}: {' comes after '.join(circle)}; a history without a circle was "
                "expected.",
                f"repair the history first: {LIST} must work",
            )

    @property
    def heads(self) -> tuple[str, ...]:
        """Revisions that no other one has as its parent (dependencies do not count, as in Alembic)."""
        parents = {p for m in self.migrations.values() for p in m.down}
        return tuple(sorted(i for i in self.migrations if i not in parents))

    def ancestors(self, revision: str) -> set[str]:
        """Everything that ``upgrade revision`` runs before it, without itself."""
        found: set[str] = set()
        todo = list(self.migrations[revision].parents)
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo.extend(self.migrations[one].parents)
        return found

    def ordered(self, ids: Iterable[str]) -> tuple[Migration, ...]:
        """The given revisions, parents first; deterministic: among equals by id."""
        wanted = set(ids)
        done: dict[str, None] = {}
        for start in sorted(wanted):
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(self.migrations[start].parents)))]
            while stack:
                one, parents = stack[-1]
                following = next((p for p in parents if p in wanted and p not in done), None)
                if following is None:
                    stack.pop()
                    done[one] = None
                else:
                    stack.append((following, iter(sorted(self.migrations[following].parents))))
        return tuple(self.migrations[i] for i in done)

    def resolve(self, name: str) -> Migration:
        """The revision that ``name`` stands for: an id, a unique part of one, ``head-20``, ``label@head``.

        Raises `Refused` for an unknown or ambiguous one, and for a bare ``-N``, which means different things in
        different versions of Alembic.
        """
        if name in self.migrations:
            return self.migrations[name]
        if re.fullmatch(r"[+-]\d+", name):
            raise Refused(
                f"--rev {name} is relative to nothing: a bare {name} means different revisions in different versions "
                "of Alembic.",
                f"--rev head{name}" if name.startswith("-") else "name the revision by its id",
            )
        if (plain := self._straight(name)) is not None:
            return plain
        self._refuse_to_step_over_a_merge(name)
        heads = ", ".join(self.heads)
        from alembic.script.revision import RevisionError  # half a second, with SQLAlchemy: only who asks it waits

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            revisions = self._map()
            try:
                if re.search(r"[+-]\d+$", name):
                    # Only iterate_revisions knows the relative forms; the upper end comes first.
                    found = next(iter(revisions.iterate_revisions(name, "base")), None)
                else:
                    found = revisions.get_revision(name)
            except (RevisionError, AssertionError, KeyError, ValueError) as error:  # by version of Alembic
                raise Refused(
                    f"--rev {name} is no single revision of this history{f': {error}' if str(error) else ''}."
                    f" The heads are {heads}.",
                    self._instead(name),
                ) from None
        if found is None or found.revision not in self.migrations:
            raise Refused(f"--rev {name} is no revision of this history. The heads are {heads}.",
                          f"{LIST} lists the revisions")  # fmt: skip
        return self.migrations[found.revision]

    def _straight(self, name: str) -> Migration | None:
        """What ``head`` or ``head-20`` stands for where nothing but one line of parents leads there; else None.

        What everybody types is known without Alembic, which takes a second to be imported.
        """
        steps = re.fullmatch(r"head(?:-([1-9]\d*))?", name)
        if steps is None or len(self.heads) != 1 or any(m.labels for m in self.migrations.values()):
            return None
        at = self.migrations[self.heads[0]]
        for _ in range(int(steps.group(1) or 0)):
            if len(at.down) != 1 or at.depends_on:
                return None
            at = self.migrations[at.down[0]]
        return at

    def _refuse_to_step_over_a_merge(self, name: str) -> None:
        """`Refused` for a ``head-20`` whose way back parts at a merge; the legal revisions about as far are named.

        Alembic calls it an "ambiguous walk".
        """
        relative = re.fullmatch(r"(.+)-(\d+)", name)
        if relative is None or name in self.migrations:
            return
        try:
            start = self.resolve(relative.group(1)).id
        except Refused:
            return  # in the words of the whole name, below
        at, wanted = start, int(relative.group(2))
        for _ in range(wanted):
            if len(self.migrations[at].down) != 1:
                break
            at = self.migrations[at].down[0]
        else:
            return
        if not self.migrations[at].down:
            return
        before = self.ancestors(start)
        away = {one: len(before) - len(self.ancestors(one)) for one in before | {start} if self.legal(one)}
        sides = (
            [one for one in away if away[one] <= wanted],
            [one for one in away if away[one] > wanted],
        )
        near = [min(side, key=lambda one: (abs(away[one] - wanted), one)) for side in sides if side]
        near.sort(key=lambda one: abs(away[one] - wanted))
        listed = ", ".join(f"{one} ({away[one]} migrations after it)" for one in near)
        raise Refused(
            f"--rev {name} is no single revision of this history: the way back from {start} parts at the merge {at}. "
            f"Legal, and about as far: {listed or 'none'}. The heads are {', '.join(self.heads)}.",
            f"--rev {near[0]}" if near else "",
        )

    def _instead(self, name: str) -> str:
        """What to type for a name that stands for no revision or for several."""
        steps = re.search(r"-(\d+)$", name)
        if len(self.heads) > 1 and re.match(r"heads?\b", name):
            back = steps.group(0) if steps else ""
            return f"--rev {self.heads[0]}{back} counts from one of the heads; so does LABEL@head{back}"
        listed = f"{LIST} lists the {len(self.migrations)} revisions"
        return f"{listed}; --rev takes an id, a part of one, or head-3, say"

    def offender(self, revision: str) -> tuple[Migration, str] | None:
        """A kept revision that hangs on an ancestor of ``revision``, and that ancestor; None in a clean cut."""
        gone = self.ancestors(revision)
        for migration in self.ordered(i for i in self.migrations if i not in gone and i != revision):
            for parent in migration.parents:
                if parent in gone and (migration.id, parent) not in self._by_label:
                    return migration, parent
        return None

    def legal(self, revision: str) -> bool:
        """Whether everything before ``revision`` can go: it has ancestors and no kept revision hangs on one."""
        return bool(self.migrations[revision].parents) and self.offender(revision) is None

    def cut(self, revision: str) -> Cut:
        """The cut at ``revision``; `Refused` where it is not clean, naming the nearest revision that would be."""
        target = self.migrations[revision]
        if not target.parents:
            raise Refused(
                f"{revision} is already the base of this history: there is nothing before it to squash.",
                "choose a later revision",
            )
        offence = self.offender(revision)
        if offence is not None:
            kept, ancestor = offence
            nearest = self.nearest_legal(revision)
            raise Refused(
                f"{revision} cannot become the base: {kept.id} ({kept.path}) stays, and it hangs on {ancestor}, which "
                f"would go. {_nearest(nearest)}",
                f"--rev {nearest[0]}" if nearest else "",
            )
        gone = self.ancestors(revision) | {revision}
        kept_ids = [i for i in self.migrations if i not in gone]
        return Cut(target, self.ordered(gone), self.ordered(kept_ids), self.heads)

    def nearest_legal(self, revision: str) -> list[str]:
        """Legal revisions next to ``revision``: the nearest before it, then the nearest after it."""
        before = [m.id for m in self.ordered(self.ancestors(revision)) if self.legal(m.id)][-1:]
        after = [m.id for m in self.ordered(self.migrations) if revision in self.ancestors(m.id) and self.legal(m.id)]
        return before + after[:1]

    def _map(self) -> RevisionMap:
        from alembic.script.revision import Revision, RevisionMap

        def generator() -> Sequence[Revision]:
            return [
                Revision(m.id, m.down or None, dependencies=m.depends_on or None, branch_labels=m.labels or None)
                for m in self.ordered(self.migrations)
            ]

        return RevisionMap(generator)


def _nearest(found: Sequence[str]) -> str:
    if not found:
        return "No revision of this history would be legal."
    return f"The nearest legal R: {' (before it) or '.join(found)}{' (after it)' if len(found) > 1 else ''}."
