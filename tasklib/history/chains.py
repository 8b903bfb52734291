"""The old and the new chain on disk: a script directory written from git objects to a place of ours.

Around it stands a mirror of the work tree in symbolic links, so that an env.py that looks for its neighbours (``..``)
finds the user's own files, ignored ones included, and only the migrations are other ones.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasklib.errors import Failed
from tasklib.history import data_files, revisions
from tasklib.history.cut import History
from tasklib.project import configs
from tasklib.project.layout import Layout
from tasklib.repository import status, trees
from tasklib.repository.git import Repository

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


IN_TREE = "work tree"


@dataclass(frozen=True)
class Chain:
    """A script directory of ours: ``directory`` for ``-d``, ``ini`` and ``toml`` for ``-c``, and the history in it.

    ``support`` stands for all of it but the revisions (env.py, helpers, templates): chains that share it connect alike.
    """

    name: str
    root: Path
    directory: Path
    ini: Path | None
    toml: Path | None
    history: History
    support: str

    @property
    def is_ours(self) -> bool:
        """Whether it is a copy in our directory, and not the work tree's own."""
        return self.name != IN_TREE

    def file(self, revision: str) -> Path:
        """Where the chain has the file of a revision."""
        return self.root / self.history.migrations[revision].path


def write(repository: Repository, tree: str, layout: Layout, name: str, work: Path) -> Chain:
    """Write the chain that ``tree`` (a commit or a tree) holds to ``work/name``, replacing what was there.

    Not where the project's command knows the work tree only ("code"): whoever runs it puts the files there.
    """
    if layout.kind == "code":
        history = revisions.read_history(repository, tree, layout)
        top = repository.top
        return Chain(name, top, top / layout.script, None, None, history, _support(repository, tree, layout, history))
    root = work / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    roots = _outermost((layout.script, *layout.locations))
    paths = [entry.path for one in roots for entry in repository.files(tree, one)]
    _mirror(repository.top, root, [*roots, layout.ini] if layout.ini else roots)
    trees.export(repository, tree, paths, root)
    history = revisions.read_history(repository, tree, layout)
    ours = {migration.path for migration in history.migrations.values()}
    _copy_helpers(repository, root, roots, layout, ours)
    ini = _write_ini(repository, tree, layout, root)
    # What our ini says wins over pyproject.toml, which stays the project's own for all else.
    toml = repository.top / layout.toml if layout.toml else None
    return Chain(name, root, root / layout.script, ini, toml, history, _support(repository, tree, layout, history))


def _support(repository: Repository, tree: str, layout: Layout, history: History) -> str:
    """A digest of all that lies beside the revisions and their data files."""
    ours = {migration.path for migration in history.migrations.values()}
    listed = "\n".join(
        f"{entry.path} {entry.blob}"
        for one in _outermost((layout.script, *layout.locations))
        for entry in repository.files(tree, one)
        if not {entry.path, data_files.owner(entry.path)} & ours
    )
    return hashlib.sha256(listed.encode()).hexdigest()


def in_tree(repository: Repository, layout: Layout, history: History) -> Chain:
    """The chain that is in the work tree, for a command that writes there."""
    top = repository.top
    toml, ini = (top / path if path else None for path in (layout.toml, layout.ini))
    return Chain(IN_TREE, top, top / layout.script, ini, toml, history, "")


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
        for path in status.unheld(repository, one):
            at = PurePosixPath(path)
            source = repository.top / path
            theirs = layout.holds_revision(path) or data_files.owner(path) in ours
            if at.suffix == ".pyc" or theirs or not source.is_file():
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, root / path)


def _write_ini(repository: Repository, tree: str, layout: Layout, root: Path) -> Path | None:
    """Give the chain's ini our logging, our script directory and our version locations."""
    ini = root / (layout.ini or f"{layout.script}/{configs.INI}")
    text = configs.text_of(repository, tree, ini.relative_to(root).as_posix())
    if layout.ini is None and not text:
        return None
    text = configs.with_locations(
        text, layout.section, root / layout.script, [root / place for place in layout.locations]
    )
    if ini.is_symlink():
        ini.unlink()
    ini.parent.mkdir(parents=True, exist_ok=True)
    if not ini.parent.resolve().is_relative_to(root.resolve()):
        raise Failed(f"{layout.ini} would be written outside of {root}.")
    ini.write_text(_with_our_logging(text), encoding="utf-8")
    return ini if layout.ini else None


def _with_our_logging(text: str) -> str:
    section = r"(?ms)^\[(?:loggers|handlers|formatters|(?:logger|handler|formatter)_[^\]]*)\].*?(?=^\[|\Z)"
    return re.sub(section, "", text) + LOGGING
