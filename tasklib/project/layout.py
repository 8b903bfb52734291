"""Where a project keeps its migrations and how it runs them, as the plan holds it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Layout:
    """Where the project keeps its migrations and how it runs them; paths are relative to the top level, with ``/``.

    ``kind`` is "flask" (Flask-Migrate's `flask db`), "alembic", or "code" (a program that builds the configuration
    itself). Of "alembic": ``ini`` and its ``section`` (the file may be missing where ``toml``, a pyproject.toml, says
    all). ``recursive``: revisions lie in subdirectories of ``locations`` too. ``hooks``: there are post_write_hooks.
    ``in_place``: what runs looks for revisions where they lie in the work tree, whatever it is told.
    """

    kind: str
    script: str
    locations: tuple[str, ...]
    ini: str | None
    command: tuple[str, ...]
    cwd: str
    section: str = "alembic"
    toml: str | None = None
    recursive: bool = False
    hooks: bool = False
    in_place: bool = False

    def holds_revision(self, path: str) -> bool:
        """Whether Alembic would look for a revision in a file of this path (not in editors' backups and __init__)."""
        directory, _, name = path.rpartition("/")
        place = any(
            (directory or ".") == one or (self.recursive and (one == "." or directory.startswith(f"{one}/")))
            for one in self.locations
        )
        return place and re.fullmatch(r"(?!\.#|__init__)[^/]*\.py", name) is not None

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Layout:
        return Layout(**{**data, "locations": tuple(data["locations"]), "command": tuple(data["command"])})
