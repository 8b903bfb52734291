"""What a suite gives: histories of SQL, one a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A statement, without its semicolon; ``data`` is what follows a COPY … FROM STDIN."""

    sql: str
    data: str | None = None


@dataclass(frozen=True)
class Case:
    """A history: ``file`` as the suite calls it, ``name`` within the file ("" where the file is one case)."""

    file: str
    name: str
    pieces: tuple[Piece, ...]
    # What other files of the suite make beforehand, taken only where a statement misses it: name → statement.
    beforehand: tuple[tuple[str, Piece], ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.file}: {self.name}" if self.name else self.file


def numbered(file: str, name: str, pieces: Iterable[Piece], taken: set[str]) -> Case:
    """A case whose name no other of ``taken`` has; it is added to those."""
    chosen, count = name, 1
    while chosen in taken:
        count += 1
        chosen = f"{name} ({count})"
    taken.add(chosen)
    return Case(file, chosen, tuple(pieces))
