"""Everything renamed, moved, dropped."""

from __future__ import annotations

from tests.random import rights, routines
from tests.random.world import World

DROPS = ("", "", " CASCADE")


def outside(w: World) -> rights.Named:
    """What is in no schema; not public, where Alembic's own table is."""
    return [one for one in rights.without_schema(w) if one != ("SCHEMA", "public")]


def rename(w: World) -> str:
    word, name = w.one([*rights.objects(w), *outside(w)])
    return f"ALTER {word} {name} RENAME TO {w.name('n')}"


def rename_column(w: World) -> str:
    relation = w.relation("rpvmf")
    return f"ALTER TABLE {relation} RENAME COLUMN {w.column(relation)} TO {w.name('c')}"


def rename_often(w: World) -> str:
    """A table or type, since what hangs on it keeps its old name."""
    relation = w.relation("rpS")
    return f"ALTER TABLE {relation} RENAME TO {w.name('n')}"


def move(w: World) -> str:
    word, name = w.one(rights.objects(w))
    return f"ALTER {word} {name} SET SCHEMA {w.schema()}"


def drop(w: World) -> str:
    word, name = w.one(rights.objects(w))
    return f"DROP {word} {name}{w.one(DROPS)}"


def drop_outside(w: World) -> str:
    word, name = w.one(outside(w))
    return f"DROP {word} {name}{w.one(DROPS)}"


def depend(w: World) -> str:
    extension = w.one(w.texts("SELECT quote_ident(extname) FROM pg_extension"))
    routine = w.one(routines.routines(w, "prokind = 'f'"))
    return w.one((f"ALTER FUNCTION {routine} DEPENDS ON EXTENSION {extension}",
                  f"ALTER INDEX {w.relation('iI')} DEPENDS ON EXTENSION {extension}"))  # fmt: skip


OPERATIONS = ((3, rename), (2, rename_column), (2, rename_often), (4, move), (2, drop), (1, drop_outside), (1, depend))
