"""The workbench of a squash that is under way: its repository, its plan, and what the steps make from them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tasklib import binds, console, interrupts, shell
from tasklib.command import programs, watch
from tasklib.command.fence import Fence
from tasklib.command.project_command import Command
from tasklib.command.started_once import Held
from tasklib.command.watch import Watch
from tasklib.errors import Refused
from tasklib.history import chains, data_files, revisions
from tasklib.history.chains import Chain
from tasklib.history.cut import Cut, History
from tasklib.judge import passwords
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.project import discovery, sources
from tasklib.project.addresses import Addresses
from tasklib.repository import git, status, trees, worktree
from tasklib.repository.git import Repository
from tasklib.timings import Tally
from tasklib.workbench import inplace, plan
from tasklib.workbench.plan import Plan
from tasklib.workbench.scratch import SECOND, STARTS, Scratch

TASKS = (
    *("plan", "checkout", "reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge"),
    *("squash", "status", "abort", "instances", "catchup", "rebase-revision", "undo"),
)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Bench(Scratch):
    """All that the steps work with: beside the scratch databases the project's command, its chains and its files."""

    tally: Tally = field(default_factory=Tally)
    # What the session had set when the old chain had come to R and not before, by bind and by name.
    session: dict[str, dict[str, str]] = field(default_factory=dict)
    _held: dict[int, Held] = field(default_factory=dict, repr=False)
    _chains: dict[str, tuple[str, Chain]] = field(default_factory=dict, repr=False)

    def finished(self, step: str) -> None:
        self.save(self.plan.finished(step))

    def random_passwords(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Roles whose passwords were different in the two runs; and what may be a password in the old migrations."""
        roles = frozenset((self.plan.replayed or {}).get("passwords", ()))
        if not roles:
            return roles, ()
        run = self.cut().run(from_r=False)
        texts = trees.read_many(self.repository, self.plan.tip, [migration.path for migration in run])
        return roles, passwords.written(texts[path] for path in sorted(texts))

    def head(self) -> str:
        """The commit that is checked out."""
        return self.repository.ask("rev-parse", "HEAD")

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

    @property
    def aside(self) -> Path:
        """Where what was taken out of the work tree is kept until the squash is done."""
        return plan.state_directory(self.repository) / "aside"

    @property
    def ours(self) -> list[str]:
        """The paths that a squash commits, beside those that it takes out."""
        return [*dict.fromkeys((self.plan.base_path, *self.plan.placed))]

    def tree(self) -> str:
        """The tree that the squash would be committed as now."""
        return worktree.as_tree(self.repository, self.ours)

    def is_edited(self) -> bool:
        """Whether R's file or one of its data files is not as this program left it."""
        top, mine = self.repository.top, (self.plan.base_path, *self.plan.data)
        return any(self.plan.placed.get(path) not in ("", worktree.digest(top / path)) for path in mine)

    def write_base(self, text: str) -> None:
        """Write R's file, with the line ends that it had. `Refused` where one came there meanwhile that is not ours."""
        path = self.plan.base_path
        if self.base.exists() and self.plan.placed.get(path) not in ("", worktree.digest(self.base)):
            raise Refused(f"{path} came into the work tree meanwhile, or was edited; it is left alone.",
                          f"{self.plan.program} migrate --force writes over it")  # fmt: skip
        self.placing(path)
        self.base.parent.mkdir(parents=True, exist_ok=True)
        windows = "\r\n" in self.repository.read(self.plan.tip, path)
        self.base.write_text(text, encoding="utf-8", newline="\r\n" if windows else "\n")
        self.placed(path)

    def placing(self, *paths: str) -> None:
        """These files are about to be written: from now on they are ours, whatever interrupts that."""
        self.save(replace(self.plan, placed={**self.plan.placed, **dict.fromkeys(paths, "")}))

    def placed(self, *paths: str) -> None:
        """They are written."""
        written = {path: worktree.digest(self.repository.top / path) for path in paths}
        self.save(replace(self.plan, placed={**self.plan.placed, **written}))

    def gone(self, commit: str) -> list[str]:
        """What a commit has of the squashed revisions: their files, and the data files of bases that go with them.

        R's own file is one of them, the data files of a base that is R's already are not.
        """
        there = self.history(commit).migrations
        gone = [there[one] for one in self.plan.gone if one in there]
        older = [migration for migration in gone if migration.id != self.plan.revision]
        return [m.path for m in gone] + [e.path for e in data_files.of_bases(self.repository, commit, older)]

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
        data = data_files.of_bases(self.repository, self.plan.tip, migrations)
        paths = [*(m.path for m in migrations), *(entry.path for entry in data)]
        with inplace.old_chain(self.repository, self.plan.tip, paths):
            yield

    def command(self, role: str = "", guard: Path | None = None) -> Command:
        """The project's command, for runs on the databases of ``role``; ``guard`` is a directory for the guard where
        there is no place yet.

        What the application does by chance at its start must be another thing in the second run: that has a start of
        its own.
        """
        layout = self.plan.layout
        number = int(role == SECOND)
        ports, by_socket = sources.named_ports(self.repository, self.plan.tip, layout.script)
        return Command(
            words=programs.find_program(layout.command, self.cwd, self.repository.top),
            kind=layout.kind,
            cwd=self.cwd,
            templates=self.plan.templates,
            scheme=self.plan.scheme or self._scheme(),
            watch=self._watch(guard),
            filled=frozenset(name for name, _ in self.plan.found),
            arguments=self.plan.arguments,
            tally=self.tally,
            held=self._hold(number) if self.plan.place is not None else None,
            apart=self._apart(number),
            make_room=self.make_room,
            section=layout.section,
            ports=ports,
            by_socket=by_socket,
        )

    def _hold(self, number: int) -> Held:
        if number not in self._held:
            close = partial(self._let_connect, number, allowed=False)
            self._held[number] = Held(self.work, self.tally, partial(self._open_start, number), close)
        return self._held[number]

    def _apart(self, number: int) -> Mapping[str, Address] | None:
        """The databases for what the application does at its start before it upgrades, where it does that."""
        if not self.plan.upgrades_itself or self.plan.place is None or STARTS[number] not in self.plan.place.names:
            return None
        return self.targets(STARTS[number])

    def _open_start(self, number: int, starting: Held) -> None:
        self.make_room(starting)
        self._let_connect(number, allowed=True)

    def _let_connect(self, number: int, *, allowed: bool) -> None:
        """Say whether anybody may connect to the databases of a start. Nobody may once the application is held: no run
        is led there, and what remembers their addresses shall fail, not be lost.
        """
        places = self._apart(number)
        if places is None:
            return
        with client.connect(self.maintenance(STARTS[number])) as connection:
            for address in places.values():
                client.allow_connections(connection, address.database, allowed=allowed)

    def make_room(self, starting: Held | None = None) -> None:
        """Before a start: end what else is held, where the application does not start beside itself."""
        for held in self._held.values():
            if self.plan.alone and held is not starting:
                held.close()

    def together(self, *calls: Callable[[], T]) -> list[T]:
        """Calls that run the project's command, side by side; one after the other where it does not start beside
        itself.
        """
        return shell.together(*calls, at_a_time=1 if self.plan.alone else shell.AT_A_TIME)

    def end_held(self) -> None:
        """End what is held of the project's command: its files are other ones now, or it has done its work."""
        for held in self._held.values():
            held.close()
        self._held.clear()

    def close_place(self) -> list[str]:
        """Also end what is held of the project's command."""
        self.end_held()
        return super().close_place()

    def _scheme(self) -> str:
        """The scheme of the URLs that the user's templates are filled with, until another one is tried."""
        names = [name for name, template in self.plan.templates if binds.holds_url(template)]
        return self.addresses().schemes(names)[0]

    def fence(self) -> Fence | None:
        """What the command's processes are kept from; None where this system cannot."""
        return self.command().fence()

    def addresses(self) -> Addresses:
        """What the project's files say about how its database is reached."""
        return Addresses(self.repository, self.plan.tip, self.plan.layout)

    def _watch(self, directory: Path | None) -> Watch | None:
        """The guard for the project's command, in our directory (``directory`` where there is none yet)."""
        place = self.plan.place
        if place is None and directory is None:
            return None
        at = directory or Path(place.work if place else "") / "guard"
        if not (at / "sitecustomize.py").exists():
            at.mkdir(exist_ok=True)
            watch.write(at)
        packages = tuple(discovery.own_packages(self.repository, self.plan.tip, self.plan.layout))
        return Watch(at, self.plan.targets, packages)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Files that the project's command leaves in the work tree over the block are named, and never committed."""
        repository = self.repository
        before = {*status.unheld(repository, "."), *status.changed(repository)}
        try:
            yield
        finally:
            after = dict.fromkeys((*status.unheld(repository, "."), *status.changed(repository)))
            known = before | {self.plan.base_path, *self.plan.left}
            # TMPDIR may be in the work tree, and our server in it.
            mine = (
                [Path(one) for one in (self.plan.place.server, self.plan.place.work) if one] if self.plan.place else []
            )
            left = [
                path
                for path in after
                if path not in known
                and not path.endswith(".pyc")
                and not any((repository.top / path).is_relative_to(one) for one in mine)
            ]
            if left:
                shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
                console.warn(
                    f"while the project's command ran, these came into the work tree: {shown}; they stay there"
                )
                self.save(replace(self.plan, left=(*self.plan.left, *left)))


def watched(work: Callable[Concatenate[Bench, P], T]) -> Callable[Concatenate[Bench, P], T]:
    """Work under `Bench.watching`."""

    @wraps(work)
    def run(bench: Bench, /, *others: P.args, **named: P.kwargs) -> T:
        with bench.watching():
            return work(bench, *others, **named)

    return run


def program() -> str:
    """How the user called us, for hints: `invoke` in a project with a tasks.py, else `alembic-squash`.

    Also where our tasks are part of a larger collection (`invoke history.squash`): the command always works.
    """
    called = Path(sys.argv[0]).name
    if any(re.fullmatch(r"[\w-]+(\.[\w-]+)+", word) and word.rsplit(".", 1)[1] in TASKS for word in sys.argv[1:]):
        return "alembic-squash"
    return called if called in ("invoke", "inv", "alembic-squash") else "alembic-squash"


def release() -> str:
    """The version of this program that is installed."""
    try:
        return version("alembic-squash")
    except PackageNotFoundError:
        return "unknown"


@contextmanager
def passing(repository: Repository, made: Plan, server_url: str | None) -> Iterator[Bench]:
    """A bench whose plan is kept nowhere, for the length of a block: what it made goes with it."""
    bench = Bench(repository, made, server_url, detached=True)
    try:
        yield bench
    finally:
        with interrupts.uninterrupted():
            trouble = bench.close_place()
        for line in trouble:
            console.warn(line)


def open_bench(cwd: Path, server_url: str | None = None, reference_url: str | None = None) -> Bench:
    """The workbench of the squash that is under way in the repository around ``cwd``."""
    repository = git.find(cwd)
    inplace.recover(repository)
    made = plan.load(repository, program())
    if (elsewhere := status.in_other_work_tree(repository, made.branch)) is not None:
        raise Refused(f"The squash that is under way is in another work tree, {elsewhere}.", f"cd {elsewhere}")
    return Bench(repository, made, server_url, reference_url=reference_url)
