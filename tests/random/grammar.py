"""The grammar: every operation with its weight, and a history of them."""

from __future__ import annotations

from collections.abc import Callable

from tasklib.errors import Failed
from tests.random import (
    constraints,
    data,
    datatypes,
    families,
    foreign,
    moves,
    rights,
    routines,
    search,
    sequences,
    spaces,
    tables,
    triggers,
    views,
)
from tests.random.world import NotNow, World

Operation = Callable[[World], str]
SUBJECTS = (
    *(spaces, datatypes, sequences, tables, constraints, families, routines, search, views, triggers, foreign),
    *(rights, moves, data),
)
WEIGHED: tuple[tuple[int, Operation], ...] = tuple(one for subject in SUBJECTS for one in subject.OPERATIONS)
OPERATIONS: tuple[Operation, ...] = tuple(operation for weight, operation in WEIGHED for _ in range(weight))
# Kinds that the grammar does not show as long as they stand here: faults that are known, and what is always refused.
KNOWN = frozenset({"stale materialized views"})


def grow(w: World, most: int) -> None:
    """A history of about ``most`` statements at the most; it begins with a table or two."""
    for _ in range(w.number(1, 3)):
        w.run(tables.create_table(w))
    length = w.number(most // 3, most)
    for _ in range(3 * length):
        if len(w.history) >= length:
            break
        operation = w.one(OPERATIONS)
        try:
            w.run(operation(w))
        except (NotNow, Failed):
            continue
    if w.known("stale materialized views"):
        refresh(w)


def refresh(w: World) -> None:
    """What is in a materialized view is what its query gives now; one may be over another."""
    views = w.texts("SELECT oid::regclass FROM pg_class WHERE relkind = 'm' AND relispopulated")
    for _ in views if len(views) < 4 else views[:3]:
        for view in views:
            w.run(f"REFRESH MATERIALIZED VIEW {view}")
