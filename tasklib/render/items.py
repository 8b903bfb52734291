"""What the file consists of, and in which order.

Items are ordered by what they need, and among free ones by group, so that the file reads from roles and schemas down
to privileges.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tasklib.postgres.archive import Key

PUBLIC = "public"
LAST = "everything else"
AFTER = "AFTER"  # a mark with JSON: what comes after the others
# Group → the comment above it. The order is that of the file.
GROUPS = (
    "roles", "schemas", "extensions", "types", "sequences", "functions", "operators", "tables", "rows",
    "sequence positions", "constraints", "indexes", "foreign keys", "views", "triggers and rules", "statistics",
    "row security", "owners", "privileges", "comments", LAST,
    # What is made after them would get them.
    "default privileges", "event triggers", "session",
)  # fmt: skip
KIND_GROUP = {
    "SCHEMA": "schemas", "EXTENSION": "extensions", "ACCESS METHOD": "extensions",
    "TYPE": "types", "DOMAIN": "types", "SHELL TYPE": "types", "COLLATION": "types",
    # What uses one of these in an expression, or in a function that is inlined, is not said to need it.
    "TEXT SEARCH PARSER": "types", "TEXT SEARCH TEMPLATE": "types", "TEXT SEARCH DICTIONARY": "types",
    "TEXT SEARCH CONFIGURATION": "types", "CAST": "functions",
    "SEQUENCE": "sequences", "SEQUENCE OWNED BY": "tables", "TABLE": "tables", "TABLE ATTACH": "tables",
    "FOREIGN TABLE": "tables", "DEFAULT": "tables",
    "FUNCTION": "functions", "PROCEDURE": "functions", "AGGREGATE": "functions",
    # No dump says that a constraint needs the operator class of its index.
    "OPERATOR": "operators", "OPERATOR FAMILY": "operators", "OPERATOR CLASS": "operators",
    "CONSTRAINT": "constraints", "CHECK CONSTRAINT": "constraints", "INDEX": "indexes", "INDEX ATTACH": "indexes",
    "FK CONSTRAINT": "foreign keys", "VIEW": "views", "MATERIALIZED VIEW": "views",
    "TRIGGER": "triggers and rules", "RULE": "triggers and rules",
    # Last of all, and dropped first: what the file does must not set one off.
    "EVENT TRIGGER": "event triggers",
    "STATISTICS": "statistics", "POLICY": "row security", "ROW SECURITY": "row security",
    "OWNER": "owners", "ACL": "privileges", "DEFAULT ACL": "default privileges", "COMMENT": "comments",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One object of the file: its group and name (for the order), what it provides and needs (dump ids and words)."""

    key: Key
    group: str
    provides: frozenset[object]
    needs: frozenset[object]
    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    # Before its name in the order of its group: an index's table.
    beside: str = ""
    # How to drop what goes with its table, for where something that it needs is dropped before that table.
    early: tuple[str, ...] = ()
    # A function's body may name what comes later.
    unchecked: bool = False

    @property
    def rank(self) -> tuple[int, str, str, str, str]:
        kind, schema, name = self.key
        schema = schema if schema != PUBLIC else ""
        if self.group in ("types", "functions"):
            return (GROUPS.index(self.group), schema, kind, name, "")
        return (GROUPS.index(self.group), schema, self.beside or name, name, kind)


def last(key: Key) -> Key:
    """The mark of what comes after all else that it can: it calls a function that reads what no dump says it needs."""
    kind, schema, name = key
    return (LAST, schema, f"{kind} {name}")


def after(key: Key, others: Sequence[Key]) -> Key:
    """The mark of what comes after others, which it would be taken for in their expressions."""
    return (AFTER, "", json.dumps([key, *others]))


