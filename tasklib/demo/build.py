"""Writes the project and its git history."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from textwrap import indent

import alembic
from alembic.migration import MigrationContext
from mako.template import Template

from tasklib.demo.library import Library
from tasklib.demo.life import HISTORY, KEPT
from tasklib.demo.texts import APP, MODELS, OVERDUE, README
from tasklib.errors import Refused
from tasklib.shell import run


@dataclass(frozen=True)
class Demo:
    """The project on disk: R, the head two migrations later, and ``count`` migrations in all."""

    root: Path
    revision: str
    head: str
    uri_var: str = "DATABASE_URL"
    count: int = len(HISTORY)


def _dates() -> Iterator[datetime]:
    """Working days and hours, days to weeks apart, always the same."""
    day = datetime(2019, 3, 4, tzinfo=timezone.utc)
    for number in range(len(HISTORY)):
        dice = hashlib.sha256(str(number).encode()).digest()
        day += timedelta(days=4 + dice[0] % 25)
        day += timedelta(days=2 if day.weekday() >= 5 else 0)
        yield day + timedelta(
            hours=9 + dice[1] % 8, minutes=dice[2] % 60, seconds=dice[3] % 60, microseconds=dice[4] * 3907
        )


def _commit(message: str, when: datetime, files: dict[str, str]) -> bytes:
    """One commit on main as `git fast-import` reads it."""
    who = f"Demo <demo@example.com> {int(when.timestamp())} +0000"

    def data(text: str) -> bytes:
        return b"data %d\n%s\n" % (len(text.encode()), text.encode())

    out = f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n".encode() + data(message)
    return out + b"".join(f"M 100644 inline {path}\n".encode() + data(text) for path, text in files.items())


def _migrations(template: Path) -> Iterator[tuple[str, str, datetime, dict[str, str]]]:
    """Each migration's id, message, date, and the files that its commit writes; ``template`` is script.py.mako."""
    library, parent, mako = Library(), None, Template(filename=str(template))
    for number, (line, date) in enumerate(zip(HISTORY, _dates(), strict=True), 1):
        message, up, down = library.take(line)
        revision = hashlib.sha256(f"{number} {message}".encode()).hexdigest()[:12]
        slug = re.sub(r"\W+", "_", message).lower()
        if len(slug) > 40:  # as Alembic cuts it
            slug = slug[:40].rsplit("_", 1)[0] + "_"
        text = mako.render_unicode(
            message=message,
            up_revision=revision,
            down_revision=parent,
            create_date=date.replace(tzinfo=None),
            branch_labels=None,
            depends_on=None,
            comma=lambda revision: revision or "",
            imports="from sqlalchemy.dialects import postgresql" if "postgresql.JSONB" in up + down else "",
            upgrades=indent(up, "    ").lstrip(),
            downgrades=indent(down, "    ").lstrip(),
        )
        files = {f"migrations/versions/{revision}_{slug}.py": text, "models.py": library.models()}
        if line == "write overdue_view":
            files["app.py"] = APP.replace("{overdue}", OVERDUE)
        yield revision, message, date, files
        parent = revision


def build(directory: Path) -> Demo:
    """Write the project into ``directory``, which must be new or empty; nothing outside it changes.

    Raises `Refused` where something is in the way, where Flask-Migrate is not there to write ``migrations/``, and where
    Alembic is too old for them.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Refused(f"{directory} is in the way: the demo is written into a new or empty directory.")
    missing = [name for name in ("flask_migrate", "flask_sqlalchemy") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f"The demo needs {' and '.join(missing)}.", "pip install 'alembic-squash[demo]'")
    if not hasattr(MigrationContext, "autocommit_block"):
        raise Refused(
            f"The demo's migrations need Alembic 1.2 or newer; {alembic.__version__} is installed here.",
            "pip install 'alembic>=1.2'",
        )
    root = directory.resolve()
    root.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "GIT_"))}
    # `init` makes an engine from the URL and does not connect.
    env |= {"DATABASE_URL": "postgresql+psycopg2:///nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    texts = {
        "app.py": APP.replace("{overdue}\n", ""),
        "models.py": MODELS,
        "README.md": README,
        ".gitignore": "__pycache__/\n.env\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    run([sys.executable, "-m", "flask", "db", "init"], cwd=root, env=env)

    made = sorted(path for path in root.rglob("*") if path.is_file())
    first = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in made}
    history = list(_migrations(root / "migrations/script.py.mako"))
    commits = [_commit("Begin the library", history[0][2] - timedelta(days=1), first)]
    commits += [_commit(message, date + timedelta(minutes=9), files) for _, message, date, files in history]

    def git(*words: str, stdin: bytes | None = None) -> None:
        run(["git", *words], cwd=root, env=env, stdin=stdin)

    git("init", "--quiet", "--template=")
    git("symbolic-ref", "HEAD", "refs/heads/main")
    settings = {"user.name": "Demo", "user.email": "demo@example.com", "commit.gpgSign": "false"}
    settings |= {"core.hooksPath": os.devnull, "core.autocrlf": "false"}
    for name, value in settings.items():
        git("config", name, value)
    git("fast-import", "--quiet", stdin=b"".join(commits))
    git("reset", "--quiet", "--hard")
    return Demo(root, revision=history[-1 - KEPT][0], head=history[-1][0])
