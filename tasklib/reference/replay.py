"""Runs a chain on scratch databases, and learns from two runs which columns are volatile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tasklib import binds, console, shell
from tasklib.command.project_command import CAUGHT, Ran, explain_failure, failing_migration
from tasklib.errors import Failed, Refused, SquashError
from tasklib.history.chains import Chain
from tasklib.history.cut import History
from tasklib.judge import catalog, roles, rows
from tasklib.judge.rows import Stable, Volatile
from tasklib.postgres import client
from tasklib.postgres.server_log import Logged
from tasklib.postgres.version_table import Name, by_table, versions
from tasklib.reference import (
    before_command,
    database_copy,
    failure_advice,
    first_contact,
    server_objects,
    side_effects,
    tenants,
)
from tasklib.reference.targets import learn
from tasklib.workbench.bench import Bench, watched
from tasklib.workbench.scratch import GROUND

# The two runs start at least this many seconds apart, so that a clock rounded to the second shows.
APART = 1.1
ROLES = ("first", "second")  # the two runs


@watched
def ensure_databases(bench: Bench) -> None:
    """A server, the databases that all others begin as, and those of the two runs."""
    server_objects.again(bench, lambda: _make_databases(bench), server_objects.FOR_ENV)


def _make_databases(bench: Bench) -> None:
    bench.open_place()
    names = bench.place().names
    if GROUND in names and (ROLES[0] in names or bench.plan.replayed is not None):
        return
    server_objects.refuse_on_a_users_server(bench)
    chain = bench.chain("old", bench.plan.tip)
    with bench.old_in_place():
        first_contact.ensure(bench, chain)
    server_objects.refuse_roles_for_several(bench)
    for role in ROLES:
        bench.create(role)


@watched
def ensure_replayed(bench: Bench) -> Chain:
    """The old chain on disk and replayed twice: at R (kept as "reference") and at head (kept as "oldhead").

    Raises `Failed` where a migration fails, `Refused` where the two runs differ in more than volatile columns.
    """
    return server_objects.again(bench, lambda: _replay(bench))


def _replay(bench: Bench) -> Chain:
    ensure_databases(bench)
    chain = bench.chain("old", bench.plan.tip)
    if bench.plan.replayed is None or bench.plan.replayed["tip"] != bench.plan.tip:
        with bench.old_in_place():
            _run_twice(bench, chain)
    return chain


def _run_twice(bench: Bench, chain: Chain) -> None:
    plan = bench.plan
    for role in ROLES:
        bench.create(role, bare=bool(plan.settings.before))
    server = server_objects.look(bench)
    what = "The old chain cannot be replayed from an empty database"
    real = plan.settings.reference is not None
    if real:
        _take_reference(bench, chain)
    else:
        _replay_to_base(bench, chain, server, what)
    what = "A kept migration failed on a copy of the real database" if real else what
    at_r: dict[str, Volatile] = {}
    with console.doing(f"{len(plan.kept)} migrations on to the head, in both: the truth at head"):
        learnt = partial(learn_volatile, bench, "base", "reference", "second")
        shell.together(
            partial(arrive, bench, chain, "first", "heads", what),
            partial(_arrive_later, bench, chain, "second", "heads", what, lambda: at_r.update(learnt())),
        )
        passwords = server_objects.check(bench, server, *ROLES)
        at_head = learn_volatile(bench, "head", "first", "second")
        bench.rename("first", "oldhead")
    bench.drop("second")
    unasked = server_objects.learn_unasked(bench, partial(_to_base, bench, chain)) if bench.own_clusters() else []
    tenant = None if real or plan.settings.before else tenants.learn(bench, chain, "reference")
    bench.save(replace(bench.plan, replayed={
        "tip": plan.tip, "base": _as_json(at_r), "head": _as_json(at_head),
        "major": client.server_major(bench.address()),
        "privileges": not real or database_copy.carries_privileges(bench),
        "unasked": unasked, "passwords": passwords, "tenant": tenant, "seconds": bench.took.get(("old", "first")),
    }))  # fmt: skip
    bench.finished("replay")


def _take_reference(bench: Bench, chain: Chain) -> None:
    """A real database in the place of the replay: of what came before R there is one run, so nothing is volatile."""
    with console.doing(f"the real database {bench.reference().masked()} as the reference"):
        database_copy.take(bench, chain, "first")
        bench.create("reference", template="first")
        bench.create("second", template="first")


def build(bench: Bench, chain: Chain, role: str, revision: str) -> None:
    """Make the scratch databases of ``role`` what the chain builds from nothing at any of its revisions."""
    bench.create(role, bare=bool(bench.plan.settings.before))
    if bench.plan.settings.before:
        before_command.run(bench, chain, 0, role)
    arrive(bench, chain, role, revision, "The old chain cannot be replayed from an empty database")


def _to_base(bench: Bench, chain: Chain, role: str) -> None:
    if bench.plan.settings.before:
        before_command.run(bench, chain, 0, role)
    if bench.plan.settings.reference is None:
        arrive(bench, chain, role, bench.plan.revision, "The old chain failed where its roles are there already")


def _replay_to_base(bench: Bench, chain: Chain, server: server_objects.Server, what: str) -> None:
    """Both runs to R; the first one is the reference."""
    plan = bench.plan
    if plan.settings.before:
        with console.doing(f"`{before_command.shown(plan)}` on the empty databases"):
            before_command.run(bench, chain, APART, *ROLES)
    with console.doing(f"{len(plan.gone)} migrations to {plan.revision}: the reference, and a second run beside it"):
        try:
            shell.together(
                partial(arrive, bench, chain, "first", plan.revision, what),
                partial(_arrive_later, bench, chain, "second", plan.revision, what, lambda: _start(bench, chain)),
            )
        except SquashError as error:
            _again_alone(bench, chain, error, what)
        server_objects.check(bench, server, *ROLES)
        _note_version_table(bench, "first")
        bench.create("reference", template="first")


def _again_alone(bench: Bench, chain: Chain, error: SquashError, what: str) -> None:
    """Run the second one after the first where side by side they stood in each other's way over a role, which belongs
    to the server. `Refused` where that does not help: the history makes a role without asking whether it is there.
    """
    if not roles.AT_ONCE.search(error.text) or bench.place().server is not None:
        raise error
    try:
        for role in ROLES:
            if bench.plan.revision not in versions(bench.address(role), bench.version_tables()):
                bench.create(role, bare=bool(bench.plan.settings.before))
                if bench.plan.settings.before:
                    before_command.run(bench, chain, 0, role)
                arrive(bench, chain, role, bench.plan.revision, what)
    except SquashError as again:
        if (found := roles.THERE.search(again.text)) is None:
            raise
        raise Refused(
            f"{again.text}\nThe history makes the role {found.group(1)}. Roles belong to the server and not to a "
            "database, so it can be replayed only once on a server, and a squash replays it several times.",
            "leave --server out: a throwaway server is made for each run; "
            f"DROP ROLE {found.group(1)} takes it from this one again",
        ) from None


def _start(bench: Bench, chain: Chain) -> None:
    """Start the application of the second run, where a run can be a fork of it; a run that asks does no harm."""
    command, first = bench.command("second"), bench.command("first").held
    if first is not None and not first.reason:
        command.current(chain, bench.targets("second"), None)


def _arrive_later(
    bench: Bench, chain: Chain, role: str, target: str, what: str, meanwhile: Callable[[], object]
) -> None:
    """So much later than the other run that what either makes of the time is not the same."""
    until = time.monotonic() + APART
    meanwhile()
    if bench.plan.kept or target != "heads":
        time.sleep(max(until - time.monotonic(), 0))
    arrive(bench, chain, role, target, what)


def volatile(bench: Bench, where: str, bind: str | None = None) -> Volatile:
    """What the two runs showed of one bind's databases, at "base" (R) or "head"."""
    if bench.plan.replayed is None:
        return {}
    found: Mapping[str, Mapping[str, Sequence[str]]] = bench.plan.replayed[where][bind or bench.binds[0]]
    return {
        (schema, table): frozenset(columns) for schema, tables in found.items() for table, columns in tables.items()
    }


