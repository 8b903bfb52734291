"""Two databases side by side. Pure: it compares what was read, and says every difference once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasklib.archive import Key


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


def compare(left: Mapping[Key, str], right: Mapping[Key, str]) -> list[Difference]:
    """All objects that the two do not share, by key."""
    keys = sorted(left.keys() | right.keys())
    return [Difference(*key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


def report(differences: Iterable[Difference], truth: str, other: str, limit: int = 40) -> str:
    """The differences as people read them: a line for each object, and a diff of its text below."""
    lines = []
    listed = list(differences)
    for difference in listed[:limit]:
        name = f"{difference.schema}.{difference.name}" if difference.schema else difference.name
        lines.append(f"{difference.what:8} {difference.kind} {name}")
        left, right = (difference.left or "").splitlines(), (difference.right or "").splitlines()
        if difference.what == "changed":
            diff = list(difflib.unified_diff(left, right, truth, other, lineterm="", n=1))[2:]
            lines += [f"    {line}" for line in diff if not line.startswith("@@")][:30]
        else:
            lines += [f"    {'-' if left else '+'}{line}" for line in (left or right)[:12]]
    if len(listed) > limit:
        lines.append(f"… and {len(listed) - limit} more")
    return "\n".join(lines)
