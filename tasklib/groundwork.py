"""What must be there before the first migration runs: schemas and extensions, mostly by env.py's own doing.

All scratch databases have it from the beginning, and no migration makes it. See `asked` for how it is found out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tasklib import postgres, sqltext
from tasklib.archive import Key
from tasklib.errors import Failed, Refused
from tasklib.postgres import Connection

ENV = "env.py"
TABLE = "version table"
NAME = r'"(?:[^"]|"")+"|[^\W\d]\w*'
SCHEMA = re.compile(
    rf"CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})(?:\s+AUTHORIZATION\s+(?:{NAME}))?", re.IGNORECASE
)
EXTENSION = re.compile(
    rf"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?({NAME})(?:\s+WITH)?(\s+SCHEMA\s+(?:{NAME}))?(\s+CASCADE)?",
    re.IGNORECASE,
)


def statement(text: str) -> str | None:
    """A statement that makes a schema or an extension and nothing else, as one that may be repeated; else None."""
    text = text.strip()
    if (found := SCHEMA.fullmatch(text)) is not None:
        return f"CREATE SCHEMA IF NOT EXISTS {_quoted(found.group(1))}"
    if (found := EXTENSION.fullmatch(text)) is not None:
        rest = " ".join("".join(filter(None, found.groups()[1:])).split())
        return f"CREATE EXTENSION IF NOT EXISTS {_quoted(found.group(1))} {rest}".rstrip()
    return None


def making(kind: str, name: str) -> str:
    """The statement that makes a schema or an extension where it is missing."""
    return f"CREATE {kind} IF NOT EXISTS {postgres.identifier(name)}"


def _quoted(name: str) -> str:
    return name if name.startswith('"') else postgres.identifier(name.lower())


def keys(statements: Iterable[str]) -> frozenset[Key]:
    """What these statements make, as the dump names it."""
    found = (re.match(rf"CREATE (\w+) IF NOT EXISTS ({NAME})", one) for one in statements)
    return frozenset((one.group(1), "", sqltext.unquoted(one.group(2)) or "") for one in found if one)


def holds(laid: frozenset[Key], key: Key) -> bool:
    """Whether an object of a dump, or a fact beside it, is of what was laid, or says what an extension of it is: its
    comment, its version, its members.
    """
    kind, _, name = key
    about = name.removeprefix("EXTENSION ") if kind == "COMMENT" and name.startswith("EXTENSION ") else None
    extension = sqltext.unquoted(about) if about else name if kind.startswith("EXTENSION ") else None
    return key in laid or (extension is not None and ("EXTENSION", "", extension) in laid)


def lay(connection: Connection, statements: Iterable[str]) -> None:
    """Make it in a scratch database, where it is missing."""
    for one in statements:
        try:
            connection.run(one)
        except Failed as error:
            if name := postgres.lacking_extension(error.text):
                raise Refused(
                    f"env.py makes the extension {name!r}, which the scratch server does not have.",
                    postgres.how_to_get(name),
                ) from None
            raise


def there(connection: Connection) -> dict[str, list[str]]:
    """The schemas and extensions of a database, each kind by name."""
    schemas = connection.rows("SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY 1")
    extensions = connection.rows("SELECT extname FROM pg_extension ORDER BY 1")
    return {"EXTENSION": [str(one) for (one,) in extensions], "SCHEMA": [str(one) for (one,) in schemas]}


def take_away(connection: Connection, before: Mapping[str, list[str]]) -> None:
    """Drop the extensions and schemas that were not there before, whatever was made in them."""
    for kind in ("EXTENSION", "SCHEMA"):
        names = [postgres.identifier(one) for one in there(connection)[kind] if one not in before[kind]]
        if names:
            connection.run(f"DROP {kind} {', '.join(names)} CASCADE")


def shown(laid: Mapping[str, str]) -> list[str]:
    """Lines for the proof."""
    by_env = sorted(f"{key[0].lower()} {key[2]}" for key in keys(one for one, by in laid.items() if by == ENV))
    needed = sorted(f"{key[0].lower()} {key[2]}" for key in keys(one for one, by in laid.items() if by != ENV))
    lines = [f"Made by env.py before any migration, and left to it: {', '.join(by_env)}"] if by_env else []
    if needed:
        lines.append(f"Must be in a database before its first migration, for the version table: {', '.join(needed)}")
    return lines
