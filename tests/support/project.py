"""Real little projects for the tests: a git repository, Flask-Migrate or plain Alembic as its `init` writes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasklib.postgres import client
from tasklib.postgres.client import Address, Connection
from tasklib.postgres.server import Server
from tasklib.postgres.server_home import PREFIX
from tasklib.shell import run

BIN = Path(sys.executable).parent
VARIABLE = "DATABASE_URL"

APP = """
import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
db = SQLAlchemy(app)
Migrate(app, db)
"""

# What `alembic init` leaves to people: where the URL comes from. Without any model.
URL_IN_ENV = """
import os

config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
"""

MIGRATION = '''"""{message}

Revision ID: {revision}
Revises: {down}
Create Date: 2024-01-{day:02d} 10:00:00

"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = {revision!r}
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = {depends_on!r}


def upgrade():
{upgrade}


def downgrade():
    pass
'''


@dataclass(frozen=True)
class Step:
    """One migration: its body of `upgrade`, as Python; ``sql`` is a shorthand for op.execute of each statement."""

    message: str
    python: str = ""
    sql: Sequence[str] = ()
    revision: str = ""
    down: str | tuple[str, ...] | None = "previous"
    labels: tuple[str, ...] | None = None
    depends_on: str | None = None


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass
class Project:
    """A repository below ``top``; ``ids`` are its revisions in order. Commands of ours get a TMPDIR of their own."""

    top: Path
    server: Server
    ids: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    script: str = "migrations"

    @property
    def temporary(self) -> Path:
        return self.top.parent / f"{self.top.name}-tmp"

    @property
    def versions(self) -> Path:
        """The directory of the revisions."""
        return self.top / self.script / "versions"

    @property
    def server_url(self) -> str:
        return self.address().url()

    def address(self, database: str = "postgres") -> Address:
        return Address(self.server.host, self.server.port, self.server.user, self.server.password, database)

    # --- commands ------------------------------------------------------------------------------------------------

    def run(self, argv: Sequence[str | Path], check: bool = True, cwd: Path | None = None, **variables: str) -> Done:
        """Run a command in the project."""
        self.temporary.mkdir(exist_ok=True)
        environment = {**_clean_environment(), "TMPDIR": str(self.temporary), **self.environment, **variables}
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd or self.top,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        result = Done(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, f"{argv} ended with {result.code}\n{result.said}"
        return result

    def git(self, *words: str) -> str:
        return self.run(["git", *words]).out.strip()

    def flask(self, *words: str, database: str, check: bool = True) -> Done:
        """`flask db …` against a database of the test server."""
        url = self.address(database).url("postgresql+psycopg2")
        return self.run([BIN / "flask", "db", *words], check=check, cwd=None, **{VARIABLE: url})

    def db(self, *words: str, database: str, check: bool = True) -> Done:
        """The project's own command (`flask db …`, `alembic …`) against a database of the test server."""
        return self.flask(*words, database=database, check=check)

    def tool(self, *words: str, cwd: Path | None = None, **variables: str) -> Done:
        """`alembic-squash …`, any exit code."""
        return self.run([BIN / "alembic-squash", *words], check=False, cwd=cwd, **variables)

    def squash(self, rev: str, *words: str, **variables: str) -> Done:
        """`alembic-squash squash` on the test server; any exit code."""
        given = ("--rev", rev, "--uri-var", VARIABLE, "--server", self.server_url)
        return self.tool("squash", *given, *words, cwd=None, **variables)

    def put_psql_on_path(self) -> None:
        """The test server's own psql, which the machine itself may lack."""
        self.environment["PATH"] = os.pathsep.join([str(self.server.binaries.bin), os.environ["PATH"]])

    # --- building ------------------------------------------------------------------------------------------------

    def write(self, path: str, text: str) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def add(self, *steps: Step, commit: bool = True) -> list[str]:
        """Write one migration for each step, each in a commit of its own; returns their ids."""
        made = []
        for step in steps:
            number = len(self.ids) + 1
            revision = step.revision or f"{number:04d}{'abcdef'[number % 6] * 8}"
            down = (self.ids[-1] if self.ids else None) if step.down == "previous" else step.down
            body = step.python or ""
            body += "\n".join(f"op.execute({statement!r})" for statement in step.sql)
            text = MIGRATION.format(
                message=step.message, revision=revision, down=down, day=number % 28 + 1, labels=step.labels,
                depends_on=step.depends_on, upgrade=textwrap.indent(textwrap.dedent(body).strip() or "pass", "    "),
            )  # fmt: skip
            name = re.sub(r"\W+", "_", step.message.lower())[:40]
            (self.versions / f"{revision}_{name}.py").write_text(text, encoding="utf-8")
            self.ids.append(revision)
            made.append(revision)
            if commit:
                self.commit(step.message)
        return made

    def file_of(self, revision: str) -> Path:
        return next(self.versions.glob(f"{revision}_*.py"))

    @property
    def base_file(self) -> Path:
        """The file of the base migration, the one without a parent."""
        return next(path for path in self.versions.glob("*.py") if "down_revision = None" in path.read_text())

    def base_text(self, revision: str) -> str:
        return self.file_of(revision).read_text(encoding="utf-8")

    # --- the world -----------------------------------------------------------------------------------------------

    def new_database(self, name: str) -> Address:
        """An empty database on the test server."""
        with client.connect(self.address()) as connection, connection.usual_path():
            connection.run(f'DROP DATABASE IF EXISTS "{name}"')
            connection.run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.address(name)

    def databases(self) -> set[str]:
        with client.connect(self.address()) as connection, connection.usual_path():
            return {name for (name,) in connection.rows("SELECT datname FROM pg_database")}

    def kept_replay(self) -> Path:
        return self.top / ".git" / "alembic-squash-kept.json"

    def assert_nothing_left(self, head: str | None = None, branches: Sequence[str] = ("main",)) -> None:
        """No change in the work tree, no branch, no state, no file, no database, no server of ours; but for a replay
        that is kept for the next squash, which `abort` takes away.
        """
        if self.kept_replay().exists():
            assert self.tool("abort").code == 0
            assert not self.kept_replay().exists()
        assert self.git("status", "--porcelain") == ""
        assert self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split() == list(branches)
        assert head is None or self.git("rev-parse", "HEAD") == head
        assert not (self.top / ".git" / "alembic-squash").exists()
        assert len(self.git("worktree", "list").splitlines()) == 1
        # Other tests share the server, so only databases of this project's own token could be told: by its TMPDIR
        # there is none left without its plan. What must be gone is anything that carries our marker and no plan.
        assert [path.name for path in self.temporary.iterdir()] == [] if self.temporary.exists() else True


@dataclass
class Plain(Project):
    """A plain Alembic project: the same methods, and `db` is `alembic …`. ``ini`` is the path of its alembic.ini."""

    ini: str = "alembic.ini"

    def db(self, *words: str, database: str, check: bool = True) -> Done:
        url = self.address(database).url("postgresql+psycopg2")
        return self.run([BIN / "alembic", "-c", self.ini, *words], check=check, cwd=None, **{VARIABLE: url})


def _clean_environment() -> Mapping[str, str]:
    dropped = ("PG", "GIT_", "INVOKE_", "FLASK_", "ALEMBIC_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def build(top: Path, server: Server, template: Path, steps: Sequence[Step], app: str = APP) -> Project:
    """A project with the migrations of ``steps``; ``template`` holds what `flask db init` wrote once."""
    project = Project(top, server)
    _repository(project)
    project.write("app.py", app)
    shutil.copytree(template, top / "migrations")
    project.versions.mkdir(exist_ok=True)
    project.commit("an application")
    project.add(*steps)
    return project


def plain(
    top: Path, server: Server, template: Path, steps: Sequence[Step], script: str = "migrations", env: str = URL_IN_ENV
) -> Plain:
    """A plain Alembic project with the migrations of ``steps``; ``template`` holds what `alembic init` wrote once.

    ``env`` is Python that goes into its env.py, after ``config`` is known there.
    """
    project = Plain(top, server, script=script)
    _repository(project)
    shutil.copytree(template, top, dirs_exist_ok=True)
    if script != "migrations":
        (top / "migrations").rename(top / script)
        for file in (top / "alembic.ini", top / "pyproject.toml"):
            if file.exists():
                text = re.sub(r"(?m)^(script_location = .*)\bmigrations\b", rf"\g<1>{script}", file.read_text())
                file.write_text(text, encoding="utf-8")
    file = project.top / script / "env.py"
    before, line, after = file.read_text(encoding="utf-8").partition("config = context.config\n")
    assert line
    file.write_text(before + line + env + after, encoding="utf-8")
    project.versions.mkdir(exist_ok=True)
    project.commit("an application")
    project.add(*steps)
    return project


def _repository(project: Project) -> None:
    project.top.mkdir(parents=True)
    project.git("init", "--quiet", "--template=", "--initial-branch=main")
    project.git("config", "user.name", "Test")
    project.git("config", "user.email", "test@example.com")
    project.git("config", "commit.gpgSign", "false")
    project.write(".gitignore", "__pycache__/\n*.pyc\n")


def virtual_environment(directory: Path, *others: Path) -> Path:
    """A virtual environment with `alembic` and `flask`, whose Python sees the tests' packages, and what is in
    ``others`` as after `pip install -e`, which writes such a .pth; returns its bin.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    paths = [sysconfig.get_path("purelib"), *map(str, others)]
    packages = next(directory.glob("lib/*/site-packages"))
    (packages / "others.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    for name, module in (("alembic", "alembic.config"), ("flask", "flask.cli")):
        script = directory / "bin" / name
        script.write_text(f"#!{directory}/bin/python\nfrom {module} import main\n\nmain()\n", encoding="utf-8")
        script.chmod(0o755)
    return directory / "bin"


def plain_template(directory: Path, name: str = "generic", alembic: Path = BIN / "alembic") -> Path:
    """What Alembic's own `alembic init -t NAME migrations` writes."""
    directory.mkdir(parents=True, exist_ok=True)
    argv = [str(alembic), "init", "-t", name, "migrations"]
    done = subprocess.run(argv, cwd=directory, env=_clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def init_template(directory: Path) -> Path:
    """What the installed Flask-Migrate's own `flask db init` writes."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "app.py").write_text(APP, encoding="utf-8")
    environment = {**_clean_environment(), VARIABLE: "postgresql+psycopg2://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [str(BIN / "flask"), "db", "init"], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory / "migrations"


def query(address: Address, statement: str) -> list[tuple[object, ...]]:
    """Rows of a query, for asserting on the world."""
    with client.connect(address) as connection, connection.usual_path():
        return rows(connection, statement)


def whole(server: Server, address: Address) -> str:
    """Schema and rows as pg_dump writes them, without its random lines."""
    environment = {**client.clean_environment(), **address.environment()}
    text = run([server.binaries.bin / "pg_dump", address.database], cwd=Path("/"), env=environment).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def rows(connection: Connection, statement: str) -> list[tuple[object, ...]]:
    return connection.rows(statement)


def reaches(made: Project, *words: str, cwd: str = ".", **variables: str) -> str:
    """Runs checkout and createdb, which asks the command where it connects; returns its exit code and words."""
    place = made.top / cwd
    given = ("--rev", made.ids[-1], "--uri-var", VARIABLE, "--server", made.server_url)
    begun = made.tool("checkout", *given, *words, cwd=place, **variables)
    assert begun.code == 0, begun.said
    done = made.tool("createdb", "--server", made.server_url, cwd=place, **variables)
    assert made.tool("abort", "--server", made.server_url, cwd=place).code == 0
    made.assert_nothing_left()
    return f"{done.code} {done.said}"


def server_homes(project: Project) -> list[Path]:
    """Homes of throwaway servers that run for this repository."""
    found = []
    for base in {Path("/tmp"), Path("/var/tmp"), project.temporary}:
        for marker in base.glob(f"{PREFIX}*/marker"):
            try:
                owner = json.loads(marker.read_text())["owner"]
            except (OSError, ValueError):
                continue  # another test's, on its way out
            if Path(owner).is_relative_to(project.top):
                found.append(marker.parent)
    return found
