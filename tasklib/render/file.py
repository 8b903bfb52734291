"""The text of the file: head, upgrade() in its order, downgrade() in reverse."""

from __future__ import annotations

from dataclasses import dataclass

from tasklib.archive import Key
from tasklib.render import upgrade
from tasklib.render.head import Head
from tasklib.render.source import Source

UNCHECKED = (
    "    # a body may name what comes later",
    '    op.execute("SET LOCAL check_function_bodies = false")',
)
CHECKED = '    op.execute("RESET check_function_bodies")'


@dataclass(frozen=True)
class File:
    """The text of a base migration; ``spans`` says which lines (first, last) make which object."""

    text: str
    spans: tuple[tuple[int, int, Key], ...]


def assemble(head: Head, source: Source) -> File:
    """The base migration; the same input gives the same bytes."""
    items = upgrade.items_of(source)
    body: list[str] = []
    if "load_rows" in source.used or any("%" in line for item in items for line in item.up):
        source.used.add("percent signs")
        body += ["    leave_percent_signs()"]
    group = reason = ""
    spans: list[tuple[int, int, Key]] = []
    unchecked = False
    for item in (one for one in items if one.up):
        if unchecked and not item.unchecked:
            body.append(CHECKED)
            unchecked = False
            reason = ""
        if item.group != group:
            group = item.group
            body += ["", f"    # {group}"] if body else [f"    # {group}"]
            reason = ""
        if item.unchecked and not unchecked:
            body += UNCHECKED
            unchecked = True
            reason = ""
        # One reason stands for all that follow one another.
        first = item.up[0] if item.up[0].startswith("    # ") else ""
        lines = item.up[1:] if first and first == reason else item.up
        reason = first
        spans.append((len(body) + 1, len(body) + len(lines), item.key))
        body += lines
    body += [CHECKED] if unchecked else []
    down = [line for item in reversed(items) for line in item.down]
    top = head.lines(source.row_counts(), source.used)
    text = "\n".join([*top, "def upgrade():", *(body or ["    pass"]), "", "", "def downgrade():",
                      "    refuse_to_lose_rows()", *down]) + "\n"  # fmt: skip
    offset = len(top) + 1
    return File(text, tuple((first + offset, last + offset, key) for first, last, key in spans))
