"""Rows as op.bulk_insert, or as INSERT where that cannot say it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tasklib.judge.tables import Column
from tasklib.postgres import client
from tasklib.render import pycode, values
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.pycode import Call, Items, Node, string
from tasklib.render.source import UNQUOTED, Rows, Source


def item(source: Source, one: Rows, inline_keys: Mapping[tuple[str, str], Sequence[str]]) -> Item:
    """The rows of a table; ``inline_keys`` names the foreign keys that are there when they come."""
    table = one.table
    key = (table.schema, table.name)
    inline = inline_keys.get(key, ())
    needs: set[object] = {("table", *key), ("switched", *key)}
    needs |= {
        ("rows", c.target_schema, c.target_table) for c in table.constraints if c.kind == "f" and c.name in inline
    }
    odd = _odd(source, [column.name for column in values.carried(table)])
    percent = [column.name for column in values.carried(table) if "%" in column.type]
    always = [column.name for column in values.carried(table) if column.identity == "a"]
    if one.suffix is not None:
        source.used.add("load_rows")
        expected = [str(one.count)] if source.several else []
        up = pycode.render(Call("load_rows", [string(table.shown), string(one.suffix), *expected]), 4)
    elif not values.carried(table):
        # None of their values is given.
        text = f"INSERT INTO {table.shown} SELECT FROM pg_catalog.generate_series(1, {one.count})"
        up = execute_all([text], "DDL: rows without values of their own")
    elif always:
        up = _insert(source, one, f"the column {always[0]} is GENERATED ALWAYS, which bulk_insert cannot override")
    elif any(value in source.people for row in one.rows for value in row if isinstance(value, str)):
        up = _insert(source, one, "the name of the user who migrates, whoever that is")
    elif source.casts_text:
        up = _insert(source, one, "a cast of the history's own from text would take parameters")
    elif odd:
        up = _insert(source, one, f"the column {odd[0]!r} has a name that not every driver takes as a parameter")
    elif any(name in UNQUOTED for name in (*key, *(column.name for column in values.carried(table)))):
        up = _insert(source, one, "a name that SQLAlchemy does not quote")
    elif percent:
        up = _insert(source, one, f"drivers take the percent sign in the type of {percent[0]} for a parameter")
    else:
        up = _bulk_insert(source, one)
    down: list[str] = []
    if table.extension is not None:
        extension, condition = table.extension
        needs |= {e.dump_id for e in source.entries if (e.kind, e.tag) == ("EXTENSION", extension)}
        down = execute_all([f"DELETE FROM {table.shown} {condition}".rstrip()], "")
    return Item(("ROWS", *key), "rows", frozenset({("rows", *key)}), frozenset(needs), tuple(up), tuple(down))


def _odd(source: Source, names: Sequence[str]) -> list[str]:
    """Drivers and SQLAlchemy make parameters of columns' names, and do not agree on which characters they bear;
    SQLAlchemy makes "_" of a blank.
    """
    alike = Counter(name.replace(" ", "_") for name in names)
    return [n for n in names if not re.fullmatch(r"\w[\w ]*", n) or alike[n.replace(" ", "_")] > 1]


def _given(one: Rows) -> list[tuple[Column, int]]:
    """The columns whose values must be given, with their places in a row: not those that are NULL in each by nature."""
    columns = list(enumerate(values.carried(one.table)))
    nothing = {
        at for at, column in columns
        if column.default is None and not column.type_default and not column.identity
        # What the dump says of a domain may give it a default that it does not have.
        and column.type_kind != "d"
        and all(row[at] is None for row in one.rows)
    }  # fmt: skip
    kept = [(column, at) for at, column in columns if at not in nothing]
    return kept or [(columns[0][1], 0)]


def _bulk_insert(source: Source, one: Rows) -> list[str]:
    given = _given(one)
    kwargs = source.within(one.table.schema, one.table.name)
    types = [source.types.of_value(column, [row[at] for row in one.rows]) for column, at in given]
    fields = [Call("sa.column", [string(column.name), type_]) for (column, _), type_ in zip(given, types, strict=True)]
    table = Call("sa.table", [string(one.table.name), *fields], kwargs)
    listed = [
        [values.literal(row[at], as_text=isinstance(type_, Call)) for (_, at), type_ in zip(given, types, strict=True)]
        for row in one.rows
    ]
    short = [pycode.render(Items(row), 12, "", ",") for row in listed]
    if all(len(row) == 1 and len(row[0]) <= pycode.WIDTH for row in short):
        source.used.add("rows")
        # Exploded by hand, here and below: the formatters put it on one line where it fits.
        lines = ["    op.bulk_insert(", "        *rows(", *pycode.render(table, 12, "", ",")]
        return [*lines, *(line for row in short for line in row), "        )", "    )"]
    lines = ["    op.bulk_insert(", *pycode.render(table, 8, "", ","), "        ["]
    for row in listed:
        pairs: list[Node | tuple[str, Node]] = [
            (string(column.name), value) for (column, _), value in zip(given, row, strict=True)
        ]
        lines += pycode.render(Items(pairs, "{}"), 12, "", ",")
    return [*lines, "        ],", "    )"]


def lines_of(row: Sequence[object]) -> int:
    """About how many lines a row takes in the file."""
    width = sum(len(repr(value)) + 2 for value in row)
    return 1 if width <= pycode.WIDTH - 15 else len(row) + 2


def _insert(source: Source, one: Rows, why: str) -> list[str]:
    given = _given(one)
    names = ", ".join(source.model.quoted(column.name) for column, _ in given)
    # Also right where no column is an identity.
    text = f"INSERT INTO {one.table.shown} ({names})\nOVERRIDING SYSTEM VALUE VALUES\n    "
    rows = (", ".join(_sql_literal(source, row[at], column) for column, at in given) for row in one.rows)
    return execute_all([text + ",\n    ".join(f"({row})" for row in rows)], f"DDL: {why}")


def _sql_literal(source: Source, value: object, column: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value in source.people:
        return source.people[value]
    # Of a string the server makes what the column is; money it would read by its locale.
    return str(value) if isinstance(value, int) or column.type == "money" else client.literal(str(value))
