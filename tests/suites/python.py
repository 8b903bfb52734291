"""The SQL in Python tests: strings that begin as a statement does, and the arguments of alembic_utils."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping

from tests.suites import psql
from tests.suites.case import Case, Piece, numbered
from tests.suites.golang import SQL

# Entities of alembic_utils, by keyword arguments → the statement that makes one.
_ENTITIES: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "PGFunction": lambda a: f"CREATE FUNCTION {a['schema']}.{a['signature']} {a['definition']}",
    "PGView": lambda a: f'CREATE VIEW {a["schema"]}."{a["signature"]}" AS {a["definition"]}',
    "PGMaterializedView": lambda a: f'CREATE MATERIALIZED VIEW {a["schema"]}."{a["signature"]}" AS {a["definition"]}',
    "PGTrigger": lambda a: f'CREATE TRIGGER "{a["signature"]}" {a["definition"]}',
    "PGPolicy": lambda a: f"CREATE POLICY {a['signature']} ON {a['on_entity']} {a['definition']}",
    "PGExtension": lambda a: f'CREATE EXTENSION "{a["signature"]}" WITH SCHEMA {a["schema"]}',
}


def cases(file: str, text: str) -> list[Case]:
    """A case for each test function, of the SQL at the module's top (fixtures' too) and its own; of the top alone where
    no test has any.
    """
    module = ast.parse(text)
    tests = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    top = [piece for node in module.body if node not in tests for piece in _of(node)]
    taken: set[str] = set()
    own = [(node.name, list(_of(node))) for node in tests]
    found = [numbered(file, name, [*top, *pieces], taken) for name, pieces in own if pieces]
    return found or ([numbered(file, "top", top, taken)] if top else [])


def _of(tree: ast.AST) -> Iterator[Piece]:
    for node in _in_order(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            values = {k.arg: v for k in node.keywords if k.arg is not None and (v := _text(k.value)) is not None}
            try:
                sql = _ENTITIES[name](values)
            except KeyError:
                continue
            yield from psql.pieces(sql)
        elif (text := _text(node)) is not None and SQL.match(text):
            yield from psql.pieces(text)


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes as they stand in the text; what is in an f-string is no string of its own."""
    yield tree
    if not isinstance(tree, ast.JoinedStr):
        for child in ast.iter_child_nodes(tree):
            yield from _in_order(child)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
