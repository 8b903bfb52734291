"""Rows: put in, changed, taken away."""

from __future__ import annotations

from tests.random import values
from tests.random.world import World


def insert(w: World) -> str:
    table = w.relation("rrp")
    columns = w.columns(table, "attgenerated = ''")
    always = bool(w.columns(table, "attidentity = 'a'"))
    if not columns or w.chance(15):
        return f"INSERT INTO {table} DEFAULT VALUES"
    keep = [(name, type_) for name, type_ in columns if not w.chance(6)] or columns
    rows = ", ".join(
        f"({', '.join(w.one((values.value(w, type_), values.value(w, type_), 'NULL', 'DEFAULT')) for _, type_ in keep)})"
        for _ in range(w.number(1, 3))
    )
    overriding = " OVERRIDING SYSTEM VALUE" if always and w.chance(2) else ""
    return f"INSERT INTO {table} ({', '.join(name for name, _ in keep)}){overriding} VALUES {rows}"


def update(w: World) -> str:
    table = w.relation("rp")
    name, type_ = w.one(w.columns(table, "attgenerated = ''"))
    return f"UPDATE {table} SET {name} = {w.one((values.value(w, type_), 'NULL', 'DEFAULT'))}"


def delete(w: World) -> str:
    table = w.relation("rp")
    where = f"WHERE ctid IN (SELECT ctid FROM ONLY {table} LIMIT 1)"
    return w.one((f"DELETE FROM {table} {where}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"))


def many(w: World) -> str:
    """So many rows that they go into a data file."""
    table = w.relation("rp")
    name, type_ = w.one(w.columns(table, "attgenerated = ''"))
    series = {"integer": "n", "bigint": "n", "text": "'t' || n"}.get(type_)
    return f"INSERT INTO {table} ({name}) SELECT {w.one([series] if series else [])} FROM generate_series(1, 1100) n"


def self_reference(w: World) -> str:
    """A table that refers to itself, with a row in a circle."""
    table = w.new("t")
    end = w.one(("", " DEFERRABLE INITIALLY DEFERRED"))
    w.run(f"CREATE TABLE {table} (id integer PRIMARY KEY, up integer REFERENCES {table}{end}, n text)")
    return f"INSERT INTO {table} VALUES (2, 2, 'b'), (1, 2, 'a'), (3, 1, NULL), (5, NULL, 'e')"


def two_in_a_circle(w: World) -> str:
    """Two tables that refer to each other, rows and all."""
    one, two = w.new("t"), w.new("u")
    w.run(f"CREATE TABLE {one} (id integer PRIMARY KEY, other integer)")
    w.run(f"CREATE TABLE {two} (id integer PRIMARY KEY, other integer REFERENCES {one})")
    w.run(f"INSERT INTO {one} VALUES (1, 1)")
    w.run(f"INSERT INTO {two} VALUES (1, 1)")
    return f"ALTER TABLE {one} ADD FOREIGN KEY (other) REFERENCES {two}"


OPERATIONS = ((14, insert), (4, update), (2, delete), (1, many), (1, self_reference), (1, two_in_a_circle))
