"""Door to the project's own command (`flask db …`, `alembic …`): always a subprocess, in the user's own work tree.

An exit code is never believed: what a run did is read from the database afterwards.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from tasklib import binds, console, ports, shell
from tasklib.command import fence, programs, watch
from tasklib.command.guard.alembics import COMMANDS
from tasklib.command.guard.hold import FIRST
from tasklib.command.started_once import Held, Order, Start, called
from tasklib.command.watch import Seen, Watch
from tasklib.errors import Refused
from tasklib.history.chains import Chain
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.project import temporary_ini
from tasklib.timings import Tally

R = TypeVar("R", bound=shell.Result)

# The databases that a run gets, by bind ("" is the only one of most projects), then those that stand for other targets;
# all are on one server.
Targets = Mapping[str, Address]
# An app may insist on a URL although the subcommand (`init`) needs no database; it must not be the user's own.
NOWHERE: Targets = {"": Address("127.0.0.1", 1, "nobody", "", "none")}
# What to do about an application that upgrades its database where only its command may.
UPGRADES = "take it (create_all(), upgrade() …) out of env.py, and out of what the application does at its start"
READ_ONLY = {"PGOPTIONS": "-c default_transaction_read_only=on"}


@dataclass(frozen=True)
class Ran(shell.Result):
    """A finished run of the project's command, with what the guard saw in it, and how long it took in seconds (a fork
    without the start of the application).
    """

    seen: Seen = field(default_factory=Seen)
    seconds: float = 0.0


@dataclass(frozen=True)
class Command:
    """The project's command: its words (the program resolved), where it runs, and what it gets in its environment.

    ``templates`` are the variables of --uri-var and --set, and those with a dot in their name options of the ini; those
    that are in ``filled`` get an address each that is led like any other; ``arguments`` are words more (-x) for each
    run. ``scheme`` is the URL's. ``watch`` is the guard that leads its drivers. ``section`` is the ini's that `alembic
    -n` names, ``ports`` are those that files of the script directory name. ``held`` is what runs are forks of.
    ``apart`` are scratch databases for what the application does at its start before it runs Alembic there: then each
    run is a fork of it at that point.
    """

    words: tuple[str, ...]
    kind: str
    cwd: Path
    templates: tuple[tuple[str, str], ...]
    scheme: str
    watch: Watch | None = None
    filled: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    section: str = "alembic"
    ports: frozenset[int] = frozenset()
    by_socket: bool = False
    held: Held | None = None
    apart: Targets | None = None
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)
    make_room: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)  # before a start

    def environment(
        self, targets: Targets | None, record: Path | None = None, first: str | None = None
    ) -> dict[str, str]:
        """The command's environment: ours without libpq's variables, with those that lead to ``targets`` or nowhere.

        The guard, which leads its drivers there, writes to ``record``; ``first`` is the name of the scratch database
        for the first target that it does not know.
        """
        environment = {
            **client.clean_environment(programs.environment(self.words)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        targets = targets or NOWHERE
        environment.update(_first(targets).environment())
        environment.update({name: value for name, value in self._filled(targets) if not binds.is_option(name)})
        if self.watch is not None:
            environment.update(self.watch.environment(targets, record, environment, first, self.barred(targets)))
        return environment

    def _filled(self, targets: Targets) -> list[tuple[str, str]]:
        first = _first(targets)
        values = first.values(self.scheme)
        for bind in binds.named(self.templates):
            own = targets.get(bind, first).values(self.scheme)
            values |= {f"{what}:{bind}" if bind else what: value for what, value in own.items()}
        apart = {name: first.at(name).values(self.scheme) for name in self.filled}
        return [(name, binds.fill(template, apart.get(name, values))) for name, template in self.templates]

    def _options(self, targets: Targets) -> list[tuple[str, str, str]]:
        """Those of the templates that are options of the ini, filled in: section, name, value."""
        filled = self._filled(targets)
        return [(*binds.option(name, self.section), value) for name, value in filled if binds.is_option(name)]

    def run(
        self,
        chain: Chain,
        words: Sequence[str],
        targets: Targets | None,
        *,
        read_only: bool = False,
        extra: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        first: str | None = None,
        on_error_line: Callable[[str], None] | None = None,
    ) -> Ran:
        """Run one subcommand with the script directory ``chain``; any exit code comes back.

        ``read_only``: but for the connections that the guard leads. ``options`` are words more for Alembic (-x).
        Raises `Refused` where the application must be held and cannot be.
        """
        with self._ini(chain, targets or NOWHERE) as ini, self._record() as record:
            environment = {
                **self.environment(targets, record, first), **(READ_ONLY if read_only else {}), **(extra or {})
            }  # fmt: skip
            fence = self.fence(targets)
            result: shell.Result | None = None
            started = time.monotonic()
            alike = not (extra or options)
            if record is not None and targets is not None and self._may_fork(words) and (alike or self.apart):
                start = self._start(chain, ini, environment, targets, record, first, extra, options)
                with self._held(alike) as held:
                    result = self._forked(
                        held, start, chain, words, targets, record, environment, first, on_error_line
                    )  # fmt: skip
            elif self.held is not None and self.kind == "code":
                self.tally.because("a program of the project's own may do more than Alembic's command")
            if result is None and self.apart is not None:
                raise self._cannot_be_held()
            if result is None:
                argv = self._argv(chain, ini, words, options)
                self.make_room()
                self.tally.starts += 1
                result = shell.run(
                    argv, cwd=self.cwd, env=environment, ok=None, on_error_line=on_error_line, fence=fence
                )
            seconds = time.monotonic() - started
            seen = watch.read(record) if record is not None else Seen()
        self.tally.files |= seen.files
        return self.masked(Ran(result.argv, result.code, result.stdout, result.stderr, seen, seconds), targets)

    def begin(self, chain: Chain, targets: Targets, first: str | None) -> shell.Result | None:
        """Start the application that runs are forks of, where they can be, run nothing; ``first``: see `current`. What
        it did, where it ended by itself.
        """
        if self.held is None or self.watch is None or not self._may_fork([FIRST]):
            return None
        with self._ini(chain, targets) as ini, self._record() as record:
            environment = {**self.environment(targets, record, first), **READ_ONLY}
            start = self._start(chain, ini, environment, targets, record, first)
            result = self.held.begin(start)
        return None if result is None else self.masked(result, targets)

    def _start(
        self,
        chain: Chain,
        ini: Path | None,
        environment: Mapping[str, str],
        targets: Targets,
        record: Path | None,
        first: str | None,
        extra: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> Start:
        assert self.watch is not None
        if self.apart is not None:  # nothing is written down there but by runs
            targets, record, first = self.apart, None, None
            environment = {**self.environment(targets), **(extra or {})}
        return Start(
            argv=self._argv(chain, ini, [FIRST], options),
            cwd=self.cwd,
            alike=(self.words, self.templates, self.arguments, self.scheme),
            environment=environment,
            fence=self.fence(targets),
            places=targets,
            given=self.watch.given(targets, record, first, barred=self.barred(targets)),
            apart=self.apart is not None,
        )

    @contextmanager
    def _held(self, alike: bool) -> Iterator[Held]:
        """What a run is a fork of: where the application starts in another way for it (``alike`` is False), another
        process, for that run alone.
        """
        assert self.held is not None
        held = self.held if alike else self.held.another()
        try:
            yield held
        finally:
            if not alike:
                held.close()

    def _cannot_be_held(self) -> Refused:
        reason = self.held.reason if self.held is not None else ""
        return Refused(
            "The application runs Alembic's upgrade at its start. It was to be held there, so that runs can go to "
            f"other databases, and cannot be: {reason or 'it does not come to it again'}.",
            UPGRADES,
        )

    def _argv(
        self, chain: Chain, ini: Path | None, words: Sequence[str], options: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """The words of the command line for one subcommand."""
        sub, *rest = words
        options = (*self.arguments, *options)
        if self.kind == "flask":
            return (*self.words, sub, "-d", str(chain.directory), *options, *rest)
        if self.kind == "code":
            return (*self.words, *options, sub, *rest)
        files = [str(one) for one in (ini, chain.toml) if one is not None]
        return (*self.words, *(word for file in files for word in ("-c", file)), *options, sub, *rest)

    def _may_fork(self, words: Sequence[str]) -> bool:
        """Whether a fork of a `current` would do what the words do: not where a program of the project's own may do
        more for one of them, or where env.py may look for options of another command.
        """
        usual = words[0] in COMMANDS and len(words) < 3
        return self.held is not None and self.kind != "code" and (usual or self.apart is not None)

    def _forked(
        self,
        held: Held,
        start: Start,
        chain: Chain,
        words: Sequence[str],
        targets: Targets,
        record: Path,
        environment: Mapping[str, str],
        first: str | None,
        on_error_line: Callable[[str], None] | None,
    ) -> shell.Result | None:
        """Run it in a fork of the application that is held; None where that cannot be."""
        assert self.watch is not None
        inner = chain.directory / "alembic.ini"
        ini = chain.ini if self.kind == "alembic" else inner if inner.exists() else None
        options = [(section, name, value.replace("%", "%%")) for section, name, value in self._options(targets)]
        if ini is not None:
            text = ini.read_text(encoding="utf-8")
            section = self.section if self.kind == "alembic" else "alembic"
            if (locations := temporary_ini.option(text, section, "version_locations")) is not None:
                options.append((section, "version_locations", locations))
        name, arguments, named = called(words)
        order = Order(
            argv=self._argv(chain, chain.ini, words),
            command=name,
            arguments=arguments,
            named=named,
            environment=environment,
            given=partial(self.watch.given, targets, record, first, barred=self.barred(targets)),
            fence=self.fence(targets),
            chain={"script": str(chain.directory), "ini": str(ini) if ini else None, "options": options},
        )
        return held.run(start, order, on_error_line)

    def fence(self, targets: Targets | None = None) -> fence.Fence | None:
        """What bars the way to the ports of real databases, where this system has it; None where it has not."""
        known, inherited = self.watch.targets if self.watch is not None else (), programs.environment(self.words)
        sockets = self.by_socket or ports.by_socket(inherited.values(), [*known, inherited.get("PGHOST", "")])
        return fence.around(self.barred(targets), sockets=sockets)

    def barred(self, targets: Targets | None) -> frozenset[int]:
        """The ports of databases that are not ours, whatever a run connects to them with."""
        known = self.watch.targets if self.watch is not None else ()
        ours = {address.port for address in (targets or NOWHERE).values()}
        return (self.named_ports() | ports.of_targets(known)) - ours

    def named_ports(self) -> frozenset[int]:
        """The ports of databases that variables and files name."""
        return ports.named_by(programs.environment(self.words)) | self.ports

    @contextmanager
    def _record(self) -> Iterator[Path | None]:
        if self.watch is None:
            yield None
        else:
            with self.watch.record() as path:
                yield path

    @contextmanager
    def _ini(self, chain: Chain, targets: Targets) -> Iterator[Path | None]:
        """The ini to run with; for the length of a run one of its own, where the URL gets in by an option of it."""
        ini, options = chain.ini, self._options(targets)
        if ini is None or not options:
            yield ini
        else:
            with temporary_ini.with_options(ini, options, beside=chain.is_ours) as own:
                yield own

    def init(self, directory: Path, *words: str) -> shell.Result:
        """Run `init` into a directory that does not exist; what else it writes (an ini) lies beside that."""
        if self.kind == "code":
            raise Refused(
                f"`{' '.join(self.words)}` is the project's own program, which cannot be told to `init` elsewhere.",
                "leave --init out; --source history needs none",
            )
        environment = {**self.environment(None), **READ_ONLY}
        if self.kind == "flask":
            argv = [*self.words, "init", "-d", str(directory), *words]
        else:
            # Alembic writes the ini where -c says, and refuses to overwrite one.
            argv = [*self.words, "-c", str(directory.parent / "alembic.ini"), "init", *words, str(directory)]
        return shell.run(argv, cwd=self.cwd, env=environment, ok=None, fence=self.fence())

    def current(self, chain: Chain, targets: Targets, first: str | None) -> Ran:
        """Ask the command where it stands, to see where it connects: an unknown target is led to that of ``first``."""
        return self.run(chain, ["current"], targets, read_only=True, first=first)

    def upgrade(self, chain: Chain, targets: Targets, target: str, total: int) -> Ran:
        """Upgrade to ``target``, showing progress over ``total`` migrations (in each database)."""
        return self._move(chain, targets, ["upgrade", target], total)

    def downgrade(self, chain: Chain, targets: Targets, target: str) -> Ran:
        return self._move(chain, targets, ["downgrade", target], 1)

    def _move(self, chain: Chain, targets: Targets, words: Sequence[str], total: int) -> Ran:
        total *= len(targets)
        seen: list[str] = []

        def progress(line: str) -> None:
            match = re.search(r"Running (?:up|down)grade \S* ?-> ([^\s,]+)(?:, (.*))?", line)
            if match:
                seen.append(match.group(1))
                console.migration(len(seen), total, match.group(1), match.group(2) or "")

        try:
            return self.run(chain, words, targets, on_error_line=progress)
        finally:
            console.migrated()

    def masked(self, result: R, targets: Targets | None) -> R:
        """The same result without the password: some applications print their URL when they fail."""
        address = _first(targets or NOWHERE)
        if not address.password:
            return result

        def mask(text: str) -> str:
            for form in {address.password, quote(address.password, safe="")}:
                text = text.replace(f":{form}@", ":***@")
                # A short one, or "postgres", may as well be a word that was meant.
                if len(form) >= 8 and form not in (address.user, "postgres", "password"):
                    text = text.replace(form, "***")
            return text

        return replace(result, stdout=mask(result.stdout), stderr=mask(result.stderr))


def _first(targets: Targets) -> Address:
    return next(iter(targets.values()))
