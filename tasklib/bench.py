"""The workbench of a squash that is under way: its repository, its plan, and what the steps make from them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from tasklib import (
    addresses,
    binaries,
    chains,
    clusters,
    console,
    database,
    datafiles,
    git,
    groundwork,
    inplace,
    plan,
    postgres,
    programs,
    project,
    real,
    revisions,
    server,
    sources,
    watch,
)
from tasklib.addresses import Addresses
from tasklib.binaries import Binaries
from tasklib.chains import Chain
from tasklib.errors import Failed, Refused, SquashError
from tasklib.git import Repository
from tasklib.history import Cut, History
from tasklib.migrations import Command
from tasklib.plan import Place, Plan
from tasklib.postgres import Address
from tasklib.server import Logged, Server
from tasklib.watch import Watch

TASKS = (
    *("plan", "checkout", "reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge"),
    *("squash", "status", "abort"),
)
P = ParamSpec("P")
T = TypeVar("T")
if TYPE_CHECKING:
    from tasklib.compare import Verdict

# The project's command is only ever given these two addresses, by turns: where it connects is proven once for each.
# What must stay (the reference, the old chain at head) is copied or renamed from them.
SHARED = {
    "first": "one",
    "second": "two",
    "draft": "one",
    "candidate": "one",
    "roundtrip": "two",
    "deployed": "two",
}


@dataclass
class Bench:
    """Repository and plan; `save` is the only way that the plan changes. ``pid`` is set where one process sees the
    whole squash through, so that a server whose process was killed can be told from one that waits for a next step.
    ``server_url`` and ``reference_url`` are the user's --server and --reference of this very command, the only place
    where their passwords may come from. ``detached``: the plan is not kept in git's directory (`verify` of a plain
    checkout).
    """

    repository: Repository
    plan: Plan
    server_url: str | None = None
    pid: int | None = None
    reference_url: str | None = None
    detached: bool = False
    # (database or chain, support of the chain) of what this process has proven by asking the command.
    proven: set[tuple[str, str]] = field(default_factory=set)
    # The tree whose candidate this process has just built to R and compared, with the verdict: proof 1 is made then.
    at_base: tuple[str, Verdict] | None = None
    _server: Server | None = field(default=None, repr=False)
    _watched: bool | None = field(default=None, repr=False)
    _chains: dict[str, tuple[str, Chain]] = field(default_factory=dict, repr=False)

    def save(self, new: Plan) -> Plan:
        self.plan = new if self.detached else plan.save(self.repository, new)
        return self.plan

    def finished(self, step: str) -> None:
        self.save(self.plan.finished(step))

    @property
    def cwd(self) -> Path:
        """Where the project's command runs: where the user ran `checkout`."""
        return self.repository.top / self.plan.layout.cwd

    @property
    def script(self) -> Path:
        """The script directory in the work tree."""
        return self.repository.top / self.plan.layout.script

    @property
    def base(self) -> Path:
        """R's file in the work tree."""
        return self.repository.top / self.plan.base_path

    @property
    def data(self) -> list[Path]:
        """R's data files in the work tree, as the plan knows them."""
        return [self.repository.top / path for path in self.plan.data]

    def digest(self) -> str:
        """What R's file and its data files hold now."""
        return datafiles.digest([self.base, *self.data])

    def gone(self, commit: str) -> list[str]:
        """What a commit has of the squashed revisions: their files, and the data files of bases that go with them.

        R's own file is one of them, the data files of a base that is R's already are not.
        """
        there = self.history(commit).migrations
        gone = [there[one] for one in self.plan.gone if one in there]
        older = [migration for migration in gone if migration.id != self.plan.revision]
        return [m.path for m in gone] + [e.path for e in datafiles.of_bases(self.repository, commit, older)]

    @property
    def places(self) -> list[str]:
        """Where a squash may make files: the script directory and the version locations."""
        return [self.plan.layout.script, *self.plan.layout.locations]

    @property
    def work(self) -> Path:
        """Our temporary directory, for chains and dumps."""
        return Path(self.place().work)

    def place(self) -> Place:
        if self.plan.place is None:
            raise Refused("There is no scratch server yet; one was expected.", f"{self.plan.program} createdb")
        return self.plan.place

    def history(self, commit: str) -> History:
        return revisions.read_history(self.repository, commit, self.plan.layout)

    def version_tables(self) -> tuple[tuple[str, str], ...]:
        """Alembic's own table, or all that may be it: (schema, name), with "" for the default schema."""
        known = self.plan.version_table
        return (known,) if known else sources.version_tables(self.repository, self.plan.tip)

    def cut(self) -> Cut:
        """The cut, from the commit that still has the originals."""
        return self.history(self.plan.tip).cut(self.plan.revision)

    def chain(self, name: str, tree: str) -> Chain:
        """The chain that ``tree`` holds, on disk; written once in a process for each tree."""
        known = self._chains.get(name)
        if known is None or known[0] != tree or not known[1].root.is_relative_to(self.work):
            self._chains[name] = known = (tree, chains.write(self.repository, tree, self.plan.layout, name, self.work))
        return known[1]

    @contextmanager
    def old_in_place(self) -> Iterator[None]:
        """The old chain in the work tree for a block, for projects that look for it there; main thread only."""
        if not self.plan.layout.in_place:
            yield
            return
        migrations = list(self.history(self.plan.tip).migrations.values())
        data = datafiles.of_bases(self.repository, self.plan.tip, migrations)
        paths = [*(m.path for m in migrations), *(entry.path for entry in data)]
        with inplace.old_chain(self.repository, self.plan.tip, paths):
            yield

    def command(self, scheme: str | None = None, guard: Path | None = None) -> Command:
        """The project's command; ``scheme`` only while it is being found out, ``guard`` is a directory for the guard
        where there is no place yet.
        """
        layout = self.plan.layout
        chosen = scheme or self.plan.scheme or addresses.SCHEMES[0]
        return Command(
            words=programs.find_program(layout.command, self.cwd, self.repository.top),
            kind=layout.kind,
            cwd=self.cwd,
            templates=self.plan.templates,
            scheme=chosen,
            watch=self._watch(chosen, guard),
            section=layout.section,
        )

    def is_watched(self, command: Command) -> bool:
        """Whether the guard gets into the project's Python; asked once in a process."""
        if self._watched is None:
            self._watched = command.is_watched()
        return self._watched

    def log_size(self) -> int:
        """How long the log of our throwaway server is now, in bytes; 0 where it is not ours."""
        place = self.place()
        return self._ours(place.server).log.stat().st_size if place.server is not None else 0

    def logged(self, since: int) -> Logged:
        """What our throwaway server has logged since; of a server that is not ours nothing is known."""
        place = self.place()
        return server.logged(self._ours(place.server), since) if place.server is not None else Logged()

    def addresses(self) -> Addresses:
        """What the project's files say about how its database is reached."""
        return Addresses(self.repository, self.plan.tip, self.plan.layout)

    def schemes(self) -> Sequence[str]:
        """URL schemes to try, in order; one will do where no template asks for a URL."""
        names = [name for name, template in self.plan.templates if "{url}" in template]
        return self.addresses().schemes(names) if names else addresses.SCHEMES[:1]

    def _watch(self, scheme: str, directory: Path | None) -> Watch | None:
        """The guard for the project's command, in our directory (``directory`` where there is none yet)."""
        place = self.plan.place
        if place is None and directory is None:
            return None
        at = directory or Path(place.work if place else "") / "guard"
        if not (at / "sitecustomize.py").exists():
            watch.write(at)
        strict = addresses.is_deaf(scheme) or self.addresses().deaf() is not None
        packages = tuple(project.own_packages(self.repository, self.plan.tip, self.plan.layout))
        return Watch(at, place is not None and place.server is not None, strict, packages=packages)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Files that the project's command leaves in the work tree over the block are named, and never committed."""
        repository = self.repository
        before = {*repository.unheld("."), *repository.changed()}
        try:
            yield
        finally:
            after = dict.fromkeys((*repository.unheld("."), *repository.changed()))
            known = before | {self.plan.base_path, *self.plan.left}
            left = [path for path in after if path not in known and not path.endswith(".pyc")]
            if left:
                shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
                console.warn(
                    f"while the project's command ran, these came into the work tree: {shown}; they stay there"
                )
                self.save(replace(self.plan, left=(*self.plan.left, *left)))

    # --- scratch databases ---------------------------------------------------------------------------------------

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
                owner = str(plan.state_directory(self.repository) / "plan.json")
                pid = os.getpid() if self.detached else self.pid
                ours = self._server = server.start(owner, owner_pid=pid, binaries=self._binaries_for_reference())
                # In the server's own directory, which a later start sweeps where we are killed.
                work = str(ours.home / "work")
                Path(work).mkdir(mode=0o700)
                place = Place(token, work, str(ours.home), ours.host, ours.port, ours.user, "postgres", ())
                self._prepare_roles(ours)
            else:
                named = refuse_unusable_server(chosen)
                work = tempfile.mkdtemp(prefix="alembic-squash-work-")
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
        postgres.create_roles(Address(ours.host, ours.port, ours.user, ours.password), self.plan.needed_roles)
        if self.plan.apart:
            clusters.prepare(ours)

    def own_clusters(self) -> Server | None:
        """Our server, where each scratch database is in a cluster of its own, else None."""
        place = self.place()
        return self._ours(place.server) if self.plan.apart and place.server is not None else None

    def _binaries_for_reference(self) -> Binaries | None:
        """Server programs of the major version of the real database, which may hold what an older one cannot make."""
        if self.plan.settings.reference is None:
            return None
        with real.opened(self.reference()) as connection:
            return binaries.nearest(connection.major())

    def address(self, role: str | None = None) -> Address:
        """The address of a scratch database, or of the maintenance database."""
        place = self.place()
        if role is None:
            return self.maintenance()
        if role not in place.names:
            raise Refused(f"There is no scratch database {role!r} yet.", f"{self.plan.program} createdb")
        return self.maintenance(role).at(place.names[role])

    def maintenance(self, role: str = "") -> Address:
        """The maintenance database: beside a scratch database, whether that one is there or not, or the server's."""
        place = self.place()
        port = place.ports.get(_slot(role), place.port)
        return Address(place.host, port, place.user, self._password(place), place.database, place.options)

    def reference(self) -> Address:
        """The real database that --reference names; `Refused` where it is another one than the plan has."""
        planned = postgres.parse_url(self.plan.settings.reference or "", "--reference")
        named = postgres.parse_url(self.reference_url, "--reference") if self.reference_url else planned
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
            named = postgres.parse_url(self.server_url, "--server")
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
        return postgres.client_for(postgres.server_major(self.address()))

    def create(
        self, role: str, template: str | None = None, beside: str | None = None, *, bare: bool = False
    ) -> Address:
        """A fresh scratch database for ``role``: a copy of another role's, or with the groundwork alone (``bare``:
        without it); an older one is dropped.

        ``beside`` names the role that it shares a cluster with, where others have clusters of their own.
        """
        place = self.place()
        slot = _slot(role)
        name = self._name(role)
        if name == place.names.get("candidate"):
            self.at_base = None
        others = {other: one for other, one in place.names.items() if one != name}
        # Into the plan first: a kill between the two leaves a name too many there, never a database that nobody knows.
        self.save(replace(self.plan, place=replace(place, names={**others, role: name})))
        if (ours := self.own_clusters()) is not None:
            self._port(slot, self.maintenance(beside).port if beside else self._make_cluster(ours, slot, template))
        if ours is not None and template:
            with postgres.connect(self.maintenance(role)) as connection:
                postgres.rename_database(connection, self.address(template).database, name)
            return self.address(role)
        self._make(role, self.place().names[template] if template else "template0")
        if template:
            database.copy(self.address(template), self.address(role))
        elif not bare:
            self.lay_groundwork(role)
        return self.address(role)

    def lay_groundwork(self, role: str) -> None:
        """Make in a scratch database what must be there before the first migration, where it is missing."""
        if self.plan.groundwork:
            with postgres.connect(self.address(role)) as connection:
                groundwork.lay(connection, self.plan.groundwork)

    def empty(self, role: str) -> None:
        """Make a scratch database empty, in the cluster where it is."""
        self._make(role, "template0")
        self.lay_groundwork(role)

    def _make(self, role: str, template: str) -> None:
        """CREATE DATABASE, in the place of one that is there."""
        name, token = self._name(role), self.place().token
        with postgres.connect(self.maintenance(role)) as connection:
            postgres.drop_database(connection, name, token)
            postgres.create_database(connection, name, template, token)

    def _name(self, role: str) -> str:
        return f"alembic_squash_{self.place().token}_{_slot(role)}"

    def _make_cluster(self, ours: Server, slot: str, template: str | None) -> int:
        source = _slot(template) if template else clusters.FRESH
        return clusters.make(ours, slot, source, self.place().ports.get(slot, 0))

    def _port(self, slot: str, port: int) -> None:
        place = self.place()
        self.save(replace(self.plan, place=replace(place, ports={**place.ports, slot: port})))

    def rename(self, role: str, new: str) -> None:
        """Make a scratch database one of another role, and of another name."""
        place = self.place()
        old, name = place.names[role], self._name(new)
        # As in `create`, both names are known before and until it is done.
        self.save(replace(self.plan, place=replace(place, names={**place.names, new: name})))
        if (ours := self.own_clusters()) is not None:
            self._port(_slot(new), clusters.move(ours, _slot(role), _slot(new)))
        with postgres.connect(self.maintenance(new)) as connection:
            postgres.drop_database(connection, name, place.token)
            postgres.rename_database(connection, old, name)
        place = self.place()
        left = {other: one for other, one in place.names.items() if other != role}
        self.save(replace(self.plan, place=replace(place, names=left)))

    def drop(self, *roles: str) -> None:
        """Drop scratch databases of ours, if they carry our marker."""
        place = self.place()
        ours = self.own_clusters()
        for role in roles:
            if role not in place.names:
                continue
            if ours is not None and clusters.exists(ours, _slot(role)):
                clusters.end(ours, _slot(role))
                continue
            with postgres.connect(self.maintenance(role)) as connection:
                postgres.drop_database(connection, place.names[role], place.token)
        left = {role: name for role, name in place.names.items() if role not in roles}
        self.save(replace(self.plan, place=replace(place, names=left)))

    def close_place(self) -> list[str]:
        """Drop our databases, stop our server, remove our directory; what could not be done comes back as text."""
        place = self.plan.place
        if place is None:
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
        self.proven.clear()
        if not trouble:
            done = tuple(step for step in self.plan.done if step not in ("createdb", "replay"))
            self.save(replace(self.plan, place=None, replayed=None, done=done))
        return trouble


