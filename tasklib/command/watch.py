"""Door to the guard: puts it into the environment of the project's command, and reads what it wrote down."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasklib.command import guard
from tasklib.postgres.client import Address

# What says where libpq connects by default.
USUAL = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER")
ENTRY = f"""import {guard.NAME}

{guard.NAME}.install()
{guard.NAME}.make_way()
"""


@dataclass(frozen=True)
class Contact:
    """A connection that a driver made. ``target`` is what the application asked for (host:port/database), or None where
    that was a scratch database itself. ``name`` is that of the scratch database that it was led to, as env.py calls it
    or as the plan does, and ``database`` that one's own; both are None where none stood for the target.
    """

    driver: str
    target: str | None
    name: str | None
    database: str | None


@dataclass(frozen=True)
class Visit:
    """A call of run_migrations in env.py: its arguments that are text, and the scratch ``database`` that it was for
    (None: not known), with the version table's name and schema and the names of the models' tables. ``work`` is what
    Alembic's command has run for each database, by the name of its function: upgrade, display_version …; ``command`` is
    that command's name, of the outermost one where several are under way, or "" where that is not known.
    """

    dialect: str
    work: str
    engine: Mapping[str, str]
    database: str | None
    table: str
    schema: str | None
    models: tuple[str, ...]
    command: str = ""


@dataclass(frozen=True)
class Seen:
    """What the guard saw in a run. ``there`` is False where it did not run at all; ``modules`` maps each module of the
    project's own packages to the file that it came from, ``revisions`` each revision that Alembic loaded; ``others``
    are the modules of other packages; ``sqlalchemy`` is its version, or ""; ``legacy`` are revisions that call it as it
    was before version 2; ``files`` are SQLite databases that it made; ``settings`` are
    what the session of each database had set when env.py had run its migrations.
    """

    there: bool = False
    contacts: tuple[Contact, ...] = ()
    visits: tuple[Visit, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    sqlalchemy: str = ""
    legacy: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[Contact, ...]:
        """Each target that no scratch database stood for, once."""
        return tuple(dict.fromkeys(contact for contact in self.contacts if contact.name is None))


@dataclass(frozen=True)
class Watch:
    """The guard on disk. ``targets`` are those that are known, with the names of the scratch databases that stand for
    them; ``packages`` the project's own, of whose modules it tells. ``real``: where it leads is no scratch database,
    and is reached as safely as its URL or the application says.
    """

    directory: Path
    targets: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    real: bool = False

    def given(
        self,
        places: Mapping[str, Address],
        record: Path | None,
        first: str | None = None,
        started: Mapping[str, Address] | None = None,
        barred: Iterable[int] = (),
    ) -> dict[str, Any]:
        """What the guard is told about a run.

        ``places`` are the scratch databases of the run by name, ``first`` the name of the one that stands for the first
        target that is not known yet; ``started`` are those that the application was started with, where it was for
        another run; ``barred`` are ports of databases that are not ours.
        """
        led = {name: _led(name, address, self.real) for name, address in places.items()}
        themselves = [*(started or {}).items(), *places.items()]
        return {
            "targets": {target: led[name] for target, name in self.targets.items() if name in led}
            | {guard.key(at.host, str(at.port), at.database): led[name] for name, at in themselves if name in led},
            "barred": sorted(barred),
            "first": led[first] if first is not None else None,
            "usual": {name: value for name, value in os.environ.items() if name in USUAL},
            "packages": self.packages,
            "record": str(record) if record else None,
        }

    def environment(
        self,
        places: Mapping[str, Address],
        record: Path | None,
        inherited: Mapping[str, str],
        first: str | None = None,
        barred: Iterable[int] = (),
    ) -> dict[str, str]:
        """Variables that bring the guard into every Python that a process with them starts; see `given`."""
        path = [str(self.directory), *filter(None, [inherited.get("PYTHONPATH")])]
        given = json.dumps(self.given(places, record, first, barred=barred))
        return {guard.VARIABLE: given, "PYTHONPATH": os.pathsep.join(path)}

    @contextmanager
    def record(self) -> Iterator[Path]:
        """An empty file for what the guard writes down, for the length of a block."""
        number, name = tempfile.mkstemp(prefix="record-", dir=self.directory)
        os.close(number)
        try:
            yield Path(name)
        finally:
            Path(name).unlink()


def _led(name: str, address: Address, real: bool) -> dict[str, object]:
    return {
        **({"options": dict(address.options)} if real else {}),
        "name": name,
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database": address.database,
    }


def write(directory: Path) -> None:
    """Write the guard where Python will find it as its `sitecustomize`; harmless where it is."""
    package = Path(guard.__file__).parent
    shutil.copytree(package, directory / guard.NAME, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (directory / "sitecustomize.py").write_text(ENTRY, encoding="utf-8")


def read(record: Path) -> Seen:
    """What the guard wrote down."""
    there = False
    contacts: list[Contact] = []
    visits: list[Visit] = []
    modules: dict[str, str] = {}
    revisions: dict[str, str] = {}
    others: dict[str, None] = {}
    legacy: set[str] = set()
    sqlalchemy = ""
    files: set[str] = set()
    settings: dict[str, Mapping[str, str]] = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # of a process that was ended meanwhile
            continue
        there = there or "python" in told
        if "driver" in told:
            contacts.append(Contact(**told))
        if "dialect" in told:
            visits.append(Visit(**{**told, "models": tuple(told["models"])}))
        modules.update(told.get("modules", {}))
        revisions.update(told.get("revisions", {}))
        others.update(dict.fromkeys(told.get("others", ())))
        legacy.update([told["legacy"]] if "legacy" in told else [])
        settings.update({told["of"] or "": told["settings"]} if "settings" in told else {})
        files.update([told["sqlite"]] if "sqlite" in told else [])
        sqlalchemy = told.get("sqlalchemy", sqlalchemy)
    return Seen(
        there, tuple(contacts), tuple(visits), modules, revisions, tuple(others), sqlalchemy, frozenset(legacy),
        frozenset(files), settings,
    )  # fmt: skip
