"""What is in a project's directory, and a history that is squashed quickly."""

from __future__ import annotations

import hashlib
import stat

from tests.support.project import Project, Step

TINY = (
    Step("one", sql=["CREATE TABLE one (id integer PRIMARY KEY)"]),
    Step("two", sql=["CREATE TABLE two (id integer PRIMARY KEY)"]),
    Step("three", sql=["CREATE TABLE three (id integer PRIMARY KEY)"]),
)


def world(project: Project) -> dict[str, tuple[int, str]]:
    """Every file, link and directory below the top level, and in git's directory what a squash must not change:
    its mode and what it holds.
    """
    found = {}
    for path in sorted(project.top.rglob("*")):
        inner = path.relative_to(project.top).as_posix()
        if inner.startswith(".git/") and not inner.startswith((".git/refs", ".git/HEAD", ".git/config", ".git/hooks")):
            continue
        if "__pycache__" in inner:
            continue
        mode = path.lstat().st_mode
        held = str(path.readlink()) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
        found[inner] = (stat.S_IFMT(mode) | (mode & 0o111), hashlib.sha256(held.encode()).hexdigest())
    found["index"] = (0, project.git("ls-files", "--stage", "-v"))
    return found
