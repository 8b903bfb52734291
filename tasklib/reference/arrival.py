"""Runs a chain on scratch databases, and makes sure that it got where it was to go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tasklib import binds
from tasklib.command import not_started
from tasklib.command.project_command import Ran
from tasklib.command.run_errors import CAUGHT, explain_failure, failing_migration
from tasklib.errors import Failed
from tasklib.history.chains import Chain
from tasklib.history.cut import History
from tasklib.postgres.server_log import Logged
from tasklib.postgres.version_table import by_table, versions
from tasklib.reference import failure_advice, session, side_effects, tenants
from tasklib.reference.targets import learn
from tasklib.workbench.bench import Bench


def arrive(bench: Bench, chain: Chain, role: str, target: str, what: str) -> None:
    """Upgrade a role's scratch databases to ``target`` (an id, or "heads") and check in each that it got there; nothing
    is run where they are there already, since R is the head.

    Raises `Failed` with the migration's name and the database's words where it did not.
    """
    tables = bench.version_tables()
    history = chain.history
    ends = set(history.heads) if target == "heads" else {target}
    wanted = ends.union(*(history.ancestors(end) for end in ends))
    targets = bench.targets(role)
    start, since = versions(bench.address(role), tables), bench.log_size()
    if start == ends and not bench.plan.kept:
        return
    result = bench.command(role).upgrade(chain, targets, target, len(wanted - _closure(history, start)))
    learn(bench, result.seen)
    if not start and target == bench.plan.revision:
        bench.took[chain.name, role] = result.seconds
    for bind in bench.binds:
        address = targets[bind]
        found = by_table(address, tables)
        # A migration may have made a table of that name itself, beside Alembic's own.
        reached = next((o for o in found.values() if _closure(history, o) == wanted), set().union(*found.values()))
        known = {one for one in reached if one in history.migrations}
        if result.code == 0 and _closure(history, known) == wanted and known == reached:
            continue
        not_started.refuse(bench.command(), result, targets)
        logged = bench.logged(since).of(*(one.database for one in targets.values()))
        if result.code == 0:
            raise _ended_well(f"{what}{binds.place(bind, bench.binds)}", reached, ends, wanted, logged)
        if chain.name == "old":
            tenants.refuse_nowhere(bench, result)
        result = _with_what_was_caught(result, logged)
        error = explain_failure(result, chain, what)
        culprit = failing_migration(result, chain)
        if chain.name == "old" and culprit and isinstance(error, Failed):
            error = failure_advice.explain(error, result, culprit, history, bench.plan,
                                         lambda one: chain.file(one).read_text(encoding="utf-8"))  # fmt: skip
        raise error
    side_effects.check(bench, chain, result, role)
    if chain.name == "old" and role == "first" and target == bench.plan.revision:
        bench.session = session.left(bench.plan.session, session.of(bench, role, result.seen))
    side_effects.refuse_written_beside(bench, role, "The migrations write")


def _closure(history: History, ids: Iterable[str]) -> set[str]:
    """Everything that a database with these ids has run; unknown ones stand for themselves."""
    known = {one for one in ids if one in history.migrations}
    return set(ids).union(*(history.ancestors(one) for one in known))


def _with_what_was_caught(result: Ran, logged: Logged) -> Ran:
    """A migration that catches a database error fails at its next statement, for a reason that says nothing: the error
    itself, from the server's record, is said first.
    """
    aborted = "current transaction is aborted"
    caught = [error for error in logged.errors if aborted not in error.text]
    if aborted not in result.stderr or not caught:
        return result
    statement = " ".join(caught[-1].statement.split())[:300]
    return replace(result, stderr=f"{result.stderr}\n{CAUGHT}{caught[-1].text}; {statement}")


def _ended_well(what: str, reached: set[str], ends: set[str], wanted: set[str], logged: Logged) -> Failed:
    """The error for a run that ended without one, and is not where it was to go; the server's record may say why."""
    text = (
        f"{what}: the command ended without an error, and the version table holds "
        f"{', '.join(sorted(reached)) or 'nothing'}; {', '.join(sorted(ends))} was expected."
    )
    if reached - wanted:
        return Failed(text, "does the application upgrade at its start, or env.py more than it is told?")
    for error in logged.errors[:1]:
        text += (
            f"\nPostgreSQL refused a statement meanwhile: {error.text}\n  | {' '.join(error.statement.split())[:300]}"
        )
    return Failed(text, "does env.py swallow errors, or is the version table elsewhere?")
