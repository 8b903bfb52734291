"""Indexes as operations."""

from __future__ import annotations

import re

from tasklib.judge.tables import Definition
from tasklib.postgres import sqltext
from tasklib.postgres.archive import Entry
from tasklib.render import columns, pycode
from tasklib.render.execute import execute_all
from tasklib.render.pycode import Call, Items, Node, string
from tasklib.render.source import Source


def create_index(source: Source, entry: Entry) -> list[str] | None:
    """op.create_index(…) for an index whose definition it can say, else None."""
    dumped, *rest = sqltext.statements(entry.ddl)
    first = source.model.indexes.get((entry.schema, entry.tag), Definition()).prettier(dumped)
    head = re.match(
        r"CREATE (UNIQUE )?INDEX (?P<name>\"(?:[^\"]|\"\")+\"|\w+) ON (?:ONLY )?(?P<table>.+?) USING (?P<method>\w+) ",
        first,
    )
    keys = sqltext.parenthesized(first[head.end() :]) if head else None
    if head is None or keys is None or keys[0].strip():
        return None
    parts = sqltext.split(head.group("table"), ".")
    names = [sqltext.unquoted(part.strip()) for part in parts]
    names = names if len(names) > 1 else ["public", *names]
    if len(names) != 2 or None in names:
        return None
    if (names[0], names[1]) not in source.model.tables and (
        ("MATERIALIZED VIEW", str(names[0]), str(names[1])) not in source.by_key
    ):
        return None
    after = keys[2].strip()
    kwargs = source.within(str(names[0]), str(names[1]))
    if head.group(1):
        kwargs["unique"] = "True"
    if head.group("method") != "btree":
        kwargs["postgresql_using"] = string(head.group("method"))
    include = re.match(r"INCLUDE ", after)
    if include:
        inner = sqltext.parenthesized(after)
        if inner is None or source.sqlalchemy < (1, 4):
            return None
        named = [sqltext.unquoted(one) for one in sqltext.split(inner[1])]
        kwargs["postgresql_include"] = pycode.strings([str(one) for one in named])
        after = inner[2].strip()
    options = re.match(r"WITH \(", after)
    if options:
        inner = sqltext.parenthesized(after)
        pairs = [one.split("=", 1) for one in sqltext.split(inner[1])] if inner else []
        if inner is None or any(len(pair) != 2 for pair in pairs):
            return None
        kwargs["postgresql_with"] = Items(
            [(string(name.strip()), string(value.strip().strip("'"))) for name, value in pairs], "{}"
        )
        after = inner[2].strip()
    if after.startswith("WHERE "):
        kwargs["postgresql_where"] = columns.expression(sqltext.bare(after[6:]))
        after = ""
    if after:
        return None
    fields: list[Node] = []
    for part in sqltext.split(keys[1]):
        column = sqltext.unquoted(part)
        text = sqltext.for_text(part)
        if column is None and text is None:
            return None
        fields.append(string(column) if column is not None else Call("sa.text", [string(text or "")]))
    name = sqltext.unquoted(head.group("name")) or head.group("name")
    call = Call("op.create_index", [Call("op.f", [string(name)]), string(str(names[1])), Items(fields)], kwargs)
    return pycode.render(call, 4) + execute_all(
        [source.plain(entry.key, text) for text in rest], "DDL: marks of the index that operations do not have"
    )
