"""The scratch databases of a squash: the server that they are on; made, copied, renamed and dropped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar

from tasklib import console
from tasklib.errors import Failed, Refused, SquashError
from tasklib.judge import catalog, database_properties
from tasklib.judge.catalog import Snapshot
from tasklib.judge.compare import Verdict
from tasklib.postgres import binaries, client, clusters, read_only, server, server_log
from tasklib.postgres.binaries import Binaries
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tasklib.postgres.server_log import Logged
from tasklib.repository.git import Repository
from tasklib.workbench import groundwork, named_server, orphans, plan
from tasklib.workbench.plan import Place, Plan

P = ParamSpec("P")
S = TypeVar("S", bound="Scratch")
T = TypeVar("T")
# Roles that are there by turns share a name; what must stay (the reference, say) is copied or renamed.
SHARED = {
    "first": "one",
    "second": "two",
    "draft": "one",
    "candidate": "one",
    "roundtrip": "three",
    "deployed": "two",
}
# Another one whenever a database is made anew, also by a cluster that is a copy of the same one, on the same port.
ITSELF = (  # a cast to text may be the history's own
    "SELECT pg_catalog.format('%s %s', oid, pg_postmaster_start_time()) FROM pg_database"
    " WHERE datname = current_database()"
)
GROUND = "ground"  # the role whose databases hold what env.py makes before any migration, and nothing else
SECOND = "second"  # of the second run of the old chain, whose application has a start of its own
# Of both starts, where the application upgrades its database then: for what it does before that.
STARTS = ("start", "start-second")


def _alone(change: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """One such change of the plan at a time."""

    @wraps(change)
    def run(scratch: S, /, *others: P.args, **named: P.kwargs) -> T:
        with scratch.lock:
            return change(scratch, *others, **named)

    return run


@dataclass
class Scratch:
    """Repository and plan, and the scratch databases of the latter; `save` is the only way that the plan changes.

    ``pid`` is set where one process sees the whole squash through, so that a server whose process was killed can be
    told from one that waits for a next step. ``server_url`` and ``reference_url`` are the user's --server and
    --reference of this very command, the only place where their passwords may come from. ``detached``: the plan is not
    kept in git's directory (`verify` of a plain checkout).
    """

    repository: Repository
    plan: Plan
    server_url: str | None = None
    pid: int | None = None
    reference_url: str | None = None
    detached: bool = False
    # The tree whose candidate this process has just built to R and compared, with the verdicts: proof 1 is made then.
    at_base: tuple[str, Mapping[str, Verdict]] | None = None
    # Seconds that a chain took from nothing to R, by the chain's name and the role of the databases.
    took: dict[tuple[str, str], float] = field(default_factory=dict, repr=False)
    # Whoever changes the plan while runs go on side by side holds it.
    lock: RLock = field(default_factory=RLock, repr=False, compare=False)
    _server: Server | None = field(default=None, repr=False)
    _starting: Future[Server] | None = field(default=None, repr=False)
    _snapshots: dict[tuple[object, ...], Snapshot] = field(default_factory=dict, repr=False)

    def save(self, new: Plan) -> Plan:
        self.plan = new if self.detached else plan.save(self.repository, new)
        if self.detached and new.place is not None:
            orphans.note(new.place)
        return self.plan

    @property
    def work(self) -> Path:
        """Our temporary directory, for chains and dumps."""
        return Path(self.place().work)

    def place(self) -> Place:
        if self.plan.place is None:
            raise Refused("There is no scratch server yet; one was expected.", f"{self.plan.program} createdb")
        return self.plan.place

    def begin_server(self) -> None:
        """Have the throwaway server started meanwhile, where there will be one; `open_place` waits for it."""
        if self.plan.place is None and (self.server_url or self.plan.settings.server) is None:
            self._begun()

    def _begun(self) -> Future[Server]:
        def start() -> Server:
            owner, pid = str(plan.file(self.repository)), os.getpid() if self.detached else self.pid
            return server.start(owner, owner_pid=pid, binaries=self._fitting_binaries())

        if self._starting is None:
            with_one = ThreadPoolExecutor(1)
            self._starting = with_one.submit(start)
            with_one.shutdown(wait=False)
        return self._starting

    def open_place(self) -> Place:
        """Make sure that there is a server and a temporary directory; harmless where there are.

        A throwaway server that is gone (a reboot, a kill) is replaced: nothing that was on it is lost that could not be
        made again.
        """
        if self.plan.place is not None:
            gone = self.plan.place.server is not None and not clusters.all_run(Path(self.plan.place.server))
            if not gone and Path(self.plan.place.work).is_dir():
                self.address()  # says so where a server that the user named needs its password
                return self.plan.place
            console.note("  … the scratch server is gone; another one is started")
            trouble = self.close_place()
            if trouble:
                raise Failed("; ".join(trouble), f"{self.plan.program} cleanup --server URL (with its password)")
        token = os.urandom(4).hex()
        work = ""
        try:
            chosen = self.server_url or self.plan.settings.server
            if chosen is None:
                begun, self._starting = self._begun(), None
                ours = self._server = begun.result()
                # In the server's own directory, which a later start sweeps where we are killed.
                work = str(ours.home / "work")
                Path(work).mkdir(mode=0o700)
                place = Place(token, work, str(ours.home), ours.host, ours.port, ours.user, "postgres", ())
                self._prepare_roles(ours)
            else:
                named = named_server.refuse_unusable(chosen)
                orphans.sweep(named)
                work = str(orphans.make() if self.detached else tempfile.mkdtemp(prefix="alembic-squash-work-"))
                place = Place(token, work, None, named.host, named.port, named.user, named.database, named.options)
            self.save(replace(self.plan, place=place))
            return place
        except BaseException:
            if self.plan.place is None:
                if work:
                    shutil.rmtree(work, ignore_errors=True)
                if self._server is not None:
                    server.stop(self._server.home)
            raise

    def _prepare_roles(self, ours: Server) -> None:
        """Make the roles that the history needs and does not make, and what new clusters are copied from."""
        client.create_roles(Address(ours.host, ours.port, ours.user, ours.password), self.plan.needed_roles)
        if self.plan.apart:
            clusters.prepare(ours)

    def own_clusters(self) -> Server | None:
        """Our server, where each scratch database is in a cluster of its own, else None."""
        place = self.place()
        return self._ours(place.server) if self.plan.apart and place.server is not None else None

    def _fitting_binaries(self) -> Binaries | None:
        """Server programs of the major version of the real database, which may hold what an older one cannot make; else
        those that have the extensions which the migrations make. None: the first ones that there are.
        """
        if self.plan.settings.reference is None:
            return binaries.having(self.plan.extensions)
        with read_only.opened(self.reference()) as connection:
            return binaries.nearest(connection.major())

    @property
    def binds(self) -> tuple[str, ...]:
        """What env.py calls its databases, of which each role has one; ("",) in most projects."""
        return self.plan.binds

    @property
    def names(self) -> tuple[str, ...]:
        """The binds, and the names of other targets: a role has a scratch database for each of them."""
        return (*self.binds, *self.plan.others)

    def address(self, role: str | None = None, bind: str | None = None) -> Address:
        """The address of a scratch database (of the first bind where none is named), or of the maintenance database."""
        place = self.place()
        if role is None:
            return self.maintenance()
        key = self._key(role, bind)
        if key not in place.names:
            raise Refused(f"There is no scratch database {key!r} yet.", f"{self.plan.program} createdb")
        return self.maintenance(role).at(place.names[key])

    def targets(self, role: str) -> Mapping[str, Address]:
        """The scratch databases of a role by name, as the project's command gets them."""
        return {name: self.address(role, name) for name in self.names}

    def maintenance(self, role: str = "") -> Address:
        """The maintenance database: beside a scratch database, whether that one is there or not, or the server's."""
        place = self.place()
        port = place.ports.get(_slot(role), place.port)
        return Address(place.host, port, place.user, self._password(place), place.database, place.options, place.safely)

    def reference(self) -> Address:
        """The real database that --reference names; `Refused` where it is another one than the plan has."""
        planned = client.parse_url(self.plan.settings.reference or "", "--reference")
        named = client.parse_url(self.reference_url, "--reference") if self.reference_url else planned
        if (named.host, named.port, named.database) != (planned.host, planned.port, planned.database):
            raise Refused(
                f"--reference names {named.masked()}; this squash was begun with {planned.masked()}.",
                f"{self.plan.program} abort, then checkout with the other database",
            )
        return named

    def _password(self, place: Place) -> str:
        if place.server is not None:
            return self._ours(place.server).password
        if self.server_url is not None:
            named = client.parse_url(self.server_url, "--server")
            if (named.host, named.port) != (place.host, place.port):
                raise Refused(
                    f"--server names {named.masked()}, and the scratch databases are on {place.host}:{place.port}.",
                    f"{self.plan.program} cleanup, then createdb with the other server",
                )
            return named.password
        return os.environ.get("PGPASSWORD", "")

    def _ours(self, home: str) -> Server:
        """Our throwaway server, found again by its directory; once for each process."""
        if self._server is None or str(self._server.home) != home:
            self._server = server.attach(Path(home))
        return self._server

    def binaries(self) -> Binaries:
        """pg_dump and pg_restore that fit the server."""
        place = self.place()
        if place.server is not None:
            return self._ours(place.server).binaries
        return client.client_for(client.server_major(self.address()))

    @_alone
    def known(self, role: str, bind: str | None = None) -> Snapshot:
        """The schema of scratch databases that stand for the truth, which no run is led to any more: read once."""
        address = self.address(role, bind)
        with client.connect(address, read_only=True) as connection:
            key = (address.port, connection.value(ITSELF))
        if key not in self._snapshots:
            self._snapshots[key] = catalog.snapshot(address, self.binaries(), self.work)
        return self._snapshots[key]

    @_alone
    def create(
        self, role: str, template: str | None = None, beside: str | None = None, *, bare: bool = False
    ) -> Address:
        """Fresh scratch databases for ``role``, one for each name: copies of another role's, or with the groundwork
        alone (``bare``: without it); older ones are dropped. Returns the first one's address.

        ``beside`` names the role that they share a cluster with, where others have clusters of their own.
        """
        place = self.place()
        slot = _slot(role)
        if template is None and not bare and beside is None and GROUND in place.names:
            template = GROUND
        names = {self._key(role, name): self._name(role, name) for name in self.names}
        if names[role] == place.names.get("candidate"):
            self.at_base = None
        others = {other: one for other, one in place.names.items() if one not in names.values()}
        # Into the plan first: a kill between the two leaves a name too many there, never a database that nobody knows.
        self.save(replace(self.plan, place=replace(place, names={**others, **names})))
        if (ours := self.own_clusters()) is not None:
            self._port(slot, self.maintenance(beside).port if beside else self._make_cluster(ours, slot, template))
        for name in self.names:
            if ours is not None and template:
                with client.connect(self.maintenance(role)) as connection:
                    client.rename_database(connection, self.address(template, name).database, self._name(role, name))
                continue
            self._make(role, name, self.address(template, name).database if template else "template0")
            if template:
                database_properties.copy(self.address(template, name), self.address(role, name))
        return self.address(role)

    def lay_groundwork(self, role: str) -> None:
        """Make in the scratch databases of a role what nobody makes, and the version table needs."""
        for bind in self.binds if self.plan.groundwork else ():
            with client.connect(self.address(role, bind)) as connection:
                groundwork.lay(connection, self.plan.groundwork)

    def empty(self, role: str) -> None:
        """Make the scratch databases of a role empty, in the cluster where they are; env.py makes its groundwork."""
        for name in self.names:
            self._make(role, name, "template0")
        self.lay_groundwork(role)

    def _make(self, role: str, bind: str, template: str) -> None:
        """CREATE DATABASE, in the place of one that is there."""
        name, place = self._name(role, bind), self.place()
        with client.connect(self.maintenance(role)) as connection:
            client.drop_database(connection, name, place.token)
            # Several times as fast where nothing waits for the disk; what it makes of checkpoints is no user's affair.
            copying = place.server is not None and connection.major() >= 15
            client.create_database(connection, name, template, place.token, "STRATEGY file_copy" if copying else "")

    def _key(self, role: str, bind: str | None) -> str:
        """What the plan calls the scratch database that a role has for a bind: of the first one it is the role."""
        return role if bind is None or bind == self.binds[0] else f"{role}@{bind}"

    def _name(self, role: str, bind: str) -> str:
        # A bind's own name may be of any length.
        number = self.names.index(bind)
        return f"alembic_squash_{self.place().token}_{_slot(role)}{number + 1 if number else ''}"

    def _make_cluster(self, ours: Server, slot: str, template: str | None) -> int:
        source = _slot(template) if template else clusters.FRESH
        return clusters.make(ours, slot, source, self.place().ports.get(slot, 0))

    def _port(self, slot: str, port: int) -> None:
        place = self.place()
        self.save(replace(self.plan, place=replace(place, ports={**place.ports, slot: port})))

    @_alone
    def rename(self, role: str, new: str) -> None:
        """Make the scratch databases of a role those of another one, and of other names."""
        place = self.place()
        old = {name: place.names[self._key(role, name)] for name in self.names}
        names = {self._key(new, name): self._name(new, name) for name in self.names}
        # As in `create`, both names are known before and until it is done.
        self.save(replace(self.plan, place=replace(place, names={**place.names, **names})))
        if (ours := self.own_clusters()) is not None:
            self._port(_slot(new), clusters.move(ours, _slot(role), _slot(new)))
        with client.connect(self.maintenance(new)) as connection:
            for name in self.names:
                client.drop_database(connection, self._name(new, name), place.token)
                client.rename_database(connection, old[name], self._name(new, name))
        place = self.place()
        left = {other: one for other, one in place.names.items() if other.partition("@")[0] != role}
        self.save(replace(self.plan, place=replace(place, names=left)))

    @_alone
    def drop(self, *roles: str) -> None:
        """Drop scratch databases of ours, if they carry our marker."""
        place = self.place()
        ours = self.own_clusters()
        chosen = {role.partition("@")[0] for role in roles}
        keys = [key for key in place.names if key.partition("@")[0] in chosen]
        for key in keys:
            slot = _slot(key)
            if ours is not None:
                clusters.end(ours, slot)  # with all that is in it
                continue
            with client.connect(self.maintenance(key)) as connection:
                client.drop_database(connection, place.names[key], place.token)
        left = {key: name for key, name in place.names.items() if key not in keys}
        self.save(replace(self.plan, place=replace(place, names=left)))

    def log_size(self) -> int:
        """How long the log of our throwaway server is now, in bytes; 0 where it is not ours."""
        place = self.place()
        return self._ours(place.server).log.stat().st_size if place.server is not None else 0

    def logged(self, since: int) -> Logged:
        """What our throwaway server has logged since; of a server that is not ours nothing is known."""
        place = self.place()
        return server_log.read(self._ours(place.server).log, since) if place.server is not None else Logged()

    def close_place(self) -> list[str]:
        """Drop our databases, stop our server, remove our directory; what could not be done comes back as text."""
        place = self.plan.place
        if place is None:
            begun, self._starting = self._starting, None
            if begun is not None and begun.exception() is None:
                server.stop(begun.result().home)
            server.sweep()  # one that a process began before it was killed, which no plan knows yet
            return []
        trouble: list[str] = []
        if place.server is not None:
            server.stop(Path(place.server))
        elif place.names:
            try:
                self.drop(*place.names)
            except SquashError as error:
                trouble.append(f"databases left on the server: {', '.join(place.names.values())} ({error.text})")
        shutil.rmtree(place.work, ignore_errors=True)
        if not trouble:
            done = tuple(step for step in self.plan.done if step not in ("createdb", "replay"))
            self.save(replace(self.plan, place=None, replayed=None, done=done))
        return trouble


def _slot(role: str) -> str:
    """What databases are called after: a role's own name, or one that roles have by turns; alike for all binds."""
    role = role.partition("@")[0]
    return SHARED.get(role, role)