def volatile_names(bench: Bench, bind: str) -> list[str]:
    """Volatile columns at R as they are listed: T.C, with the bind before it where there are several databases."""
    return [binds.before(bind, name, bench.binds) for name in rows.names(volatile(bench, "base", bind))]


def _as_json(found: Mapping[str, Volatile]) -> dict[str, dict[str, dict[str, list[str]]]]:
    result: dict[str, dict[str, dict[str, list[str]]]] = {}
    for bind, of_bind in found.items():
        tables = result.setdefault(bind, {})
        for (schema, table), columns in sorted(of_bind.items()):
            tables.setdefault(schema, {})[table] = sorted(columns)
    return result


def learn_volatile(bench: Bench, where: str, first: str, second: str) -> Mapping[str, Volatile]:
    """By bind, columns whose values two runs of one history (two roles) do not share; `Refused` where more than that
    differs.

    The rows of those tables that both runs share to the letter are kept in our directory, see `stable`.
    """
    return {bind: _learn_volatile(bench, where, bind, first, second) for bind in bench.binds}


def _learn_volatile(bench: Bench, where: str, bind: str, first: str, second: str) -> Volatile:
    found: dict[tuple[str, str], frozenset[str]] = {}
    shared: list[tuple[str, str, list[str]]] = []
    of = binds.place(bind, bench.binds)
    with (
        client.connect(bench.address(first, bind), read_only=True) as one,
        client.connect(bench.address(second, bind), read_only=True) as two,
    ):
        tables, others = catalog.tables(one), catalog.tables(two)
        if tables != others:
            raise Refused(
                f"Two runs of the old chain made different tables or columns{of}: the history depends on chance."
            )
        for table in tables:
            columns = rows.volatile_columns(one, two, table)
            if columns is None:
                raise Refused(
                    f"Two runs of the old chain put different rows into {table.shown}{of}: other counts, or no set of "
                    "columns explains it. What is different in each run cannot be proven equal.",
                    f"make the migration that fills {table.shown} put the same rows there in each run",
                )
            if columns:
                found[(table.schema, table.name)] = columns
                shared.append((table.schema, table.name, sorted(rows.stable_rows(one, two, table))))
    _stable_file(bench, where, bind).write_text(json.dumps(shared), encoding="utf-8")
    return found


