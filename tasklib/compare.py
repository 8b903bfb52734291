"""The judge: two scratch databases side by side, every object, every row, every sequence's state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from tasklib import binds, catalog, passwords, postgres, roles, rows, schema
from tasklib.archive import Key
from tasklib.bench import Bench
from tasklib.catalog import Snapshot, Table
from tasklib.errors import Failed, Refused
from tasklib.rows import Volatile
from tasklib.schema import Difference

TableKey = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What was compared, and what was found to differ."""

    found: tuple[Difference, ...]
    objects: int
    tables: int
    rows: int
    sequences: int

    def shown(self) -> str:
        return f"{self.objects} objects, {self.rows} rows in {self.tables} tables, {self.sequences} sequences"


def databases(
    bench: Bench,
    truth: str,
    other: str,
    volatile: Volatile,
    left_out: Set[TableKey] = frozenset(),
    stable: rows.Stable | None = None,
    bind: str | None = None,
) -> Verdict:
    """Compare two scratch databases by role, those of one bind. Rows of the tables ``left_out`` are not compared, all
    others are.

    Raises `Failed` where there was nothing to compare: a proof of nothing is none.
    """
    these, those = bench.address(truth, bind), bench.address(other, bind)
    left, right = (catalog.snapshot(address, bench.binaries(), bench.work) for address in (these, those))
    found = _schemas(bench, (truth, other), bind, left, right)
    with postgres.connect(these, read_only=True) as one, postgres.connect(those, read_only=True) as two:
        here = {(t.schema, t.name): t for t in catalog.tables(one)}
        there = {(t.schema, t.name): t for t in catalog.tables(two)}
        compared = total = 0
        for key in sorted(here.keys() & there.keys()):
            if here[key] != there[key] or key in left_out:
                continue  # other columns are a difference already
            compared += 1
            total += rows.count(one, here[key])
            known = (stable or {}).get(key, frozenset())
            difference = rows.compare_table(one, two, here[key], volatile.get(key, frozenset()), known)
            if difference is not None:
                found.append(difference)
        states, others = catalog.sequences(one), catalog.sequences(two)
        found += schema.compare(_states(states), _states(others))
    objects = len(left.objects())
    if bench.own_clusters() is not None:
        masked = frozenset((bench.plan.replayed or {}).get("passwords", ())) if stable is not None else frozenset()
        texts = _written(bench) if masked else ()
        ours, theirs = (_roles(bench, role, masked, texts, roles.TABLE not in left_out) for role in (truth, other))
        found += schema.compare(ours, theirs)
        objects += len(ours)
    if objects == 0 or compared == 0:
        raise Failed(f"There was nothing to compare in {truth}: {objects} objects, {compared} tables.")
    return Verdict(tuple(found), objects, compared, total, len(states))


def report(verdicts: Mapping[str, Verdict], truth: str, other: str) -> str:
    """The differences as people read them; of several databases each under its bind's name."""
    lines = []
    for bind, verdict in verdicts.items():
        if verdict.found:
            lines += [f"In {binds.shown(bind)}:"] if len(verdicts) > 1 else []
            lines.append(schema.report(verdict.found, truth, other))
    return "\n".join(lines)


def _schemas(
    bench: Bench, roles: tuple[str, str], bind: str | None, left: Snapshot, right: Snapshot
) -> list[Difference]:
    """Objects that differ; what may differ in print alone is looked at again after one restore on both sides."""
    found = schema.compare(left.objects(), right.objects())
    if not any(difference.what == "changed" for difference in found):
        return found
    again = [_reprinted(bench, role, bind, one) for role, one in zip(roles, (left, right), strict=True)]
    return schema.compare(*again)


def _roles(bench: Bench, role: str, masked: Set[str], texts: Sequence[str], with_passwords: bool) -> dict[Key, str]:
    with postgres.connect(bench.maintenance(role), read_only=True) as connection:
        return roles.read(connection).facts(masked, passwords=with_passwords, texts=texts)


def _written(bench: Bench) -> tuple[str, ...]:
    """What may be a password in the old migrations."""
    run = bench.cut().run(from_r=False)
    sources = bench.repository.read_many(bench.plan.tip, [migration.path for migration in run])
    return passwords.written(sources[path] for path in sorted(sources))


def _reprinted(bench: Bench, role: str, bind: str | None, original: Snapshot) -> Mapping[Key, str]:
    """Objects as they print after a restore of their own dump; what the restore lost keeps its first print.

    A CHECK, default or view that was made from its printed form prints differently than the one made from what somebody
    typed, though they are the same.
    """
    bench.create("reprint", beside=role, bare=True)  # where the roles are that it names
    address = bench.address("reprint", bind)
    postgres.copy_schema(bench.address(role, bind), address, bench.binaries(), bench.work)
    again = catalog.snapshot(address, bench.binaries(), bench.work).objects()
    bench.drop("reprint")
    objects = original.objects()
    return {key: again[key] if key in again and key not in original.facts else text for key, text in objects.items()}


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
