"""The order of what the base makes: by group, then by need, whatever depends on what."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tasklib.render.items import GROUPS, Item, ordered

LONG = 5_000  # many times what Python's stack holds


def made(group: str, name: str, *needs: str) -> Item:
    return Item((group, "", name), group, frozenset({name}), frozenset(needs), ())


def names(items: Sequence[Item]) -> list[str]:
    return [item.key[2] for item in items]


def test_a_long_chain_is_in_order_from_whichever_end_it_comes() -> None:
    chain = [made("views", f"v{n}", *([f"v{n - 1}"] if n else [])) for n in range(LONG)]
    mixed = random.Random(1).sample(chain, LONG)
    for one in (chain, chain[::-1], mixed):
        assert names(ordered(one)) == names(chain)


def test_what_needs_something_of_a_later_group_is_in_that_group_and_all_that_needs_it_too() -> None:
    chain = [made("functions", f"f{n}", f"f{n - 1}" if n else "table") for n in range(LONG)]
    found = ordered([*chain, made("functions", "free"), made("tables", "table")])
    assert names(found) == ["free", "table", *names(chain)]
    assert [item.group for item in found] == ["functions", *["tables"] * (LONG + 1)]


def test_a_circle_is_broken_where_it_begins_and_stays_together() -> None:
    circle = [made("rows", f"r{n}", f"r{(n + 1) % LONG}") for n in range(LONG)]
    found = ordered([made("views", "view", "r7"), *circle, made("tables", "table")])
    assert names(found)[:2] == ["table", "r0"] and names(found)[-1] == "view"
    assert names(found)[2:-1] == names(circle)[:0:-1]
    assert [item.group for item in found] == sorted((item.group for item in found), key=GROUPS.index)
