"""The judge: two scratch databases side by side, every object, every row, every sequence's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Protocol

from tasklib import binds
from tasklib.errors import Failed, Refused
from tasklib.judge import catalog, object_counts, objects, roles, rows
from tasklib.judge.catalog import Snapshot, Table
from tasklib.judge.objects import Difference
from tasklib.judge.rows import Volatile
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.postgres.binaries import Binaries
from tasklib.postgres.client import Address, Connection

TableKey = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What was compared, and what was found to differ. ``classes`` are the objects by their kind, ``reprinted`` those
    that print differently and are the same once each side's dump was restored.
    """

    found: tuple[Difference, ...]
    classes: Mapping[str, int]
    columns: int
    tables: int
    rows: int
    sequences: int
    reprinted: tuple[Difference, ...] = ()

    @property
    def objects(self) -> int:
        return sum(self.classes.values())

    def shown(self) -> str:
        return f"{self.objects} objects, {self.rows} rows in {self.tables} tables, {self.sequences} sequences"

    def by_class(self) -> str:
        """The numbers of objects of each kind, as pg_dump and the judge call them, and of columns."""
        listed = [f"{number} {kind}" for kind, number in sorted(self.classes.items())]
        return ", ".join([*listed, f"{self.columns} columns of relations"])


class Databases(Protocol):
    """Scratch databases by role and bind, as the workbench has them; ``lock`` is held by whoever makes some."""

    lock: RLock

    @property
    def work(self) -> Path: ...

    def binaries(self) -> Binaries: ...

    def address(self, role: str | None = None, bind: str | None = None) -> Address: ...

    def maintenance(self, role: str = "") -> Address: ...

    def own_clusters(self) -> object | None: ...

    def random_passwords(self) -> tuple[frozenset[str], tuple[str, ...]]: ...

    def create(
        self, role: str, template: str | None = None, beside: str | None = None, *, bare: bool = False
    ) -> Address: ...

    def drop(self, *roles: str) -> None: ...


def databases(
    scratch: Databases,
    truth: str,
    other: str,
    volatile: Volatile,
    left_out: Set[TableKey] = frozenset(),
    stable: rows.Stable | None = None,
    bind: str | None = None,
    schema: Snapshot | None = None,
) -> Verdict:
    """Compare two scratch databases by role, those of one bind. Rows of the tables ``left_out`` are not compared, all
    others are. ``schema`` is the truth's, where that was read before.

    Raises `Failed` where there was nothing to compare: a proof of nothing is none.
    """
    these, those = scratch.address(truth, bind), scratch.address(other, bind)
    left = schema or catalog.snapshot(these, scratch.binaries(), scratch.work)
    right = catalog.snapshot(those, scratch.binaries(), scratch.work)
    found, reprinted = _schemas(scratch, (truth, other), bind, left, right)
    with client.connect(these, read_only=True) as one, client.connect(those, read_only=True) as two:
        tables, of_rows = _rows(one, two, volatile, left_out, stable or {})
        states, others = catalog.sequences(one), catalog.sequences(two)
        counts = object_counts.take(one), object_counts.take(two)
    found += [*of_rows.found, *objects.compare(_states(states), _states(others))]
    known = {(difference.schema, difference.name) for difference in found}
    # What one side has and the other lacks was noticed by its name, or is now.
    found += [_odd_table(key) for key in sorted(tables.one_sided) if key not in known]
    seen = {difference.kind for difference in found}
    lost = _lost(counts, (left, right), (len(tables.left), len(tables.right)))
    found += [one for one in lost if one.name not in seen]  # other numbers of what differs by name
    classes = Counter(key[0] for key in left.objects())
    if scratch.own_clusters() is not None:
        masked, texts = scratch.random_passwords() if stable is not None else (frozenset(), ())
        ours, theirs = (_roles(scratch, role, masked, texts, roles.TABLE not in left_out) for role in (truth, other))
        found += objects.compare(ours, theirs)
        classes.update(key[0] for key in ours)
    if not found and not (classes and of_rows.tables):
        raise Failed(f"There was nothing to compare in {truth}: {classes.total()} objects, {of_rows.tables} tables.")
    return Verdict(tuple(found), classes, counts[0]["COLUMN"], of_rows.tables, of_rows.rows, len(states), reprinted)


def schemas(scratch: Databases, truth: str, other: str, without: Set[str]) -> list[Difference]:
    """What differs in the schemas of two scratch databases, by role; rows and states of sequences are not looked at.

    Nor what belongs to the database itself (settings, limits), and tables of the names ``without``.
    """
    left, right = (catalog.snapshot(scratch.address(one), scratch.binaries(), scratch.work) for one in (truth, other))
    found, _ = _schemas(scratch, (truth, other), None, left, right)
    return [one for one in found if not one.kind.startswith("DATABASE ") and not objects.is_of(one.key, without)]


@dataclass(frozen=True)
class _Tables:
    """The tables of both sides, by (schema, name)."""

    left: Mapping[TableKey, Table]
    right: Mapping[TableKey, Table]

    @property
    def one_sided(self) -> set[TableKey]:
        """Those that one side lacks, or has other columns of."""
        return {key for key in self.left.keys() | self.right.keys() if self.left.get(key) != self.right.get(key)}


@dataclass(frozen=True)
class _Compared:
    """How many tables and rows were compared."""

    found: Sequence[Difference]
    tables: int
    rows: int


