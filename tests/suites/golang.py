"""String literals of Go sources, and the test cases that are made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.suites import psql
from tests.suites.case import Case, Piece, numbered

_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|`[^`]*`|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)+'|\w+|.", re.DOTALL)
SQL = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:CREATE|ALTER|COMMENT|GRANT|REVOKE|INSERT|DROP)\s", re.IGNORECASE)


def tokens(text: str) -> Iterator[str]:
    """The tokens that matter: no blanks, no comments."""
    for match in _TOKEN.finditer(text):
        token = match.group(0)
        if token.strip() and not token.startswith(("//", "/*")):
            yield token


def literal(token: str) -> str | None:
    """The text of a string literal; None for another token."""
    if token.startswith("`"):
        return token[1:-1]
    if token.startswith('"'):
        try:
            return str(json.loads(token))
        except ValueError:  # \x and octal escapes, in no SQL
            return token[1:-1]
    return None


@dataclass
class _Fields:
    name: str = ""
    lists: dict[str, list[str]] = field(default_factory=dict)


def acceptance(file: str, text: str) -> list[Case]:
    """pg-schema-diff's cases: the old schema, the new one, and the old one with the plan's statements after it."""
    found: list[Case] = []
    taken: set[str] = set()
    for fields in _literals_by_field(text):
        wanted = ("oldSchemaDDL", "newSchemaDDL", "expectedPlanDDL")
        old, new, plan = (_split(fields.lists.get(name, [])) for name in wanted)
        for what, pieces in (("old", old), ("new", new), ("migrated", [*old, *plan] if plan else [])):
            if pieces and not (what == "new" and new == old):
                found.append(numbered(file, f"{fields.name} ({what})", pieces, taken))
    return found


def _literals_by_field(text: str) -> Iterator[_Fields]:
    """The literals in composite literals `{name: "…", oldSchemaDDL: []string{`…`}, …}`, in order."""
    current = _Fields()
    key = ""
    depth = opened = 0
    last = ["", ""]
    for token in tokens(text):
        if token == ":" and re.fullmatch(r"\w+", last[1]) and last[0] in ("{", ",", "}", ""):
            if last[1] == "name":
                if current.lists:
                    yield current
                current = _Fields()
            key, opened = last[1], depth
        depth += (token in "{(") - (token in "})") if len(token) == 1 else 0
        value = literal(token)
        if value is not None and key == "name" and not current.name:
            current.name = value
        elif value is not None and depth > opened:
            current.lists.setdefault(key, []).append(value)
        last = [last[1], token]
    if current.lists:
        yield current


def by_function(file: str, text: str) -> list[Case]:
    """A case for each top-level function: those of its literals that begin as a statement does, in order."""
    found: list[Case] = []
    taken: set[str] = set()
    for part in re.split(r"(?m)^(?=func )", text)[1:]:
        name = re.match(r"func\s+(?:\([^)]*\)\s*)?(\w+)", part)
        texts = [value for value in map(literal, tokens(part)) if value is not None and SQL.match(value)]
        if pieces := _split(texts):
            found.append(numbered(file, name.group(1) if name else "", pieces, taken))
    return found


def _split(texts: list[str]) -> list[Piece]:
    return [piece for text in texts for piece in psql.pieces(text)]
