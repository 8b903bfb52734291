"""Where databases stand: at R, past it, behind it. Read only, many at a time; one that is away hides no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tasklib.after.lineage import Lineage
from tasklib.errors import SquashError
from tasklib.postgres import client, version_table
from tasklib.postgres.client import Address, Connection
from tasklib.postgres.version_table import Name

AT_A_TIME = 16
SECONDS = 10  # for each connection, unless --timeout says another number
SAFE = ("at R", "past R")


@dataclass(frozen=True)
class Instance:
    """One database, or one schema of it: ``state`` is at R, past R, behind R, unknown revision, several rows, no
    version table or not reached; ``ids`` are those that it holds, ``missing`` those of the revisions to R that it
    lacks, in order, ``words`` say more. ``drift`` are the differences of its schema from what the chain builds at its
    revision, or why they are not known; None where nobody asked.
    """

    place: str
    state: str
    ids: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    words: str = ""
    drift: tuple[str, ...] | None = None

    @property
    def is_safe(self) -> bool:
        return self.state in SAFE and not self.drift

    def shown(self) -> str:
        more = self.words
        if self.missing:
            few = ", ".join(self.missing[:3]) + (" …" if len(self.missing) > 3 else "")
            more = f"{len(self.missing)} to go: {few}"
        at = ", ".join(self.ids)
        drift = "" if self.drift is None else f"drift: {len(self.drift)}" if self.drift else "no drift"
        return "; ".join(part for part in (f"{self.state}{f' ({at})' if at else ''}", more, drift) if part)


def look(
    addresses: Sequence[Address], known: Lineage, tables: Sequence[Name], schemas: str | None, seconds: int
) -> list[Instance]:
    """Every database's instances, in order; with ``schemas`` (a pattern of LIKE) one for each schema that fits and has
    a version table. ``seconds`` are given to each connection.
    """
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = pool.map(lambda one: _look(one, known, tables, schemas, seconds), addresses)
        return [instance for listed in found for instance in listed]


def _look(
    address: Address, known: Lineage, tables: Sequence[Name], schemas: str | None, seconds: int
) -> list[Instance]:
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


def _instance(connection: Connection, place: str, known: Lineage, tables: Sequence[Name]) -> Instance:
    if not tables:
        return Instance(place, "no version table")
    ids = tuple(sorted({one for table in tables for one in version_table.ids(connection, table)}))
    if not ids:
        return Instance(place, "no version table", words="it is there, and empty")
    strange = [one for one in ids if one not in known.history.migrations]
    if strange:
        return Instance(place, "unknown revision", ids, words="no file of this history has it")
    if any(one in known.history.ancestors(other) for one in ids for other in ids):
        return Instance(place, "several rows", ids, words="one comes before another: Alembic keeps the last ones only")
    to_r, done = known.to_r(), known.closure({*ids})
    if to_r <= done:
        return Instance(place, "at R" if set(ids) == {known.revision} else "past R", ids)
    order = [m.id for m in known.history.ordered(known.history.migrations) if m.id in to_r - done]
    return Instance(place, "behind R", ids, tuple(order))


def newest(instances: Iterable[Instance], known: Lineage) -> str | None:
    """The newest revision that could be R, and that all of them have reached; None where there is none."""
    reached = [known.closure({*one.ids}) for one in instances if one.ids]
    if not reached:
        return None
    common = set.intersection(*reached)
    legal = [m.id for m in known.today.ordered(known.today.migrations) if m.id in common]
    return next((one for one in reversed(legal) if known.today.legal(one)), None)
