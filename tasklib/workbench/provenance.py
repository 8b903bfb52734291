"""What stands for the old migrations, in the words of the base migration, of the proof, and of a later `verify`.

Pure text. Nothing that leads to a real database is in it but the database's name: these words stay in git for ever.
"""

from __future__ import annotations

import ast
import re
import shlex

from tasklib.errors import Refused
from tasklib.postgres import client
from tasklib.project.sources import parsed
from tasklib.workbench.plan import Plan

BEFORE = re.compile(r"their replay after `(.+)` on an empty database\.", re.DOTALL)
REFERENCE = re.compile(
    r"the database (.+) at (\S+) \(its schema(?: without privileges)?, and the rows of (.+)\); the old migrations"
)


def made_from(plan: Plan, major: object) -> list[str]:
    """Lines for the docstring of a base made from the reference; ``major`` is that of the server of the proof."""
    special = _special(plan)
    if special is None:
        return [f"Made from their replay and proven equal to it on PostgreSQL {major} by alembic-squash."]
    return [f"Made from {special}", f"Proven equal to it on PostgreSQL {major} by alembic-squash."]


def proven_against(plan: Plan) -> list[str]:
    """Lines for the docstring of a base that autogenerate made; none where its originals are simply replayed."""
    special = _special(plan)
    return [] if special is None else [f"Proven against {special}"]


def _special(plan: Plan) -> str | None:
    if plan.settings.reference:
        name = client.parse_url(plan.settings.reference, "--reference").database
        bare = "" if (plan.replayed or {}).get("privileges", True) else " without privileges"
        rows = rows_of(plan.settings.data)
        return (
            f"the database {name} at {plan.revision} (its schema{bare}, and the rows of {rows}); "
            "the old migrations were not replayed."
        )
    if plan.settings.before:
        return f"their replay after `{shlex.join(plan.settings.before)}` on an empty database."
    return None


def rows_of(data: str) -> str:
    """Whose rows are taken from a real database."""
    return "no table" if data == "none" else ", ".join(name.strip() for name in data.split(",") if name.strip())


def old(plan: Plan) -> tuple[str, str]:
    """What the proof calls that which the new chain is compared with, at R and at head."""
    if plan.settings.reference:
        return "the real database", "the real database taken on with the old script directory"
    return "old chain", "old chain"


def limits(plan: Plan) -> list[str]:
    """Lines for the proof's report: what was not shown, or how the old chain began."""
    if plan.settings.reference:
        return [
            f"Made from {_special(plan)}" if plan.source == "history" else f"Proven against {_special(plan)}",
            f"Not shown: that the old migrations to {plan.revision} build that database.",
        ]
    if plan.settings.before:
        return [f"The old chain began with `{shlex.join(plan.settings.before)}` on an empty database."]
    return []


def refuse_missing(source: str, plan: Plan) -> None:
    """`Refused` where the base migration in ``source`` was made from something that the options do not name."""
    text = ast.get_docstring(parsed(source)) or ""
    if (command := BEFORE.search(text)) and not (plan.settings.before or plan.settings.reference):
        raise Refused(
            f"{plan.base_path} says that its originals were replayed after `{command.group(1)}`: without that they "
            "cannot be replayed from an empty database.",
            f"--before {shlex.quote(command.group(1))}",
        )
    if (found := REFERENCE.search(text)) and not (plan.settings.before or plan.settings.reference):
        data = "" if found.group(3) == "no table" else f" --data {found.group(3).replace(', ', ',')}"
        raise Refused(
            f"{plan.base_path} says that its originals were not replayed: the database {found.group(1)}, at "
            f"{found.group(2)}, stood for them. To prove it again takes that, or a copy of it that still is there.",
            f"--reference URL{data}",
        )
