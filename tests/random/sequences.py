"""Sequences: made, owned, changed, moved on."""

from __future__ import annotations

from tasklib.postgres import client
from tests.random.world import World

OPTIONS = ("INCREMENT BY 3", "INCREMENT BY -1", "MINVALUE -100", "MAXVALUE 1000", "START WITH 5", "CACHE 10", "CYCLE",
           "NO CYCLE", "NO MINVALUE", "NO MAXVALUE", "AS smallint", "AS bigint", "AS integer")  # fmt: skip


def create_sequence(w: World) -> str:
    options = " ".join(w.some(OPTIONS, 3)) if w.chance(2) else ""
    return f"CREATE {w.maybe('UNLOGGED ', 6)}SEQUENCE {w.new('q')} {options}".rstrip()


def change_sequence(w: World) -> str:
    sequence = w.relation("S")
    choice = w.number(1, 4)
    if choice == 1:
        table = w.relation("rp")
        return f"ALTER SEQUENCE {sequence} OWNED BY {w.one(('NONE', f'{table}.{w.column(table)}'))}"
    if choice == 2:
        return f"ALTER SEQUENCE {sequence} RESTART{w.maybe(f' WITH {w.number(-3, 50)}', 2)}"
    return f"ALTER SEQUENCE {sequence} {' '.join(w.some(OPTIONS, 2))}"


def use_sequence(w: World) -> str:
    sequence = client.literal(w.relation("S"))
    return w.one((f"SELECT nextval({sequence})", f"SELECT setval({sequence}, {w.number(-3, 90)})",
                  f"SELECT setval({sequence}, {w.number(1, 90)}, false)"))  # fmt: skip


OPERATIONS = ((3, create_sequence), (3, change_sequence), (3, use_sequence))
