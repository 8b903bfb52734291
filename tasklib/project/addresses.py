"""How the project's database is reached, by what its files and this process's environment say. Reads only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasklib import binds
from tasklib.project import likely_variables, temporary_ini, variables_read
from tasklib.project.layout import Layout
from tasklib.project.sources import Read
from tasklib.repository.git import Repository

OPTION = "sqlalchemy.url"  # of alembic.ini
SCHEMES = ("postgresql+psycopg2", "postgresql+psycopg", "postgresql")


@dataclass(frozen=True)
class Addresses:
    """What the files of a commit, and the environment of this process, say about how the database is reached."""

    repository: Repository
    commit: str
    layout: Layout

    def likely(self) -> list[Read]:
        """Variables that look like a database's address: of the tracked files, and of a .env that git does not hold."""
        found = variables_read.likely_variables(self.repository, self.commit)
        known = {read.name for read in found}
        own = (read for read in self._local() if variables_read.LIKELY.search(read.name) and read.name not in known)
        return [*found, *own]

    def reads(self) -> dict[str, Read]:
        """Every variable that the project's files read, by its name."""
        return variables_read.all_reads(self.repository, self.commit)

    def fillable(self, *, unset: bool) -> dict[str, str]:
        """Variables that may want a database's address, with the templates of their parts of it; the ini's option, too.

        ``unset``: without those that have a value now.
        """
        found: dict[str, str] = {}
        for read in self.likely():
            held = self.held(read.name)
            one = replace(read, default=held or read.default)
            if variables_read.is_offered(one) and not (unset and held):
                form = "{url}" if "://" in one.default else likely_variables.form_of(read.name)[0]
                found |= {read.name: form} if form else {}
        if self._ini() is not None:
            found[OPTION] = "{url}"
        return found

    def missing(self) -> bool:
        """Whether a variable that looks like a database's address has neither a value nor a default."""
        return any(not read.default and not self.held(read.name) for read in self.likely())

    def held(self, name: str) -> str:
        """The value that a variable (or an option of the ini) has now: in the environment, else in .env; or ""."""
        if binds.is_option(name):
            return temporary_ini.option(self._ini() or "", *binds.option(name, self.layout.section)) or ""
        own = next((read.default for read in self._local() if read.name == name), "")
        return os.environ.get(name) or own

    def environment(self) -> dict[str, str]:
        """What the application has in its environment, where it reads the .env beside it."""
        return {**{read.name: read.default for read in self._local()}, **os.environ}

    def schemes(self, names: Sequence[str]) -> list[str]:
        """URL schemes to try: the one that a variable holds; else its default's, those of the files, the usual ones."""
        for name in names:
            scheme = self.held(name).partition("://")[0]
            if scheme.startswith("postgres") and scheme != self.held(name):
                return [scheme]
        defaults = {read.name: read.default.partition("://")[0] for read in self.likely() if "://" in read.default}
        own = [defaults[name] for name in names if defaults.get(name, "").startswith("postgres")]
        named = [read.name for read in variables_read.drivers(self.repository, self.commit)]
        return list(dict.fromkeys([*own, *named, *SCHEMES]))

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
                    found += variables_read.env_file(text, file.relative_to(self.repository.top).as_posix())
        return found
