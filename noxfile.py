"""All checks: `nox` while working, `nox -s tests lint types docs matrix` for everything.

One row of the matrix: `nox -s "matrix(alembic='1.0.10')"`; the traps on another row: `nox -s traps -- 1.4.3`. What
follows `--` goes to the tool: `nox -s tests -- -k refuses`. Sessions run on the Python that runs nox.
Random histories by the thousand: `nox -s nightly -- 2000`.
uv makes the environments where it is installed, else virtualenv and pip do. uv does not read pip.conf: where packages
come from an index that only pip.conf names, add `-db virtualenv`.
"""

from __future__ import annotations

import shutil
import sys

import nox

RUFF = "ruff==0.17.6"
MYPY = "mypy==2.4.1"
NOX = "nox==2026.10.20"
SPHINX = ("sphinx==8.1.3", "myst-parser==4.0.1", "furo==2025.12.19")  # the last that run on Python 3.10
PYTEST = ("pytest==9.2.0", "pytest-xdist==3.8.0", "hypothesis==6.170.17", "pyte==0.8.2")
WORKERS = "2"  # each has databases of its own; `-- -n 0` runs the tests in one process
# With its extra: the tests need PostgreSQL, and take it from a wheel where the machine has none.
PROJECT = ".[server]"

# MarkupSafe 2.1 has no soft_unicode, which Jinja2 2 imports. MarkupSafe 2.0.1 has wheels up to Python 3.10, SQLAlchemy
# 1.3.24 up to 3.9 (1.4.54: 3.12). After that they are built from source, in pure Python where there is no compiler.
# Flask up to 2.0 finds `db` through pkg_resources, gone after setuptools 81. It warns on stderr in every command.
FLASK_1 = (
    "flask==1.1.4",
    "werkzeug==1.0.1",
    "jinja2==2.11.3",
    "markupsafe==2.0.1",
    "itsdangerous==1.1.0",
    "click==7.1.2",
    "setuptools<81",
)
# What Flask 2 and 3 share.
POCOO = ("jinja2==3.1.6", "markupsafe==3.0.4", "itsdangerous==2.2.0", "click==8.5.1")
FLASK_3 = ("flask-migrate==4.1.0", "flask-sqlalchemy==3.1.1", "flask==3.1.3", "werkzeug==3.1.9", *POCOO)
# Flask reads .flaskenv with python-dotenv.
COMMON = ("psycopg2-binary==2.9.13", "mako==1.4.3", "python-dotenv==1.2.4")
# Projects of some tests use other drivers; asynchronous SQLAlchemy needs greenlet.
DRIVERS = ("psycopg[binary]==3.3.9", "asyncpg==0.32.0", "greenlet==3.5.6", "pg8000==1.31.6")

# Alembic version → one environment, shared by a project of that time and by ours. The last is the newest.
ROWS: dict[str, tuple[str, ...]] = {
    "1.0.10": ("alembic==1.0.10", "sqlalchemy==1.3.24", "flask-migrate==2.5.3", "flask-sqlalchemy==2.4.4", *FLASK_1),
    "1.4.3": ("alembic==1.4.3", "sqlalchemy==1.3.24", "flask-migrate==2.7.0", "flask-sqlalchemy==2.5.1", *FLASK_1),
    "1.7.7": (
        *("alembic==1.7.7", "sqlalchemy==1.4.54", "flask-migrate==3.1.0", "flask-sqlalchemy==2.5.1"),
        *("flask==2.0.3", "werkzeug==2.0.3", "setuptools<81", *POCOO),
    ),
    "1.8.1": (
        *("alembic==1.8.1", "sqlalchemy==1.4.54", "flask-migrate==3.1.0", "flask-sqlalchemy==2.5.1"),
        *("flask==2.2.5", "werkzeug==2.2.3", *POCOO),
    ),
    # SQLAlchemy 2.0.20, of Alembic 1.11's time, fails on Python 3.13; 2.0.36 works on all.
    "1.11.3": (
        *("alembic==1.11.3", "sqlalchemy==2.0.36", "flask-migrate==4.0.5", "flask-sqlalchemy==3.0.5"),
        *("flask==2.3.3", "werkzeug==2.3.8", *POCOO),
    ),
    "1.13.3": (
        *("alembic==1.13.3", "sqlalchemy==2.0.36", "flask-migrate==4.0.7", "flask-sqlalchemy==3.1.1"),
        *("flask==3.0.3", "werkzeug==3.0.6", *POCOO),
    ),
    "1.16.5": ("alembic==1.16.5", "sqlalchemy==2.0.43", *FLASK_3),
    "1.20.1": ("alembic==1.20.1", "sqlalchemy==2.0.58", *FLASK_3),
    "1.20.1-sqlalchemy-2.1": ("alembic==1.20.1", "sqlalchemy==2.1.9", *FLASK_3),
}

