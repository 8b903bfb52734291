"""The text of the file: head, upgrade() in its order, downgrade() in reverse; of several databases a pair for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasklib.archive import Key
from tasklib.render import engines, upgrade
from tasklib.render.head import Head
from tasklib.render.source import Source

UNCHECKED = (
    "    # a body may name what comes later",
    '    op.execute("SET LOCAL check_function_bodies = false")',
)
CHECKED = '    op.execute("RESET check_function_bodies")'
PERCENT_SIGNS = "    leave_percent_signs()"
Mark = tuple[str, Key]  # bind and object


@dataclass(frozen=True)
class File:
    """The text of a base migration; ``spans`` says which lines (first, last) make which object."""

    text: str
    spans: tuple[tuple[int, int, Mark], ...]


def assemble(head: Head, sources: Mapping[str, Source]) -> File:
    """The base migration, of one reference for each bind; the same input gives the same bytes."""
    bodies = {bind: _bodies(source) for bind, source in sources.items()}
    used = set().union(*(source.used for source in sources.values()))
    lines = head.lines({bind: source.row_counts() for bind, source in sources.items()}, used)
    if head.engines is not None:
        lines += [*engines.dispatch(head.engines), "", ""]
    spans: list[tuple[int, int, Mark]] = []
    for bind, (up, own, down) in bodies.items():
        name = f"_{bind}" if head.engines is not None else ""
        lines.append(f"def upgrade{name}():")
        spans += [(first + len(lines), last + len(lines), (bind, key)) for first, last, key in own]
        lines += [*(up or ["    pass"]), "", "", f"def downgrade{name}():"]
        lines += down if head.engines is not None else ["    refuse_to_lose_rows()", *down]
        lines += ["    pass", "", ""] if head.engines is not None and not down else ["", ""]
    return File("\n".join(lines[:-2]) + "\n", tuple(spans))


def _bodies(source: Source) -> tuple[list[str], list[tuple[int, int, Key]], list[str]]:
    """The lines of upgrade(), which of them (first, last) make which object, and the lines of downgrade()."""
    items = upgrade.items_of(source)
    body: list[str] = []
    if "load_rows" in source.used or any("%" in line for item in items for line in item.up):
        source.used.add("percent signs")
        body.append(PERCENT_SIGNS)
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
    if any("%" in line for line in down):
        source.used.add("percent signs")
        down.insert(0, PERCENT_SIGNS)
    return body, spans, down