def _rows(
    one: Connection, two: Connection, volatile: Volatile, left_out: Set[TableKey], stable: rows.Stable
) -> tuple[_Tables, _Compared]:
    tables = _Tables(*({(t.schema, t.name): t for t in catalog.tables(side)} for side in (one, two)))
    found: list[Difference] = []
    compared = total = 0
    with one.usual_path(), two.usual_path():
        for key in sorted(tables.left.keys() - tables.one_sided - left_out):
            table = tables.left[key]
            compared += 1
            seen = rows.compare_table(one, two, table, volatile.get(key, frozenset()), stable.get(key, frozenset()))
            numbers = rows.count(one, table), rows.count(two, table)
            total += numbers[0]
            if seen.difference is not None:
                found.append(seen.difference)
            elif seen.read != numbers:
                there, read = (" and ".join(map(str, both)) for both in (numbers, seen.read))
                found.append(Difference("NUMBER OF ROWS", *key, f"{there} in the tables", f"{read} compared"))
    return tables, _Compared(found, compared, total)


def _odd_table(key: TableKey) -> Difference:
    return Difference("ROWS", *key, "not compared: only one side has this table, with these columns", None)


def _lost(
    counts: tuple[dict[str, int], dict[str, int]], sides: tuple[Snapshot, Snapshot], tables: tuple[int, int]
) -> list[Difference]:
    """What the catalogs count and the comparison did not see, on either side; and numbers that are not the same."""
    found = []
    for which, counted, side, rows_of in zip(("truth", "other"), counts, sides, tables, strict=True):
        for kind, (number, seen) in object_counts.missing(counted, side.kinds, rows_of).items():
            said = f"{number} in the catalogs", f"{seen} compared"
            found.append(Difference(object_counts.DIFFERENCE, "", f"{kind} ({which})", *said))
    left, right = counts
    return found + [
        Difference(object_counts.DIFFERENCE, "", kind, str(left[kind]), str(right[kind]))
        for kind in left
        if left[kind] != right[kind]
    ]


def report(verdicts: Mapping[str, Verdict], truth: str, other: str) -> str:
    """The differences as people read them; of several databases each under its bind's name."""
    lines = []
    for bind, verdict in verdicts.items():
        if verdict.found:
            lines += [f"In {binds.shown(bind)}:"] if len(verdicts) > 1 else []
            lines.append(objects.report(verdict.found, truth, other))
    return "\n".join(lines)


def side_by_side(verdicts: Mapping[str, Verdict], at: str) -> list[dict[str, str | None]]:
    """`objects.side_by_side` of several databases by bind."""
    return [one for bind, of in verdicts.items() for one in objects.side_by_side(of.found, at, binds.shown(bind))]


def _schemas(
    scratch: Databases, roles: tuple[str, str], bind: str | None, left: Snapshot, right: Snapshot
) -> tuple[list[Difference], tuple[Difference, ...]]:
    """Objects that differ; and those that differ in print alone, which is so where one restore on both sides makes them
    the same.
    """
    first = objects.compare(left.objects(), right.objects())
    if not any(difference.what == "changed" for difference in first):
        return first, ()
    again = [_reprinted(scratch, role, bind, one) for role, one in zip(roles, (left, right), strict=True)]
    found = objects.compare(*again)
    differing = {difference.key for difference in found}
    alike = [difference for difference in first if difference.key not in differing]
    # A restore may also lose what differs: it is believed only of expressions.
    lost = [difference for difference in alike if not objects.may_be_print(difference)]
    return [*found, *lost], tuple(difference for difference in alike if difference not in lost)


def _roles(
    scratch: Databases, role: str, masked: Set[str], texts: Sequence[str], with_passwords: bool
) -> dict[Key, str]:
    with client.connect(scratch.maintenance(role), read_only=True) as connection:
        return roles.read(connection).facts(masked, passwords=with_passwords, texts=texts)


def _reprinted(scratch: Databases, role: str, bind: str | None, original: Snapshot) -> Mapping[Key, str]:
    """Objects as they print after a restore of their own dump; what the restore lost keeps its first print.

    A CHECK, default or view that was made from its printed form prints differently than the one made from what somebody
    typed, though they are the same.
    """
    with scratch.lock:  # one at a time has that name
        scratch.create("reprint", beside=role, bare=True)  # where the roles are that it names
        address = scratch.address("reprint", bind)
        client.copy_schema(scratch.address(role, bind), address, scratch.binaries(), scratch.work)
        again = catalog.snapshot(address, scratch.binaries(), scratch.work).objects()
        scratch.drop("reprint")
    ours = original.objects()
    return {key: again[key] if key in again and key not in original.facts else text for key, text in ours.items()}


def _states(states: Mapping[tuple[str, str], tuple[int, bool]]) -> dict[Key, str]:
    return {("SEQUENCE SET", *key): f"last_value {last}, is_called {called}" for key, (last, called) in states.items()}


def data_filter(data: str) -> Callable[[Table], bool]:
    """Which tables' rows are carried: `--data all|none|TABLE,…`."""
    if data == "all":
        return lambda table: True
    names = set() if data == "none" else {name.strip() for name in data.split(",") if name.strip()}
    return lambda table: table.shown in names or f"{table.schema}.{table.name}" in names


def refuse_unknown_tables(data: str, listed: Iterable[Table]) -> None:
    """`Refused` where --data names a table that the reference does not have."""
    if data in ("all", "none"):
        return
    listed = list(listed)
    known = {t.shown for t in listed} | {f"{t.schema}.{t.name}" for t in listed}
    for name in (one.strip() for one in data.split(",")):
        if name and name not in known:
            raise Refused(f"--data names the table {name}, which the reference does not have.",
                          f"its tables: {', '.join(sorted(t.shown for t in listed))}")  # fmt: skip
