"""Sequences: those that come with a column (SERIAL, identity), and where each one stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tasklib.judge.tables import Column, Sequence, Table
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.render import columns, constraints
from tasklib.render.execute import execute_all
from tasklib.render.items import Item, below, providers
from tasklib.render.pycode import Call, Node
from tasklib.render.source import Source


def serial_column(source: Source, table: Table) -> tuple[Column, Sequence] | None:
    """The key column that SQLAlchemy makes a SERIAL with exactly the sequence that it has, or None."""
    key = constraints.primary_key(source, table)
    if len(key) != 1:
        return None
    column = next(c for c in table.columns if c.name == key[0])
    sequence = owned_by(source, table, column)
    if sequence is None or column.identity or column.type not in columns.INTEGERS or column.nullable:
        return None
    if ("SEQUENCE", sequence.schema, sequence.name) in source.ddl:
        return None
    as_serial = _default_options(sequence, column.type) and sequence.name == f"{table.name}_{column.name}_seq"
    return (column, sequence) if as_serial and sequence.schema == table.schema else None


def owned_by(source: Source, table: Table, column: Column) -> Sequence | None:
    """The sequence that a column takes its numbers from: of an identity its own, else the one that its default names.

    A column may own more: one that became an identity keeps the sequence of its time as a SERIAL.
    """
    owner = (table.schema, table.name, column.name)
    owned = [s for s in source.model.sequences.values() if s.owner == owner and s.identity == bool(column.identity)]
    return next((s for s in owned if column.identity or column.default == _next(source, s)), None)


def identity(source: Source, table: Table, column: Column) -> Node | None:
    """sa.Identity(…) where the project's SQLAlchemy has it (1.4) and it says all options, else None."""
    sequence = owned_by(source, table, column) if column.identity else None
    if (
        sequence is None
        or source.sqlalchemy < (1, 4)
        or sequence.type != column.type
        or ("SEQUENCE", sequence.schema, sequence.name) in source.ddl
    ):
        return None
    if sequence.name != f"{table.name}_{column.name}_seq" or sequence.schema != table.schema:
        return None
    kwargs: dict[str, Node] = {"always": "True"} if column.identity == "a" else {}
    lowest, highest = _bounds(sequence)
    if sequence.start != (lowest if sequence.increment > 0 else highest) or sequence.minimum != lowest:
        kwargs["start"] = str(sequence.start)
    if sequence.increment != 1:
        kwargs["increment"] = str(sequence.increment)
    if sequence.minimum != lowest:
        kwargs["minvalue"] = str(sequence.minimum)
    if sequence.maximum != highest:
        kwargs["maxvalue"] = str(sequence.maximum)
    if sequence.cycle:
        kwargs["cycle"] = "True"
    if sequence.cache != 1:
        kwargs["cache"] = str(sequence.cache)
    return Call("sa.Identity", [], kwargs)


def create(source: Source, sequence: Sequence, ddl: str) -> str | None:
    """CREATE SEQUENCE without the options that it has by itself; None where the dump says more than that."""
    head = re.match(r"CREATE (UNLOGGED )?SEQUENCE ", ddl)
    if head is None or sequence.identity:
        return None
    lowest, highest = _bounds(sequence)
    start = sequence.minimum if sequence.increment > 0 else sequence.maximum
    words = [f"{head.group(0)}{source.model.quoted(sequence.schema)}.{source.model.quoted(sequence.name)}"]
    words += [f"AS {sequence.type}"] if sequence.type != "bigint" else []
    words += [f"START WITH {sequence.start}"] if sequence.start != start else []
    words += [f"INCREMENT BY {sequence.increment}"] if sequence.increment != 1 else []
    words += [f"MINVALUE {sequence.minimum}"] if sequence.minimum != lowest else []
    words += [f"MAXVALUE {sequence.maximum}"] if sequence.maximum != highest else []
    words += [f"CACHE {sequence.cache}"] if sequence.cache != 1 else []
    return " ".join([*words, *(["CYCLE"] if sequence.cycle else [])])


