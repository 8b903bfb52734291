"""What a report says, from a squash that is committed, one that differs, or a proof alone; and its file."""

from __future__ import annotations

import difflib
import html
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasklib import console
from tasklib.after import in_flight
from tasklib.after.outcome import MENTIONS, Outcome
from tasklib.errors import Differs, Refused
from tasklib.history.cut import Migration
from tasklib.proof import record
from tasklib.proof.deployed_condition import BRANCHES
from tasklib.proof.record import Proof
from tasklib.report import graph
from tasklib.report.graph import Graph, Node
from tasklib.workbench.bench import release
from tasklib.workbench.plan import Plan

KINDS = {".html": "page.html.mako", ".md": "page.md.mako"}
HERE = Path(__file__).parent
SAME = ": the same ("
WRAP = 64  # columns of each side of a difference


@dataclass(frozen=True)
class Report:
    """All that the templates show. ``checks`` are what was compared, with the numbers; ``differences`` as in
    `errors.Differs`; ``code`` is the base migration; ``notes`` are lists under titles, for the operator those under
    ``operator``.
    """

    title: str
    is_proven: bool
    facts: Sequence[tuple[str, str]]
    before: Sequence[Node]
    after: Sequence[Node]
    checks: Sequence[tuple[str, str]] = ()
    classes: Sequence[str] = ()
    notes: Sequence[tuple[str, Sequence[str]]] = ()
    operator: Sequence[tuple[str, Sequence[str]]] = ()
    differences: Sequence[Mapping[str, str | None]] = ()
    said: str = ""
    timings: Sequence[Sequence[str]] = ()
    condition: Sequence[str] = ()
    code: str = ""


def refuse_unusable(path: str | None) -> None:
    """`Refused` where no report could be written there: known before anything is done."""
    if path is None:
        return
    file = Path(path)
    if file.suffix.lower() not in KINDS:
        raise Refused(
            f"--report {path}: a file that ends in {' or '.join(KINDS)} was expected.", "--report squash.html"
        )
    if not file.absolute().parent.is_dir():
        raise Refused(f"--report {path}: there is no directory {file.absolute().parent}.", f"mkdir -p {file.parent}")
    if file.is_dir():
        raise Refused(f"--report {path} is a directory; a file was expected.", f"--report {path}/squash.html")


def of_outcome(outcome: Outcome, timings: Sequence[Sequence[str]]) -> Report:
    made = outcome.plan
    operator = [(MENTIONS, outcome.mentions), (in_flight.TITLE, outcome.flying)]
    facts = [*_facts(made, outcome.proof), ("commit", f"{outcome.commit} on {outcome.branch}")]
    return _proven(made, outcome.proof, outcome.before, facts, timings, operator, outcome.condition, outcome.code)


def of_proof(made: Plan, proof: Proof, before: Sequence[Migration], condition: Sequence[str], code: str) -> Report:
    """Of `verify`, where nothing is committed."""
    return _proven(made, proof, before, _facts(made, proof), (), (), condition, code)


def of_failure(made: Plan, before: Sequence[Migration], error: Differs, timings: Sequence[Sequence[str]]) -> Report:
    return Report(
        f"{len(made.gone)} migrations, to {made.revision}: not proven", False, _facts(made, None),
        graph.before(before, made.gone), graph.after(before, made.gone, made.revision),
        differences=error.differences, said=error.text if not error.differences else error.text.splitlines()[0],
        timings=timings,
    )  # fmt: skip


def _proven(
    made: Plan,
    proof: Proof,
    before: Sequence[Migration],
    facts: Sequence[tuple[str, str]],
    timings: Sequence[Sequence[str]],
    operator: Sequence[tuple[str, Sequence[str]]],
    condition: Sequence[str],
    code: str,
) -> Report:
    notes = [
        (record.VOLATILE, proof.volatile),
        ("Of these, in a table of one row, and no time: does it identify an installation?", proof.identifying),
        (record.LATER, proof.later),
        (record.LEFT_OUT, proof.left_out),
        (record.ROLES, proof.needed_roles),
        ("Prints differently, and the same once restored from a dump", proof.reprinted),
        ("Left to env.py", proof.groundwork),
        ("What stood for the replay", proof.truth),
    ]
    return Report(
        f"{len(made.gone)} migrations are one base migration, {made.revision}", True, facts,
        graph.before(before, made.gone), graph.after(before, made.gone, made.revision),
        [_check(one) for one in proof.checks], proof.classes, [one for one in notes if one[1]],
        [one for one in operator if one[1]], timings=timings, condition=[*condition, BRANCHES],
        code=code,
    )  # fmt: skip


