"""The database that a random history grows in, which is its own model: what may be changed is asked of the catalogs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from tasklib.errors import Failed
from tasklib.postgres import client
from tasklib.postgres.client import Connection
from tests.random import words

T = TypeVar("T")
# On the server, for all histories: who things are given to.
ROLES = ("random_reader", '"Random Writer"')
OURS = (
    "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT 1 FROM pg_depend d"
    " WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i'))"
)


class NotNow(Exception):
    """There is nothing yet that this operation could be about."""


def execute(connection: Connection, statement: str) -> bool:
    """Run a statement of a history; whether PostgreSQL took it."""
    try:
        connection.run(statement)
    except Failed:
        return False
    return True


class World:
    """A history on its way: its connection, its choices, and the statements that the server took."""

    def __init__(self, connection: Connection, random: Random, known: frozenset[str]) -> None:
        self.connection = connection
        self._random = random
        self._known = known
        self.history: list[str] = []

    def run(self, statement: str) -> bool:
        """Run a statement, and keep it where the server took it."""
        done = execute(self.connection, statement)
        if done:
            self.history.append(statement)
        return done

    def avoid(self, kind: str) -> None:
        """Leave this operation out where it only shows a fault that is known."""
        if kind in self._known:
            raise NotNow

    def known(self, kind: str) -> bool:
        """Whether this kind of fault is known, and not to be shown again."""
        return kind in self._known

    # Choices.

    def one(self, choices: Sequence[T]) -> T:
        """One of these; `NotNow` where there are none."""
        if not choices:
            raise NotNow
        return choices[self._random.randrange(len(choices))]

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def chance(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def maybe(self, text: str, one_in: int = 3) -> str:
        """The text, or "" most of the time."""
        return text if self.chance(one_in) else ""

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        """One to ``most`` different ones, in any order."""
        left = list(choices)
        found = []
        for _ in range(self.number(1, max(1, min(most, len(left))))):
            found.append(self.one(left))
            left.remove(found[-1])
        return found

    # Names.

    def name(self, prefix: str) -> str:
        """A name, quoted where it must be; odd at times."""
        plain = f"{prefix}{self.number(1, 12)}"
        if self.chance(6):
            odd = [one for one in words.ODD if "\n" not in one or not self.known("line breaks in names")]
            return client.identifier(self.one(odd) + self.maybe(plain))
        return plain

    def new(self, prefix: str) -> str:
        """A name with a schema, or without one."""
        schema = self.schema() if self.chance(3) else ""
        return f"{schema}.{self.name(prefix)}" if schema else self.name(prefix)

    # What is there: SQL text, quoted.

    def texts(self, query: str) -> list[str]:
        """The first column of a query, sorted: the same choices each time."""
        return sorted(str(row[0]) for row in self.connection.rows(query))

    def schema(self) -> str:
        return self.one(self.texts("SELECT quote_ident(nspname) FROM pg_namespace n WHERE nspname !~ '^pg_'"
                                   " AND nspname <> 'information_schema'"))  # fmt: skip

    def relations(self, kinds: str) -> list[str]:
        """Relations of these kinds (pg_class.relkind)."""
        return self.texts(
            "SELECT format('%I.%I', n.nspname, o.relname) FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace"
            f" WHERE {OURS.format(catalog='pg_class')} AND o.relname <> 'alembic_version'"
            f" AND o.relkind IN ({', '.join(repr(kind) for kind in kinds)})"
        )

    def relation(self, kinds: str = "rp") -> str:
        return self.one(self.relations(kinds))

    def named(self, catalog: str, prefix: str, condition: str = "true") -> list[str]:
        """Objects of a catalog with a schema: schema.name."""
        return self.texts(
            f"SELECT format('%I.%I', n.nspname, o.{prefix}name) FROM {catalog} o"
            f" JOIN pg_namespace n ON n.oid = o.{prefix}namespace"
            f" WHERE {OURS.format(catalog=catalog)} AND {condition}"
        )

    def columns(self, relation: str, condition: str = "true") -> list[tuple[str, str]]:
        """(name, type) of a relation's columns."""
        found = self.connection.rows(
            "SELECT quote_ident(attname), format_type(atttypid, atttypmod) FROM pg_attribute a"
            f" WHERE attrelid = {client.literal(relation)}::regclass AND attnum > 0 AND NOT attisdropped"
            f" AND {condition} ORDER BY attnum"
        )
        return [(str(name), str(type_)) for name, type_ in found]

    def column(self, relation: str, condition: str = "true") -> str:
        return self.one(self.columns(relation, condition))[0]

    def of_relation(self, relation: str, query: str) -> list[str]:
        """What a query says of one relation, which it has as {}."""
        return self.texts(query.format(f"{client.literal(relation)}::regclass"))

    def role(self) -> str:
        return self.one(ROLES)
