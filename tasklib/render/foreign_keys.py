"""Foreign keys as operations: in their table's create_table where the order allows, else after all tables and rows."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasklib.judge.tables import Constraint, Table
from tasklib.postgres import sqltext
from tasklib.postgres.archive import Entry, Key
from tasklib.render import constraints, pycode
from tasklib.render.items import PUBLIC, Item, last
from tasklib.render.pycode import Call, Items, Node, string
from tasklib.render.source import Source

ACTIONS = {"a": None, "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def _is_native(source: Source, table: Table, constraint: Constraint) -> bool:
    if not constraint.validated or ("FK CONSTRAINT", table.schema, f"{table.name} {constraint.name}") in source.ddl:
        return False
    # ON DELETE SET NULL (column) has a list that operations have no word for.
    odd = re.search(r"SET (NULL|DEFAULT) \(|NOT ENFORCED|PERIOD", constraint.definition)
    dotted = any("." in name for name in (constraint.target_table, *constraint.target_columns))
    return odd is None and not dotted


def _has_key_from_the_start(source: Source, target: Table, columns: Sequence[str]) -> bool:
    """Whether the key that a foreign key refers to comes in the target's create_table."""
    return any(
        c.kind in "pu" and sorted(c.columns) == sorted(columns) and constraints.key_is_native(source, target, c)
        for c in target.constraints
    )


def of_entry(source: Source, entry: Entry, named: constraints.ByName) -> tuple[Table, Constraint] | None:
    if entry.kind != "FK CONSTRAINT":
        return None
    found = named.get(("f", *sqltext.altered(entry.ddl)))
    return found if found is not None and _is_native(source, *found) else None


def inline(table: Table, constraint: Constraint, names: Sequence[str]) -> Node | None:
    """The foreign key as an argument of create_table, where it is one of ``names``."""
    if constraint.kind != "f" or constraint.name not in names:
        return None
    listed: list[Node] = [string(column) for column in constraint.columns]
    targets: list[Node] = [string(_dotted(constraint, column)) for column in constraint.target_columns]
    kwargs: dict[str, Node] = {"name": Call("op.f", [string(constraint.name)]), **_actions(constraint)}
    return Call("sa.ForeignKeyConstraint", [Items(listed), Items(targets)], kwargs)


def item(source: Source, table: Table, constraint: Constraint, entry: Entry) -> Item:
    args: list[Node] = [
        Call("op.f", [string(constraint.name)]), string(table.name), string(constraint.target_table),
        pycode.strings(constraint.columns), pycode.strings(constraint.target_columns),
    ]  # fmt: skip
    kwargs = dict(_actions(constraint))
    kwargs |= source.within(table.schema, table.name, "source_schema")
    kwargs |= source.within(constraint.target_schema, constraint.target_table, "referent_schema")
    up = pycode.render(Call("op.create_foreign_key", args, kwargs), 4)
    drop: list[Node] = [Call("op.f", [string(constraint.name)]), string(table.name)]
    where: dict[str, Node] = {"type_": string("foreignkey")}
    where |= source.within(table.schema, table.name)
    down = pycode.render(Call("op.drop_constraint", drop, where), 4)
    target = (constraint.target_schema, constraint.target_table)
    needs = {*entry.depends_on, ("table", *target), ("rows", *target), ("rows", table.schema, table.name)}
    there = source.model.tables.get(target)
    # The server makes further keys for the parts of what one refers to, and names them after those that are there.
    beside = f"{table.name} {constraint.number:09}" if there is not None and there.partition_by is not None else ""
    return Item(entry.key, "foreign keys", frozenset({entry.dump_id}), frozenset(needs), tuple(up), tuple(down), beside)


def by_the_right_index(source: Source, items: Sequence[Item]) -> list[Item]:
    """Of two indexes on its columns a foreign key goes by the older one, which comes first."""
    needs: dict[Key, set[object]] = {}
    for (kind, schema, table), pairs in source.facts.items():
        for used, twin in json.loads(pairs) if kind == "INDEX OF A FOREIGN KEY" else ():
            first, then = (
                [
                    key
                    for key in (("INDEX", schema, name), ("CONSTRAINT", schema, f"{table} {name}"))
                    if key in source.by_key
                ]
                for name in (used, twin)
            )
            for key in then:
                needs.setdefault(key, set()).update(source.by_key[one].dump_id for one in first)
    return [replace(item, needs=item.needs | needs.get(item.key, set())) for item in items]


def inline_by_table(source: Source, tables: Mapping[tuple[str, str], Table]) -> dict[tuple[str, str], list[str]]:
    """The names of the foreign keys that stand in their table's create_table.

    All but those of circles, of partitioned tables, of rows that refer to rows of the same table, or to rows that come
    after all others, of rows that are checked at the commit, and of keys that come later themselves: those come after
    all tables and rows.
    """
    result: dict[tuple[str, str], list[str]] = {key: [] for key in tables}
    made: set[tuple[str, str]] = set()
    ends = {key: _targets(source, table) & tables.keys() - {key} for key, table in tables.items()}
    users: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key, targets in ends.items():
        for target in targets:
            users.setdefault(target, []).append(key)
    # Where all that is left hangs together in circles, the one with the fewest open ends begins.
    waiting = [(len(targets), key) for key, targets in ends.items()]
    heapq.heapify(waiting)
    while waiting:
        _, key = heapq.heappop(waiting)
        if key in made:
            continue  # it has had fewer since
        for constraint in tables[key].constraints:
            if constraint.kind != "f" or not _is_native(source, tables[key], constraint):
                continue
            target = (constraint.target_schema, constraint.target_table)
            to_itself = target == key and key not in source.with_rows
            there = to_itself or (target in made and target in tables and last(("ROWS", *target)) not in source.ddl)
            # Rows would leave its checks pending until the commit, and PostgreSQL then refuses indexes and changes.
            pending = constraint.deferred and key in source.with_rows
            # The rows of a partitioned table are in its parts, which come later.
            in_parts = any(tables[one].partition_by is not None for one in (key, target) if one in tables)
            if (
                there
                and not pending
                and not in_parts
                and _has_key_from_the_start(source, tables[target], constraint.target_columns)
            ):
                result[key].append(constraint.name)
        made.add(key)
        for user in users.get(key, ()):
            ends[user].discard(key)
            heapq.heappush(waiting, (len(ends[user]), user))
    return result


def _targets(source: Source, table: Table) -> set[tuple[str, str]]:
    keys = (c for c in table.constraints if c.kind == "f" and _is_native(source, table, c))
    return {(c.target_schema, c.target_table) for c in keys}


def _dotted(constraint: Constraint, column: str) -> str:
    schema = "" if constraint.target_schema == PUBLIC else f"{constraint.target_schema}."
    return f"{schema}{constraint.target_table}.{column}"


def _actions(constraint: Constraint) -> dict[str, Node]:
    found: dict[str, Node] = {}
    if on_update := ACTIONS[constraint.on_update]:
        found["onupdate"] = string(on_update)
    if on_delete := ACTIONS[constraint.on_delete]:
        found["ondelete"] = string(on_delete)
    found |= constraints.timing(constraint)
    if constraint.match == "f":
        found["match"] = string("FULL")
    return found
