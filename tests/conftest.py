"""Fixtures: one real server for each test process, and projects made from what the installed Flask-Migrate writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tasklib.postgres import client
from tasklib.postgres import server as servers
from tasklib.postgres.server import Server
from tests.support.project import APP, BIN, Plain, Project, Step, build, init_template, plain, plain_template

Make = Callable[..., Project]
MakePlain = Callable[..., Plain]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a PostgreSQL, by its fixtures."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()) or item.path.parent.name == "postgres":
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real PostgreSQL. That there is none is a failure with its name, never a skip."""
    made = servers.start(str(Path.cwd()), owner_pid=os.getpid())
    yield made
    servers.stop(made.home)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_template(tmp_path_factory.mktemp("init"))


@pytest.fixture
def make(tmp_path: Path, server: Server, template: Path) -> Make:
    """Makes a project: make([Step(…), …], app=…, name=…)."""

    def maker(steps: Sequence[Step], app: str = APP, name: str = "project") -> Project:
        return build(tmp_path / name, server, template, steps, app)

    return maker


@pytest.fixture(scope="session")
def plain_templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What `alembic init -t NAME` writes, made once for each name."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = plain_template(tmp_path_factory.mktemp(f"plain-{name}"), name)
        return made[name]

    return of


@pytest.fixture
def make_plain(tmp_path: Path, server: Server, plain_templates: Callable[[str], Path]) -> MakePlain:
    """Makes a plain Alembic project: make_plain([Step(…), …], script=…, env=…, template=…, name=…)."""

    def maker(steps: Sequence[Step], template: str = "generic", name: str = "project", **others: str) -> Plain:
        return plain(tmp_path / name, server, plain_templates(template), steps, **others)

    return maker


@pytest.fixture
def put_back(tmp_path: Path) -> Iterator[None]:
    """For steps by hand: a test that fails between two must not leave its throwaway server behind."""
    yield
    for state in tmp_path.glob("*/.git/alembic-squash"):
        subprocess.run([BIN / "alembic-squash", "abort"], cwd=state.parent.parent, check=False, capture_output=True)


SHOP = (
    Step("users", """
        op.create_table(
            "users",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("email", sa.String(length=120), nullable=False),
            sa.UniqueConstraint("email", name="users_email_key"),
        )
        op.create_index("ix_users_email", "users", ["email"])
    """),
    Step("orders", """
        op.create_table(
            "orders",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
            sa.Column("total", sa.Numeric(10, 2), server_default="0", nullable=False),
        )
    """),
    Step("plans", """
        plans = op.create_table(
            "plans",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("code", sa.String(length=20), nullable=False),
        )
        op.bulk_insert(plans, [{"id": 1, "code": "free"}, {"id": 2, "code": "paid"}])
        op.execute("SELECT setval('plans_id_seq', 2)")
    """),
    Step("order status", sql=(
        "CREATE TYPE status AS ENUM ('open', 'closed')",
        "ALTER TABLE orders ADD COLUMN status status NOT NULL DEFAULT 'open'",
    )),
    Step("user plan", """
        op.add_column("users", sa.Column("plan_id", sa.Integer(), sa.ForeignKey("plans.id"), nullable=True))
    """),
    Step("notes", """
        op.add_column("orders", sa.Column("note", sa.Text(), nullable=True))
        op.execute("UPDATE plans SET code = 'premium' WHERE code = 'paid'")
    """),
)  # fmt: skip


@pytest.fixture
def shop(make: Make) -> Project:
    """A little shop of six migrations, the last two of which one would keep."""
    return make(SHOP)


@pytest.fixture(scope="session")
def old_shop(server: Server, plain_templates: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A plain Alembic project of the six migrations, and databases `shop_1` to `shop_6`, each at one of them, with rows
    of their own. Not to be changed.
    """
    project = plain(tmp_path_factory.mktemp("shop") / "project", server, plain_templates("generic"), SHOP)
    project.new_database("shop_0")
    for number, revision in enumerate(project.ids, 1):
        with client.connect(project.address()) as connection, connection.usual_path():
            connection.run(f"DROP DATABASE IF EXISTS shop_{number}")
            connection.run(f"CREATE DATABASE shop_{number} TEMPLATE shop_{number - 1}")
        project.db("upgrade", revision, database=f"shop_{number}")
        with client.connect(project.address(f"shop_{number}")) as connection, connection.usual_path():
            if number == 1:
                connection.run("INSERT INTO users (email) VALUES ('ann@example.com'), ('bob@example.com')")
            if number == 2:
                connection.run("INSERT INTO orders (user_id, total) VALUES (1, 9.5)")
    return project


@pytest.fixture(scope="session")
def new_shop(old_shop: Plain, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A copy of it, squashed up to its fourth migration. Not to be changed."""
    project = copied(old_shop, tmp_path_factory.mktemp("squashed"))
    squashed = project.tool("squash", "--rev", project.ids[3], "--server", project.server_url)
    assert squashed.code == 0, squashed.said
    return project


def copied(project: Plain, to: Path) -> Plain:
    """The project in a place of its own."""
    shutil.copytree(project.top, to / "project", symlinks=True)
    return replace(project, top=to / "project", ids=[*project.ids])


def database_of(project: Project, number: int, name: str) -> str:
    """The URL of a copy of `shop_NUMBER` under another name."""
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run(f'DROP DATABASE IF EXISTS "{name}"')
        connection.run(f'CREATE DATABASE "{name}" TEMPLATE shop_{number}')
    return project.address(name).url()
