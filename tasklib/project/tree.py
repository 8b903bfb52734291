"""The committed files, by what they are to Alembic: which directories are script directories. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tasklib.project import configs
from tasklib.project.configs import Config
from tasklib.repository.git import Repository

# A location that the project's own program fills in: {alembic_dir}, ${DIR}, %(dir)s, <dir>, @dir@.
TEMPLATE = re.compile(r"[{}<>@$]|%\(")


@dataclass(frozen=True)
class Tree:
    """The committed files, by what they are to Alembic; directories from the top level. ``here``: the user's own."""

    repository: Repository
    commit: str
    top: Path
    here: str
    paths: frozenset[str] = field(repr=False)

    @property
    def scripts(self) -> list[str]:
        """Directories that look like a script directory: with env.py, and a script.py.mako or versions."""
        found = []
        for path in self.paths:
            at = str(PurePosixPath(path).parent)
            if PurePosixPath(path).name == "env.py" and (
                join(at, "script.py.mako") in self.paths or self.below(join(at, "versions"))
            ):
                found.append(at)
        return sorted(found)

    def below(self, directory: str) -> bool:
        """Whether a committed file lies below the directory."""
        return directory == "." or any(path.startswith(f"{directory}/") for path in self.paths)

    def cwds(self, config: str, *, named: bool) -> list[str]:
        """Where the command that reads a configuration may have to run: where it lies, here, and the ones above it;
        here first where somebody ``named`` it.
        """
        places = (self.here, config) if named else (config, self.here)  # a neighbour's means what is beside it
        return list(dict.fromkeys((*places, *map(str, PurePosixPath(config).parents))))

    def resolve(self, config: Config, cwds: Sequence[str]) -> tuple[str, str | None] | None:
        """The script directory of a configuration, and the working directory that it needs."""
        homes = {str(PurePosixPath(path).parent) for path in self.paths if PurePosixPath(path).name == "env.py"}
        if TEMPLATE.search(config.script_location):
            # Whoever fills it in means the script directory that it lies in, or beside; we fill in that one as well.
            fitting = [home for home in homes if config.directory in (home, str(PurePosixPath(home).parent))]
            return (fitting[0], None) if len(fitting) == 1 else None
        return configs.resolve(config.script_location, self.top, homes, cwds)

    def text(self, path: str) -> str:
        """The text of a committed file."""
        return self.repository.read(self.commit, path)


def join(directory: str, name: str) -> str:
    """A path below a directory, both from the top level, where "." is the top level itself."""
    return os.path.normpath(f"{directory}/{name}")


def upwards(directory: str) -> list[str]:
    """The directories above one, the nearest first."""
    return [str(parent) for parent in PurePosixPath(directory).parents]
