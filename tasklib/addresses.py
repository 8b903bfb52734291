"""How the project's database is reached, by what its files and this process's environment say. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tasklib import binds, environment, inis, several, variables
from tasklib.errors import Refused
from tasklib.git import Repository
from tasklib.guard import DEAF
from tasklib.plan import Layout
from tasklib.sources import Read
from tasklib.variables import Offer

OPTION = "sqlalchemy.url"  # of alembic.ini
SCHEMES = ("postgresql+psycopg2", "postgresql+psycopg", "postgresql")


def is_deaf(scheme: str) -> bool:
    """Whether the driver of a URL's scheme ignores PGOPTIONS."""
    return scheme.rpartition("+")[2] in DEAF


@dataclass(frozen=True)
class Addresses:
    """What the files of a commit, and the environment of this process, say about how the database is reached."""

    repository: Repository
    commit: str
    layout: Layout

    def likely(self) -> list[Read]:
        """Variables that look like a database's address: of the tracked files, and of a .env that git does not hold."""
        found = environment.likely_variables(self.repository, self.commit)
        known = {read.name for read in found}
        own = (read for read in self._local() if environment.LIKELY.search(read.name) and read.name not in known)
        return [*found, *own]

    def offers(self) -> list[Offer]:
        """What would be given a scratch database's address where the user named nothing."""
        reads = [replace(read, default=self.held(read.name) or read.default) for read in self.likely()]
        reads = [read for read in reads if environment.is_offered(read)]
        ini = [Offer(((OPTION, "{url}"),))] if self._ini() is not None else []
        return [*variables.offers([r.name for r in reads], [r.name for r in reads if "://" in r.default]), *ini]

    def deaf(self) -> Read | None:
        """The first place that names a driver which ignores PGOPTIONS; its value in the environment is one too."""
        for read in environment.drivers(self.repository, self.commit):
            if is_deaf(read.name):
                return read
        for name in [*(read.name for read in self.likely()), OPTION]:
            scheme = self.held(name).partition("://")[0]
            if is_deaf(scheme):
                return Read(scheme, f"the value of {name}", 0)
        return None

    def held(self, name: str) -> str:
        """The value that a variable (or an option of the ini) has now: in the environment, else in .env; or ""."""
        if binds.is_option(name):
            return inis.option(self._ini() or "", *binds.option(name, self.layout.section)) or ""
        own = next((read.default for read in self._local() if read.name == name), "")
        return os.environ.get(name) or own

    def overridden(self, names: Iterable[str]) -> tuple[str, str]:
        """(sentence, hint) about the .env or .flaskenv that sets one of the variables, and may win over what is given;
        both are "" where none does.
        """
        for read in self._local():
            if read.name in names:
                return (
                    f"{read.path} sets {read.name} too: is it loaded over the environment (override=True)?",
                    f"load it without override=True, or take {read.name} out of {read.path} for the squash",
                )
        return "", ""

    def schemes(self, names: Sequence[str]) -> list[str]:
        """URL schemes to try: the one that a variable holds; else its default's, those of the files, the usual ones."""
        for name in names:
            scheme = self.held(name).partition("://")[0]
            if scheme.startswith("postgres") and scheme != self.held(name):
                return [scheme]
        defaults = {read.name: read.default.partition("://")[0] for read in self.likely() if "://" in read.default}
        own = [defaults[name] for name in names if defaults.get(name, "").startswith("postgres")]
        named = [read.name for read in environment.drivers(self.repository, self.commit)]
        return list(dict.fromkeys([*own, *named, *SCHEMES]))

    def unnamed(self, why: str = "", hint: str = "") -> Refused:
        """The refusal where nobody said how the application gets its database URL, and nothing showed it."""
        reads = self.likely()
        listed = ", ".join(read.shown for read in reads)
        named = several.named(self.repository, self.commit, self.layout)
        options = " or ".join(variables.options(offer.templates) for offer in self.offers()[:3])
        if named is not None:
            options = several.hint(named, (), reads)
        return Refused(
            "How does the application get its database URL? Neither --uri-var, --set nor the configuration says so. "
            + (f"The project's files read: {listed}." if listed else "No likely variable is in the project's files.")
            + (f" {why}" if why else ""),
            hint or options or "--uri-var NAME, or --set NAME=TEMPLATE for each part",
        )

    def refuse_unnamed(self) -> None:
        """`Refused` where no offer can be made, or none without a risk."""
        if not self.offers():
            raise self.unnamed()
        deaf = self.deaf()
        if deaf is not None:
            place = f"{deaf.path}:{deaf.line}" if deaf.line else deaf.path
            raise self.unnamed(
                f"Nothing is tried unasked: {place} names {deaf.name}, and PGOPTIONS do not keep that driver read only."
            )

    def _ini(self) -> str | None:
        """The text of the ini that the command is run with; None where it has none."""
        if self.layout.kind != "alembic" or self.layout.ini is None:
            return None
        file = self.repository.top / self.layout.ini
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None

    def _local(self) -> list[Read]:
        found = []
        for directory in dict.fromkeys((self.repository.top / self.layout.cwd, self.repository.top)):
            for file in (directory / ".env", directory / ".flaskenv"):
                if file.is_file():
                    text = file.read_text(encoding="utf-8", errors="replace")
                    found += environment.env_file(text, file.relative_to(self.repository.top).as_posix())
        return found
