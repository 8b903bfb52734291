"""The old and the new chain on disk: a script directory written from git objects to a place of ours.

Around it stands a mirror of the work tree in symbolic links, so that an env.py that looks for its neighbours (``..``)
finds the user's own files, ignored ones included, and only the migrations are other ones.
"""

from __future__ import annotations

import configparser
import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasklib import datafiles, revisions
from tasklib.errors import Failed
from tasklib.git import Repository
from tasklib.history import History
from tasklib.plan import Layout

# The project's own logging may be silent or go to a file; without it we could not say which migration is running.
LOGGING = """
[loggers]
keys = root,alembic,flask_migrate

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console
qualname =

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[logger_flask_migrate]
level = INFO
handlers =
qualname = flask_migrate

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
"""


@dataclass(frozen=True)
class Chain:
    """A script directory of ours: ``directory`` for ``-d``, ``ini`` for ``-c``, and the history that it holds.

    ``support`` stands for all of it but the revisions (env.py, helpers, templates): chains that share it connect alike.
    """

    name: str
    root: Path
    directory: Path
    ini: Path | None
    history: History
    support: str

    def file(self, revision: str) -> Path:
        """Where the chain has the file of a revision."""
        return self.root / self.history.migrations[revision].path


def write(repository: Repository, tree: str, layout: Layout, name: str, work: Path) -> Chain:
    """Write the chain that ``tree`` (a commit or a tree) holds to ``work/name``, replacing what was there."""
    root = work / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    roots = _outermost((layout.script, *layout.locations))
    paths = [entry.path for one in roots for entry in repository.files(tree, one)]
    _mirror(repository.top, root, [*roots, layout.ini] if layout.ini else roots)
    repository.export(tree, paths, root)
    history = revisions.read_history(repository, tree, layout.locations)
    ours = {migration.path for migration in history.migrations.values()}
    _copy_helpers(repository, root, roots, layout, ours)
    ini = _write_ini(repository, tree, layout, root)
    support = "\n".join(
        f"{e.path} {e.blob}" for one in roots for e in repository.files(tree, one)
        if not {e.path, datafiles.owner(e.path)} & ours
    )  # fmt: skip
    return Chain(name, root, root / layout.script, ini, history, hashlib.sha256(support.encode()).hexdigest())


def _outermost(paths: tuple[str, ...]) -> list[str]:
    """The given directories without those that lie in another one."""
    unique = sorted(set(paths))
    return [p for p in unique if p == "." or not any(p != o and PurePosixPath(p).is_relative_to(o) for o in unique)]


def _mirror(real: Path, mirror: Path, roots: list[str]) -> None:
    """Link every file and directory of ``real`` that is neither one of ``roots`` nor on the way to one."""
    for child in sorted(real.iterdir()):
        if child.name == ".git" or child.name in roots or "." in roots:
            continue
        inner = [root.split("/", 1)[1] for root in roots if root.startswith(f"{child.name}/")]
        if inner:
            (mirror / child.name).mkdir(exist_ok=True)
            _mirror(child, mirror / child.name, inner)
        else:
            (mirror / child.name).symlink_to(child)


def _copy_helpers(repository: Repository, root: Path, roots: list[str], layout: Layout, ours: set[str]) -> None:
    """Copy ignored and untracked files that the migrations may import or read; never one that could be a revision.

    Nor a data file of one of ``ours``: a chain that a commit would lack it in must lack it too.
    """
    for one in roots:
        for path in repository.unheld(one):
            at = PurePosixPath(path)
            revision = any(at.is_relative_to(place) for place in layout.locations) and revisions.is_candidate(path)
            source = repository.top / path
            if at.suffix == ".pyc" or revision or datafiles.owner(path) in ours or not source.is_file():
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, root / path)


def _write_ini(repository: Repository, tree: str, layout: Layout, root: Path) -> Path | None:
    """Give the chain's ini our logging and, where it lies outside of the script directory, our script directory."""
    if layout.ini is None:
        inner = root / layout.script / "alembic.ini"
        if inner.exists():
            inner.write_text(_with_our_logging(inner.read_text(encoding="utf-8")), encoding="utf-8")
        return None
    text = repository.read(tree, layout.ini)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    text = _with_option(text, "script_location", str(root / layout.script))
    if parser.has_option("alembic", "version_locations"):
        places = " ".join(str(root / place) for place in layout.locations)
        text = _with_option(text, "version_locations", places)
        text = _with_option(text, "version_path_separator", "space")
        text = _with_option(text, "path_separator", "space")
    ini = root / layout.ini
    if ini.is_symlink():
        ini.unlink()
    ini.parent.mkdir(parents=True, exist_ok=True)
    if not ini.parent.resolve().is_relative_to(root.resolve()):
        raise Failed(f"{layout.ini} would be written outside of {root}.")
    ini.write_text(_with_our_logging(text), encoding="utf-8")
    return ini


def _with_option(text: str, name: str, value: str) -> str:
    """The ini text with one option of ``[alembic]`` set; the rest stays to the letter."""
    escaped = value.replace("%", "%%")
    without = re.sub(rf"(?m)^{name}[ \t]*=.*\n(?:[ \t]+\S.*\n)*", "", text)
    return re.sub(r"(?m)^\[alembic\][ \t]*$", lambda _: f"[alembic]\n{name} = {escaped}", without, count=1)


def _with_our_logging(text: str) -> str:
    section = r"(?ms)^\[(?:loggers|handlers|formatters|(?:logger|handler|formatter)_[^\]]*)\].*?(?=^\[|\Z)"
    return re.sub(section, "", text) + LOGGING