def with_order(items: Sequence[Item], marks: Iterable[Key]) -> list[Item]:
    """The items of `after` need those others, but where these need them."""
    needs: dict[Key, set[object]] = {}
    listed = [json.loads(mark[2]) for mark in marks if mark[0] == AFTER]
    providing = providers(items) if listed else {}
    for key, *others in ([tuple(one) for one in keys] for keys in listed):
        named = [item for item in items if item.key in others]
        there = [item for item in named if all(one.key != key for one in below(providing, item))]
        needs.setdefault(key, set()).update(one for item in there for one in item.provides)
    return [replace(item, needs=item.needs | needs.get(item.key, set())) for item in items]


def providers(items: Iterable[Item]) -> dict[object, Item]:
    """What is provided → the item that does."""
    return {one: item for item in items for one in item.provides}


def below(providing: Mapping[object, Item], start: Item) -> list[Item]:
    """An item and all that it needs, directly or not."""
    left, found = [start], dict[Key, Item]()
    while left:
        item = left.pop()
        if item.key not in found:
            found[item.key] = item
            left += (providing[one] for one in item.needs if one in providing)
    return [*found.values()]


def ordered(items: Sequence[Item]) -> list[Item]:
    """By group, and in a group by need and then by name.

    An item that needs one of a later group (a function that returns a table's rows) moves down into that group, so that
    each group stands once.
    """
    level = _levels(items)
    at = sorted(range(len(items)), key=lambda place: (level[place], items[place].rank))
    listed = [replace(items[place], group=GROUPS[level[place]]) for place in at]
    waiting = _users(listed)
    missing = [set(item.needs) for item in listed]
    free = [place for place, needs in enumerate(missing) if not needs]
    left = dict.fromkeys(range(len(listed)))
    done: list[Item] = []
    while left:
        # pg_dump has broken every circle that the server knows; ours can only be between rows.
        place = heapq.heappop(free) if free else next(iter(left))
        del left[place]
        done.append(listed[place])
        for one in listed[place].provides:
            for other in waiting.pop(one, ()):
                missing[other].discard(one)
                if not missing[other] and other in left:
                    heapq.heappush(free, other)
    return done


def _levels(items: Sequence[Item]) -> dict[int, int]:
    """Place of an item → the last of its group and of the groups of all that it needs, directly or not."""
    users = _users(items)
    found: dict[int, int] = {}
    for group in reversed(GROUPS):
        todo = [place for place, item in enumerate(items) if item.group == group]
        while todo:
            place = todo.pop()
            if place not in found:
                found[place] = GROUPS.index(group)
                todo += [user for one in items[place].provides for user in users.get(one, ())]
    return found


def _users(items: Sequence[Item]) -> dict[object, list[int]]:
    """What is needed → the places of those that need it."""
    found: dict[object, list[int]] = {}
    for place, item in enumerate(items):
        for one in item.needs:
            found.setdefault(one, []).append(place)
    return found


def with_early_drops(items: Sequence[Item]) -> list[Item]:
    """A rule, policy, trigger or constraint goes with its table, but stands in the way of what it needs beside that."""
    at = {one: number for number, item in enumerate(items) for one in item.provides}
    result = []
    for item in items:
        if item.early:
            places = {at[one] for one in item.needs if items[at[one]].down}
            relations = {n for n in places if items[n].key[0].endswith(("TABLE", "VIEW"))}
            named = {n for n in relations if item.key[2].startswith(f"{items[n].key[2]} ")}
            own = named or relations
            if len(own) != 1 or max(places) > max(own) or _tables(items[max(own)]) > 1:
                item = replace(item, down=item.early)
        result.append(item)
    return result


def _tables(item: Item) -> int:
    """How many tables one item makes: a family comes, and goes, table by table."""
    return sum(isinstance(one, tuple) and one[0] == "table" for one in item.provides)


def without_missing_needs(items: Sequence[Item]) -> list[Item]:
    """Needs that no item provides (an extension's members, the public schema) are no needs."""
    provided = {one for item in items for one in item.provides}
    return [
        replace(item, needs=(item.needs & provided) - item.provides) for item in items
    ]  # fmt: skip
