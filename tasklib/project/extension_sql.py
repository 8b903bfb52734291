"""How migrations make extensions, by the SQL in their strings: plainly, or only where they are not there yet; in a
certain version. Schemas and functions, too.

No catalog knows that. Where somebody else makes extensions (a DBA, template1) the plain form fails, and what was asked
for may be there before and stay after.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasklib.postgres import sqltext
from tasklib.postgres.archive import Key
from tasklib.project.sources import strings

CREATE = re.compile(
    r'\bCREATE\s+EXTENSION\s+(?P<asks>IF\s+NOT\s+EXISTS\s+)?(?P<name>"(?:[^"]|"")+"|\w+)(?P<how>[^;]*)', re.IGNORECASE
)
SCHEMA = re.compile(r'\bCREATE\s+SCHEMA\s+(?P<asks>IF\s+NOT\s+EXISTS\s+)?(?P<name>"(?:[^"]|"")+"|\w+)', re.IGNORECASE)
FUNCTION = re.compile(
    r'\bCREATE\s+(?P<asks>OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+(?:(?:"(?:[^"]|"")+"|\w+)\s*\.\s*)?'
    r'(?P<name>"(?:[^"]|"")+"|\w+)', re.IGNORECASE
)  # fmt: skip
UPDATE = re.compile(r'\bALTER\s+EXTENSION\s+(?P<name>"(?:[^"]|"")+"|\w+)\s+UPDATE\b(?P<to>\s+TO\b)?', re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """Extensions by what the migrations say of them. ``plain``: they make it without asking, so all others are asked
    for, also where no string names them; ``asked``: only where it is missing, and a downgrade leaves it; ``pinned``: in
    a certain version. ``schemas`` and ``functions`` by their names alone.
    """

    plain: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    # Those that no migration makes without asking, or replacing what is there: somebody else may make them, too.
    schemas: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()


def written(sources: Mapping[str, str]) -> Written:
    """What the SQL in the strings of migrations says."""
    texts = [text for _, _, text in strings(sources)]
    created = [match for text in texts for match in CREATE.finditer(text)]
    updated = [match for text in texts for match in UPDATE.finditer(text)]
    asked = _names(one for one in created if one.group("asks"))
    plain = _names(one for one in created if not one.group("asks"))
    pinned = [one for one in created if re.search(r"\bVERSION\b", one.group("how"), re.IGNORECASE)]
    pinned += [one for one in updated if one.group("to")]
    # To what the server has.
    newest = _names(one for one in updated if not one.group("to"))
    return Written(plain - asked, asked, _names(pinned) - newest, _asking(SCHEMA, texts), _asking(FUNCTION, texts))


def made(sources: Mapping[str, str]) -> tuple[str, ...]:
    """All extensions that the SQL in the strings of migrations makes, in one way or the other."""
    found = written(sources)
    return tuple(sorted(found.plain | found.asked))


def _asking(pattern: re.Pattern[str], texts: Iterable[str]) -> frozenset[str]:
    created = [match for text in texts for match in pattern.finditer(text)]
    return _names(one for one in created if one["asks"]) - _names(one for one in created if not one["asks"])


def _names(found: Iterable[re.Match[str]]) -> frozenset[str]:
    names = (one.group("name") for one in found)
    return frozenset(sqltext.unquoted(name if name.startswith('"') else name.lower()) or name for name in names)


def is_of(names: frozenset[str], key: Key) -> bool:
    """Whether an object of a dump, or a fact beside it, is one of these extensions or says what it is: its comment,
    version, members.
    """
    kind, _, name = key
    if kind == "COMMENT" and name.startswith("EXTENSION "):
        return sqltext.unquoted(name.removeprefix("EXTENSION ")) in names
    return kind.startswith("EXTENSION") and name in names
