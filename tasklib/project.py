"""Where the project keeps its migrations, and how it runs them. Reads only."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tasklib import shell
from tasklib.errors import Refused
from tasklib.git import Entry, Repository, remembered
from tasklib.plan import Layout
from tasklib.settings import Settings


def find_layout(repository: Repository, commit: str, settings: Settings, cwd: Path) -> Layout:
    """The script directory, its version locations and the command; `Refused` where there is none or several."""
    entries = repository.files(commit)
    here = PurePosixPath(cwd.resolve().relative_to(repository.top.resolve()).as_posix())
    script = _script_directory(entries, settings, here, repository, cwd)
    inner = f"{script}/alembic.ini" if script != "." else "alembic.ini"
    paths = {entry.path for entry in entries}
    words = settings.command
    if words:
        kind = "alembic" if Path(words[-1]).name == "alembic" else "flask"
        ini = None if kind == "flask" else _ini_for(repository, commit, paths, script)
    else:
        ini = _ini_for(repository, commit, paths, script)
        kind = "alembic" if ini is not None else "flask"
    section = _ini_section(repository, commit, ini or (inner if inner in paths else None))
    return Layout(
        kind=kind,
        script=script,
        locations=_locations(section, script, ini),
        ini=ini,
        command=words or (("alembic",) if kind == "alembic" else ("flask", "db")),
        cwd=str(here),
    )


def _script_directory(
    entries: list[Entry], settings: Settings, here: PurePosixPath, repository: Repository, cwd: Path
) -> str:
    paths = {entry.path for entry in entries}
    found = sorted(
        str(PurePosixPath(path).parent)
        for path in paths
        if PurePosixPath(path).name == "env.py"
        and (
            str(PurePosixPath(path).parent / "script.py.mako") in paths
            or any(other.startswith(f"{PurePosixPath(path).parent}/versions/") for other in paths)
        )
    )
    if settings.directory:
        wanted = Path(cwd, settings.directory).resolve()
        try:
            named = wanted.relative_to(repository.top.resolve()).as_posix()
        except ValueError:
            raise Refused(f"--directory {settings.directory} is outside of the repository {repository.top}.") from None
        if f"{named}/env.py" not in paths:
            raise Refused(
                f"--directory {settings.directory} holds no committed env.py, so it is no script directory; "
                f"{'found: ' + ', '.join(found) if found else 'none was found in this repository'}.",
                f"--directory {found[0]}" if found else "flask db init",
            )
        return named
    # A template of a script directory, for plugins say, holds no revision.
    filled = [one for one in found if any(re.match(rf"{re.escape(one)}/versions/[^/]+\.py$", path) for path in paths)]
    found = filled or found
    below = [one for one in found if here == PurePosixPath(".") or PurePosixPath(one).is_relative_to(here)]
    choice = below or found
    if not choice:
        raise Refused(
            "No script directory is committed here: no env.py beside a script.py.mako or a versions directory.",
            "commit your migrations, or name the directory with --directory",
        )
    if len(choice) > 1:
        raise Refused(f"There are several script directories: {', '.join(choice)}.", f"--directory {choice[0]}")
    return choice[0]


def _ini_for(repository: Repository, commit: str, paths: set[str], script: str) -> str | None:
    """The alembic.ini outside of the script directory whose script_location is this directory, or None."""
    for path in sorted(p for p in paths if PurePosixPath(p).name == "alembic.ini"):
        location = _ini_section(repository, commit, path).get("script_location", "")
        base = str(PurePosixPath(path).parent)
        location = location.replace("%(here)s", base).replace("%%", "%")
        if location and os.path.normpath(location) in (script, os.path.normpath(f"{base}/{script}")):
            return path
        if location and os.path.normpath(f"{base}/{location}") == script:
            return path
    return None


def _ini_section(repository: Repository, commit: str, path: str | None) -> dict[str, str]:
    if path is None:
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(repository.read(commit, path))
        return dict(parser.items("alembic")) if parser.has_section("alembic") else {}
    except configparser.Error:
        return {}


def _locations(section: dict[str, str], script: str, ini: str | None) -> tuple[str, ...]:
    default = f"{script}/versions" if script != "." else "versions"
    value = section.get("version_locations", "")
    if not value.strip():
        return (default,)
    base = str(PurePosixPath(ini).parent) if ini else script
    words = (
        re.split(r"[\s,;:]+", value.strip()) if "%(here)s" not in value else re.split(r"[\s,;]+|:(?=%)", value.strip())
    )
    return tuple(os.path.normpath(word.replace("%(here)s", base)) for word in words if word)


def find_program(words: tuple[str, ...], cwd: Path, top: Path) -> tuple[str, ...]:
    """The command with its program resolved: a virtual environment that is active or in the tree comes before PATH."""
    name = words[0]
    if "/" in name:
        path = Path(os.path.normpath(cwd / name))  # not resolve(): a venv's python is a link
        if not path.exists():
            raise Refused(f"--command names {name}, and {path} does not exist.")
        return (str(path), *words[1:])
    for directory in _program_directories(cwd, top):
        if (directory / name).is_file() and os.access(directory / name, os.X_OK):
            return (str(directory / name), *words[1:])
    raise Refused(
        f"The program {name!r} is neither in a virtual environment of this project nor on PATH.",
        "activate the project's environment, or --command 'PATH/TO/bin/flask db'",
    )


def _program_directories(cwd: Path, top: Path) -> Iterator[Path]:
    if active := os.environ.get("VIRTUAL_ENV"):
        yield Path(active) / "bin"
    for base in dict.fromkeys((cwd, top)):
        yield base / ".venv" / "bin"
        yield base / "venv" / "bin"
    yield Path(sys.executable).parent
    for one in os.environ.get("PATH", "").split(os.pathsep):
        if one:
            yield Path(one)


def python_of(command: tuple[str, ...]) -> tuple[str, ...]:
    """How to run the project's own Python, from its (resolved) command: beside the program, or in its wrapper."""
    for position, word in enumerate(command):
        name = Path(word).name
        if name.startswith("python"):
            return command[: position + 1]
        if name in ("flask", "alembic"):
            beside = Path(word).parent / "python"
            if position == 0 and beside.exists():
                return (str(beside),)
            return (*command[:position], "python")
    return (sys.executable,)


