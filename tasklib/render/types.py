"""Functions that come with a range type, and had another name or schema before the type had."""

from __future__ import annotations

from collections.abc import Iterator

from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source

REASON = "DDL: it came with the type, when that was called otherwise"


def functions(source: Source) -> Iterator[Item]:
    """What gives them the names and schemas that they had."""
    types = frozenset[object](entry.dump_id for entry in source.entries if entry.kind == "TYPE")
    quoted = source.model.quoted
    for (made_in, made), arguments, (schema, name) in source.model.moved:
        texts = []
        if made != name:
            texts.append(f"ALTER FUNCTION {quoted(made_in)}.{quoted(made)}({arguments}) RENAME TO {quoted(name)}")
        if made_in != schema:
            texts.append(f"ALTER FUNCTION {quoted(made_in)}.{quoted(name)}({arguments}) SET SCHEMA {quoted(schema)}")
        up = execute_all([source.model.without_public(text) for text in texts], REASON)
        yield Item(("FUNCTION OF A TYPE", schema, f"{name} {arguments}"), "types", frozenset(), types, tuple(up))
