"""What operations cannot say: one op.execute for each statement, laid out as people would."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasklib.postgres import sqltext
from tasklib.render import pycode
from tasklib.render.pycode import WIDTH, Call, string

# Long statements are broken before these, if anywhere.
CLAUSES = frozenset(
    ["ADD", "CHECK", "EXECUTE", "FOR", "FROM", "HANDLER", "IS", "ON", "REFERENCES", "TO", "USING", "WHEN",
     "WHERE", "WITH"]
)  # fmt: skip


def execute_all(texts: Sequence[str], reason: str) -> list[str]:
    """One op.execute for each statement, below a comment that says why it is one."""
    # A name in it may hold line breaks.
    lines = [f"    # {' '.join(reason.split())}"] if reason and texts else []
    for text in texts:
        if text.strip():
            lines += _execute(text)
    return lines


def _execute(text: str) -> list[str]:
    # A colon would be a parameter to text(); sa.DDL takes the statement as it is, but for percent signs.
    as_it_is = sqltext.for_text(text) == text
    sql = text if as_it_is else text.replace("%", "%%")
    if "\n" not in sql:
        sql = " ".join(_words(sql))

    def call(literal: str) -> Call:
        return Call("op.execute", [literal if as_it_is else Call("sa.DDL", [literal])])

    short = pycode.render(call(pycode.block(sql)), 4)
    if len(short) == 1 and len(short[0]) <= WIDTH:
        return short
    if '"""' in sql or not re.sub(r"[\n\t]", "", sql).isprintable():
        return pycode.render(call(string(sql)), 4)
    quotes = 'r"""' if "\\" in sql else '"""'
    if as_it_is:
        return [f"    op.execute({quotes}", *_indented(sql, 8), '    """)']
    return ["    op.execute(", f"        sa.DDL({quotes}", *_indented(sql, 12), '        """)', "    )"]


def _indented(sql: str, indent: int) -> list[str]:
    """The lines of a statement, further in where a line does not begin inside of a string or body."""
    pad = " " * indent
    if "\n" not in sql:
        return [f"{pad}{line}" for line in _broken(sql, WIDTH - indent)]
    spaces = str.maketrans({"\n": f"\n{pad}", "\t": "    "})
    tokens = (token if token.strip() else token.translate(spaces) for token in sqltext.tokens(sql))
    return (pad + "".join(tokens)).split("\n")


def _broken(sql: str, width: int) -> list[str]:
    """A statement of one line in several, broken where there is a space outside of strings and names."""
    lines: list[list[str]] = [[]]
    for word in _words(sql):
        line = lines[-1]
        if line and len(" ".join([*line, word])) + 4 * (len(lines) > 1) > width:
            clauses = [n for n in range(2, len(line)) if line[n].upper() in CLAUSES and line[n - 1].upper() != "START"]
            # The last clause of the line goes with what follows it.
            at = clauses[-1] if clauses else len(line)
            lines[-1:] = [line[:at], line[at:]]
        lines[-1].append(word)
    return ["    " * (number > 0) + " ".join(line) for number, line in enumerate(lines) if line]


def _words(sql: str) -> list[str]:
    """What stands between spaces, where these are outside of strings and names."""
    words = [""]
    for token in sqltext.tokens(sql):
        if not token.strip():
            words.append("")
        else:
            words[-1] += token
    return [word for word in words if word]
