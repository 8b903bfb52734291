"""The files that configure Alembic, ini or pyproject.toml, and where they say the migrations are. Reads only."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tasklib.project import temporary_ini
from tasklib.repository import trees
from tasklib.repository.git import Repository

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML = "pyproject.toml"
INI = "alembic.ini"
# Alembic's own options.
ALEMBICS = frozenset([
    "here", "file_template", "output_encoding", "path_separator", "prepend_sys_path", "recursive_version_locations",
    "revision_environment", "script_location", "sourceless", "timezone", "truncate_slug_length", "version_locations",
    "version_path_separator",
])  # fmt: skip
# What `path_separator` may say (Alembic 1.16; before, from 1.7 on, it was called version_path_separator).
SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}


@dataclass(frozen=True)
class Config:
    """What one file says: ``path`` from the top level, ``section`` of an ini ("" of pyproject.toml).

    ``script_location`` and ``version_locations`` are as they are written, ``%(here)s`` filled in; ``hooks``: whether
    revision files go through post_write_hooks; ``sourceless``: whether compiled files are revisions too.
    """

    path: str
    section: str
    script_location: str
    version_locations: tuple[str, ...]
    recursive: bool
    hooks: bool
    sourceless: bool = False

    @property
    def directory(self) -> str:
        """Where the file is, from the top level."""
        return str(PurePosixPath(self.path).parent)

    @property
    def toml(self) -> bool:
        return not self.section


def read_all(repository: Repository, commit: str, around: Iterable[str]) -> list[Config]:
    """Every configuration with a script_location: in the tracked files of a commit, and in an alembic.ini that git
    does not hold (it is often ignored, for the password in it) in one of the directories ``around``.

    A file named alembic.ini comes first, then the ones that are higher up.
    """
    found: list[Config] = []
    tracked = trees.files_matching(repository, r"^[[:space:]]*script_location[[:space:]]*=", commit, "*")
    texts = {path: repository.read(commit, path) for path in tracked if is_config(path)}
    for directory in around:
        path = os.path.normpath(f"{directory}/{INI}")
        file = repository.top / path
        if path not in texts and file.is_file():
            texts[path] = file.read_text(encoding="utf-8", errors="replace")
    for path, text in texts.items():
        if PurePosixPath(path).name == TOML:
            found += [one for one in [parse_toml(text, path, repository.top)] if one and one.script_location]
        else:
            found += [parse_ini(text, path, section, repository.top) for section in _sections(text)]
    order = [INI, TOML]
    return sorted(found, key=lambda c: (
        order.index(name) if (name := PurePosixPath(c.path).name) in order else 2,
        c.path.count("/"), c.path, c.section != "alembic", c.section,
    ))  # fmt: skip


def is_config(path: str) -> bool:
    """Whether a file of this name may configure Alembic: an ini file (of whatever name), or pyproject.toml."""
    return PurePosixPath(path).name == TOML or PurePosixPath(path).suffix in (".ini", ".cfg", ".conf")


def text_of(repository: Repository, tree: str, path: str) -> str:
    """The text of a file in a commit or tree, in the work tree where git does not hold it, or ""."""
    path = os.path.normpath(path)
    if any(entry.path == path for entry in repository.files(tree, str(PurePosixPath(path).parent))):
        return repository.read(tree, path)
    file = repository.top / path
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def parse_ini(text: str, path: str, section: str, top: Path) -> Config:
    """One section of an ini; a text that is none gives a configuration that says nothing."""
    parser = configparser.ConfigParser({"here": str((top / path).parent).replace("%", "%%")})
    try:
        parser.read_string(text)
    except configparser.Error:
        parser.clear()

    def option(name: str, of: str = section) -> str:
        try:
            return parser.get(of, name, fallback="").strip()
        except configparser.InterpolationError:
            return parser.get(of, name, raw=True, fallback="").strip()

    separator = option("path_separator") or option("version_path_separator")
    locations = option("version_locations")
    # Without a separator: Alembic's own rule from before there was one.
    parts = locations.split(SEPARATORS[separator]) if separator in SEPARATORS else re.split(r", *|\s+", locations)
    return Config(
        path, section, option("script_location"), tuple(part.strip() for part in parts if part.strip()),
        option("recursive_version_locations") == "true", bool(option("hooks", "post_write_hooks")),
        option("sourceless") == "true",
    )  # fmt: skip


def differing(text: str, sections: Sequence[str]) -> list[str]:
    """Options of the project's own that all these sections of an ini have, each with another value."""
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    first, *others = [dict(parser.items(one)) for one in sections]
    names = [name for name in first if name not in ALEMBICS and not name.startswith("sqlalchemy.")]
    return [name for name in names if all(one.get(name, first[name]) != first[name] for one in others)]


