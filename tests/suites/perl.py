"""The statements of pg_dump's own test, in a Perl hash of `create_sql` and `create_order`.

Of Perl only what stands there: strings in single or double quotes and in q() or qq{}, joined by dots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.suites import psql
from tests.suites.case import Case

_ENTRY = re.compile(r"^\t'((?:[^'\\]|\\.)*)' => \{\n", re.MULTILINE)
_ORDER = re.compile(r"^\t\tcreate_order\s*=>\s*(\d+)", re.MULTILINE)
_DATABASE = re.compile(r"^\t\tdatabase\s*=>\s*'(\w+)'", re.MULTILINE)
_SQL = re.compile(r"^\t\tcreate_sql\s*=>", re.MULTILINE)
_STRING = re.compile(
    r"\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|q\(((?:[^()\\]|\\.|\([^()]*\))*)\)|qq\{([^{}]*)\})", re.DOTALL
)
_DOT = re.compile(r"\s*\.")


@dataclass(frozen=True)
class Entry:
    """One object that the test makes; those without an order come last."""

    name: str
    database: str
    order: int
    sql: str


def entries(text: str) -> list[Entry]:
    """The entries with SQL, in the order in which the test runs them."""
    starts = list(_ENTRY.finditer(text))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    found: list[Entry] = []
    for match, end in zip(starts, ends, strict=True):
        body = text[match.end() : end]
        if (sql := _SQL.search(body)) is not None:
            order, database = _ORDER.search(body), _DATABASE.search(body)
            found.append(
                Entry(
                    match.group(1),
                    database.group(1) if database else "",
                    int(order.group(1)) if order else 1_000_000,
                    "".join(_strings(body[sql.end() :])),
                )
            )
    return sorted(found, key=lambda entry: (entry.order, entry.name))


def _strings(text: str) -> Iterator[str]:
    """The strings at the beginning of an expression."""
    at = 0
    while match := _STRING.match(text, at):
        single, double, q, qq = match.groups()
        if single is not None or q is not None:
            yield re.sub(r"\\([\\'])", r"\1", single if single is not None else q)
        else:
            yield re.sub(r"\\(.)", lambda one: {"n": "\n", "t": "\t"}.get(one.group(1), one.group(1)), double or qq)
        dot = _DOT.match(text, match.end())
        if dot is None:
            return
        at = dot.end()


def cases(file: str, text: str) -> list[Case]:
    """One case for each database that the test fills."""
    by_database: dict[str, list[str]] = {}
    for entry in entries(text):
        by_database.setdefault(entry.database, []).append(entry.sql.rstrip("; \n"))
    return [Case(file, name, tuple(psql.pieces(";\n".join(found)))) for name, found in by_database.items()]
