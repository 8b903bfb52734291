"""The text of the file: head, upgrade() in its order, downgrade() in reverse; of several databases a pair for each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasklib.postgres.archive import Key
from tasklib.render import engines, upgrade
from tasklib.render.head import Head
from tasklib.render.items import Item
from tasklib.render.source import Source

UNCHECKED = (
    "    # a body may name what comes later",
    '    op.execute("SET LOCAL check_function_bodies = false")',
)
CHECKED = '    op.execute("RESET check_function_bodies")'
CHECK = "    refuse_tables_that_are_there()"
PERCENT_SIGNS = "    leave_percent_signs()"
FAILED = "these objects failed: "
SURVEY = f'''

failed = []


class attempt:
    def __init__(self, mark):
        self.mark = mark

    def __enter__(self):
        self.savepoint = op.get_bind().begin_nested()

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.savepoint.commit()
        else:
            self.savepoint.rollback()
            failed.append(self.mark)
        return True


def say_what_failed():
    import json

    raise RuntimeError("{FAILED}" + json.dumps(failed))
'''
Mark = tuple[str, Key]  # bind and object


@dataclass(frozen=True)
class File:
    """The text of a base migration; ``spans`` says which lines (first, last) make which object, ``needs`` which others
    an object needs.
    """

    text: str
    spans: tuple[tuple[int, int, Mark], ...]
    needs: Mapping[Mark, frozenset[Mark]]


def assemble(head: Head, sources: Mapping[str, Source], *, survey: bool = False) -> File:
    """The base migration, of one reference for each bind; the same input gives the same bytes.

    A ``survey`` is a draft that makes each object by itself, goes on where one fails, and fails at the end with the
    marks of all that did, as `failed` reads them.
    """
    items = {bind: upgrade.items_of(source) for bind, source in sources.items()}
    bodies = {bind: _bodies(source, items[bind], bind if survey else None) for bind, source in sources.items()}
    used = set().union(*(source.used for source in sources.values()))
    rows = {bind: source.row_counts() for bind, source in sources.items()}
    lines = head.lines(rows, used)
    lines[-2:] = [*SURVEY.rstrip("\n").split("\n"), "", ""] if survey else lines[-2:]
    if head.engines is not None:
        lines += [*engines.dispatch(head.engines), "", ""]
    spans: list[tuple[int, int, Mark]] = []
    for bind, (up, own, down) in bodies.items():
        name = f"_{bind}" if head.engines is not None else ""
        lines.append(f"def upgrade{name}({head.arguments}):")
        # Of several databases the dispatch does it.
        lines += [CHECK] if head.engines is None and rows[bind] else []
        spans += [(first + len(lines), last + len(lines), (bind, key)) for first, last, key in own]
        lines += [*(up or ["    pass"]), "", "", f"def downgrade{name}({head.arguments}):"]
        lines += down if head.engines is not None else ["    refuse_to_lose_rows()", *down]
        lines += ["    pass", "", ""] if head.engines is not None and not down else ["", ""]
    return File("\n".join(lines[:-2]) + "\n", tuple(spans), _needs(items))


def failed(text: str) -> set[Mark]:
    """The marks of all objects that failed in a survey, by its error; empty where it is another one."""
    found = re.search(rf"{FAILED}(\[.*\])", text)
    return {(bind, (kind, schema, name)) for bind, kind, schema, name in json.loads(found.group(1))} if found else set()


def _needs(items: Mapping[str, Sequence[Item]]) -> Mapping[Mark, frozenset[Mark]]:
    found: dict[Mark, frozenset[Mark]] = {}
    for bind, listed in items.items():
        maker = {one: item.key for item in listed for one in item.provides}
        for item in listed:
            found[(bind, item.key)] = frozenset((bind, maker[one]) for one in item.needs if one in maker)
    return found


def _bodies(
    source: Source, items: Sequence[Item], survey: str | None
) -> tuple[list[str], list[tuple[int, int, Key]], list[str]]:
    """The lines of upgrade(), which of them (first, last) make which object, and the lines of downgrade().

    In a ``survey`` of this bind each object is an attempt of its own.
    """
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
        lines: Sequence[str] = item.up[1:] if first and first == reason else item.up
        reason = first
        if survey is not None:
            lines = (f"    with attempt({(survey, *item.key)!r}):", *(f"    {line}" for line in lines))
        spans.append((len(body) + 1, len(body) + len(lines), item.key))
        body += lines
    body += [CHECKED] if unchecked else []
    body += ["    say_what_failed()"] if survey is not None else []
    down = [line for item in reversed(items) for line in item.down]
    if any("%" in line for line in down):
        source.used.add("percent signs")
        down.insert(0, PERCENT_SIGNS)
    return body, spans, down
