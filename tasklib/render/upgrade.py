"""All items of the file, in its order."""

from __future__ import annotations

from dataclasses import replace

from tasklib.judge.tables import Constraint, Table
from tasklib.postgres import sqltext, version_table
from tasklib.postgres.archive import Entry
from tasklib.render import (
    children,
    constraints,
    disabled_triggers,
    entries,
    extensions,
    foreign_keys,
    implicit,
    partitions,
    roles,
    rows,
    sequences,
    tables,
    types,
)
from tasklib.render.items import LAST, Item, last, ordered, with_early_drops, with_order, without_missing_needs
from tasklib.render.source import Source


def items_of(source: Source) -> list[Item]:
    """Every object, row and sequence position of the reference, in the order of the file."""
    ours = version_table.written_out(source.version_tables)
    listed = [e for e in source.entries if not _of_version_table(e, ours)]
    taken: set[int] = set()
    found: list[Item] = []
    late: list[tuple[Table, Constraint, Entry]] = []
    families, inheriting, covered = children.items(source)
    found += families
    taken |= covered
    native = {
        key: table
        for key, table in source.model.tables.items()
        if key not in ours and key not in inheriting and _is_native(source, table)
    }
    native = partitions.with_parts(source, native)
    inline = foreign_keys.inline_by_table(source, native)
    for key, table in sorted(native.items()):
        item, absorbed = tables.item(source, table, inline[key])
        found.append(item)
        taken |= absorbed
        found += tables.options(source, table)
    named = constraints.by_name(native.values())
    taken |= partitions.needless(source, taken)
    found += [rows.item(source, one, inline) for one in source.rows]
    for entry in listed:
        if entry.dump_id in taken or extensions.is_own_comment(source, entry):
            continue
        if entry.kind == "EXTENSION":
            found.append(extensions.item(source, entry))
            continue
        constraint = foreign_keys.of_entry(source, entry, named)
        unique = constraints.unique_of(source, entry, named)
        if constraint is not None:
            late.append((*constraint, entry))
        elif unique is not None:
            found.append(constraints.unique(source, *unique, entry))
        else:
            found.append(entries.item(source, entry))
            found += entries.validator(source, entry)
    found += [foreign_keys.item(source, table, constraint, entry) for table, constraint, entry in late]
    found += [
        *children.changes(source),
        *children.renames(source),
        *children.validations(source),
        *types.functions(source),
        *implicit.items(source),
    ]
    found += [disabled_triggers.item(source, one, inline) for one in source.switched]
    found += [item for key in sorted(ours & source.model.tables.keys()) for item in entries.wider_version(source, *key)]
    found += entries.of_the_database(source)
    found += entries.owner_of_public(source)
    found += entries.shell_operators(source)
    found += entries.session(source)
    found += roles.items(source)
    found += sequences.positions(source)
    found += [entries.refresh(source, schema, name) for schema, name in source.populated]
    found = foreign_keys.by_the_right_index(source, sequences.with_owners(source, found))
    found = [replace(one, group=LAST) if last(one.key) in source.ddl else one for one in found]
    return with_early_drops(ordered(with_order(without_missing_needs(found), source.ddl)))


def _is_native(source: Source, table: Table) -> bool:
    key = ("TABLE", table.schema, table.name)
    # From PostgreSQL 18 on NOT NULL is a constraint, and may be one that operations have no word for.
    odd = any(c.kind == "n" and (c.no_inherit or not c.validated) for c in table.constraints)
    return table.plain and not odd and key in source.by_key and key not in source.ddl


def _of_version_table(entry: Entry, ours: set[tuple[str, str]]) -> bool:
    # Comments and privileges on it are the migrations' own.
    if entry.kind == "CONSTRAINT":
        return sqltext.altered(entry.ddl)[:2] in ours
    return entry.kind == "TABLE" and entry.key[1:] in ours
