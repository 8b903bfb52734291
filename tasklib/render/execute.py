"""What operations cannot say: one op.execute for each statement."""

from __future__ import annotations

from collections.abc import Sequence

from tasklib import postgres, pycode, sqltext
from tasklib.pycode import Call
from tasklib.tables import Table


def execute_all(texts: Sequence[str], reason: str) -> list[str]:
    """One op.execute for each statement, below a comment that says why it is one."""
    lines = [f"    # {reason}"] if reason and texts else []
    for text in texts:
        if not text.strip():
            continue
        plain = sqltext.for_text(text)
        if plain is not None and plain == text:
            lines += pycode.render(Call("op.execute", [pycode.block(text)]), 4)
        else:
            # A colon would be a parameter to text(); sa.DDL takes the statement as it is, but for percent signs.
            inner = Call("sa.DDL", [pycode.block(text.replace("%", "%%"))])
            lines += pycode.render(Call("op.execute", [inner]), 4)
    return lines


def shown(table: Table) -> str:
    return postgres.identifier(table.name, table.schema)
