"""The command that the user named, taken apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Words:
    """The command that the user named: its words without -c, which we give ourselves; what -c and -n said."""

    kind: str
    words: tuple[str, ...]
    files: tuple[str, ...] = ()
    section: str | None = None

    @staticmethod
    def parse(words: Sequence[str]) -> Words | None:
        """None where no command was named. ``kind`` is "alembic", "flask", or "" for a program of the project's own."""
        if not words:
            return None
        at = next((i for i, word in enumerate(words) if Path(word).name in ("alembic", "alembic.config")), None)
        if at is None:
            flask = {"flask", "db", "manage.py"} & {Path(word).name for word in words}
            return Words("flask" if flask else "", tuple(words))
        kept, files, section = list(words[: at + 1]), [], None
        rest = iter(words[at + 1 :])
        for word in rest:
            name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
            if name in ("-c", "--config"):
                files.append(value if equals else next(rest, ""))
                continue
            kept.append(word)
            if name in ("-n", "--name", "-x"):
                value = value if equals else next(rest, "")
                kept += [] if equals else [value]
                section = section if name == "-x" else value
        return Words("alembic", tuple(kept), tuple(files), section)
