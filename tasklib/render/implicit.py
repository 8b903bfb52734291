"""Comments and privileges on what the server makes up by itself (a partition's part of a key, a range's functions)."""

from __future__ import annotations

from collections.abc import Iterator

from tasklib.judge import built_in
from tasklib.postgres import client, sqltext
from tasklib.render import children
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source

# What brings such things along.
BRINGING = (
    "TABLE",
    "FOREIGN TABLE",
    "TABLE ATTACH",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "TRIGGER",
    "TYPE",
    "VIEW",
    "MATERIALIZED VIEW",
)


def items(source: Source) -> Iterator[Item]:
    """They go with what they are on. A comment that failed waits until its constraint is known to need another name."""
    needs = {children.RENAMED, *(entry.dump_id for entry in source.entries if entry.kind in BRINGING)}
    named = any(kind == children.RENAMED for kind, _, _ in source.ddl)
    for key, value in sorted(source.facts.items()):
        if key[0] == "COMMENT" and (named or key not in source.ddl):
            group, texts = "comments", [f"COMMENT ON {key[2]} IS {client.literal(value)}"]
        elif key[0] == "PRIVILEGES ON A PART" or (key[0] == built_in.OF_A_SCHEMA and key in source.ddl):
            group, texts = "privileges", sqltext.statements(value)
        else:
            continue
        up = execute_all([source.model.without_public(text) for text in texts], "DDL: on what came with another object")
        yield Item(key, group, frozenset(), frozenset[object](needs), tuple(up))