def with_owners(source: Source, items: list[Item]) -> list[Item]:
    """What needs a sequence that a table owns needs that table too, with which the sequence is dropped; where the table
    needs it in turn, the sequence is set free and dropped by itself.
    """
    owners: dict[object, tuple[str, str, str]] = {
        entry.dump_id: ("table", *sequence.owner[:2])
        for key, sequence in source.model.sequences.items()
        if sequence.owner is not None and (entry := source.by_key.get(("SEQUENCE", *key))) is not None
    }
    found = [_with_owners(item, owners) for item in items]
    providing = providers(found)
    circles = {
        one
        for item in found
        if item.key[0] not in ("SEQUENCE OWNED BY", "SEQUENCE SET")
        for one in item.needs & owners.keys()
        if owners[one] in providing
        and owners[one] not in item.provides
        and item in below(providing, providing[owners[one]])
    }
    if not circles:
        return found
    owners = {one: owner for one, owner in owners.items() if one not in circles}
    free = {key for entry in source.entries if entry.dump_id in circles for key in _with_owner(entry.key)}
    return [
        replace(_with_owners(item, owners), down=_freed(source, item.key) if item.key in free else item.down)
        for item in items
    ]


def _with_owners(item: Item, owners: Mapping[object, tuple[str, str, str]]) -> Item:
    return replace(item, needs=item.needs | {owners[one] for one in item.needs & owners.keys()} - item.provides)


def _with_owner(sequence: Key) -> list[Key]:
    """The items of a sequence, and of its owner."""
    return [sequence, ("SEQUENCE OWNED BY", *sequence[1:])]


def _freed(source: Source, key: Key) -> tuple[str, ...]:
    name = f"{source.model.quoted(key[1])}.{source.model.quoted(key[2])}"
    text = f"DROP SEQUENCE {name}" if key[0] == "SEQUENCE" else f"ALTER SEQUENCE {name} OWNED BY NONE"
    return tuple(execute_all([source.plain(key, text)], ""))


def _default_options(sequence: Sequence, type_: str) -> bool:
    lowest, highest = _bounds(sequence)
    return (
        sequence.type == type_ and sequence.start == 1 and sequence.increment == 1 and sequence.minimum == lowest
        and sequence.maximum == highest and sequence.cache == 1 and not sequence.cycle
    )  # fmt: skip


def _bounds(sequence: Sequence) -> tuple[int, int]:
    bits = {"smallint": 15, "integer": 31, "bigint": 63}[sequence.type]
    return (1, 2**bits - 1) if sequence.increment > 0 else (-(2**bits), -1)


def _next(source: Source, sequence: Sequence) -> str:
    return f"nextval('{_regclass(source, sequence.schema, sequence.name)}'::regclass)"


def _regclass(source: Source, schema: str, name: str) -> str:
    """A name as regclass prints it: quoted only where it must be; doubled quotes, since it stands in a string."""
    parts = (schema, name) if source.model.needs_schema(schema, name) else (name,)
    words = [w if re.fullmatch(r"[a-z_][a-z0-9_]*", w) else client.identifier(w) for w in parts]
    return ".".join(words).replace("'", "''")


def positions(source: Source) -> Iterator[Item]:
    for (schema, name), (last, called) in sorted(source.positions.items()):
        sequence = source.model.sequences.get((schema, name))
        if sequence is None or (last == sequence.start and not called):
            continue
        text = f"SELECT pg_catalog.setval('{_regclass(source, schema, name)}', {last}{'' if called else ', false'})"
        entry = source.by_key.get(("SEQUENCE", schema, name))
        needs: set[object] = {("rows", *key) for key in source.with_rows}
        needs |= {entry.dump_id} if entry else set()
        if sequence.owner:
            needs.add(("table", *sequence.owner[:2]))
        yield Item(("SEQUENCE SET", schema, name), "sequence positions", frozenset(), frozenset(needs),
                   tuple(execute_all([text], "DDL: where the old migrations left the sequences")))  # fmt: skip
