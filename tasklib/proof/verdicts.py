"""What the judge says of scratch databases by their roles, for all binds of a project."""

from __future__ import annotations

from collections.abc import Mapping

from tasklib.errors import Differs
from tasklib.judge import compare
from tasklib.judge.compare import TableKey, Verdict
from tasklib.reference import volatile_columns
from tasklib.workbench.bench import Bench

# By bind: what was found, and the tables whose rows --data leaves out.
Verdicts = Mapping[str, Verdict]
LeftOut = Mapping[str, frozenset[TableKey]]


def at_base(bench: Bench, role: str, left_out: LeftOut) -> Verdicts:
    return {bind: _compared(bench, "base", ("reference", role), bind, left_out) for bind in bench.binds}


def at_head(bench: Bench, role: str, left_out: LeftOut) -> Verdicts:
    return {bind: _compared(bench, "head", ("oldhead", role), bind, left_out) for bind in bench.binds}


def _compared(bench: Bench, where: str, roles: tuple[str, str], bind: str, left_out: LeftOut) -> Verdict:
    volatile, stable = volatile_columns.of(bench, where, bind), volatile_columns.stable(bench, where, bind)
    without = left_out.get(bind, frozenset())
    return compare.databases(bench, *roles, volatile, without, stable, bind, bench.known(roles[0], bind))


def refuse_differences(bench: Bench, what: str, found: Verdicts, left: str, other: str) -> None:
    """`Differs`, with the whole report, where anything was found."""
    made = bench.plan
    # A squash in one go puts everything back, and verify of a checkout has no plan.
    by_hand = f"edit {made.base_path}, then {made.program} verify; {made.program} migrate --force writes it anew; "
    hint = f"{by_hand}{made.program} abort gives up" if bench.pid is None and not bench.detached else ""
    count = sum(len(verdict.found) for verdict in found.values())
    if count:
        raise Differs(
            f"The databases differ {what}: {count} differences. Nothing is merged.\n"
            + compare.report(found, left, other),
            hint,
            differences=compare.side_by_side(found, what),
        )
