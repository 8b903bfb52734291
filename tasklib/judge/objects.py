"""Two databases side by side. Pure: it compares what was read, and says every difference once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from tasklib.postgres.archive import Key

# Kinds that pg_dump names by what they are on: "TABLE books".
ON_AN_OBJECT = ("ACL", "COMMENT", "SECURITY LABEL")


@dataclass(frozen=True)
class Difference:
    """An object (or a table's rows, a sequence's state) that two databases do not share.

    ``left`` is the truth's text and ``right`` the other one's; None where that database has no such object.
    """

    kind: str
    schema: str
    name: str
    left: str | None
    right: str | None

    @property
    def key(self) -> Key:
        return (self.kind, self.schema, self.name)

    @property
    def what(self) -> str:
        """ "missing", "extra" or "changed", seen from the truth."""
        return "missing" if self.right is None else "extra" if self.left is None else "changed"

    @property
    def shown(self) -> str:
        """The name with its schema; after the kind of object where the name begins with one, as a privilege's does."""
        if not self.schema:
            return self.name
        if self.kind == "DEFAULT ACL":  # DEFAULT PRIVILEGES FOR TABLES
            return f"{self.name} IN SCHEMA {self.schema}"
        on = re.match(r"[A-Z ]+ ", self.name) if self.kind in ON_AN_OBJECT else None
        at = on.end() if on else 0
        return f"{self.name[:at]}{self.schema}.{self.name[at:]}"


def compare(left: Mapping[Key, str], right: Mapping[Key, str]) -> list[Difference]:
    """All objects that the two do not share, by key."""
    keys = sorted(left.keys() | right.keys())
    return [Difference(*key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


def side_by_side(found: Iterable[Difference], at: str, database: str) -> list[dict[str, str | None]]:
    """Differences of one comparison in one database, for programs and pictures (see `errors.Differs`)."""
    return [
        {
            "at": at,
            "database": database,
            "kind": one.kind,
            "name": one.shown,
            "what": one.what,
            "left": one.left,
            "right": one.right,
        }
        for one in found
    ]


def is_of(key: Key, names: Set[str]) -> bool:
    """Whether a key is that of a table with one of these names, or of what hangs on it."""
    # Privileges and comments are tagged with the kind of object first: "TABLE alembic_version", "COLUMN table.column".
    words = key[2].split(" ")
    return words[key[0] in ("ACL", "COMMENT", "OWNER") and len(words) > 1].split(".")[0] in names


# Kinds with expressions, which PostgreSQL does not always print as it reads them.
PRINTED = frozenset(
    ["CHECK CONSTRAINT", "CONSTRAINT", "DEFAULT", "DOMAIN", "FUNCTION", "INDEX", "MATERIALIZED VIEW", "POLICY",
     "PROCEDURE", "PUBLICATION TABLE", "RULE", "STATISTICS", "TRIGGER", "VIEW"]
)  # fmt: skip


def may_be_print(difference: Difference) -> bool:
    """Whether two texts may be the same expression: of a table, in lines that begin alike and hold one."""
    left, right = difference.left, difference.right
    if left is None or right is None:
        return False
    if difference.kind in PRINTED:
        return True
    lines = list(zip(left.splitlines(), right.splitlines(), strict=False))
    return (
        difference.kind.endswith("TABLE")
        and left.count("\n") == right.count("\n")
        and all(one == two or (_begins(one) == _begins(two) and EXPRESSION.search(one)) for one, two in lines)
    )


EXPRESSION = re.compile(r" (?:CHECK|DEFAULT|GENERATED ALWAYS AS|PARTITION BY .*)\b")


def _begins(line: str) -> str:
    """A line up to its first expression."""
    return EXPRESSION.split(line)[0]


def report(differences: Iterable[Difference], truth: str, other: str, limit: int = 40) -> str:
    """The differences as people read them: a line for each object, and a diff of its text below."""
    lines = []
    found = list(differences)
    # A relation whose definition differs says so once.
    defined = {difference.key[1:] for difference in found if difference.kind != "COLUMNS"}
    listed = [one for one in found if one.kind != "COLUMNS" or one.key[1:] not in defined]
    for difference in listed[:limit]:
        lines.append(f"{difference.what:8} {difference.kind} {difference.shown}")
        left, right = (difference.left or "").splitlines(), (difference.right or "").splitlines()
        if difference.what == "changed":
            diff = list(difflib.unified_diff(left, right, truth, other, lineterm="", n=1))[2:]
            lines += [f"    {line}" for line in diff if not line.startswith("@@")][:30]
        else:
            lines += [f"    {'-' if left else '+'}{line}" for line in (left or right)[:12]]
    if len(listed) > limit:
        lines.append(f"… and {len(listed) - limit} more")
    return "\n".join(lines)
