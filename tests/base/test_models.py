"""`--source models`: the recipe to the letter, on apps whose models are all there is, and on others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasklib.history import revisions
from tasklib.postgres import client
from tasklib.steps.order import MODELS
from tests.conftest import Make
from tests.support.project import APP, VARIABLE, Project, Step, query

pytestmark = pytest.mark.usefixtures("put_back")

USER = """

class User(db.Model):
    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), nullable=False)
"""
POST = """

class Post(db.Model):
    __tablename__ = "posts"
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("users.id"), nullable=False)
"""
NAME = "    name = db.Column(db.String(80), nullable=True)\n"

USERS = Step("users", """
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
""")  # fmt: skip
WIDER = Step("a wider email", 'op.alter_column("users", "email", type_=sa.String(length=120))')
POSTS = Step(
    "posts",
    """
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
""",
)
NAMES = Step("names", 'op.add_column("users", sa.Column("name", sa.String(length=80), nullable=True))')


def history(make: Make) -> Project:
    """Three migrations, each committed with its models; then a kept one; then an edit of an old one."""
    project = make([], app=APP + USER)
    project.add(USERS, WIDER)
    project.write("app.py", APP + USER + POST)
    project.add(POSTS)
    project.write("app.py", APP + USER + NAME + POST)
    project.add(NAMES)
    old = project.file_of(project.ids[0])
    old.write_text(old.read_text().replace("# ", "") + "\n# tidied later\n", encoding="utf-8")
    project.commit("edit an old migration")
    return project


@pytest.mark.e2e
def test_models_that_say_everything_are_merged_with_a_merge_commit_and_keep_the_later_migrations(make: Make) -> None:
    project = history(make)
    tip, at_r = project.git("rev-parse", "HEAD"), project.git("rev-parse", "HEAD~2")
    kept = project.base_text(project.ids[3])
    done = project.squash(project.ids[2], "--source", "models")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert sorted(path.name[:12] for path in project.versions.glob("*.py")) == project.ids[2:]
    assert project.base_text(project.ids[3]) == kept
    draft, theirs = project.git("log", "-1", "--format=%P").split()
    assert theirs == tip
    assert project.git("rev-parse", f"{draft}^") == at_r
    assert f"Originals: git commit {tip}" in project.base_text(project.ids[2])
    assert revisions.replaced(project.base_text(project.ids[2])) == tuple(project.ids[:3])
    assert project.git("diff", "--stat", tip, "HEAD", "--", ".", ":!migrations/versions") == ""
    project.new_database("models")
    project.flask("upgrade", database="models")
    assert query(project.address("models"), "SELECT name FROM users") == []


@pytest.mark.slow
def test_a_named_commit_is_used_only_where_r_is_its_sole_head(make: Make) -> None:
    project = history(make)
    head = project.git("rev-parse", "HEAD")
    wrong = project.squash(project.ids[2], "--source", "models", "--commit", "HEAD")
    assert wrong.code == 1 and project.ids[3] in wrong.err, wrong.said
    unknown = project.squash(project.ids[2], "--source", "models", "--commit", "nonsense")
    assert unknown.code == 1 and "nonsense" in unknown.err, unknown.said
    project.assert_nothing_left(head)
    right = project.squash(project.ids[2], "--source", "models", "--commit", "HEAD~2", "--no-merge")
    assert right.code == 0, right.said
    assert project.git("rev-parse", "main") == head


@pytest.mark.slow
def test_the_recipe_by_the_tasks_goes_as_the_docs_have_it(make: Make) -> None:
    project = history(make)
    page = Path(__file__).resolve().parents[2] / "docs/recipe.md"
    block = re.findall(r"(?ms)^```\n(.*?)^```$", page.read_text(encoding="utf-8"))[0]
    commands = [line.split() for line in block.replace("--rev R ", f"--rev {project.ids[2]} ").splitlines()]
    assert [words[1] for words in commands] == [*MODELS[:4], "migrate", "cleanup", "merge"]
    for program, *words in commands:
        # As in a shell in which the app starts: `init` is the first of it, before anything is led.
        done = project.tool(*words, cwd=None, **{VARIABLE: "postgresql+psycopg2://nobody@127.0.0.1:1/nowhere"})
        assert program == "alembic-squash" and done.code == 0, done.said
    project.assert_nothing_left()


@pytest.mark.slow
def test_models_by_hand_and_written_anew_with_force(make: Make) -> None:
    project = history(make)
    start = project.git("rev-parse", "HEAD")
    begin = ["checkout", "--rev", project.ids[2], "--uri-var", VARIABLE, "--source", "models"]
    for words in (begin, ["reinit"], ["restore"], ["createdb"], ["migrate"]):
        done = project.tool(*words)
        assert done.code == 0, done.said
    assert project.git("rev-parse", "HEAD") == project.git("rev-parse", "main~2")
    assert [path.name[:12] for path in project.versions.glob("*.py")] == [project.ids[2]]
    file = project.file_of(project.ids[2])
    written = file.read_text()
    file.write_text(written.replace("length=120", "length=99"), encoding="utf-8")
    assert project.tool("migrate").code == 1
    forced = project.tool("migrate", "--force")
    assert forced.code == 0, forced.said
    assert "length=120" in file.read_text() and "length=99" not in file.read_text()
    for words in (["verify"], ["verify"], ["cleanup"], ["merge"]):
        done = project.tool(*words)
        assert done.code == 0, done.said
    project.assert_nothing_left()
    assert project.git("rev-parse", "HEAD^2") == start


@pytest.mark.slow
def test_models_for_a_history_that_cannot_be_replayed_need_another_truth(make: Make) -> None:
    project = history(make)
    old = project.file_of(project.ids[0])
    importing = "def upgrade():\n    import a_module_of_long_ago\n"
    old.write_text(old.read_text().replace("def upgrade():\n", importing), encoding="utf-8")
    head = project.commit("the module is gone")
    alone = project.squash(project.ids[2], "--source", "models")
    assert alone.code == 2 and "a_module_of_long_ago" in alone.err and "proves it by one" in alone.err, alone.said
    assert "--before" in alone.err and "--reference URL" in alone.err
    project.assert_nothing_left(head)
    address = project.new_database("deployed")
    with client.connect(address) as connection, connection.usual_path():
        connection.run("CREATE TABLE users (id serial PRIMARY KEY, email varchar(120) NOT NULL)")
        connection.run("CREATE TABLE posts (id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users)")
        connection.run("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        connection.run("INSERT INTO alembic_version VALUES (%s)", [project.ids[2]])
    done = project.squash(project.ids[2], "--source", "models", "--reference", address.url())
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert "Proven against the database deployed at" in project.base_text(project.ids[2])
    assert "Proven against the database deployed at" in project.git("log", "-1", "--format=%B")
    asked = project.tool("verify", "--uri-var", VARIABLE)
    assert asked.code == 1 and "hint: --reference URL" in asked.err, asked.said


def test_models_that_say_less_than_the_history_are_exit_3_with_a_report_and_nothing_changes(make: Make) -> None:
    project = make([], app=APP + USER)
    project.add(
        USERS,
        WIDER,
        Step("a default and a row", """
            op.execute("INSERT INTO users (email) VALUES ('admin@example.com')")
            op.alter_column("users", "email", server_default="nobody@example.com")
        """),
        NAMES,
    )  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    before = sorted(path.name for path in project.top.rglob("*") if ".git" not in path.parts)
    done = project.squash(project.ids[2], "--source", "models")
    assert done.code == 3, done.said
    assert "users" in done.err and "nobody@example.com" in done.err and "ROWS" in done.err.upper()
    project.assert_nothing_left(head)
    assert sorted(path.name for path in project.top.rglob("*") if ".git" not in path.parts) == before


def test_a_revision_that_was_never_the_sole_head_is_refused_with_the_nearest_that_were(make: Make) -> None:
    project = make([], app=APP + USER)
    project.add(USERS)
    project.add(WIDER, POSTS, commit=False)
    head = project.commit("two at once")
    done = project.squash(project.ids[1], "--source", "models")
    assert done.code == 1, done.said
    assert project.ids[1] in done.err and project.ids[0] in done.err and project.ids[2] in done.err
    assert f"--rev {project.ids[2]}" in done.err  # the first revision has nothing to squash
    project.assert_nothing_left(head)


@pytest.mark.slow
def test_a_commit_whose_app_does_not_import_shows_the_apps_own_error_and_puts_everything_back(make: Make) -> None:
    project = make([], app=APP + USER)
    project.add(USERS)
    project.write("app.py", "import a_module_of_long_ago\n" + APP + USER)
    project.add(WIDER)
    project.write("app.py", APP + USER + NAME)
    project.add(NAMES)
    head = project.git("rev-parse", "HEAD")
    done = project.squash(project.ids[1], "--source", "models")
    assert done.code == 2, done.said
    assert "a_module_of_long_ago" in done.err
    project.assert_nothing_left(head)
    assert project.squash(project.ids[1]).code == 0  # the history needs no old code


def test_a_script_directory_that_moved_since_r_is_named(make: Make) -> None:
    project = history(make)
    project.git("mv", "migrations", "db")
    project.script = "db"
    moved = project.commit("another place")
    project.add(Step("later"))
    head = project.git("rev-parse", "HEAD")
    done = project.squash(project.ids[1], "--source", "models")
    assert done.code == 1, done.said
    file = project.file_of(project.ids[1]).name
    assert f"db/versions/{file} was migrations/versions/{file} until the commit {moved[:12]}" in done.err
    assert "--source history needs no such commit" in done.err
    project.assert_nothing_left(head)
    # Since then it is followed as ever: R is the head of that commit.
    dry = project.tool("plan", "--rev", project.ids[3], "--source", "models")
    assert dry.code == 0, dry.said
