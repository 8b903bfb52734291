"""Tables with parents: partitions and inheritance."""

from __future__ import annotations

from tests.random import tables, values
from tests.random.world import World

INHERITANCE = "column order of inherited tables"
PARTITIONS = "names of constraints with a parent on partitions"


def create_partitioned(w: World) -> str:
    name, type_ = w.name("c"), w.one(("integer", "text", "date", "integer", "bigint"))
    others = [tables.column(w) for _ in range(w.number(0, 2))]
    how = w.one(
        (f"RANGE ({name})", f"LIST ({name})", f"HASH ({name})", f"RANGE (({name})::text)", f'LIST ({name} COLLATE "C")')
    )
    key = w.maybe(" PRIMARY KEY", 3) + w.maybe(f" DEFAULT {values.default(w, type_)}", 5)
    return f"CREATE TABLE {w.new('p')} ({', '.join([f'{name} {type_}{key}', *others])}) PARTITION BY {how}"


def bounds(w: World, parent: str) -> str:
    """Bounds that a new partition of this table may have."""
    text = str(w.connection.value(f"SELECT pg_get_partkeydef('{parent.replace(chr(39), chr(39) * 2)}'::regclass)"))
    type_ = w.of_relation(
        parent, "SELECT format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_partitioned_table ON partrelid = attrelid"
        " AND attnum = ANY (partattrs) WHERE attrelid = {}")  # fmt: skip
    if w.chance(6) and not text.startswith("HASH"):
        return "DEFAULT"
    if text.startswith("HASH"):
        return f"FOR VALUES WITH (MODULUS 3, REMAINDER {w.number(0, 2)})"
    numbers = bool(type_) and type_[0] in ("integer", "bigint")
    dates = bool(type_) and type_[0] == "date"
    low = w.number(0, 4) * 10
    if text.startswith("LIST"):
        return f"FOR VALUES IN ({low if numbers else f'{chr(39)}2020-01-{low + 1}{chr(39)}'}{w.maybe(', NULL', 4)})"
    if numbers:
        return f"FOR VALUES FROM ({w.one((low, low, 'MINVALUE'))}) TO ({w.one((low + 10, 'MAXVALUE'))})"
    if dates:
        return f"FOR VALUES FROM ('202{low // 10}-01-01') TO ('202{low // 10 + 1}-01-01')"
    return f"FOR VALUES FROM ('{low}') TO ('{low}z')"


def create_partition(w: World) -> str:
    w.avoid(PARTITIONS)
    parent = w.relation("p")
    options = w.maybe(f" ({w.column(parent)} DEFAULT NULL)", 6)
    sub = w.maybe(f" PARTITION BY HASH ({w.column(parent)})", 6)
    return f"CREATE TABLE {w.new('t')} PARTITION OF {parent}{options} {bounds(w, parent)}{sub}"


def attach(w: World) -> str:
    w.avoid(PARTITIONS)
    parent = w.relation("p")
    child = w.new("t")
    if not w.run(f"CREATE TABLE {child} (LIKE {parent}{w.maybe(' INCLUDING ALL', 3)})"):
        child = w.relation("r")
    return f"ALTER TABLE {parent} ATTACH PARTITION {child} {bounds(w, parent)}"


def detach(w: World) -> str:
    parent = w.relation("p")
    children = w.of_relation(parent, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = {}")
    return f"ALTER TABLE {parent} DETACH PARTITION {w.one(children)}"


def create_child(w: World) -> str:
    w.avoid(INHERITANCE)
    parents = w.some(w.relations("r"), 2)
    own = [tables.column(w) for _ in range(w.number(0, 2))]
    return f"CREATE TABLE {w.new('t')} ({', '.join(own)}) INHERITS ({', '.join(parents)})"


def inherit(w: World) -> str:
    w.avoid(INHERITANCE)
    parent = w.relation("r")
    child = w.new("t")
    if w.chance(2) or not w.run(f"CREATE TABLE {child} (LIKE {parent} INCLUDING ALL)"):
        child = w.relation("r")
    return f"ALTER TABLE {child} INHERIT {parent}"


def disinherit(w: World) -> str:
    parent = w.relation("r")
    children = w.of_relation(parent, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = {}")
    return f"ALTER TABLE {w.one(children)} NO INHERIT {parent}"


def only(w: World) -> str:
    """What a parent has and its children do not."""
    table = w.relation("rp")
    w.avoid("columns unlike their parent's")
    name, type_ = w.one(w.columns(table))
    return f"ALTER TABLE ONLY {table} ALTER COLUMN {name} {w.one(('SET NOT NULL', f'SET DEFAULT {values.default(w, type_)}', 'DROP NOT NULL'))}"


OPERATIONS = (
    *((3, create_partitioned), (4, create_partition), (2, attach), (1, detach), (2, create_child), (1, inherit)),
    *((1, disinherit), (1, only)),
)
