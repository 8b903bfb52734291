"""What the reference was made from, in the words of the base migration, of the proof, and of `verify` long afterwards.

Pure text. Nothing that leads to a real database is in it but the database's name: these words stay in git for ever.
"""

from __future__ import annotations

import ast
import re
import shlex

from tasklib.errors import Refused
from tasklib.plan import Plan

BEFORE = re.compile(r"(?m)^Made from their replay after `(.+)` on an empty database", re.DOTALL)


def made_from(plan: Plan, major: object) -> list[str]:
    """Lines for the base migration's docstring; ``major`` is that of the server where it is proven."""
    proven = f"proven equal to it on PostgreSQL {major} by alembic-squash."
    if plan.settings.before:
        return [f"Made from their replay after `{shlex.join(plan.settings.before)}` on an empty database, and", proven]
    return [f"Made from their replay and {proven}"]


def proof(plan: Plan) -> list[str]:
    """Lines for the proof's report: what stands behind its words "old chain"."""
    if plan.settings.before:
        return [f"The old chain began with `{shlex.join(plan.settings.before)}` on an empty database."]
    return []


def refuse_missing(source: str, plan: Plan) -> None:
    """`Refused` where the base migration in ``source`` was made from something that the options do not name."""
    text = ast.get_docstring(ast.parse(source)) or ""
    command = BEFORE.search(text)
    if command and not plan.settings.before:
        raise Refused(
            f"{plan.base_path} says that its originals were replayed after `{command.group(1)}`: without that they "
            "cannot be replayed from an empty database.",
            f"--before {shlex.quote(command.group(1))}",
        )