def sqlalchemy_version(command: tuple[str, ...], cwd: Path) -> tuple[int, ...]:
    """The project's own SQLAlchemy, such as (1, 3, 24): it decides which operations the base migration may use."""
    result = shell.run(
        [*python_of(command), "-c", "import sqlalchemy; print(sqlalchemy.__version__)"], cwd=cwd, ok=None
    )
    numbers = re.match(
        r"(\d+)\.(\d+)\.?(\d+)?", result.stdout.strip().splitlines()[-1] if result.stdout.strip() else ""
    )
    # Unknown: what the oldest one can say, every newer one can say too.
    return tuple(int(n or 0) for n in numbers.groups()) if numbers else (1, 3, 0)


@remembered
def own_packages(repository: Repository, commit: str, layout: Layout) -> dict[str, str]:
    """The project's own importable packages and modules: name → the directory that it is in, from the top level.

    At the top level, where the command runs, and in src/ of both. A script directory is none, nor what is called as a
    module of the standard library, or as everybody's tests.
    """
    roots = dict.fromkeys(os.path.normpath(one) for one in (layout.cwd, f"{layout.cwd}/src", ".", "src"))
    others = {"tests", "test", "docs", "examples", "setup", "conftest", *sys.stdlib_module_names}
    paths = {entry.path for entry in repository.files(commit)}
    found: dict[str, str] = {}
    for path in sorted(paths):
        for root in roots:
            inner = path if root == "." else path.removeprefix(f"{root}/")
            if root != "." and inner == path:
                continue
            name = re.fullmatch(r"([A-Za-z_]\w*)(?:/__init__)?\.py", inner)
            script = name is not None and f"{path.removesuffix('__init__.py')}env.py" in paths
            if name is not None and name.group(1) not in others and not script:
                found.setdefault(name.group(1), root)
    return found
