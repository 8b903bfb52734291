"""What is in a database before the first migration runs: schemas, extensions, functions that env.py makes.

Every scratch database begins as a copy of one that env.py has seen (see `contact`), and no base migration makes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasklib.errors import Failed, Refused
from tasklib.judge import catalog
from tasklib.postgres import client, missing_extension
from tasklib.postgres.archive import Entry, Key
from tasklib.postgres.binaries import Binaries
from tasklib.postgres.client import Address, Connection

# What an empty database lacks: PostgreSQL's own oids end before this one.
ANYTHING = " UNION ALL ".join(
    f"SELECT 1 FROM {name} WHERE oid >= 16384"
    for name in ("pg_class", "pg_type", "pg_proc", "pg_namespace", "pg_extension")
)


@dataclass(frozen=True)
class Ground:
    """The groundwork of one database: the text of each of its objects by its key."""

    objects: Mapping[Key, str]

    @property
    def schemas(self) -> frozenset[str]:
        return frozenset(name for kind, _, name in self.objects if kind == "SCHEMA")

    def without(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries that are no groundwork; `Refused` where a migration made another object of one that is."""
        left = []
        for entry in entries:
            text = self.objects.get(entry.key)
            if text is None:
                left.append(entry)
            elif text != entry.ddl.strip():
                raise Refused(
                    f"Migrations change the {entry.kind.lower()} {entry.tag}, which env.py makes before them. No base "
                    "migration could do both.",
                    "let one of the two make it: take it out of env.py, or out of the migrations",
                )
        return left

    def shown(self, tables: Iterable[tuple[str, str]]) -> list[str]:
        """The objects in words, without version tables and what is said of other objects."""
        aside = {("TABLE", schema, name) for schema, name in tables}
        kinds = ("SCHEMA", "EXTENSION", "FUNCTION", "PROCEDURE", "TYPE", "DOMAIN", "TABLE", "VIEW", "SEQUENCE")
        found = [(kind, schema, name) for kind, schema, name in self.objects if kind in kinds]
        return sorted(
            f"{kind.lower()} {schema + '.' if schema not in ('', 'public') else ''}{name}"
            for kind, schema, name in found
            if (kind, schema, name) not in aside
        )


def read(address: Address, binaries: Binaries, directory: Path) -> Ground:
    """The groundwork in a database that no migration has seen; ``directory`` is ours."""
    with client.connect(address, read_only=True) as connection:
        if not connection.rows(f"{ANYTHING} LIMIT 1"):
            return Ground({})
    entries = catalog.snapshot(address, binaries, directory).entries
    return Ground({entry.key: entry.ddl.strip() for entry in entries})


def making(kind: str, name: str) -> str:
    """The statement that makes a schema or an extension where it is missing."""
    return f"CREATE {kind} IF NOT EXISTS {client.identifier(name)}"


def lay(connection: Connection, statements: Iterable[str]) -> None:
    """Make in a scratch database what nobody makes, where it is missing: an extension in the usual schema."""
    for one in statements:
        try:
            with connection.usual_path():
                connection.run(one)
        except Failed as error:
            if name := missing_extension.not_on_server(error.text):
                raise Refused(
                    f"The migrations need the extension {name!r}, which the scratch server does not have.",
                    missing_extension.how_to_get(name),
                ) from None
            raise


def lines(made: Sequence[str], needed: Sequence[str]) -> list[str]:
    """Lines for the proof: what env.py makes, and the schemas and extensions that somebody must have made."""
    found = [f"Made by env.py before any migration, and left to it: {', '.join(made)}"] if made else []
    if needed:
        found.append(
            "Must be in a database before its first migration, as before, since no migration makes it: "
            f"{', '.join(needed)}"
        )
    return found