def _slot(role: str) -> str:
    """What databases are called after: a role's own name, or one that roles have by turns."""
    return SHARED.get(role, role)


def watched(work: Callable[Concatenate[Bench, P], T]) -> Callable[Concatenate[Bench, P], T]:
    """Work under `Bench.watching`."""

    @wraps(work)
    def run(bench: Bench, /, *others: P.args, **named: P.kwargs) -> T:
        with bench.watching():
            return work(bench, *others, **named)

    return run


def refuse_unusable_server(url: str) -> Address:
    """The server that --server names; `Refused` where it, its user or our pg_dump would not do."""
    address = postgres.parse_url(url, "--server")
    try:
        with postgres.connect(address) as connection:
            may = connection.value("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            major = connection.major()
    except Failed as error:
        raise Refused(
            error.text,
            "start it or correct the URL (the password is not kept between commands: give --server again, "
            "or set PGPASSWORD); without --server a throwaway server is used",
        ) from None
    if not may:
        raise Refused(f"The user {address.user} may not create databases on {address.masked()}.",
                      f"ALTER ROLE {address.user} CREATEDB, or leave --server out")  # fmt: skip
    postgres.client_for(major)
    return address


def program() -> str:
    """How the user called us, for hints: `invoke` in a project with a tasks.py, else `alembic-squash`.

    Also where our tasks are part of a larger collection (`invoke history.squash`): the command always works.
    """
    called = Path(sys.argv[0]).name
    if any(re.fullmatch(r"[\w-]+(\.[\w-]+)+", word) and word.rsplit(".", 1)[1] in TASKS for word in sys.argv[1:]):
        return "alembic-squash"
    return called if called in ("invoke", "inv", "alembic-squash") else "alembic-squash"


def open_bench(cwd: Path, server_url: str | None = None, reference_url: str | None = None) -> Bench:
    """The workbench of the squash that is under way in the repository around ``cwd``."""
    repository = git.find(cwd)
    inplace.recover(repository)
    made = plan.load(repository, program())
    if (elsewhere := repository.in_other_work_tree(made.branch)) is not None:
        raise Refused(f"The squash that is under way is in another work tree, {elsewhere}.", f"cd {elsewhere}")
    return Bench(repository, made, server_url, reference_url=reference_url)
