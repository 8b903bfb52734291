"""Whether a wheel or an image of the project would hold a data file beside its migrations. Reads a few files; runs
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from tasklib.project import configs

# By build backend: the table of pyproject.toml, and its keys for patterns of what gets into a wheel, of what does not,
# and of what does all the same.
BACKENDS = (
    ("hatchling", "tool.hatch.build", ("include", "only-include"), ("exclude",), ("artifacts", "force-include")),
    ("hatchling", "tool.hatch.build.targets.wheel", ("include", "only-include"), ("exclude",),
     ("artifacts", "force-include")),
    ("poetry", "tool.poetry", ("packages",), ("exclude",), ("include",)),
    ("pdm", "tool.pdm.build", ("includes",), ("excludes",), ()),
)  # fmt: skip
# Other build backends put every file of a package into a wheel; setuptools only Python files and what a pattern names.
SETUPTOOLS = re.compile(r"build-backend\s*=\s*[\"']setuptools")
# Plugins that include whatever git holds.
PLUGINS = re.compile(r"setuptools[-_](scm|git)")


def left_out(top: Path, path: str) -> str | None:
    """The package that the file lies in, where setuptools builds it and no pattern may include the file; else None.

    ``path`` is relative to ``top``. In doubt None: whoever builds packages in another way knows better.
    """
    at = PurePosixPath(path)
    inside = [p for p in at.parents if p != PurePosixPath(".") and (top / p / "__init__.py").exists()]
    texts = {name: _text(top / name) for name in ("pyproject.toml", "setup.cfg", "setup.py")}
    built = SETUPTOOLS.search(texts["pyproject.toml"]) or texts["setup.py"] or "[options]" in texts["setup.cfg"]
    if not inside or not built or any(PLUGINS.search(text) for text in texts.values()):
        return None
    words = [word for text in texts.values() for word in re.split(r"[\s\"',=\[\](){}]+", text)]
    if any(_matches(word, at, anywhere=True) for word in words) or _in_manifest(_text(top / "MANIFEST.in"), at):
        return None
    return inside[0].as_posix()


def excluding(top: Path, path: str) -> Iterator[str]:
    """What plainly keeps the file out of an image or a wheel: a .dockerignore, a table of a build backend's."""
    for place in PurePosixPath(path).parents:
        inner = PurePosixPath(path).relative_to(place)
        ignored = False
        for line in map(str.strip, _text(top / place / ".dockerignore").splitlines()):
            if line and not line.startswith("#") and _is_below(line.lstrip("!"), inner, anchored=True):
                ignored = not line.startswith("!")
        if ignored:
            yield (place / ".dockerignore").as_posix()
        read = configs.read_toml(_text(top / place / configs.TOML))
        backend = str(_table(read, "build-system").get("build-backend", ""))
        for name, table, included, excluded, anyway in BACKENDS:
            found = _table(read, table) if name in backend else {}
            inside, outside, also = ([*_patterns(found, keys)] for keys in (included, excluded, anyway))
            kept_out = _any(outside, inner) or (inside and not _any(inside, inner))
            if kept_out and not _any(also, inner):
                yield f"[{table}] in {(place / configs.TOML).as_posix()}"


def _table(read: dict[str, Any], name: str) -> dict[str, Any]:
    for key in name.split("."):
        read = read.get(key, {}) if isinstance(read, dict) else {}
    return read if isinstance(read, dict) else {}


def _patterns(table: dict[str, Any], keys: Iterable[str]) -> Iterator[str]:
    """Patterns as they are written: texts, tables with a text (poetry's), or the keys of a table (hatchling's)."""
    for one in (one for key in keys for one in table.get(key, ())):
        if isinstance(one, dict):
            yield "/".join(filter(None, (str(one.get("from", "")), str(one.get("include") or one.get("path") or ""))))
        else:
            yield str(one)


def _any(patterns: Iterable[str], at: PurePosixPath) -> bool:
    return any(_is_below(pattern, at, anchored=False) for pattern in patterns)


def _is_below(pattern: str, at: PurePosixPath, *, anchored: bool) -> bool:
    """Whether a pattern fits the path or a directory above it; one that is not ``anchored`` and has no slash fits any
    of the names.
    """
    plain = pattern.removeprefix("./").strip("/")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", plain)
    words = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(words.get(part, re.escape(part)) for part in parts)
    if not anchored and "/" not in plain:
        return any(re.fullmatch(regex, name) for name in at.parts)
    return any(re.fullmatch(regex, one.as_posix()) for one in (at, *at.parents))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def _matches(pattern: str, at: PurePosixPath, *, anywhere: bool) -> bool:
    """Whether a pattern fits the file's name or path; ``anywhere``: or the path's end, as it is in some package."""
    if not pattern.endswith(("*", "jsonl")):
        return False
    paths = ["/".join(at.parts[number:]) for number in range(len(at.parts) if anywhere else 1)]
    return any(fnmatchcase(one, pattern) for one in (paths if "/" in pattern else [at.name]))


def _in_manifest(text: str, at: PurePosixPath) -> bool:
    for line in text.splitlines():
        verb, *words = line.split() or [""]
        below = bool(words) and at.is_relative_to(words[0])
        if verb == "graft" and below:
            return True
        if verb == "recursive-include" and below and any(_matches(word, at, anywhere=True) for word in words[1:]):
            return True
        if verb in ("include", "global-include") and any(_matches(word, at, anywhere=False) for word in words):
            return True
    return False