# Row → why this Python cannot have it. Every other pair was run on 3.10, 3.11, 3.12 and 3.13.
IMPOSSIBLE: dict[str, str] = {}
if sys.version_info < (3, 11):
    IMPOSSIBLE["1.20.1-sqlalchemy-2.1"] = "SQLAlchemy 2.1 needs Python 3.11 (the last that installs on 3.10 is a beta)"
if sys.version_info >= (3, 14):
    IMPOSSIBLE |= dict.fromkeys(
        ("1.0.10", "1.4.3", "1.7.7", "1.8.1"), "Werkzeug before 2.3 uses ast.Str, which Python 3.14 removed"
    )
OLDEST, *_, NEWEST = [row for row in ROWS if row not in IMPOSSIBLE]

# The histories that a careless squash gets wrong, and the judge of all of them.
TRAPS = (
    "tests/traps",
    "tests/judge",
    *("tests/reference/test_databases.py", "tests/reference/test_roles.py"),
    "tests/history",
)

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]


def install(session: nox.Session, row: str, *others: str) -> None:
    """The row, pytest and the project, as its wheel holds it, into the session's one environment."""
    # setuptools removes nothing from there: a module that was deleted or renamed would still be in the wheel.
    shutil.rmtree("build", ignore_errors=True)
    # uv leaves compiling to the first run, and the tool tells the project's command to write no bytecode.
    session.install(*ROWS[row], *COMMON, *PYTEST, *others, PROJECT, env={"UV_COMPILE_BYTECODE": "1"})


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on the newest Alembic; without the slow ones."""
    install(session, NEWEST, RUFF, *DRIVERS)  # the generated files are checked with ruff
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", "-m", "not slow", "tests", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tests, on the newest Alembic: several squashes each, more than half an hour."""
    install(session, NEWEST, RUFF, *DRIVERS)
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", "-m", "slow", "tests", *session.posargs)


@nox.session
def traps(session: nox.Session) -> None:
    """Every trap and the judge, slow tests too, on the oldest Alembic or the one that `-- 1.4.3` names: 15 minutes."""
    words = list(session.posargs)
    row = words.pop(0) if words and words[0] in ROWS else OLDEST
    if row in IMPOSSIBLE:
        session.skip(IMPOSSIBLE[row])
    install(session, row, RUFF)
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", *TRAPS, *words)


@nox.session
def nightly(session: nox.Session) -> None:
    """Random histories, a thousand or as many as `-- 2000` says; `-- 2000 --seed 7` runs the same ones again."""
    install(session, NEWEST)
    session.run("python", "-m", "tests.random", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's rules and ruff's formatting."""
    session.install(RUFF)
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, in build/docs; a link or a heading that leads nowhere is an error."""
    session.install(*SPHINX)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-c", "docs", ".", "build/docs", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy, strict, on the package, the tests, tasks.py and this file."""
    install(session, NEWEST, MYPY, NOX)
    session.run("mypy", *session.posargs)
    session.run("mypy", "noxfile.py", "tasks.py", *session.posargs)


@nox.session
@nox.parametrize("alembic", list(ROWS))
def matrix(session: nox.Session, alembic: str) -> None:
    """The end-to-end tests on one Alembic version, with the Flask and SQLAlchemy of its time."""
    if alembic in IMPOSSIBLE:
        session.skip(IMPOSSIBLE[alembic])
    install(session, alembic, RUFF)
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", "-m", "e2e", "tests", *session.posargs)
