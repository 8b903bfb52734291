"""Sections of a txtar file (https://pkg.go.dev/golang.org/x/tools/txtar), of which some hold SQL."""

from __future__ import annotations

import re

from tests.suites import psql
from tests.suites.case import Case, numbered
from tests.suites.golang import SQL

_SECTION = re.compile(r"^-- (\S+) --\n", re.MULTILINE)
_EXECUTED = re.compile(r"^(?:execsql|exec) '(.*)'$", re.MULTILINE)


def sections(text: str) -> list[tuple[str, str]]:
    """(name, text) in order; first what precedes the first section, as ""."""
    parts = _SECTION.split(text)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


def cases(file: str, text: str) -> list[Case]:
    """A case for each section that begins as a statement does, with what the script executes after it."""
    found: list[Case] = []
    taken: set[str] = set()
    script, *named = sections(text)
    executed = [piece for one in _EXECUTED.findall(script[1]) for piece in psql.pieces(one.replace("''", "'"))]
    for name, body in named:
        if SQL.match(body):
            found.append(numbered(file, name, [*psql.pieces(body), *executed], taken))
    return found
