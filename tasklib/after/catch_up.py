"""A database that was left behind by a squash, brought up to R with the old chain, by the project's own command.

The way is gone on a scratch database first. The real one is written to by the project's command alone, after the
user's yes, and is shown afterwards to be what the chain builds at R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tasklib import console
from tasklib.after import drift
from tasklib.after.instances import SECONDS, Instance, look
from tasklib.after.lineage import Lineage
from tasklib.command import not_started
from tasklib.command.project_command import Ran
from tasklib.command.run_errors import explain_failure
from tasklib.errors import Differs, Failed, Refused
from tasklib.history.chains import Chain
from tasklib.judge.objects import report, side_by_side
from tasklib.postgres import version_table
from tasklib.postgres.client import Address
from tasklib.project import sources
from tasklib.reference import arrival, replay, server_objects, targets
from tasklib.workbench.bench import Bench

# What to do about a database that is not where it can be taken from, by its state.
INSTEAD = {
    "unknown revision": "is it a database of this project, and was this branch's history there?",
    "several rows": "leave the last of its rows in the version table, where it is clear which that is",
    "no version table": "an empty database needs no catching up: upgrade it. Where it has tables, find out which "
    "revision it is at (instances --drift tells whether it is one), and give it that row in its version table",
    "not reached": "start it, or correct the URL",
}


def standing(known: Lineage, address: Address) -> Instance:
    """Where the database stands; `Refused` where it cannot be caught up from there."""
    tables = sources.version_tables(known.squashed.repository, known.head)
    (found,) = look([address], known, tables, None, SECONDS)
    if found.state in INSTEAD:
        raise Refused(f"{found.place}: {found.shown()}; one that is behind {known.revision} was expected.",
                      INSTEAD[found.state])  # fmt: skip
    if len(found.ids) > 1:
        raise Refused(f"{found.place} is at {', '.join(found.ids)}; one revision was expected.",
                      f"merge them with the old migrations: git worktree add ../old {_commit(known)}")  # fmt: skip
    return found


def _commit(known: Lineage) -> str:
    return known.base.commit[:12] if known.base is not None else known.head[:12]


def catch_up(known: Lineage, address: Address, found: Instance, agreed: Callable[[], bool]) -> None:
    """Bring it to R and prove it. ``agreed`` is asked when all that can be known before is shown.

    Raises `Refused` where nothing was done, `Failed` where the command did not arrive, `Differs` where it arrived at
    another schema.
    """
    with drift.opened(known) as bench:
        chain = server_objects.again(bench, lambda: _rehearse(bench, known, address, found))
        _say(bench, known, address, found)
        if not agreed():
            raise Refused("Nothing was done: nobody said yes.", "--yes says it")
        now = standing(known, address)
        if now.ids != found.ids:
            raise Refused(f"{found.place} was moved meanwhile: it was at {found.ids[0]}, and is at {now.ids[0]}.")
        _run(bench, chain, known, address, found)
        if differing := drift.differences(bench, address):
            raise Differs(
                f"{found.place} is at {known.revision} now, and its schema is not what the migrations build there:\n"
                + report(differing, "the chain", "it"),
                "was it changed while the migrations ran?",
                side_by_side(differing, f"at {known.revision}", found.place),
            )


def _rehearse(bench: Bench, known: Lineage, address: Address, found: Instance) -> Chain:
    """Go the same way on a scratch database, from a schema that is shown to be the real one's."""
    replay.ensure_databases(bench)
    if bench.plan.upgrades_itself:
        raise Refused(
            "The application runs Alembic's upgrade at its start, so that its command cannot be led to a real database "
            "before that.",
            f"start the application there as it was before the squash: git worktree add ../old {_commit(known)}",
        )
    if bench.plan.others:
        raise Refused(
            f"The application connects to other databases too ({', '.join(sorted(bench.plan.targets))}): which of them "
            "the URL is cannot be told.",
            "--same TARGET=TARGET where two are one; else run the old migrations by hand: git worktree add ../old "
            + _commit(known),
        )
    with console.doing(f"what the old migrations build at {found.ids[0]}, beside {found.place}"):
        drift.build(bench, found.ids[0])
        differing = drift.differences(bench, address)
    if differing:
        raise Refused(
            f"{found.place} is at {found.ids[0]}, and its schema is not what the migrations build there. Nothing was "
            f"done.\n{report(differing, 'the chain', 'it')}",
            "make it so by hand, where that is right, then run this again",
        )
    chain = bench.chain("old", bench.plan.tip)
    with console.doing(f"{len(found.missing)} migrations on a scratch database"), bench.old_in_place():
        arrival.arrive(bench, chain, drift.BUILT, known.revision, "The old chain fails on a scratch database")
    return chain


def _say(bench: Bench, known: Lineage, address: Address, found: Instance) -> None:
    command = bench.command()
    migrations = [known.history.migrations[one] for one in found.missing]
    console.say(f"{address.masked()} is at {found.ids[0]}. To bring it to {known.revision}, these will run there:")
    console.say(console.table([(m.id, " ".join(m.message.split()), m.path) for m in migrations]))
    if bench.plan.legacy:
        console.say(targets.legacy(bench.plan.legacy))
    console.say(f"by `{' '.join(bench.plan.layout.command)} upgrade {known.revision}` in {command.cwd}, with the "
                f"migrations of {_commit(known)}; whatever database it asks for, it gets this one.")  # fmt: skip


def _run(bench: Bench, chain: Chain, known: Lineage, address: Address, found: Instance) -> None:
    """The project's own command, in a process of its own, led to the real database."""
    command = bench.command()
    assert command.watch is not None
    real = replace(command, held=None, watch=replace(command.watch, real=True))
    targets = {bench.binds[0]: address}
    with console.doing(f"{len(found.missing)} migrations on {found.place}"), bench.old_in_place():
        ran = real.upgrade(chain, targets, known.revision, len(found.missing))
    tables = bench.version_tables()
    reached = version_table.versions(address, tables)
    if ran.code or reached != {known.revision}:
        not_started.refuse(real, ran, targets)
        error = explain_failure(ran, chain, "The old chain failed")
        raise Failed(
            f"{error.text}\n{found.place} is at {', '.join(sorted(reached)) or 'no revision'} now; "
            f"{known.revision} was expected. Each migration that ended is there, and of the one that failed nothing, "
            "unless it commits by itself.",
            "what failed is the data of this database, or the rights of its user: on a scratch database it did not",
        )
    _refuse_elsewhere(ran, address)


def _refuse_elsewhere(ran: Ran, address: Address) -> None:
    visited = {visit.database for visit in ran.seen.visits} - {None}
    if not ran.seen.there or visited - {address.database}:
        where = ", ".join(sorted(one for one in visited if one)) or "nobody knows where"
        raise Failed(f"The command ran migrations on {where}; {address.database} was expected.")