def _check(text: str) -> tuple[str, str]:
    what, same, numbers = text.partition(SAME)
    return (what, f"the same: {numbers.removesuffix(')')}") if same else (what, "")


def _facts(made: Plan, proof: Proof | None) -> list[tuple[str, str]]:
    """Names and values for the head of the page."""
    stay = f"{len(made.kept)}, {made.kept[0]} to {made.kept[-1]}" if made.kept else "none: it is the head"
    found = [
        ("base migration", made.base_path),
        ("gone", f"{len(made.gone)}, {made.gone[0]} to {made.revision}"),
        ("stay", stay),
        ("originals", f"git {'commit' if made.original else 'tree'} {made.tip}"),
    ]
    if proof is not None:
        found.append(("proven on", f"PostgreSQL {proof.major}, git tree {proof.tree}"))
    if proof is not None and proof.seconds:
        old, new = proof.seconds
        found.append(("a new database, to the base", f"{new:.2f} s, was {old:.2f} s (both in the proof)"))
    return found


def save(path: str, made: Report) -> None:
    """Write the report; that it cannot be written is no reason to lose sight of what the squash came to."""
    try:
        write(Path(path), made)
    except OSError as error:
        console.warn(f"--report {path} could not be written: {error.strerror}")
    else:
        console.note(f"the report is in {path}")


def write(path: Path, report: Report) -> None:
    """Write the file whole, in the form that its suffix says."""
    from mako.lookup import TemplateLookup  # only who writes a report waits for it

    kind = path.suffix.lower()
    filters = ["h"] if kind == ".html" else ["str"]
    lookup = TemplateLookup([str(HERE)], default_filters=filters, strict_undefined=True, input_encoding="utf-8")
    text = lookup.get_template(KINDS[kind]).render(
        report=report, version=release(), ticked=_ticked,
        when=time.strftime("%Y-%m-%d %H:%M %Z"), layout=graph.laid_out, mermaid=graph.mermaid,
        side_by_side=_side_by_side, unified=_unified, drawn=_drawn, cell=_cell,
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")


def _side_by_side(one: Mapping[str, str | None]) -> str:
    """A difference as two columns of HTML, escaped."""
    left, right = ((one[side] or "").splitlines() for side in ("left", "right"))
    table = difflib.HtmlDiff(wrapcolumn=WRAP).make_table(left, right, "old migrations", "new chain")
    # Links from one change to the next, which a page of short tables does not need.
    table = re.sub(r'<td class="diff_next".*?</td>|<th class="diff_next">.*?</th>', "", table, flags=re.DOTALL)
    return re.sub(r"(?s)<colgroup></colgroup> ?", "", table, count=2)


def _unified(one: Mapping[str, str | None]) -> str:
    left, right = ((one[side] or "").splitlines() for side in ("left", "right"))
    return "\n".join(difflib.unified_diff(left, right, "old migrations", "new chain", lineterm=""))


def _ticked(text: str) -> str:
    """HTML, escaped, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _cell(text: str) -> str:
    """A text as a cell of a table in Markdown."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


# Sizes of the picture, in pixels.
ROW, LANE, DOT, LEFT = 26, 18, 5, 14


def _drawn(laid: Graph) -> dict[str, Any]:
    """Coordinates of the picture: its height, where texts begin, dots and lines."""

    def x(lane: int) -> int:
        return LEFT + lane * LANE

    def y(row: int) -> int:
        return ROW // 2 + row * ROW

    lines = []
    for edge in laid.edges:
        (top, bottom), (x0, x1, x2) = (
            (y(edge.child.row), y(edge.parent.row)),
            map(x, (edge.child.lane, edge.lane, edge.parent.lane)),
        )
        way = f"M{x0} {top}"
        way += f" C{x0} {top + ROW // 2} {x1} {top + ROW // 2} {x1} {top + ROW}" if x0 != x1 else ""
        way += f" V{bottom - ROW if x1 != x2 else bottom}" if x1 == x2 or bottom - ROW > top else ""
        way += f" C{x1} {bottom - ROW // 2} {x2} {bottom - ROW // 2} {x2} {bottom}" if x1 != x2 else ""
        lines.append(way)
    dots = [(x(one.lane), y(one.row), one.node) for one in laid.placed]
    return {"height": len(laid.placed) * ROW, "text": x(laid.lanes) + DOT, "dots": dots, "lines": lines}
