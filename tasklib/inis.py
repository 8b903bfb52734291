"""An alembic.ini of ours for one run, where the URL gets in by an option of it: never in the tree, never committed."""

from __future__ import annotations

import configparser
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def with_options(
    ini: Path, options: Sequence[tuple[str, str]], *, section: str = "alembic", beside: bool
) -> Iterator[Path]:
    """A copy of an ini with other options in a section, readable for its owner only, for the length of a block.

    ``beside`` the original where that is ours, since env.py may look around; else elsewhere, ``%(here)s`` as it was.
    """
    text = ini.read_text(encoding="utf-8")
    if not beside:
        text = text.replace("%(here)s", str(ini.parent.resolve()).replace("%", "%%"))
    number, path = tempfile.mkstemp(prefix="alembic-", suffix=".ini", dir=ini.parent if beside else None)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(_changed(text, section, options))
        yield Path(path)
    finally:
        Path(path).unlink()


def option(text: str, section: str, name: str) -> str | None:
    """What an ini says, as it is written there; None where it is silent, or no ini at all."""
    parser = _parser(text)
    return parser.get(section, name, fallback=None) if parser is not None else None


def _changed(text: str, section: str, options: Sequence[tuple[str, str]]) -> str:
    parser = _parser(text)
    if parser is None:
        return text  # Alembic says what is wrong with it
    if not parser.has_section(section):
        parser.add_section(section)
    for name, value in options:
        parser.set(section, name, value.replace("%", "%%"))
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


def _parser(text: str) -> configparser.RawConfigParser | None:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser
