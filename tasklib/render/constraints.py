"""Primary keys, unique constraints and checks as operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tasklib.judge.tables import Constraint, Table
from tasklib.postgres import sqltext
from tasklib.postgres.archive import Entry
from tasklib.render import columns, pycode
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.pycode import Call, Node, string
from tasklib.render.source import Source

# (kind, schema, table, constraint) → the last two.
ByName = Mapping[tuple[str, ...], tuple[Table, Constraint]]


def primary_key(source: Source, table: Table) -> Sequence[str]:
    return next((c.columns for c in table.constraints if c.kind == "p" and key_is_native(source, table, c)), ())


def key_is_native(source: Source, table: Table, constraint: Constraint) -> bool:
    plain = re.fullmatch(r"(PRIMARY KEY|UNIQUE) \([^()]*\)( DEFERRABLE( INITIALLY DEFERRED)?)?", constraint.definition)
    return plain is not None and ("CONSTRAINT", table.schema, f"{table.name} {constraint.name}") not in source.ddl


def _repeats_a_key(table: Table, constraint: Constraint) -> bool:
    """Whether another key has the same columns: CREATE TABLE would make one index for both, losing this one."""
    keys = [c for c in table.constraints if c.kind in "pu" and sorted(c.columns) == sorted(constraint.columns)]
    return min(keys, key=lambda c: (c.kind, c.name)).name != constraint.name


def unique(source: Source, table: Table, constraint: Constraint, entry: Entry) -> Item:
    """A unique constraint that stands outside of its create_table."""
    args: list[Node] = [
        Call("op.f", [string(constraint.name)]),
        string(table.name),
        pycode.strings(constraint.columns),
    ]
    kwargs = source.within(table.schema, table.name)
    up = pycode.render(Call("op.create_unique_constraint", args, {**kwargs, **timing(constraint)}), 4)
    up += execute_all(
        [source.plain(entry.key, text) for text in sqltext.statements(entry.ddl)[1:]],
        "DDL: marks of the index that operations do not have",
    )
    needs = frozenset({*entry.depends_on, ("rows", table.schema, table.name)})
    return Item(entry.key, "constraints", frozenset({entry.dump_id}), needs, tuple(up))


def by_name(native: Iterable[Table]) -> ByName:
    """The constraints of these tables by their kind and name."""
    return {(c.kind, table.schema, table.name, c.name): (table, c) for table in native for c in table.constraints}


def unique_of(source: Source, entry: Entry, named: ByName) -> tuple[Table, Constraint] | None:
    if entry.kind != "CONSTRAINT":
        return None
    found = named.get(("u", *sqltext.altered(entry.ddl)))
    return found if found is not None and key_is_native(source, *found) else None


# The mark of checks that tables must have alike, to the letter: one inherits the other's.
SAME_NAME = "CHECKS OF A NAME"


def inline(source: Source, table: Table, constraint: Constraint) -> Node | None:
    """A key or check as an argument of create_table, or None where it comes later or as DDL."""
    name: dict[str, Node] = {"name": Call("op.f", [string(constraint.name)])}
    listed = [string(column) for column in constraint.columns]
    if constraint.kind in "pu" and key_is_native(source, table, constraint):
        if constraint.kind == "u" and _repeats_a_key(table, constraint):
            return None
        kwargs = {**name, **timing(constraint)}
        return Call("sa.PrimaryKeyConstraint" if constraint.kind == "p" else "sa.UniqueConstraint", listed, kwargs)
    as_ddl = is_as_printed(source, table.schema, table.name, constraint.name)
    if constraint.kind == "c" and constraint.validated and not constraint.no_inherit and not as_ddl:
        return Call("sa.CheckConstraint", [condition(constraint.expression or "")], name)
    return None


def is_as_printed(source: Source, schema: str, table: str, name: str) -> bool:
    """Whether a check must be in the server's own words. The table's own entry holds it, so that a difference there has
    no key of its own.
    """
    return ("CHECK", schema, f"{table} {name}") in source.ddl or (SAME_NAME, "", name) in source.ddl


def timing(constraint: Constraint) -> dict[str, Node]:
    """When a deferrable constraint is checked."""
    found: dict[str, Node] = {"deferrable": "True"} if constraint.deferrable else {}
    return {**found, "initially": string("DEFERRED")} if constraint.deferred else found


def condition(sql: str) -> Node:
    """An expression for a CheckConstraint or Computed, which take a plain string where it is one to sa.text as well."""
    text = sqltext.bare(sql)
    plain = sqltext.for_text(text)
    return columns.expression(text) if plain is None else string(plain)
