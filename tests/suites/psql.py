"""A script as psql reads it: statements, data of COPY, meta commands.

Parsers of SQL (pglast, sqlglot) refuse or reshape what scripts for psql hold, errors made on purpose among it, and take
no data of COPY; `tasklib.sqltext` reads what pg_dump prints. Where psql ends a statement is a matter of quotes,
parentheses and BEGIN ATOMIC alone (PostgreSQL: src/fe_utils/psqlscan.l).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.suites.case import Piece

_TOKEN = re.compile(
    r"""(?P<quoted>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<dollar>\$(?:[^\W\d]\w*)?\$).*?(?P=dollar))
    |(?P<comment>--[^\n]*)
    |(?P<block>/\*)
    |(?P<meta>\\[^\n]*)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<other>\d\w*|.)""",
    re.DOTALL | re.VERBOSE,
)
_SENDS = re.compile(r"\\g(?:x|set|exec|desc)?\b|\\(?:crosstabview|watch|bind)\b")
_FROM_STDIN = re.compile(r"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_ROUTINE = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.IGNORECASE)


def pieces(text: str) -> list[Piece]:
    """The statements of a script in order. Meta commands go: `\\if` is taken both ways, variables stay unfilled."""
    return list(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    at = 0
    buffer: list[str] = []
    parentheses = atomic = 0
    before = ""
    while match := _TOKEN.match(text, at):
        at = match.end()
        token = match.group(0)
        kind = match.lastgroup
        if kind == "block":
            at = _after_comment(text, at)
            buffer.append(" ")
            continue
        if kind == "comment":
            continue
        if kind == "meta":
            if token.startswith("\\;"):
                buffer.append(";")
                at = match.start() + 2
            elif token.startswith("\\\\"):
                at = match.start() + 2
            elif _SENDS.match(token):
                if statement := "".join(buffer).strip():
                    yield Piece(statement)
                buffer, parentheses, atomic = [], 0, 0
            continue
        if kind == "word":
            word = token.upper()
            if word == "ATOMIC" and before == "BEGIN" and _ROUTINE.match("".join(buffer).lstrip()):
                atomic = 1
            elif atomic and word == "CASE":
                atomic += 1
            elif atomic and word == "END":
                atomic -= 1
            before = word
        elif token.strip():
            before = ""
        parentheses = max(0, parentheses + (token == "(") - (token == ")"))
        if token != ";" or parentheses or atomic:
            buffer.append(token)
            continue
        statement = "".join(buffer).strip()
        buffer = []
        if not statement:
            continue
        data = None
        if _FROM_STDIN.match(statement):
            data, at = _data(text, at)
        yield Piece(statement, data)
    if statement := "".join(buffer).strip():
        yield Piece(statement)


def _after_comment(text: str, at: int) -> int:
    """Where a comment ends that began before ``at``; comments nest."""
    depth = 1
    for match in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if match.group(0) == "/*" else -1
        if depth == 0:
            return at + match.end()
    return len(text)


def _data(text: str, at: int) -> tuple[str, int]:
    """The lines after the statement's own, to the one that is a backslash and a dot; and where it goes on."""
    newline = text.find("\n", at)
    if newline < 0:
        return "", len(text)
    end = re.compile(r"^\\\.[^\n]*\n?", re.MULTILINE).search(text, newline + 1)
    return (text[newline + 1 : end.start()], end.end()) if end else (text[newline + 1 :], len(text))
