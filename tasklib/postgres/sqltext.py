"""SQL text as the server prints it: where statements end, what stands between parentheses. Pure.

No parser: pg_dump's own output is read, whose quoting is regular. A whole grammar (libpq's parser, as a library) would
tie the project to one PostgreSQL version and weigh more than the rest of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

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


def without_schema(text: str, schema: str, kept: Collection[str] = ()) -> str:
    """The SQL without a schema before its names, but for names that are ``kept``; what stands in quotes stays, but for
    a sequence whose next number is taken.
    """
    found: list[str] = []
    all_ = list(tokens(text))
    skip = 0
    for at, token in enumerate(all_):
        before = all_[at - 1] if at else ""
        name = all_[at + 2] if all_[at + 1 : at + 2] == ["."] and at + 2 < len(all_) else ""
        if skip:
            skip -= 1
        elif token == schema and before != "." and (unquoted(name) or schema) not in {schema, *kept}:
            skip = 1
        elif all_[max(0, at - 2) : at] == ["nextval", "("] and (named := _sequence(token, schema, kept)):
            found.append(named)
        else:
            found.append(token)
    return "".join(found)


def _sequence(token: str, schema: str, kept: Collection[str]) -> str | None:
    match = re.fullmatch(rf"'{re.escape(schema)}\.((?:[^']|'')+)'", token)
    return f"'{match.group(1)}'" if match and match.group(1) not in kept else None


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


# A list as the server prints it, which may hold brackets in strings.
_LIST = r"ARRAY\[(?P<list>[^\[\]]*(?:'(?:[^']|'')*'[^\[\]]*)*)\]"
_NAME = r"(?<![\w.:\"\])])(?P<name>(?:(?:\"(?:[^\"]|\"\")+\"|[a-z_][\w$]*)\.)*(?:\"(?:[^\"]|\"\")+\"|[a-z_][\w$]*))"
_ANY = r"(?P<any>= ANY|<> ALL)"
# With a cast of the whole list, as the server makes it for varchar: plain print, and the one with few parentheses.
_CAST_LIST = re.compile(rf"(?:\({_LIST}\)|{_LIST.replace('list', 'other')})::(?P<target>\w[\w ]*)\[\]")
_IN_CAST_LIST = re.compile(rf"{_NAME}::text {_ANY} \({_LIST}::text\[\]\)")
_IN_LIST = re.compile(rf"{_NAME} {_ANY} \({_LIST}\)")


def as_typed(expression: str, *, readable: bool = True) -> str:
    """An expression as somebody would type it, so that the server reads what it printed.

    What PostgreSQL makes of ``x IN ('a', 'b')`` it prints as a list of varchar that is cast to text, and reads that
    print as a list of casts. Any other list of constants reads better so, too (``readable``), which need not come out
    the same: where nothing else can be tried it is left.
    """
    text = _IN_CAST_LIST.sub(_in, expression)
    text = _CAST_LIST.sub(_cast_twice, text)
    return _IN_LIST.sub(_in, text) if readable else text


def _in(match: re.Match[str]) -> str:
    constants = _constants(match.group("list"))
    if constants is None or len(constants[0]) < 2:
        return match.group(0)
    word = "IN" if match.group("any") == "= ANY" else "NOT IN"
    return f"{match.group('name')} {word} ({', '.join(constants[0])})"


def _cast_twice(match: re.Match[str]) -> str:
    """With a cast of its own first, the list is not taken apart."""
    listed = match.group("list") or match.group("other") or ""
    constants = _constants(listed)
    # Of anything else than constants the print does not say the type; nearly always it is this one.
    type_ = constants[1] if constants else "character varying" if match.group("target") == "text" else ""
    return f"(ARRAY[{listed}]::{type_}[])::{match.group('target')}[]" if listed and type_ else match.group(0)


def _constants(listed: str) -> tuple[list[str], str] | None:
    """The constants of a list without their casts, and the type that all of them have."""
    found = []
    for part in split(listed):
        constant = re.fullmatch(r"(?P<plain>-?\d+)|'(?P<negative>-\d+)'::integer|(E?'(?:[^']|'')*'|NULL)::(.+)", part)
        if constant is None:
            return None
        integer = constant.group("plain") or constant.group("negative")
        found.append((integer, "integer") if integer else (constant.group(3), constant.group(4)))
    types = {type_ for _, type_ in found}
    return ([text for text, _ in found], types.pop()) if len(types) == 1 else None


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


def altered(ddl: str) -> tuple[str, ...]:
    """(schema, table, column or constraint) that an ALTER TABLE … ALTER COLUMN or ADD CONSTRAINT is about; else ().

    A dump's tag for it is "table name", and any of the two may have spaces.
    """
    words = [token for token in tokens(ddl) if token.strip()]
    words = [word for word in words[:10] if word not in ("FOREIGN", "ONLY")]
    if words[:2] != ["ALTER", "TABLE"] or words[5:7] not in (["ALTER", "COLUMN"], ["ADD", "CONSTRAINT"]):
        return ()
    return tuple(unquoted(word) or word for word in (words[2], words[4], words[7]))


def for_text(sql: str) -> str | None:
    """The SQL as `sqlalchemy.text` must get it so that it arrives as it is; None where it cannot.

    ``:word`` would be a bound parameter. A backslash before it protects it, except where another colon follows.
    """
    if "\\:" in sql:
        return None
    escaped = re.sub(r"(?<![:\w$]):(?=[\w$])", r"\\:", sql)
    # SQLAlchemy takes the backslash away only where the word is not followed by a colon.
    return None if re.search(r"\\:[\w$]+:", escaped) else escaped
