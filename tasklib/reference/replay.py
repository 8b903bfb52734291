"""Replays the old chain twice: the truth at R and at the head, and what is another thing in each run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

from tasklib import binds, console
from tasklib.errors import Refused, SquashError
from tasklib.history.chains import Chain
from tasklib.judge import roles
from tasklib.judge.rows import Volatile
from tasklib.postgres import client
from tasklib.postgres.version_table import Name, by_table
from tasklib.reference import (
    arrival,
    before_command,
    database_copy,
    first_contact,
    server_objects,
    starts,
    tenants,
    volatile_columns,
)
from tasklib.workbench.bench import Bench, watched
from tasklib.workbench.scratch import GROUND, SECOND

# The two runs start at least this many seconds apart, so that a clock rounded to the second shows.
APART = 1.1
ROLES = ("first", SECOND)  # the two runs
CANNOT = "The old chain cannot be replayed from an empty database"


@watched
def ensure_databases(bench: Bench) -> None:
    """A server, the databases that all others begin as, and those of the two runs."""
    server_objects.again(bench, lambda: _make_databases(bench), server_objects.FOR_ENV)


def _make_databases(bench: Bench) -> None:
    bench.open_place()
    bench.fence()  # the fence is made once for both applications
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
    _empty_for_both(bench, chain)
    server = server_objects.look(bench)
    real = plan.settings.reference is not None
    if real:
        _take_reference(bench, chain)
    kept = f"{len(plan.kept)} on to the head" if plan.kept else "which is the head"
    gone = "from the real database" if real else f"{len(plan.gone)} migrations to {plan.revision}"
    with console.doing(f"{gone}, {kept}: the reference, and a second run beside it"):
        runs = Runs(bench, chain, server)
        try:
            bench.together(runs.first, runs.second)
        except SquashError as error:
            _again_alone(bench, chain, error, runs)
        passwords = server_objects.check(bench, server, *ROLES)
        at_head = volatile_columns.learn(bench, "head", *ROLES)
        bench.rename("first", "oldhead")
    bench.drop(SECOND)
    unasked = server_objects.learn_unasked(bench, partial(_to_base, bench, chain)) if bench.own_clusters() else []
    tenant = None if real or plan.settings.before else tenants.learn(bench, chain, "reference")
    bench.save(replace(bench.plan, replayed={
        "tip": plan.tip, "base": volatile_columns.as_json(runs.at_r), "head": volatile_columns.as_json(at_head),
        "major": client.server_major(bench.address()),
        "privileges": not real or database_copy.carries_privileges(bench),
        "unasked": unasked, "passwords": passwords, "tenant": tenant, "session": bench.session,
        "seconds": bench.took.get(("old", "first")),
    }))  # fmt: skip
    for bind, left in bench.session.items():
        if left:
            said = ", ".join(f"{name} = {value or repr('')}" for name, value in left.items())
            place = binds.place(bind, bench.binds)
            console.note(f"  the migrations leave their session with {said}{place}: so does the base")
    bench.finished("replay")


def _empty_for_both(bench: Bench, chain: Chain) -> None:
    """The empty databases of both runs, as `--before` makes them."""
    plan = bench.plan
    for role in ROLES:
        bench.create(role, bare=bool(plan.settings.before))
    if plan.settings.before and plan.settings.reference is None:
        with console.doing(f"`{before_command.shown(plan)}` on the empty databases"):
            before_command.run(bench, chain, APART, *ROLES)


class Runs:
    """Both runs of the old chain, each from nothing to R and on to the head. Side by side, the second one is so much
    later at each of its migrations that what either makes of the time is not the same.
    """

    def __init__(self, bench: Bench, chain: Chain, server: server_objects.Server) -> None:
        self.bench = bench
        self.chain = chain
        self.server = server  # as it was before
        self.real = bench.plan.settings.reference is not None
        self.at_r: Mapping[str, Volatile] = {}
        self._began = time.monotonic()
        # When the first run left R, where it is the reference.
        self._reference: Future[float] = Future()

    def first(self) -> None:
        try:
            if not self.real:
                self._arrive("first", self.bench.plan.revision)
                _note_version_table(self.bench, "first")
                self.bench.create("reference", template="first")
            self._reference.set_result(time.monotonic())
        except BaseException as error:
            self._reference.set_exception(error)
            raise
        self._arrive("first", "heads")
        # The second one is not there yet; both are asked for soon.
        for role in ("reference", "first"):
            for bind in self.bench.binds:
                self.bench.known(role, bind)

    def second(self) -> None:
        starts.second(self.bench, self.chain)
        if not self.real:
            _sleep_until(self._began + APART)
            self._arrive(SECOND, self.bench.plan.revision)
        left = self._reference.result()
        if not self.real:
            server_objects.check(self.bench, self.server, "reference", SECOND)
        self.at_r = volatile_columns.learn(self.bench, "base", "reference", SECOND)
        if self.bench.plan.kept:
            _sleep_until(left + APART)
        self._arrive(SECOND, "heads")

    def one_by_one(self) -> None:
        """Both anew, the second one after the first."""
        self._began, self._reference = time.monotonic(), Future()
        self.first()
        self.second()

    def _arrive(self, role: str, target: str) -> None:
        copy = self.real and target == "heads"
        what = "A kept migration failed on a copy of the real database" if copy else CANNOT
        arrival.arrive(self.bench, self.chain, role, target, what)


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))


def _take_reference(bench: Bench, chain: Chain) -> None:
    """A real database in the place of the replay: of what came before R there is one run, so nothing is volatile."""
    with console.doing(f"the real database {bench.reference().masked()} as the reference"):
        database_copy.take(bench, chain, "first")
        bench.create("reference", template="first")
        bench.create(SECOND, template="first")


def build(bench: Bench, chain: Chain, role: str, revision: str) -> None:
    """Make the scratch databases of ``role`` what the chain builds from nothing at any of its revisions."""
    bench.create(role, bare=bool(bench.plan.settings.before))
    if bench.plan.settings.before:
        before_command.run(bench, chain, 0, role)
    arrival.arrive(bench, chain, role, revision, CANNOT)


def _to_base(bench: Bench, chain: Chain, role: str) -> None:
    if bench.plan.settings.before:
        before_command.run(bench, chain, 0, role)
    if bench.plan.settings.reference is None:
        what = "The old chain failed where its roles are there already"
        arrival.arrive(bench, chain, role, bench.plan.revision, what)


def _again_alone(bench: Bench, chain: Chain, error: SquashError, runs: Runs) -> None:
    """Make the second run after the first where side by side they stood in each other's way over a role, which belongs
    to the server. `Refused` where that does not help: the history makes a role without asking whether it is there.
    """
    if not roles.AT_ONCE.search(error.text) or bench.place().server is not None:
        raise error
    try:
        _empty_for_both(bench, chain)
        runs.one_by_one()
    except SquashError as again:
        if (found := roles.THERE.search(again.text)) is None:
            raise
        raise Refused(
            f"{again.text}\nThe history makes the role {found.group(1)}. Roles belong to the server and not to a "
            "database, so it can be replayed only once on a server, and a squash replays it several times.",
            "leave --server out: a throwaway server is made for each run; "
            f"DROP ROLE {found.group(1)} takes it from this one again",
        ) from None


def _note_version_table(bench: Bench, role: str) -> None:
    """Keep which of several tables is Alembic's own, where that shows at R."""
    holding: list[set[Name]] = []
    for bind in bench.binds:
        found = by_table(bench.address(role, bind), bench.version_tables())
        holding.append({table for table, ids in found.items() if ids == {bench.plan.revision}})
    everywhere = set.intersection(*holding)  # each database has one of its own, of the same name
    if len(everywhere) == 1:
        schema, name = everywhere.pop()
        with bench.lock:
            bench.save(replace(bench.plan, version_table=("" if schema == "public" else schema, name)))
