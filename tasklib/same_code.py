"""Whether the command runs the code of this work tree: an installed package may be another checkout's, or an old copy.

Nothing is imported to find that out: the project's Python is asked where its packages are, and only where one that this
tree holds is elsewhere, it says in one more run of `current`, read only, which files it loads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasklib import programs, shell
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.errors import Refused

# Runs on the project's Python, whatever its version. Without the current directory: what is installed, is asked.
ASK = """
import importlib.util, json, os, sys
library = os.path.dirname(os.__file__)
sys.path[:] = [one for one in sys.path if one and os.path.abspath(one) != os.getcwd()]
found = {}
for name in json.load(sys.stdin):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        continue
    places = [spec.origin] + list(spec.submodule_search_locations or []) if spec else []
    places = [os.path.realpath(one) for one in places if one and os.path.exists(one)]
    if places and not (places[0].startswith(library) and "site-packages" not in places[0]):
        found[name] = places
print(json.dumps(found))
"""
# What Python prints of each file that it loads, with PYTHONVERBOSE.
LOADED = re.compile(r"(?m)^# (?:code object from '?(?P<code>.+?\.py)'?|.+\.pyc matches (?P<source>.+\.py))$")

# Where an installed project has its packages: beside one of these files, or in a directory there.
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
INNER = (".", "src", "lib")
# Copies of other people's packages: that another version of them is installed says nothing.
VENDORED = {"vendor", "vendored", "_vendor", "third_party", "thirdparty", "external", "node_modules"}


@dataclass(frozen=True)
class Elsewhere:
    """A package (or module) of this tree that is installed from elsewhere: ``here`` and ``there`` hold it."""

    name: str
    here: Path
    there: Path


def refuse_other_code(bench: Bench, chain: Chain, role: str) -> None:
    """`Refused` where the command loads a file from elsewhere that differs from this tree's. Asked once a process."""
    if ("code", "") in bench.proven:
        return
    installed = _installed_elsewhere(bench)
    if installed:
        command = bench.command()
        result = command.run(chain, ["current"], bench.address(role), read_only=True, extra={"PYTHONVERBOSE": "1"})
        loaded = {Path(m.group("code") or m.group("source")).resolve() for m in LOADED.finditer(result.stderr)}
        for one in installed:
            differing = [path for path in sorted(loaded) if _differs(path, one)]
            if differing:
                inner = differing[0].relative_to(one.there)
                copy = "site-packages" in one.there.parts
                raise Refused(
                    f"The command runs {differing[0]}, and {inner} is another file in this work tree "
                    f"({one.here / inner}): the code that runs is not the code of this tree, so nothing would be "
                    "proven of it.",
                    "install this tree into the project's environment: pip install -e ."
                    + ("" if copy else f"; or squash in {one.there}"),
                )
    bench.proven.add(("code", ""))


def _differs(path: Path, one: Elsewhere) -> bool:
    if not path.is_relative_to(one.there) or path.relative_to(one.there).parts[0].split(".")[0] != one.name:
        return False
    ours = one.here / path.relative_to(one.there)
    return ours.is_file() and ours.resolve() != path and ours.read_bytes() != path.read_bytes()


def _installed_elsewhere(bench: Bench) -> list[Elsewhere]:
    """What this tree holds, and the project's Python finds outside of it."""
    top = bench.repository.top.resolve()
    names = dict(_importable(bench))
    command = bench.command()
    argv = [*programs.python_of(command.words), "-c", ASK]
    environment = command.environment(None)
    result = shell.run(argv, cwd=bench.cwd, env=environment, ok=None, stdin=json.dumps(sorted(names)))
    lines = result.stdout.strip().splitlines()
    if result.code or not lines:
        return []  # an old or strange Python; the probes show what they show
    found = []
    for name, places in json.loads(lines[-1]).items():
        outside = [Path(place) for place in places if not Path(place).is_relative_to(top)]
        if len(outside) == len(places):
            package = next((place for place in outside if place.is_dir()), None)
            there = package.parent if package else outside[0].parent
            found.append(Elsewhere(name, top / names[name], there))
    return found


def _importable(bench: Bench) -> Iterator[tuple[str, str]]:
    """Top-level packages and modules of the tree, and the directory that each would be imported from."""
    layout = bench.plan.layout
    every = [PurePosixPath(entry.path) for entry in bench.repository.files("HEAD")]
    projects = {path.parent for path in every if path.name in PROJECT_FILES}
    roots = {
        str(root / inner) for root in {PurePosixPath("."), PurePosixPath(layout.cwd), *projects} for inner in INNER
    }
    packages = {path.parent for path in every if path.name == "__init__.py"}
    for path in every:
        ours = any(path.is_relative_to(place) for place in (layout.script, *layout.locations) if place != ".")
        if path.suffix != ".py" or ours or VENDORED & {*path.parts}:
            continue
        at = path
        while at.parent in packages:
            at = at.parent
        # What lies in a root without an __init__.py may be a namespace package.
        tops = [
            (at.stem, str(at.parent)),
            *((path.relative_to(r).parts[0], r) for r in roots if path.is_relative_to(r)),
        ]
        yield from ((name, root) for name, root in tops if root in roots and name.isidentifier())
