"""An alembic.ini of ours for one run, where the URL gets in by an option of it: never in the tree, never committed."""

from __future__ import annotations

import configparser
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tasklib import temporary


@contextmanager
def with_options(ini: Path, options: Sequence[tuple[str, str, str]], *, beside: bool) -> Iterator[Path]:
    """A copy of an ini with other options (section, name, value), readable for its owner only, for the length of a
    block.

    ``beside`` the original where that is ours, since env.py may look around; else elsewhere, ``%(here)s`` as it was.
    """
    text = ini.read_text(encoding="utf-8")
    if not beside:
        text = text.replace("%(here)s", str(ini.parent.resolve()).replace("%", "%%"))
    with nullcontext(ini.parent) if beside else temporary.directory("ini") as directory:
        number, path = tempfile.mkstemp(prefix="alembic-", suffix=".ini", dir=directory)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                found = parser(text)
                # Alembic says what is wrong with a text that is no ini.
                file.write(changed(found, options) if found is not None else text)
            yield Path(path)
        finally:
            Path(path).unlink()


def option(text: str, section: str, name: str) -> str | None:
    """What an ini says, as it is written there; None where it is silent, or no ini at all."""
    found = parser(text)
    return found.get(section, name, fallback=None) if found is not None else None


def changed(ini: configparser.RawConfigParser, options: Iterable[tuple[str, str, str]]) -> str:
    """The text of an ini with other options (section, name, value); the rest as it was, but for the comments."""
    for section, name, value in options:
        if not ini.has_section(section):
            ini.add_section(section)
        ini.set(section, name, value.replace("%", "%%"))
    written = io.StringIO()
    ini.write(written)
    return written.getvalue()


def parser(text: str) -> configparser.RawConfigParser | None:
    """The ini as it is written, names in their own case; None where it is no ini."""
    found = configparser.RawConfigParser()
    found.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        found.read_string(text)
    except configparser.Error:
        return None
    return found
