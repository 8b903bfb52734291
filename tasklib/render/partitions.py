"""Partitions: where a table and its parts can be operations, and indexes of the whole by those of the parts.

The dump makes each index by itself and attaches those of the parts. Where the parts have theirs already, making the
index of the whole attaches them; and so does attaching a table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tasklib.judge.tables import Table
from tasklib.postgres.archive import Entry
from tasklib.render import constraints, indexes
from tasklib.render.source import Source, index_name

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
    keys = [one for one in table.constraints if one.kind in "pu"]
    # Made on ONLY the parent it is invalid, and has no parts.
    invalid = any(("INVALID INDEX", table.schema, one.name) in source.facts for one in keys)
    return not invalid and all(constraints.inline(source, table, one) is not None for one in keys)


def _parts(source: Source) -> dict[TableKey, list[TableKey]]:
    entries = source.by_id
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


def order(source: Source, entry: Entry) -> tuple[set[int], set[int]]:
    """What an index needs beside what the dump says, and what of that it does not need: there the whole comes first."""
    parts = {part for whole, part in source.attached.values() if whole == entry.dump_id}
    wholes = {whole for whole, part in source.attached.values() if part == entry.dump_id}
    return parts, {one for one in wholes if create_index(source, source.by_id[one]) is not None}


def create_index(source: Source, entry: Entry) -> list[str] | None:
    """The operation that makes an index, of a partitioned table from those of all its parts; None where none can."""
    if entry.key in source.ddl or ("INVALID INDEX", entry.schema, entry.tag) in source.facts:
        return None
    if " ON ONLY " in entry.ddl:
        # Of two that are alike the server would take either for the whole, or for a part of it.
        parts = (source.by_id[part] for whole, part in source.attached.values() if whole == entry.dump_id)
        if any((one.schema, index_name(one)) in source.alike for one in (entry, *parts)):
            return None
    return indexes.create_index(source, entry)


def needless(source: Source, covered: Collection[int]) -> set[int]:
    """The dump ids of ALTER INDEX … ATTACH that come about by themselves; ``covered`` are made in a create_table."""
    wholes = {
        one
        for one in source.wholes
        if one in covered or (source.by_id[one].kind == "INDEX" and create_index(source, source.by_id[one]) is not None)
    }
    return {attach for attach, (whole, _) in source.attached.items() if whole in wholes}
