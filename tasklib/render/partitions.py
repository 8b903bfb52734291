"""Partitions: where a table and its parts can be operations, and indexes of the whole by those of the parts.

The dump makes each index by itself and attaches those of the parts. Where the parts have theirs already, making the
index of the whole attaches them; and so does attaching a table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tasklib.archive import Entry
from tasklib.render import constraints, indexes
from tasklib.render.source import Source
from tasklib.tables import Table

TableKey = tuple[str, str]


def with_parts(source: Source, native: Mapping[TableKey, Table]) -> dict[TableKey, Table]:
    """Those of ``native`` that are not partitioned, or whose parts are native too, with every key in its create_table:
    a part must have its keys when it is attached.
    """
    found = dict(native)
    parts = _parts(source)
    while odd := [
        key
        for key, table in found.items()
        if table.partition_by is not None
        and not all(one in found and _keys_are_inline(source, found[one]) for one in (key, *parts.get(key, ())))
    ]:
        for key in odd:
            del found[key]
    return found


def _keys_are_inline(source: Source, table: Table) -> bool:
    return all(constraints.inline(source, table, one) is not None for one in table.constraints if one.kind in "pu")


def _parts(source: Source) -> dict[TableKey, list[TableKey]]:
    entries = {entry.dump_id: entry for entry in source.entries}
    found: dict[TableKey, list[TableKey]] = {}
    for attach in source.entries:
        if attach.kind == "TABLE ATTACH":
            tables = [
                entries[one] for one in attach.depends_on if one in entries and entries[one].kind.endswith("TABLE")
            ]
            for parent in tables:
                if (parent.schema, parent.tag) != (attach.schema, attach.tag):
                    found.setdefault((parent.schema, parent.tag), []).append((attach.schema, attach.tag))
    return found


def attached(source: Source) -> dict[int, frozenset[int]]:
    """The indexes that others are a part of, and indexes of constraints: dump id → dump ids of the parts."""
    found: dict[int, frozenset[int]] = {}
    for attach in source.entries:
        if attach.kind == "INDEX ATTACH":
            whole, part = _whole_and_part(source, attach)
            found[whole] = found.get(whole, frozenset()) | {part}
    return found


def _whole_and_part(source: Source, attach: Entry) -> tuple[int, int]:
    """The dump ids of the two indexes, or of the constraints that make them."""
    makers = {entry.dump_id for entry in source.entries if entry.kind in ("INDEX", "CONSTRAINT")}
    part = next(one.dump_id for one in source.entries if _makes_index(one, attach))
    return next(one for one in attach.depends_on if one in makers and one != part), part


def order(source: Source, entry: Entry) -> tuple[set[int], set[int]]:
    """What an index needs beside what the dump says, and what of that it does not need: there the whole comes first."""
    indexes = attached(source)
    entries = {one.dump_id: one for one in source.entries}
    wholes = {one for one, parts in indexes.items() if entry.dump_id in parts and is_whole(source, entries[one])}
    return set(indexes.get(entry.dump_id, frozenset())), wholes


def _makes_index(entry: Entry, attach: Entry) -> bool:
    if entry.schema != attach.schema or entry.dump_id not in attach.depends_on:
        return False
    return (entry.kind == "INDEX" and entry.tag == attach.tag) or (
        entry.kind == "CONSTRAINT" and entry.tag.endswith(f" {attach.tag}")
    )


def is_whole(source: Source, entry: Entry) -> bool:
    """Whether the index of a partitioned table is made from those of all its parts, by an operation."""
    if entry.key in source.ddl or ("INVALID INDEX", entry.schema, entry.tag) in source.facts:
        return False
    # Of two that are alike the server would take either for a part of the whole.
    alike = [one for one in source.entries if one.kind == "INDEX" and _defined(one) == _defined(entry)]
    if len(alike) > 1:
        return False
    return indexes.create_index(source, entry) is not None


def needless(source: Source, covered: Collection[int]) -> set[int]:
    """The dump ids of ALTER INDEX … ATTACH that come about by themselves; ``covered`` are made in a create_table."""
    entries = {entry.dump_id: entry for entry in source.entries}
    whole = {
        one
        for one in attached(source)
        if one in covered or (one in entries and entries[one].kind == "INDEX" and is_whole(source, entries[one]))
    }
    attaches = (entry for entry in source.entries if entry.kind == "INDEX ATTACH")
    return {attach.dump_id for attach in attaches if _whole_and_part(source, attach)[0] in whole}


def _defined(entry: Entry) -> str:
    """What an index is, whatever its name is."""
    return entry.ddl.partition(" ON ")[2]
