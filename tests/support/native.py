"""How much of a generated base migration is operations, and what in its op.execute an operation could have said."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

# What makes a table, constraint or index one that operations have no word for, on some version that we support.
ODD_TABLE = re.compile(
    r"CREATE (UNLOGGED|FOREIGN)|PARTITION (BY|OF)|INHERITS \(|\)\s*WITH \(|\bOF \w|NOT VALID|NO INHERIT",
    re.DOTALL,
)
ODD_CONSTRAINT = re.compile(
    r"NOT VALID|NO INHERIT|EXCLUDE USING|INCLUDE \(|NULLS NOT DISTINCT|SET (NULL|DEFAULT) \(|USING INDEX"
    r"|\bNOT NULL \w|WITH \("
    r"|REFERENCES .*\"[^\"]*\.[^\"]*\""
)
ODD_INDEX = re.compile(r"NULLS NOT DISTINCT|INCLUDE \(|ON ONLY |USING INDEX TABLESPACE")


@dataclass(frozen=True)
class Upgrade:
    """The calls of upgrade(): the operations by name, and the SQL of each op.execute."""

    operations: tuple[str, ...]
    executed: tuple[str, ...]

    @property
    def share(self) -> float:
        return len(self.operations) / (len(self.operations) + len(self.executed))

    def odd_tables(self) -> tuple[str, ...]:
        """Tables that no create_table makes, for what they are: their keys and indexes come with them."""
        made = (re.match(r"CREATE \w* ?TABLE (\S+)", text.strip()) for text in self.executed if ODD_TABLE.search(text))
        return tuple(_name(found.group(1)) for found in made if found)

    def blunt(self, odd_tables: tuple[str, ...] = ()) -> list[str]:
        """The SQL that an operation says as well. ``odd_tables`` are those that no create_table makes (a partition's
        keys come with it).
        """
        return [text for text in self.executed if _is_plain(text, odd_tables)]


def read(text: str) -> Upgrade:
    """The calls in upgrade() of a migration's text, by its syntax tree; a call that is neither is an error."""
    function = next(n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == "upgrade")
    operations: list[str] = []
    executed: list[str] = []
    for name, call in _calls(function):
        if name == "execute":
            executed.append(_sql(call.args[0]))
        else:
            operations.append(name)
    return Upgrade(tuple(operations), tuple(executed))


def _calls(function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "op" and node.func.attr != "f":
                yield node.func.attr, node


def _sql(node: ast.expr) -> str:
    if isinstance(node, ast.Call):  # sa.DDL("…"), in which a percent sign is doubled
        return _sql(node.args[0]).replace("%%", "%")
    assert isinstance(node, ast.Constant) and isinstance(node.value, str), ast.dump(node)
    return node.value


def _is_plain(text: str, odd_tables: tuple[str, ...]) -> bool:
    sql = text.strip()
    named = re.match(
        r"(?:CREATE \w* ?TABLE|ALTER TABLE(?: ONLY)?|CREATE (?:UNIQUE )?INDEX .+? ON(?: ONLY)?) (\S+)", sql
    )
    if named and _name(named.group(1)) in odd_tables:
        return False
    if re.match(r"CREATE\s+(\w+\s+)?TABLE\b", sql):
        return ODD_TABLE.search(sql) is None
    if re.match(r"CREATE (UNIQUE )?INDEX\b", sql):
        return ODD_INDEX.search(sql) is None
    if re.match(r"ALTER TABLE\b.*\bADD (COLUMN|CONSTRAINT)\b", sql, re.DOTALL):
        return ODD_CONSTRAINT.search(sql) is None
    return re.match(r"INSERT\b", sql) is not None and not re.search("OVERRIDING SYSTEM VALUE|SELECT FROM", sql)


def _name(printed: str) -> str:
    return printed.replace('"', "").removeprefix("public.")
