"""The project's own program and its environment, which need not be the one that this program is installed in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from tasklib.errors import Refused

# What pipx and `uv tool` leave in an environment of theirs, which holds this program and nothing of any project.
TOOL_MARKS = ("pipx_metadata.json", "uv-receipt.toml")

LOCKS = {"poetry.lock": "poetry run", "uv.lock": "uv run", "pdm.lock": "pdm run", "Pipfile.lock": "pipenv run"}


def find_program(words: tuple[str, ...], cwd: Path, top: Path) -> tuple[str, ...]:
    """The command with its program resolved. The first that has it: a virtual environment that is active, unless it is
    our own; one in the tree (.venv, venv); one that PATH names before ours; the one that we are installed in; PATH.
    """
    name = words[0]
    if "/" in name:
        path = Path(os.path.normpath(cwd / name))  # not resolve(): a venv's python is a link
        if not path.exists():
            raise Refused(f"--command names {name}, and {path} does not exist.")
        interpreter = _interpreter(path)
        return (*(find_program(interpreter, cwd, top) if interpreter else ()), str(path), *words[1:])
    for directory in _program_directories(cwd, top):
        # Asked of the system first: a directory that may not be read is none, and no error.
        if os.access(directory / name, os.X_OK) and (directory / name).is_file():
            return (str(directory / name), *words[1:])
    raise Refused(
        f"The program {name!r} is neither in a virtual environment of this project nor on PATH.",
        f"activate the project's environment, or --command '{prefix(cwd)}{' '.join(words)}'",
    )


def _program_directories(cwd: Path, top: Path) -> Iterator[Path]:
    own = Path(sys.prefix)
    apart = any((own / mark).exists() for mark in TOOL_MARKS)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        active = os.environ.get(variable)
        base = variable == "CONDA_PREFIX" and os.environ.get("CONDA_DEFAULT_ENV") == "base"
        if active and not base and not _same(Path(active), own):
            yield Path(active) / "bin"
    inner = [one for one in (cwd, *cwd.parents) if one.is_relative_to(top)]
    for base_directory in dict.fromkeys((*inner, top)):
        yield base_directory / ".venv" / "bin"
        yield base_directory / "venv" / "bin"
    # As in a container, where nothing is activated and PATH begins with the environment.
    for entry in _search_path():
        if _same(Path(entry), own / "bin"):
            break
        if os.access(Path(entry).parent / "pyvenv.cfg", os.F_OK):
            yield Path(entry)
    if _is_virtual() and not apart and not _holds_only_us():
        yield Path(sys.executable).parent
    for entry in _search_path():
        if not (apart and _same(Path(entry), own / "bin")):
            yield Path(entry)
    if not apart:
        yield Path(sys.executable).parent


# What this program brings along, and what makes environments; by the names of distributions.
OURS = re.compile(
    r"(?i)alembic[-_]squash|alembic|sqlalchemy|invoke|sh|psycopg2[-_]binary|mako|markupsafe|typing[-_]extensions|greenlet|"
    r"tomli|pip|setuptools|wheel|uv|pixeltable[-_]pgserver|platformdirs|psutil|fasteners|nox|virtualenv|packaging|"
    r"argcomplete|attrs|colorlog|dependency[-_]groups|distlib|filelock|humanize"
)


def _holds_only_us() -> bool:
    """Whether our own environment has nothing of any project: its `alembic` is then the last to be taken for one's."""
    return all(OURS.fullmatch(one.metadata["Name"] or "") for one in distributions())


def environment(command: tuple[str, ...]) -> dict[str, str]:
    """Our environment, as it would be where the program's own virtual environment is active, and not ours.

    A wrapper (`poetry run`) is left to find the project's environment: it may be installed in one of its own.
    """
    found = dict(os.environ)
    own, home = Path(sys.prefix), Path(command[0]).parent.parent
    if _is_virtual() and not _same(own, home):
        if _same(Path(found.get("VIRTUAL_ENV", "")), own):
            # `poetry run` would take it for the project's.
            del found["VIRTUAL_ENV"]
        found["PATH"] = os.pathsep.join(entry for entry in _search_path() if not _same(Path(entry), own / "bin"))
    if (home / "pyvenv.cfg").exists() and not _wrapped(command):
        found["VIRTUAL_ENV"] = str(home)
        found["PATH"] = os.pathsep.join([str(home / "bin"), *filter(None, [found.get("PATH", "")])])
    return found


def _wrapped(command: tuple[str, ...]) -> int:
    """Where in a command another program runs the project's; 0 where none does."""
    names = [Path(word).name for word in command]
    if names[0].startswith("python"):
        return 0  # python -m flask
    return next((i for i, name in enumerate(names) if name.startswith("python") or name in ("flask", "alembic")), 0)


def is_ours(program: str) -> bool:
    """Whether a (resolved) program is of the environment that we are installed in."""
    return _same(Path(program).parent.parent, Path(sys.prefix))


def prefix(cwd: Path) -> str:
    """What hints write before a program of this project's: its wrapper, as the lock file says (`poetry run `), else a
    place to fill in.
    """
    for directory in (cwd, *cwd.parents):
        for mark, words in LOCKS.items():
            if (directory / mark).exists():
                return f"{words} "
        if (directory / ".git").exists():
            break
    return "PATH/TO/bin/"


def _interpreter(program: Path) -> tuple[str, ...]:
    """The `python` that a script (manage.py) asks the PATH for, where the project's environment may not be; else ()."""
    with program.open("rb") as file:
        words = file.readline().decode(errors="replace").removeprefix("#!").split()
    wanted = [word for word in words[1:] if word != "-S"]
    env = bool(words) and Path(words[0]).name == "env"
    return tuple(wanted) if env and wanted and wanted[0].startswith("python") else ()


def _is_virtual() -> bool:
    """Whether we are installed in an environment of its own; the system's programs are everybody's."""
    return sys.prefix != sys.base_prefix


def _search_path() -> list[str]:
    return [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
