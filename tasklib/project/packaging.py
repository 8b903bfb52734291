"""Whether a wheel of the project would hold a data file beside its migrations. Reads a few files; runs nothing."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

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