def stable(bench: Bench, where: str, bind: str | None = None) -> Stable:
    """Of tables with volatile columns, digests of the rows that had the same values in both runs."""
    listed = json.loads(_stable_file(bench, where, bind or bench.binds[0]).read_text(encoding="utf-8"))
    return {(schema, table): frozenset(digests) for schema, table, digests in listed}


def _stable_file(bench: Bench, where: str, bind: str) -> Path:
    return bench.work / f"stable-{where}{bench.binds.index(bind) or ''}.json"


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
        bench.command().refuse_if_it_cannot_run(result, targets)
        logged = bench.logged(since).of(*(one.database for one in targets.values()))
        if result.code == 0:
            raise _ended_well(f"{what}{binds.place(bind, bench.binds)}", reached, ends, wanted, logged)
        result = _with_what_was_caught(result, logged)
        error = explain_failure(result, chain, what)
        culprit = failing_migration(result, chain)
        if chain.name == "old" and culprit and isinstance(error, Failed):
            error = failure_advice.explain(error, result, culprit, history, bench.plan,
                                         lambda one: chain.file(one).read_text(encoding="utf-8"))  # fmt: skip
        raise error
    side_effects.check(bench, chain, result, role)
    side_effects.refuse_written_beside(bench, role, "The migrations write")


def _closure(history: History, ids: Iterable[str]) -> set[str]:
    """Everything that a database with these ids has run; unknown ones stand for themselves."""
    known = {one for one in ids if one in history.migrations}
    return set(ids).union(*(history.ancestors(one) for one in known))


def _note_version_table(bench: Bench, role: str) -> None:
    """Keep which of several tables is Alembic's own, where that shows at R."""
    holding: list[set[Name]] = []
    for bind in bench.binds:
        found = by_table(bench.address(role, bind), bench.version_tables())
        holding.append({table for table, ids in found.items() if ids == {bench.plan.revision}})
    everywhere = set.intersection(*holding)  # each database has one of its own, of the same name
    if len(everywhere) == 1:
        schema, name = everywhere.pop()
        bench.save(replace(bench.plan, version_table=("" if schema == "public" else schema, name)))


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
