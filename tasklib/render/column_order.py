"""In which steps tables that inherit come about, so that each has its columns in the order that it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasklib.errors import Failed
from tasklib.judge.tables import Table

TableKey = tuple[str, str]


class Order:
    """A search for steps after which each table has its columns in its order.

    A table may be made before its parents have all of theirs, and gets the others with them; or later, with what they
    then have.
    """

    LIMIT = 20_000  # steps that are tried

    def __init__(self, parents: Mapping[TableKey, Sequence[TableKey]], tables: Sequence[Table]) -> None:
        self.tables = {(t.schema, t.name): t for t in tables}
        self.wanted = {key: [column.name for column in table.columns] for key, table in self.tables.items()}
        self.parents = {key: [one for one in parents.get(key, ()) if one in self.tables] for key in self.tables}
        self.children = {key: [c for c in self.tables if key in self.parents[c]] for key in self.tables}
        self.tried = 0
        self.seen: set[tuple[object, ...]] = set()

    def found(self) -> tuple[tuple[TableKey, str | None], ...]:
        own = [(key, column.name) for key, table in self.tables.items() for column in table.columns if column.own]
        steps = self._search({}, own)
        if steps is None:
            names = ", ".join(table.shown for table in self.tables.values())
            raise Failed(f"No order of additions gives the tables {names} their columns as they are.",
                         "this is a gap of this program: please report these tables")  # fmt: skip
        return tuple(steps)

    def _search(
        self, there: dict[TableKey, list[str]], left: list[tuple[TableKey, str]]
    ) -> list[tuple[TableKey, str | None]] | None:
        self.tried += 1
        state = (tuple(sorted((key, len(names)) for key, names in there.items())), tuple(left))
        if state in self.seen or self.tried > self.LIMIT:
            return None
        self.seen.add(state)
        if not left and len(there) == len(self.tables):
            return []
        for step, after in self._next(there, left):
            rest = self._search(after, [one for one in left if one != step])
            if rest is not None:
                return [step, *rest]
        return None

    def _next(
        self, there: dict[TableKey, list[str]], left: Sequence[tuple[TableKey, str]]
    ) -> Iterator[tuple[tuple[TableKey, str | None], dict[TableKey, list[str]]]]:
        """The steps that put nothing where it does not belong, and what is there after each."""
        for key in self.tables:
            if key not in there and all(parent in there for parent in self.parents[key]):
                columns = list(dict.fromkeys(name for parent in self.parents[key] for name in there[parent]))
                # A column of its own as well must be its own first.
                merged = any((key, name) in left for name in columns)
                if columns == self.wanted[key][: len(columns)] and not merged:
                    yield (key, None), {**there, key: columns}
        for key, name in left:
            if key in there and not self._declares_below(key, name, there, left):
                after = {one: list(names) for one, names in there.items()}
                self._add(key, name, after)
                if all(names == self.wanted[one][: len(names)] for one, names in after.items()):
                    yield (key, name), after

    def _declares_below(
        self, key: TableKey, name: str, there: Mapping[TableKey, list[str]], left: Sequence[tuple[TableKey, str]]
    ) -> bool:
        """Whether a child has the column of its own as well: it must have it before it gets it from here."""
        return any((c, name) in left or self._declares_below(c, name, there, left) for c in self.children[key])

    def _add(self, key: TableKey, name: str, there: dict[TableKey, list[str]]) -> None:
        there[key] += [] if name in there[key] else [name]
        for child in self.children[key]:
            if child in there:
                self._add(child, name, there)