def read_toml(text: str) -> dict[str, Any]:
    """What a TOML file says; nothing where it is none."""
    try:
        read: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    return read


def parse_toml(text: str, path: str, top: Path) -> Config | None:
    """The table [tool.alembic] of a pyproject.toml, or None where it has none."""
    table = read_toml(text).get("tool", {}).get("alembic")
    if not isinstance(table, Mapping):
        return None
    here = str((top / path).parent)

    def filled(value: Any) -> str:
        return str(value).replace("%(here)s", here).replace("%%", "%")

    locations = table.get("version_locations") or ()
    listed = [locations] if isinstance(locations, str) else locations
    return Config(
        path, "", filled(table.get("script_location", "")), tuple(filled(one) for one in listed),
        table.get("recursive_version_locations") is True, bool(table.get("post_write_hooks")),
        table.get("sourceless") is True,
    )  # fmt: skip


def _sections(text: str) -> list[str]:
    """The sections of an ini that have a script_location of their own."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    default = parser.defaults().get("script_location")
    own = [name for name in parser.sections() if parser.get(name, "script_location", fallback=default) != default]
    return own or (["alembic"] if default and parser.has_section("alembic") else [])


def resolve(location: str, top: Path, directories: Iterable[str], cwds: Sequence[str]) -> tuple[str, str | None] | None:
    """The directory that a location names, from the top level, and the one of ``cwds`` in which a relative location
    means it (None where any will do). None where it is none of ``directories``.

    `package:path` is a directory within an importable package.
    """
    known = set(directories)
    if Path(location).is_absolute():
        path = Path(os.path.normpath(location))
        inner = path.relative_to(top).as_posix() if path.is_relative_to(top) else ""
        return (inner, None) if inner in known else None
    if ":" in location:
        package, *rest = location.split(":")
        inner = "/".join([*package.split("."), *rest])
        fitting = sorted(one for one in known if f"/{one}".endswith(f"/{inner}"))
        return (min(fitting, key=len), None) if fitting else None
    for cwd in cwds:
        inner = os.path.normpath(f"{cwd}/{location}")
        if inner in known:
            return inner, cwd
    return None


def with_locations(text: str, section: str, script: Path, locations: Sequence[Path]) -> str:
    """The text of an ini whose ``section`` names these absolute paths; all else as it was, but for the comments."""
    found = temporary_ini.parser(text)
    if found is None:
        return text  # what Alembic says about it is said when it is run
    if not found.has_section(section):
        found.add_section(section)  # so that what stands under DEFAULT counts
    values = {"script_location": str(script)}
    # Not where they are the default: Alembic 1.0 takes one location for several where the option is there.
    if found.has_option(section, "version_locations") or list(locations) != [script / "versions"]:
        # The project's own separator stays: prepend_sys_path is split by it too.
        separator = found.get(section, "path_separator", fallback="") or found.get(
            section, "version_path_separator", fallback=""
        )
        if separator.strip() not in SEPARATORS and any(" " in str(one) for one in locations):
            separator = values["version_path_separator"] = "os"
        values["version_locations"] = SEPARATORS.get(separator.strip(), " ").join(map(str, locations))
    return temporary_ini.changed(found, [(section, name, value) for name, value in values.items()])
