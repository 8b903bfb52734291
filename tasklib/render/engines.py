"""The shape of a migration for several databases, as the templates of `flask db init --multidb` and of Alembic's own
`multidb` make it: one function for each, called by env.py's name for it.
"""

from __future__ import annotations

import ast

from tasklib.errors import Refused
from tasklib.project.sources import parsed

DISPATCH = """def upgrade({argument}):
    refuse_tables_that_are_there(ROWS[{argument}])
    globals()[f"upgrade_{{{argument}}}"]()


def downgrade({argument}):
    refuse_to_lose_rows(ROWS[{argument}])
    globals()[f"downgrade_{{{argument}}}"]()
"""


def argument(source: str, path: str) -> str:
    """What an old migration calls the name that env.py gives to its `upgrade`; `Refused` where it takes none."""
    for node in parsed(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade" and len(node.args.args) == 1:
            return node.args.args[0].arg
    raise Refused(
        f"{path} has no upgrade(engine_name), as migrations for several databases have; env.py runs them for several.",
        "one base migration cannot tell databases apart that no argument names",
    )


def arguments(source: str) -> str:
    """What the `upgrade` of an old migration takes, as it is written there: env.py gives that to each of them."""
    for node in parsed(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
                one.annotation = None  # its names are imported there
            return ast.unparse(node.args)
    return ""


def dispatch(argument: str) -> list[str]:
    """The lines of upgrade() and downgrade()."""
    return DISPATCH.format(argument=argument).rstrip("\n").split("\n")
