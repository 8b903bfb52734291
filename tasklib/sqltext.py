"""SQL text as the server prints it: where statements end, what stands between parentheses. Pure.

No parser: pg_dump's own output is read, whose quoting is regular. A whole grammar (libpq's parser, as a library) would
tie the project to one PostgreSQL version and weigh more than the rest of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# A quoted string (E'' knows backslashes), a quoted name, a dollar-quoted body, a comment; else a single character.
_TOKEN = re.compile(
    r"[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/|\w+|.", re.DOTALL
)


def tokens(text: str) -> Iterator[str]:
    """The text in pieces; quoted strings, names, dollar-quoted bodies and comments are one piece each."""
    for match in _TOKEN.finditer(text):
        yield match.group(0)


def statements(text: str) -> list[str]:
    """The statements of a script, without their semicolons; bodies between BEGIN ATOMIC and END stay whole, and what
    stands in parentheses (a rule's commands).
    """
    found: list[str] = []
    current: list[str] = []
    depth = parentheses = 0
    words: list[str] = []
    for token in tokens(text):
        word = token.upper()
        if token.strip():
            if words and words[-1] == "BEGIN" and word == "ATOMIC":
                depth = 1
            elif depth and word == "CASE":
                depth += 1
            elif depth and word == "END":
                depth -= 1
            words.append(word)
        parentheses += (token == "(") - (token == ")")
        if token == ";" and not depth and not parentheses:
            found.append("".join(current).strip())
            current = []
        else:
            current.append(token)
    found.append("".join(current).strip())
    return [one for one in found if one]


def split(text: str, separator: str = ",") -> list[str]:
    """The parts of a list, split at separators that stand in no parentheses or brackets."""
    parts = [""]
    depth = 0
    for token in tokens(text):
        depth += (token in "([") - (token in ")]") if len(token) == 1 else 0
        if token == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return [part.strip() for part in parts if part.strip()]


def parenthesized(text: str) -> tuple[str, str, str] | None:
    """(before, inside, after) of the first pair of parentheses, or None."""
    before = inside = ""
    depth = 0
    at = 0
    for token in tokens(text):
        at += len(token)
        if token == "(":
            depth += 1
            if depth == 1:
                continue
        if token == ")":
            depth -= 1
            if depth == 0:
                return before, inside, text[at:]
        if depth:
            inside += token
        else:
            before += token
    return None


def bare(expression: str) -> str:
    """An expression without the parentheses that enclose all of it."""
    text = expression.strip()
    while text.startswith("("):
        found = parenthesized(text)
        if found is None or found[0] or found[2].strip():
            break
        text = found[1].strip()
    return text


def unquoted(name: str) -> str | None:
    """The name that an identifier stands for, or None where the text is more than one plain column name."""
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    if re.fullmatch(r'"(?:[^"]|"")+"', name):
        return name[1:-1].replace('""', '"')
    return None


def commented(ddl: str) -> tuple[str, ...]:
    """What a COMMENT ON … statement is about: the kind of object in one word, then the parts of its name."""
    words = [token for token in tokens(ddl) if token.strip()]
    if words[:2] != ["COMMENT", "ON"] or "IS" not in words:
        return ()
    return (words[2], *(unquoted(word) or word for word in words[3 : words.index("IS")] if word != "."))


def for_text(sql: str) -> str | None:
    """The SQL as `sqlalchemy.text` must get it so that it arrives as it is; None where it cannot.

    ``:word`` would be a bound parameter. A backslash before it protects it, except where another colon follows.
    """
    if "\\:" in sql:
        return None
    escaped = re.sub(r"(?<![:\w$]):(?=[\w$])", r"\\:", sql)
    # SQLAlchemy takes the backslash away only where the word is not followed by a colon.
    return None if re.search(r"\\:[\w$]+:", escaped) else escaped
