"""Rows side by side: every row of every table as sorted text, streamed, never all in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest

from tasklib.errors import Failed, Refused
from tasklib.judge.catalog import Table
from tasklib.judge.objects import Difference
from tasklib.postgres.client import Connection, Unavailable, sql

Volatile = Mapping[tuple[str, str], frozenset[str]]
# By table with volatile columns, digests of the rows that two runs share to the letter.
Stable = Mapping[tuple[str, str], Set[str]]


@dataclass(frozen=True)
class Compared:
    """The first rows that two databases do not share, if any, and how many were read of each until then."""

    difference: Difference | None
    read: tuple[int, int]


class _Counted(Iterator[str]):
    def __init__(self, texts: Iterator[str]) -> None:
        self.texts = texts
        self.number = 0

    def __next__(self) -> str:
        text = next(self.texts)
        self.number += 1
        return text


def compare_table(
    left: Connection, right: Connection, table: Table, volatile: frozenset[str], stable: Set[str] = frozenset()
) -> Compared:
    """The rows of one table in two databases, side by side.

    Rows of the digests ``stable`` must be there to the letter; others are compared by all but their volatile values.
    """
    missing: list[str] = []
    extra: list[str] = []
    these, those = (_Counted(_texts(side, table, volatile)) for side in (left, right))
    pairs = _merge(these, those)
    if volatile:
        pairs = chain(_changed(left, right, table, stable), pairs)
    for one, two in pairs:
        if one is not None:
            missing.append(one)
        if two is not None:
            extra.append(two)
        if len(missing) + len(extra) > 5:
            break
    read = (these.number, those.number)
    if not missing and not extra:
        return Compared(None, read)
    shown = "\n".join(missing) or None, "\n".join(extra) or None
    return Compared(Difference("ROWS", table.schema, table.name, *shown), read)


def _changed(
    left: Connection, right: Connection, table: Table, stable: Set[str]
) -> Iterator[tuple[str | None, str | None]]:
    """Stable rows that are not on the right to the letter."""
    whole = frozenset[str]()
    for one, _ in _merge(_texts(left, table, whole), _texts(right, table, whole)):
        if one is not None and digest(one) in stable:
            yield one, None


def stable_rows(left: Connection, right: Connection, table: Table) -> set[str]:
    """Digests of the rows that both databases hold to the letter."""
    whole = frozenset[str]()
    only_left = {one for one, _ in _merge(_texts(left, table, whole), _texts(right, table, whole)) if one is not None}
    return {digest(text) for text in _texts(left, table, whole) if text not in only_left}


def digest(text: str) -> str:
    """What is kept of a row's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def count(connection: Connection, table: Table, condition: str = "") -> int:
    """How many rows the table holds itself (without those of tables that inherit from it), that meet a ``WHERE …``."""
    query = sql.SQL("SELECT count(*) FROM ONLY {} ").format(table.sql) + sql.SQL(condition)
    with _reading(table), connection.usual_path():
        return int(connection.value(query))


@contextmanager
def _reading(table: Table) -> Iterator[None]:
    """`Refused` where the server does not let anybody read a table: an index's condition that raises, a broken view."""
    try:
        yield
    except Unavailable:
        raise
    except Failed as error:
        said = error.text.partition("refused a statement of this program: ")[2] or error.text
        raise Refused(
            f"The rows of {table.shown} cannot be read: {said}",
            "a user for --server that may read all rows (BYPASSRLS), or leave --server out"
            if "row-level security" in said
            else "change what raises there (an index, its function) in a commit of its own, or choose an R before it",
        ) from error


def volatile_columns(left: Connection, right: Connection, table: Table) -> frozenset[str] | None:
    """The columns without whose values two tables are the same; empty where they are; None where none explain it."""
    if _same(left, right, table, frozenset()):
        return frozenset()
    if count(left, table) != count(right, table):
        return None
    names = [column.name for column in table.columns]
    found = frozenset(name for name in names if not _same_values(left, right, table, name))
    if _same(left, right, table, found):
        return found
    # The same values dealt out to other rows: the column that makes the difference is found by leaving each out.
    for name in names:
        if name not in found and _same(left, right, table, found | {name}):
            return found | {name}
    return None


def _same(left: Connection, right: Connection, table: Table, volatile: frozenset[str]) -> bool:
    return compare_table(left, right, table, volatile).difference is None


def _same_values(left: Connection, right: Connection, table: Table, column: str) -> bool:
    statement = _sorted(sql.SQL("ROW({})::text").format(sql.Identifier(column)), table)
    return all(a == b for a, b in zip_longest(left.stream(statement), right.stream(statement)))


def _texts(connection: Connection, table: Table, volatile: frozenset[str]) -> Iterator[str]:
    # pg_get_expr-like parts of a row's text follow the session's settings, which `connect` fixes.
    parts = [
        sql.SQL("({} IS NULL)" if column.name in volatile else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    ]
    text = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(parts)) if parts else sql.SQL("'()'")
    with _reading(table):
        for row in connection.stream(_sorted(text, table)):
            yield str(row[0])


def _sorted(text: sql.Composable, table: Table) -> sql.Composable:
    inner = sql.SQL("SELECT {} AS text FROM ONLY {}").format(text, table.sql)
    return sql.SQL('SELECT text FROM ({}) AS texts ORDER BY text COLLATE "C"').format(inner)


def _merge(left: Iterator[str], right: Iterator[str]) -> Iterator[tuple[str | None, str | None]]:
    """Two sorted streams side by side; only what is not on both sides comes out."""
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        if one == two:
            one, two = next(left, None), next(right, None)
        # The server sorts by bytes (COLLATE "C"), and so does Python's order of UTF-8.
        elif two is None or (one is not None and one.encode() < two.encode()):
            yield one, None
            one = next(left, None)
        else:
            yield None, two
            two = next(right, None)


def names(volatile: Volatile) -> Sequence[str]:
    """Volatile columns as T.C, with the schema where it is not public."""
    return [
        f"{'' if schema == 'public' else schema + '.'}{table}.{column}"
        for (schema, table), columns in sorted(volatile.items())
        for column in sorted(columns)
    ]
