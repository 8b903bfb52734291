"""Door to the guard: puts it into the environment of the project's command, and reads what it wrote down."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasklib import guard
from tasklib.postgres import Address

DEAF = guard.DEAF


@dataclass(frozen=True)
class Contact:
    """A connection that a driver made, or was not let make. ``database`` is not known of drivers that are in Python."""

    driver: str
    host: str
    port: str
    database: str | None
    allowed: bool

    def shown(self) -> str:
        place = f"{self.host}:{self.port}" if self.host else ""
        return f"{place}/{self.database}" if self.database else place


@dataclass(frozen=True)
class Seen:
    """What the guard saw in a run. ``there`` is False where it did not run at all; ``modules`` maps each module of the
    project's own packages to the file that it came from. ``engines`` are the arguments (name → text) with which env.py
    ran migrations, one after the other; only of several databases.
    """

    there: bool = False
    contacts: tuple[Contact, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[Mapping[str, str], ...] = ()

    @property
    def refused(self) -> tuple[Contact, ...]:
        """Each place that a driver was not let connect to, once."""
        return tuple(dict.fromkeys(contact for contact in self.contacts if not contact.allowed))


@dataclass(frozen=True)
class Watch:
    """The guard on disk. ``whole``: every database of the server is ours; ``strict``: a deaf driver is to be expected;
    ``closed``: nothing may be connected to at all; ``writes``: drivers of libpq may write to scratch databases,
    whatever PGOPTIONS say; ``packages``: the project's own, of whose modules it tells.
    """

    directory: Path
    whole: bool = False
    strict: bool = False
    closed: bool = False
    writes: bool = False
    packages: tuple[str, ...] = ()

    def environment(
        self, address: Address | None, record: Path | None, inherited: Mapping[str, str], *, several: bool = False
    ) -> dict[str, str]:
        """Variables that bring the guard into every Python that a process with them starts.

        ``address`` is one scratch database's, and those that are named like it may be connected to as well; with
        ``several`` the guard also tells which of them env.py migrates, by its own names.
        """
        given = {
            "host": address.host if address and not self.closed else None,
            "port": address.port if address else 0,
            "databases": address.database.rpartition("_")[0] + "_" if address else "",
            "whole": self.whole,
            "strict": self.strict,
            "writes": self.writes,
            "packages": self.packages,
            "several": several,
            "record": str(record) if record else None,
        }
        path = [str(self.directory), *filter(None, [inherited.get("PYTHONPATH")])]
        return {guard.VARIABLE: json.dumps(given), "PYTHONPATH": os.pathsep.join(path)}

    @contextmanager
    def record(self) -> Iterator[Path]:
        """An empty file for what the guard writes down, for the length of a block."""
        number, name = tempfile.mkstemp(prefix="record-", dir=self.directory)
        os.close(number)
        try:
            yield Path(name)
        finally:
            Path(name).unlink()


def write(directory: Path) -> None:
    """Write the guard where Python will find it as its `sitecustomize`; harmless where it is."""
    directory.mkdir(exist_ok=True)
    text = Path(guard.__file__).read_text(encoding="utf-8")
    (directory / "sitecustomize.py").write_text(f"{text}\n\ninstall()\n", encoding="utf-8")


def read(record: Path) -> Seen:
    """What the guard wrote down."""
    there, contacts, modules, engines = False, [], {}, []
    for line in record.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:  # of a process that was ended meanwhile
            continue
        there = there or "python" in told
        if "driver" in told:
            contacts.append(Contact(**told))
        if "engine" in told:
            engines.append(told["engine"])
        modules.update(told.get("modules", {}))
    return Seen(there, tuple(contacts), modules, tuple(engines))
