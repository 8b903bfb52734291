"""Where databases stand: at R, past it, behind it. Read only, many at a time; one that is away hides no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tasklib.errors import SquashError
from tasklib.history.cut import History
from tasklib.postgres import client, version_table
from tasklib.postgres.client import Address, Connection
from tasklib.postgres.version_table import Name

AT_A_TIME = 16
SAFE = ("at R", "past R")


@dataclass(frozen=True)
class Known:
    """What is known of the revisions: R, and the ``history`` in which it was made (with all that a squash took)."""

    revision: str
    history: History
    later: frozenset[str] = frozenset()  # ids that only the history after a squash has

    def closure(self, ids: Iterable[str]) -> set[str]:
        """Every revision that a database with these ids has run."""
        there = [one for one in ids if one in self.history.migrations]
        found = set(there).union(*(self.history.ancestors(one) for one in there))
        # What comes after a squash stands on R.
        return found | ({self.revision, *self.history.ancestors(self.revision)} if self.later & set(ids) else set())


@dataclass(frozen=True)
class Instance:
    """One database, or one schema of it: ``state`` is at R, past R, behind R, unknown revision, no version table or
    not reached; ``ids`` are those that it holds, ``missing`` how many revisions it lacks, ``words`` say more.
    """

    place: str
    state: str
    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    words: str = ""

    @property
    def is_safe(self) -> bool:
        return self.state in SAFE

    def shown(self) -> str:
        more = self.words
        if self.missing:
            few = ", ".join(self.missing[:3]) + (" …" if len(self.missing) > 3 else "")
            more = f"{len(self.missing)} to go: {few}"
        at = ", ".join(self.ids)
        return f"{self.state}{f' ({at})' if at else ''}{f'; {more}' if more else ''}"


def look(
    addresses: Sequence[Address], known: Known, tables: Sequence[Name], schemas: str | None, seconds: int
) -> list[Instance]:
    """Every database's instances, in order; with ``schemas`` (a pattern of LIKE) one for each schema that fits and has
    a version table. ``seconds`` are given to each connection.
    """
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = pool.map(lambda one: _look(one, known, tables, schemas, seconds), addresses)
        return [instance for listed in found for instance in listed]


def _look(address: Address, known: Known, tables: Sequence[Name], schemas: str | None, seconds: int) -> list[Instance]:
    place = f"{address.host}:{address.port}/{address.database}"
    timed = replace(address, options=(*(o for o in address.options if o[0] != "connect_timeout"),
                                      ("connect_timeout", str(seconds))))  # fmt: skip
    try:
        with client.connect(timed, read_only=True) as connection:
            if schemas is None:
                there = version_table.existing(connection, tables)
                return [_instance(connection, place, known, there)]
            names = [str(one) for (one,) in connection.rows(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s ORDER BY 1", [schemas])]  # fmt: skip
            of_all = {name: version_table.existing(connection, [(name, t) for _, t in tables]) for name in names}
            return [
                _instance(connection, f"{place} {name}", known, found) for name, found in of_all.items() if found
            ] or [Instance(place, "no version table", words=f"in no schema like {schemas}")]
    except SquashError as error:
        return [Instance(place, "not reached", words=" ".join(error.text.split())[:200])]


def _instance(connection: Connection, place: str, known: Known, tables: Sequence[Name]) -> Instance:
    if not tables:
        return Instance(place, "no version table")
    ids = tuple(sorted({one for table in tables for one in version_table.ids(connection, table)}))
    strange = [one for one in ids if one not in known.history.migrations and one not in known.later]
    if strange:
        return Instance(place, "unknown revision", ids, words="no file of this history has it")
    to_r = {known.revision, *known.history.ancestors(known.revision)}
    done = known.closure(ids)
    if to_r <= done:
        return Instance(place, "at R" if set(ids) == {known.revision} else "past R", ids)
    order = [m.id for m in known.history.ordered(known.history.migrations) if m.id in to_r - done]
    return Instance(place, "behind R", ids, tuple(order))


def newest(instances: Iterable[Instance], known: Known) -> str | None:
    """The newest revision that could be R, and that all of them have reached; None where there is none."""
    reached = [known.closure(one.ids) for one in instances if one.ids]
    if not reached:
        return None
    common = set.intersection(*reached)
    legal = [m.id for m in known.history.ordered(known.history.migrations) if m.id in common]
    return next((one for one in reversed(legal) if known.history.legal(one)), None)
