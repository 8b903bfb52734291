"""Rows as op.bulk_insert, or as INSERT where that cannot say it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasklib import postgres, pycode, values
from tasklib.pycode import Call, Items, Node, string
from tasklib.render.execute import execute_all, shown
from tasklib.render.items import PUBLIC, Item
from tasklib.render.source import Rows, Source
from tasklib.tables import Column, Table


def item(source: Source, one: Rows, inline_keys: Mapping[tuple[str, str], Sequence[str]]) -> Item:
    table = one.table
    picked = values.carried(table)
    key = ("ROWS", table.schema, table.name)
    needs: set[object] = {("table", table.schema, table.name)}
    inline = inline_keys.get((table.schema, table.name), ())
    needs |= {
        ("rows", c.target_schema, c.target_table) for c in table.constraints if c.kind == "f" and c.name in inline
    }
    # Drivers and SQLAlchemy make parameters of columns' names, and do not agree on which characters they bear.
    odd = [column.name for column in picked if not re.fullmatch(r"\w[\w ]*", column.name)]
    if any(column.identity == "a" for column in picked) or not picked or odd:
        up = _insert_statements(table, picked, one.rows, odd)
    else:
        kwargs: dict[str, Node] = {} if table.schema == PUBLIC else {"schema": string(table.schema)}
        fields = [Call("sa.column", [string(c.name), source.types.of_value(c)]) for c in picked]
        listed = Items([values.row(picked, row) for row in one.rows])
        # Exploded by hand: the formatters split a list of rows one row a line wherever it has two.
        up = [
            "    op.bulk_insert(",
            *pycode.render(Call("sa.table", [string(table.name), *fields], kwargs), 8, "", ","),
            "        [",
            *[line for node in listed.nodes for line in pycode.render(_node(node), 12, "", ",")],
            "        ],",
            "    )",
        ]
    return Item(key, "rows", frozenset({("rows", table.schema, table.name)}), frozenset(needs), tuple(up))


def _insert_statements(
    table: Table, picked: Sequence[Column], rows: Sequence[tuple[object, ...]], odd: Sequence[str]
) -> list[str]:
    target = shown(table)
    if not picked:
        return execute_all([f"INSERT INTO {target} DEFAULT VALUES"] * len(rows), "DDL: rows without columns")
    names = ", ".join(postgres.identifier(c.name) for c in picked)
    texts = []
    for row in rows:
        listed = ", ".join(_sql_literal(value, c) for value, c in zip(row, picked, strict=True))
        # Also right where no column is an identity.
        texts.append(f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE VALUES ({listed})")
    always = any(column.identity == "a" for column in picked)
    why = "the key is GENERATED ALWAYS, which bulk_insert cannot override" if always else (
        f"the column {odd[0]!r} has a name that not every driver takes as a parameter")  # fmt: skip
    return execute_all(texts, f"DDL: {why}")


def _sql_literal(value: object, column: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f"{postgres.literal(str(value))}::{column.type}"


def _node(node: Node | tuple[str, Node]) -> Node:
    assert not isinstance(node, tuple)
    return node
