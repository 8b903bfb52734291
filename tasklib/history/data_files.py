"""Data files: the rows of one large table each, beside the base migration that loads them.

JSON, one line a row: it streams, a diff shows rows, and the standard library reads it. The first line names the columns
and their types, each other one is a list. Named after the migration (``0006_x.py``, ``0006_x.calendar.jsonl``), so that
it is clear whose they are; Alembic looks at ``.py`` files only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tasklib.history import revisions
from tasklib.history.cut import Migration
from tasklib.repository.git import Entry, Repository

SUFFIX = ".jsonl"


def suffixes(
    tables: Iterable[tuple[str, str]], bind: str = "", taken: Collection[str] = ()
) -> dict[tuple[str, str], str]:
    """What takes the place of ``.py`` in the data file of each table (schema, name): plain ASCII, each once.

    With the name of the ``bind`` that the tables are of, and no suffix that is ``taken`` by another one's.
    """
    found: dict[tuple[str, str], str] = {}
    for schema, name in sorted(tables):
        words = (bind, "" if schema == "public" else schema, name)
        plain = re.sub(r"[^a-z0-9]+", "_", "_".join(word for word in words if word).lower())
        wanted, number = f".{plain}{SUFFIX}", 2
        while wanted in found.values() or wanted in taken:
            wanted, number = f".{plain}_{number}{SUFFIX}", number + 1
        found[(schema, name)] = wanted
    return found


def owner(path: str) -> str | None:
    """The revision file that a path would be a data file of, or None."""
    at = PurePosixPath(path)
    if at.suffix != SUFFIX or not PurePosixPath(at.stem).suffix:
        return None
    return str(at.with_name(PurePosixPath(at.stem).stem + ".py"))


def of_bases(repository: Repository, commit: str, migrations: Sequence[Migration]) -> list[Entry]:
    """The data files, at a commit, of those migrations that are base migrations of ours."""
    found: list[Entry] = []
    for migration in migrations:
        if not migration.parents and revisions.originals(repository.read(commit, migration.path)):
            directory = str(PurePosixPath(migration.path).parent)
            found += [e for e in repository.files(commit, directory) if owner(e.path) == migration.path]
    return found


def write(path: Path, types: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
    """Write the rows (None, bool, int or text each value) as they come; ``types`` maps each column to its type."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(types, ensure_ascii=False) + "\n")
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
