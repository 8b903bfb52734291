"""Projects that are laid out otherwise than the tutorial's: each is made as its own tools make it, and squashed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.project import configs, discovery, script_mako
from tasklib.project.layout import Layout
from tasklib.repository import git
from tasklib.settings import Settings
from tests.conftest import SHOP, Make, MakePlain
from tests.support import documents
from tests.support.project import BIN, URL_IN_ENV, VARIABLE, Project, Step, query, reaches, virtual_environment

pytestmark = pytest.mark.usefixtures("put_back")


def layout_of(made: Project, cwd: str = ".", command: str = "", directory: str | None = None) -> Layout:
    """What is found out about the committed project by somebody who stands in ``cwd``."""
    settings = Settings(command=tuple(command.split()), directory=directory)
    return discovery.find_layout(git.find(made.top), "HEAD", settings, made.top / cwd)


def change(file: Path, *pairs: tuple[str, str]) -> None:
    """Replace regular expressions in a file, each of which must be there."""
    text = file.read_text(encoding="utf-8")
    for pattern, new in pairs:
        assert re.search(pattern, text, re.MULTILINE), pattern
        text = re.sub(pattern, new.replace("\\", r"\\"), text, flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")


def move(made: Project, source: str, target: str) -> None:
    (made.top / target).parent.mkdir(parents=True, exist_ok=True)
    made.git("mv", source, target)


# --- plain Alembic -----------------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_a_plain_alembic_project_is_squashed_without_an_option_but_the_variable(make_plain: MakePlain) -> None:
    made = make_plain(SHOP)
    before = made.git("rev-parse", "HEAD")
    done = made.squash("head-2")
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert made.git("rev-parse", "HEAD^") == before
    assert sorted(p.name[:12] for p in made.versions.glob("*.py")) == made.ids[3:]
    address = made.new_database("plain")
    made.db("upgrade", "head", database="plain")
    assert query(address, "SELECT id, code FROM plans ORDER BY id") == [(1, "free"), (2, "premium")]


TENANT = """
import os

if context.get_x_argument(as_dictionary=True).get("tenant") != "acme":
    raise SystemExit("which tenant?")
assert config.get_main_option("who") == "the other section", config.config_ini_section
config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
"""
SECTIONS = """[DEFAULT]
who = nobody
[alembic]
script_location = reports
[billing]
who = the other section"""
PLACES = """script_location = migrations
version_locations = migrations/versions:billing:%(here)s/../auth/revisions
recursive_version_locations = true
file_template = %%(year)d/%%(rev)s_%%(slug)s"""


@pytest.mark.slow
def test_version_locations_and_subdirectories_that_an_ini_of_another_name_names_in_a_section(
    make_plain: MakePlain,
) -> None:
    made = make_plain(SHOP, env=TENANT)
    ini = "conf/migrations.ini"
    move(made, "alembic.ini", ini)
    change(made.top / ini, (r"^\[alembic\]$", SECTIONS), (r"^script_location = %.*", PLACES))
    for number, file in enumerate(sorted(made.versions.glob("*.py"))):
        place = ("migrations/versions/2024", "billing/2024/q1", "auth/revisions")[number % 3]
        move(made, file.relative_to(made.top).as_posix(), f"{place}/{file.name}")
    made.write("billing/__init__.py", "")  # in a version location, and no revision
    made.commit("scattered")

    found = layout_of(made)
    assert found.command == ("alembic", "-n", "billing")
    assert (found.ini, found.section, found.cwd) == (ini, "billing", ".")
    words = documents.command("alembic -c")
    done = made.squash("head-2", "--command", words)
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert made.git("ls-files", "*_*.py").splitlines() == [
        "auth/revisions/0006aaaaaaaa_notes.py",
        "billing/2024/q1/0005ffffffff_user_plan.py",
        "billing/__init__.py",
        "migrations/versions/2024/0004eeeeeeee_order_status.py",
    ]
    address = made.new_database("scattered")
    url = {VARIABLE: address.url("postgresql+psycopg2")}
    made.run([BIN / "alembic", *words.split()[1:], "upgrade", "heads"], cwd=None, check=True, **url)
    assert query(address, "SELECT version_num FROM alembic_version") == [("0006aaaaaaaa",)]
    # Without -x it is env.py's own words that are shown.
    assert "which tenant?" in reaches(made, "--command", "alembic -n billing -c conf/migrations.ini")


HOOKS = """
version_locations = ["%(here)s/migrations/versions", "more"]

[[tool.alembic.post_write_hooks]]
name = "stamp"
type = "exec"
executable = "./stamp.sh"
options = "REVISION_SCRIPT_FILENAME by-a-hook"

[[tool.alembic.post_write_hooks]]
name = "gone"
type = "console_scripts"
entrypoint = "not_installed_anywhere"
"""
STAMP = """#!/bin/sh
echo "# stamped $2" >> "$1"
"""
LICENCE = "# Copyright 2024 Example Ltd.\n# SPDX-License-Identifier: MIT\n\n"
NEIGHBOUR = """
import os
import sys

import only_in_the_projects_environment
import shopmodels

config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
"""


def test_a_project_below_the_top_with_pyproject_toml_a_venv_of_its_own_and_hooks(make_plain: MakePlain) -> None:
    made = make_plain([], template="pyproject", env=NEIGHBOUR)
    for name in ("alembic.ini", "pyproject.toml", "migrations"):
        move(made, name, f"backend/{name}")
    made.script = "backend/migrations"
    mako = made.top / "backend/migrations/script.py.mako"
    mako.write_text(LICENCE + "## how this is rendered\n" + mako.read_text(), encoding="utf-8")
    made.write("backend/pyproject.toml", (made.top / "backend/pyproject.toml").read_text() + HOOKS)
    made.write("backend/stamp.sh", STAMP).chmod(0o755)
    made.write("backend/shopmodels.py", "")
    made.write(".gitignore", ".venv/\n__pycache__/\n")
    made.versions.mkdir(exist_ok=True)
    made.add(*SHOP[:3])
    move(made, made.file_of(made.ids[0]).relative_to(made.top).as_posix(), "backend/more/first.py")
    made.write("uv.lock", "")
    made.write("docs/notes.md", f"Imports ran at {made.ids[0]},\nand again at {made.ids[1]}.\n")
    made.commit("the first one is elsewhere")
    environment = made.top / "backend/.venv"
    virtual_environment(environment)
    packages = next(environment.glob("lib/*/site-packages"))
    (packages / "only_in_the_projects_environment.py").touch()

    found = layout_of(made)
    assert (found.cwd, found.toml, found.ini) == ("backend", "backend/pyproject.toml", "backend/alembic.ini")
    # The active environment is the one that we are installed in; the project's own is beside its pyproject.toml.
    done = made.squash("head-1", VIRTUAL_ENV=sys.prefix)
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert made.git("ls-files", "backend/more") == ""
    assert (
        "Left for you to mend, for they name revisions that are gone:\n"
        f"  docs    docs/notes.md:1: Imports ran at {made.ids[0]},\n"
    ) in done.out
    text = made.base_text(made.ids[1])
    assert text.startswith(f'{LICENCE}"""orders\n')
    assert text.endswith("# stamped by-a-hook\n")
    assert "warning: the project's post_write_hooks did not run through" in done.err
    assert "not_installed_anywhere" in done.err

    # Where that environment is missing, it is said what was taken instead, and what to type.
    shutil.rmtree(environment)
    done = made.tool("verify", "--uri-var", VARIABLE, "--server", made.server_url)
    assert done.code == 2 and "only_in_the_projects_environment" in done.err, done.said
    assert f"{BIN}/alembic is of the environment that this program is installed in" in done.err
    assert "--command 'uv run alembic'" in done.err


def test_an_ini_that_git_ignores_and_a_script_location_in_a_package_are_found(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:2])
    move(made, "migrations", "src/shop/db/migrations")
    made.write("src/shop/__init__.py", "")
    change(made.top / "alembic.ini", (r"^script_location = .*", "script_location = shop.db:migrations"))
    made.git("rm", "--quiet", "--cached", "alembic.ini")
    made.write(".gitignore", "alembic.ini\n")
    made.commit("the ini holds a password")
    found = layout_of(made)
    assert (found.kind, found.script, found.ini) == ("alembic", "src/shop/db/migrations", "alembic.ini")
    assert reaches(made).startswith("0 ")


def test_an_ini_that_the_projects_own_program_fills_in_needs_no_option(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:2], env="")
    ini = "shop/_internal/alembic.ini"
    move(made, "migrations", "shop/_internal/alembic")
    move(made, "alembic.ini", ini)
    change(made.top / ini, (r"^script_location = .*", "script_location = {alembic_dir}"))
    change(made.top / ini, (r"^sqlalchemy.url = .*", "sqlalchemy.url = {db_url}"))
    made.commit("a template")
    found = layout_of(made)
    assert (found.kind, found.script, found.ini) == ("alembic", "shop/_internal/alembic", ini)
    assert made.tool("checkout", "--rev", made.ids[-1], "--server", made.server_url).code == 0
    done = made.tool("createdb", "--server", made.server_url)
    assert done.code == 0 and "--set sqlalchemy.url={url}" in done.err, done.said
    with pytest.raises(Refused, match=r"elsewhere\.ini, which is outside of the repository"):
        layout_of(made, command="alembic -c ../elsewhere.ini")


def test_compiled_revisions_are_refused(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:1])
    change(made.top / "alembic.ini", (r"^\[alembic\]$", "[alembic]\nsourceless = true"))
    made.commit("compiled ones")
    with pytest.raises(Refused, match="sourceless = true"):
        layout_of(made)


def test_of_several_directories_of_flask_migrate_the_usual_one_is_meant_as_flask_db_means_it(make: Make) -> None:
    made = make(SHOP[:1])
    shutil.copytree(made.top / "migrations", made.top / "migrations_extend")
    made.commit("two of them")
    assert layout_of(made).script == "migrations"
    assert layout_of(made, directory="migrations_extend").script == "migrations_extend"
    move(made, "migrations", "migrations_core")
    made.commit("none is usual")
    with pytest.raises(Refused, match="several script directories: migrations_core, migrations_extend"):
        layout_of(made)


def test_which_of_several_script_directories_is_meant_is_said_by_c_n_directory_or_where_one_stands(
    make_plain: MakePlain, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_plain(SHOP[:1])
    move(made, "migrations", "shop/migrations")
    move(made, "alembic.ini", "shop/alembic.ini")
    shutil.copytree(made.top / "shop", made.top / "books")
    change(made.top / "books/alembic.ini", (r"^script_location = .*", "script_location = migrations"))
    two = "[alembic]\nscript_location = shop/migrations\n[books]\nscript_location = %(here)s/books/migrations\n"
    made.write("both.ini", two)
    made.commit("two of them")
    with pytest.raises(Refused, match="several script directories: books/migrations, shop/migrations"):
        layout_of(made)
    assert layout_of(made, cwd="books").ini == "books/alembic.ini"
    by_directory = layout_of(made, directory="books/migrations")
    assert (by_directory.ini, by_directory.cwd) == ("books/alembic.ini", "books")
    # A path as a message shows it, from the top level, does as well; a hint can be typed where one is.
    assert layout_of(made, directory="books/migrations", cwd="shop").script == "books/migrations"
    with pytest.raises(Refused) as error:
        layout_of(made, directory="nowhere", cwd="shop")
    assert error.value.hint == "--directory ../books/migrations"
    by_c = layout_of(made, command="alembic -c books/alembic.ini")
    # From here its relative script_location means nothing, so it runs where it does.
    assert (by_c.script, by_c.cwd, by_c.command) == ("books/migrations", "books", ("alembic",))
    by_n = layout_of(made, command="poetry run alembic --config=both.ini --name books -x a=b")
    assert (by_n.script, by_n.section, by_n.cwd) == ("books/migrations", "books", ".")
    assert by_n.command == ("poetry", "run", "alembic", "--name", "books", "-x", "a=b")
    monkeypatch.setenv("ALEMBIC_CONFIG", "both.ini")
    assert layout_of(made, command="alembic").script == layout_of(made).script == "shop/migrations"
    with pytest.raises(Refused, match=r"there is no nowhere\.ini"):
        layout_of(made, command="alembic -c nowhere.ini")
    with pytest.raises(Refused, match=r"No configuration of Alembic has books/migrations"):
        layout_of(made, command="alembic -c shop/alembic.ini", directory="books/migrations")


def test_a_configuration_that_is_built_in_code_is_refused_with_the_option_that_it_needs(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:2])
    made.git("rm", "--quiet", "alembic.ini")
    made.commit("in code")
    done = made.tool("plan", "--rev", "head")
    assert done.code == 1 and "seems to be built in code" in done.err, done.said
    assert "--command 'python -m yourapp.db'" in done.err


MAIN = "from shop.cli import shop\n\nshop()\n"
ROOT_GROUP = "import click\n\n\n@click.group()\ndef shop():\n    pass\n\n\nfrom shop.cli import db\n"
DB_GROUP = (
    "import click\n\nfrom shop.cli import shop\n\n\n@shop.group()\n@click.pass_context\ndef db(context):\n    pass\n"
)
ADDED = "import alembic.command\nimport click\n\nfrom shop.cli.db import db\n\n\n@click.command()\ndef current():\n" \
    "    pass\n\n\ndb.add_command(current)\n"  # fmt: skip


def in_db(name: str) -> str:
    return f"import alembic.command\n\nfrom shop.cli.db import db\n\n\n@db.command()\ndef {name}_command():\n    pass\n"


@pytest.mark.parametrize("src", ["", "src/"])
def test_a_group_of_clicks_with_alembics_words_is_the_command_where_the_package_can_be_run(
    make_plain: MakePlain, src: str
) -> None:
    made = make_plain(SHOP[:2])
    made.git("rm", "--quiet", "alembic.ini")
    files = {
        "__init__.py": "", "__main__.py": MAIN, "cli/__init__.py": ROOT_GROUP, "cli/db/__init__.py": DB_GROUP,
        "cli/db/current.py": ADDED, "cli/db/upgrade.py": in_db("upgrade"),
        "tests/test_db.py": IN_CODE,
        # With words like it, and no Alembic.
        "cli/cache.py": "@shop.group()\ndef cache():\n    pass\n\n\n@cache.command()\ndef upgrade():\n    pass\n",
    }  # fmt: skip
    for path, text in files.items():
        made.write(f"{src}shop/{path}", text)
    made.commit("not all that it takes")
    assert "seems to be built in code" in made.tool("plan", "--rev", "head").err
    made.write(f"{src}shop/cli/db/downgrade.py", in_db("downgrade"))
    made.commit("a program of its own")
    found = layout_of(made)
    assert (found.kind, found.command, found.cwd) == ("code", ("python", "-m", "shop", "db"), ".")
    made.write(f"{src}shop/tools/migrate.py", IN_CODE)
    made.commit("another one")
    assert "seems to be built in code" in made.tool("plan", "--rev", "head").err


IN_CODE = """
import os

from alembic.config import CommandLine, Config

line = CommandLine(prog="shop.db")
options = line.parser.parse_args()
config = Config(cmd_opts=options)
config.set_main_option("script_location", os.path.join(os.path.dirname(__file__), "migrations"))
line.run_cmd(config, options)
"""
OTHER_WORDS = """
import argparse

parser = argparse.ArgumentParser(prog="shop.other")
parser.add_argument("action", choices=["migrate", "rollback"])
parser.parse_args()
"""
# The second one imports the first one, by the path that leads to the work tree.
TOGETHER = (
    Step("users", 'NAME = "ada"\nop.create_table("users", sa.Column("name", sa.Text()))', revision="a001"),
    Step("comment", """
        from shop.migrations.versions.a001_users import revision as first

        op.execute(f"COMMENT ON TABLE users IS 'since {first}'")
    """, revision="a002"),
    Step("later", 'op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))', revision="a003"),
)  # fmt: skip


@pytest.mark.slow
def test_a_program_of_the_projects_own_that_takes_alembics_words_runs_the_old_chain_in_the_work_tree(
    make_plain: MakePlain,
) -> None:
    made = make_plain([])
    made.git("rm", "--quiet", "alembic.ini")
    move(made, "migrations", "shop/migrations")
    made.script = "shop/migrations"
    made.write("shop/db.py", IN_CODE)
    made.write("shop/other.py", OTHER_WORDS)
    made.versions.mkdir(exist_ok=True)
    made.add(*TOGETHER)
    (made.versions / "notes.txt").write_text("mine\n", encoding="utf-8")
    made.commit("notes")

    said = reaches(made, "--command", "python -m shop.other")
    assert said.startswith("2 ") and "invalid choice" in said and "must take Alembic's words" in said
    done = made.squash("head-1")
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert sorted(path.name for path in made.versions.iterdir() if path.is_file()) == [
        "a002_comment.py", "a003_later.py", "notes.txt",
    ]  # fmt: skip
    text = made.base_text("a002")
    assert "since a001" in text and "from shop" not in text
    # Without a plan the originals are put into the work tree as well, and taken out again.
    own = ("--command", documents.command("python -m shop"))
    verified = made.tool("verify", "--uri-var", VARIABLE, "--server", made.server_url, *own)
    assert verified.code == 0, verified.said
    made.assert_nothing_left()


@pytest.mark.slow
def test_revisions_that_import_each_other_by_their_packages_path_find_the_old_ones(make_plain: MakePlain) -> None:
    made = make_plain([])
    move(made, "migrations", "shop/migrations")
    made.script = "shop/migrations"
    change(made.top / "alembic.ini", (r"^script_location = .*", "script_location = %(here)s/shop/migrations"))
    made.versions.mkdir(exist_ok=True)
    made.add(*TOGETHER)
    assert layout_of(made).in_place
    done = made.squash("head-1")
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert "since a001" in made.base_text("a002")


def test_a_version_location_outside_of_the_repository_is_refused(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:2])
    places = "version_locations = %(here)s/migrations/versions:../plugin"
    change(made.top / "alembic.ini", (r"^# version_locations = .*", places))
    made.commit("a plugin")
    with pytest.raises(Refused, match=r"version location \.\./plugin, which is not in this repository"):
        layout_of(made)


MODELS = """
import sqlalchemy as sa

target = sa.MetaData()
sa.Table("users", target, sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(120)))
"""
TABLE = Step("users", """
    op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("email", sa.String(length=80)))
""")  # fmt: skip
WIDER = Step("wider", 'op.alter_column("users", "email", type_=sa.String(length=120))')
TEMPLATED = "[alembic]\nfile_template = %%(year)d/%%(rev)s\nrecursive_version_locations = true"


@pytest.mark.slow
def test_plain_alembics_own_words_for_the_recipe_init_and_revision_autogenerate(make_plain: MakePlain) -> None:
    made = make_plain([], env=URL_IN_ENV + MODELS)
    change(made.top / "migrations/env.py", ("^target_metadata = None", "target_metadata = target"))
    change(made.top / "alembic.ini", (r"^\[alembic\]$", TEMPLATED))
    mako = made.top / "migrations/script.py.mako"
    mako.write_text(LICENCE + mako.read_text(), encoding="utf-8")
    made.git("rm", "--quiet", "migrations/README")
    made.commit("models")
    made.versions.mkdir(exist_ok=True)
    made.add(TABLE, WIDER)
    tip = made.commit("something else")
    old = [made.file_of(one).name for one in made.ids]

    def step(*words: str) -> None:
        done = made.tool(*words)
        assert done.code == 0, done.said

    step("checkout", "--rev", made.ids[1], "--source", "models", "--uri-var", VARIABLE, "--server", made.server_url)
    step("reinit")
    # `alembic init` wrote what was missing, and nothing outside of the script directory.
    status = made.git("status", "--porcelain", "--untracked-files=all")
    assert sorted(line.split(maxsplit=1) for line in status.splitlines()) == [
        ["??", "migrations/README"],
        *(["D", f"migrations/versions/{name}"] for name in sorted(old)),
        ["M", "migrations/env.py"],
        ["M", "migrations/script.py.mako"],
    ]
    step("restore")
    step("migrate", "--server", made.server_url)
    text = made.base_text(made.ids[1])
    assert text.startswith(LICENCE) and "op.create_table('users'" in text and "length=120" in text
    assert revisions.originals(text) == tip
    assert not list(made.versions.glob("2*"))  # file_template's directory is gone again, R's file is where it was
    step("merge", "--server", made.server_url)
    made.assert_nothing_left()


# --- Flask-Migrate -----------------------------------------------------------------------------------------------

FACTORY = """
import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

HERE = os.path.dirname(os.path.abspath(__file__))
db = SQLAlchemy()
migrate = Migrate(directory=os.path.join(HERE, "..", "..", "database", "revisions"))


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    db.init_app(app)
    migrate.init_app(app, db)
    return app
"""
MANAGE = """#!/usr/bin/env python
import sys

sys.path.insert(0, "src")

from flask.cli import FlaskGroup
from shop import create_app

FlaskGroup(create_app=create_app)()
"""


def factory(make: Make) -> Project:
    """An application factory in src, with an absolute Migrate(directory=…) elsewhere in the tree."""
    made = make(SHOP[:4])
    made.git("rm", "--quiet", "app.py")
    made.write("src/shop/__init__.py", FACTORY)
    move(made, "migrations", "database/revisions")
    made.script = "database/revisions"
    made.write("manage.py", MANAGE).chmod(0o755)
    made.commit("a factory")
    return made


@pytest.mark.slow
def test_an_absolute_migrate_directory_below_a_manage_py_runs_the_chain_that_is_meant(make: Make) -> None:
    made = factory(make)
    done = made.squash("head-1", "--command", documents.command("python manage.py"))
    assert done.code == 0, done.said
    made.assert_nothing_left()
    assert sorted(p.name[:12] for p in made.versions.glob("*.py")) == made.ids[2:]
    assert "op.create_table(" in made.base_text(made.ids[2])
    verified = made.tool("verify", "--uri-var", VARIABLE, "--server", made.server_url, "--command", "./manage.py db")
    assert verified.code == 0, verified.said


@pytest.mark.parametrize("metadata", [
    ("pyproject.toml", '[project]\nname = "shop"\nversion = "1"\n[project.scripts]\nshop-worker = "shop:create_app"\n'
                       'shop = "shop.cli:main"\n'),
    ("setup.py", "from setuptools import setup\n\nsetup(entry_points={'console_scripts': ['shop = shop.cli:main']})\n"),
])  # fmt: skip
def test_a_program_that_the_project_installs_for_itself_stands_for_flask_db(
    make: Make, monkeypatch: pytest.MonkeyPatch, metadata: tuple[str, str]
) -> None:
    monkeypatch.delenv("FLASK_APP", raising=False)
    made = factory(make)
    made.git("rm", "--quiet", "manage.py")
    made.write(*metadata)
    made.write("src/shop/cli.py", "import click\nfrom flask.cli import FlaskGroup\n\nfrom shop import create_app\n\n\n"
               "@click.group(cls=FlaskGroup, create_app=create_app)\ndef main():\n    pass\n")  # fmt: skip
    made.write(".gitignore", ".venv/\n")
    made.commit("a program of its own")
    found = layout_of(made)
    assert (found.kind, found.command, found.cwd) == ("flask", ("shop", "db"), ".")
    program = made.write(".venv/bin/shop", f"#!{sys.executable}\nimport sys\nsys.path.insert(0, 'src')\n"
                         "from shop.cli import main\nmain()\n")  # fmt: skip
    program.chmod(0o755)
    done = made.tool("squash", "--rev", "head-1", "--timings", DATABASE_URL="postgresql+psycopg2://u:p@h.example/shop")
    assert done.code == 0, done.said
    assert "shop db, in ./" in done.out and "2 starts of the application" in done.out, done.said


def test_what_stands_for_flask_db_is_found_where_nothing_names_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK_APP", raising=False)
    made = factory(make)
    found = layout_of(made)
    assert (found.kind, found.command, found.cwd) == ("flask", ("python", "manage.py", "db"), ".")
    # Somebody who also wants `alembic` adds its script_location to Flask-Migrate's ini: env.py still needs the app.
    change(made.top / "database/revisions/alembic.ini", (r"^\[alembic\]$", "[alembic]\nscript_location = %(here)s"))
    move(made, "manage.py", "backend/manage.py")
    move(made, "database/revisions", "backend/migrations")
    made.commit("a backend")
    found = layout_of(made)
    assert (found.kind, found.command, found.cwd) == ("flask", ("python", "manage.py", "db"), "backend")
    assert layout_of(made, cwd="backend").cwd == "backend"
    made.write("backend/wsgi.py", "from shop import create_app\n\napp = create_app()\n")
    made.commit("wsgi")
    found = layout_of(made)
    assert (found.command, found.cwd) == (("flask", "db"), "backend")
    monkeypatch.setenv("FLASK_APP", "shop:create_app")
    assert layout_of(made).cwd == "."


def test_two_services_whose_configurations_read_alike_have_each_its_own(make_plain: MakePlain) -> None:
    made = make_plain(SHOP[:3])
    for name in ("alembic.ini", "migrations"):
        move(made, name, f"api/{name}")
    shutil.copytree(made.top / "api", made.top / "billing")
    made.write("conf/alembic.ini", "[alembic]\nscript_location = migrations\n")
    made.commit("two services")
    for service in ("api", "billing"):
        found = layout_of(made, service)
        assert (found.script, found.ini) == (f"{service}/migrations", f"{service}/alembic.ini"), found
    # One that is named means what is here, as Alembic does.
    found = layout_of(made, "billing", "alembic -c ../conf/alembic.ini")
    assert (found.script, found.cwd) == ("billing/migrations", "billing"), found


def test_sections_of_one_script_directory_that_differ_in_more_than_an_address_are_refused(
    make_plain: MakePlain,
) -> None:
    made = make_plain(SHOP[:3])
    section = "script_location = migrations\nsqlalchemy.url = postgresql://h/{0}\n"
    made.write("alembic.ini", f"[a]\n{section.format('a')}[b]\n{section.format('b')}")
    made.commit("two databases alike")
    assert layout_of(made).section == "a"
    made.write("alembic.ini", f"[a]\n{section.format('a')}shop = a\n[b]\n{section.format('b')}shop = b\n")
    made.commit("two shops")
    with pytest.raises(Refused, match=r"has the sections a, b for one script directory, and they differ in shop:"):
        layout_of(made)
    assert layout_of(made, command="alembic -n b").section == "b"


def test_an_application_is_found_by_flask_app_and_by_a_flaskenv_next_to_it(make: Make) -> None:
    made = factory(make)
    assert reaches(made, FLASK_APP="shop:create_app", PYTHONPATH="src").startswith("0 ")
    words = ("--command", documents.command("python -m flask"))
    assert reaches(made, *words, PYTHONPATH="src").startswith("0 ")
    made.write("src/.flaskenv", "FLASK_APP=shop:create_app\n")
    made.commit("a .flaskenv")
    assert reaches(made).startswith("0 ")


# --- the code that runs ------------------------------------------------------------------------------------------


def test_a_package_that_is_installed_from_another_checkout_gives_no_false_proof(make_plain: MakePlain) -> None:
    made = make_plain([], env=URL_IN_ENV.replace("import os\n", "import os\n\nimport shop.models\n"))
    made.write("src/shop/__init__.py", "")
    made.write("src/shop/models.py", "SIZE = 80\n")
    made.write("setup.py", "")
    made.versions.mkdir(exist_ok=True)
    made.add(*SHOP[:3])
    shutil.copytree(made.top, made.top.parent / "other")
    other = made.top.parent / "other/src"
    virtual_environment(made.top.parent / "venv", other)
    command = ("--command", str(made.top.parent / "venv/bin/alembic"))
    # The same code, though it lies elsewhere.
    assert reaches(made, *command).startswith("0 ")
    (other / "shop/models.py").write_text("SIZE = 120\n", encoding="utf-8")
    said = reaches(made, *command)
    assert said.startswith("1 "), said
    assert f"runs {other}/shop/models.py, which is not what this tree holds as src/shop/models.py" in said
    assert f"pip install -e {made.top}" in said
    # Another checkout's code that the command does not load is no obstacle.
    (other / "shop/models.py").write_text("SIZE = 80\n", encoding="utf-8")
    (other / "shop/views.py").write_text("", encoding="utf-8")
    made.write("src/shop/views.py", "PAGES = 3\n")
    made.commit("views")
    assert reaches(made, *command).startswith("0 ")


def test_a_part_of_a_package_that_a_dependency_extends_is_that_dependencys(make_plain: MakePlain) -> None:
    """Though another package of the repository, its next release say, has one of the same name."""
    made = make_plain([], env=URL_IN_ENV.replace("import os\n", "import os\n\nimport shop.base\n"))
    made.write("setup.py", "")
    extends = "from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n"
    made.write("src/shop/__init__.py", extends)
    made.write("sdk/pyproject.toml", '[project]\nname = "shop-sdk"\nversion = "2"\n')
    made.write("sdk/shop/base.py", "SIZE = 2\n")
    made.versions.mkdir(exist_ok=True)
    made.add(*SHOP[:3])
    released = made.top.parent / "released"
    (released / "shop").mkdir(parents=True)
    (released / "shop/__init__.py").write_text(extends, encoding="utf-8")
    (released / "shop/base.py").write_text("SIZE = 1\n", encoding="utf-8")
    virtual_environment(made.top.parent / "venv", made.top / "src", released)
    said = reaches(made, "--command", str(made.top.parent / "venv/bin/alembic"))
    assert said.startswith("0 "), said
    # Its own place has that part too: then it must be what runs.
    (made.top.parent / "venv2").mkdir()
    made.write("src/shop/base.py", "SIZE = 3\n")
    made.commit("a base of its own")
    virtual_environment(made.top.parent / "venv2", released, made.top / "src")
    said = reaches(made, "--command", str(made.top.parent / "venv2/bin/alembic"))
    assert said.startswith("1 ") and "which is not what this tree holds as src/shop/base.py" in said, said


@pytest.mark.slow
def test_a_package_of_a_larger_repository_that_is_installed_from_another_checkout_is_noticed(
    make_plain: MakePlain,
) -> None:
    made = make_plain([], env=URL_IN_ENV.replace("import os\n", "import os\n\nimport company.prices\nimport pricing\n"))
    for name in ("alembic.ini", "migrations"):
        move(made, name, f"services/api/{name}")
    made.script = "services/api/migrations"
    for lib, module in (("pricing", "src/pricing/__init__.py"), ("company", "company/prices/__init__.py")):
        made.write(f"libs/{lib}/pyproject.toml", f'[project]\nname = "{lib}"\nversion = "1"\n')
        made.write(f"libs/{lib}/{module}", "VAT = 20\n")
    # Another one has a module of that name too; what runs is one of them.
    made.write("libs/old/setup.py", "")
    made.write("libs/old/pricing.py", "VAT = 19\n")
    made.versions.mkdir(exist_ok=True)
    made.add(*SHOP[:3])
    shutil.copytree(made.top, made.top.parent / "other")
    other = made.top.parent / "other/libs"
    virtual_environment(made.top.parent / "venv", other / "pricing/src", other / "company")
    command = ("--command", str(made.top.parent / "venv/bin/alembic"))
    assert reaches(made, *command).startswith("0 ")
    for file in ("pricing/src/pricing/__init__.py", "company/company/prices/__init__.py"):
        (other / file).write_text("VAT = 7\n", encoding="utf-8")
        said = reaches(made, *command)
        assert said.startswith("1 ") and f"which is not what this tree holds as libs/{file}" in said, said
        assert f"pip install -e {made.top}/libs/{file.split('/')[0]} in" in said
        shutil.copyfile(made.top / "libs" / file, other / file)
    (other / "pricing/src/pricing/__init__.py").write_text("VAT = 19\n", encoding="utf-8")
    assert reaches(made, *command).startswith("0 ")


# --- what is read, without running anything ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("a b", ("a", "b")),
        ("a, b", ("a", "b")),
        ("a\n  b", ("a", "b")),
        ("my a:%(here)s/b\npath_separator = os", ("my a", "/top/conf/b")),
        ("a;b\nversion_path_separator = ;", ("a", "b")),
        ("\n  my a\n  b\npath_separator = newline", ("my a", "b")),
    ],
)
def test_version_locations_are_split_as_alembic_splits_them(written: str, found: tuple[str, ...]) -> None:
    text = f"[alembic]\nscript_location = 50%% of it\nversion_locations = {written}\n"
    config = configs.parse_ini(text, "conf/alembic.ini", "alembic", Path("/top"))
    assert config.version_locations == found
    assert config.script_location == "50% of it"


def test_an_ini_with_other_locations_keeps_all_else_that_it_says() -> None:
    text = (
        "[DEFAULT]\na = 1\n[alembic]\n# b\nPrepend = x:y\npath_separator = os\nversion_locations = a:b\n"
        "[other]\nc = 50%\n"
    )
    changed = configs.with_locations(text, "alembic", Path("/our 100%/s"), [Path("/our 100%/v"), Path("/w")])
    config = configs.parse_ini(changed, "alembic.ini", "alembic", Path("/top"))
    assert (config.script_location, config.version_locations) == ("/our 100%/s", ("/our 100%/v", "/w"))
    assert "Prepend = x:y" in changed and "c = 50%" in changed and "[DEFAULT]\na = 1" in changed


@pytest.mark.parametrize(
    ("mako", "original", "header"),
    [
        ('"""${message}', '# old\n"""m', []),
        ('# Copyright\n\n"""${message}', '"""m', ["# Copyright", ""]),
        ('# Copyright ${create_date.year}\n"""${message}', '# Copyright 2019\n"""m', ["# Copyright 2019"]),
        ('## of Mako\n# pylint: disable=C\n"""${message}', '"""m', ["# pylint: disable=C"]),
        ('<%! import x %>\n"""${message}', '# made by x\n"""m', ["# made by x"]),
    ],
)
def test_what_every_revision_file_begins_with_begins_the_base_too(mako: str, original: str, header: list[str]) -> None:
    assert script_mako.header(mako, original) == header


@pytest.mark.parametrize(
    "source",
    [
        '"""one line"""\nx = 1\n',
        "'''of\n\nmore lines\n'''\nx = 1\n",
        "# none\nx = 1\n",
        '# L\n"a \\\\ b"\nx = 1\n',
    ],
)
def test_a_line_gets_into_any_docstring(source: str) -> None:
    changed = script_mako.with_line(source, "Originals: git commit " + "a" * 40, "a message")
    assert revisions.originals(changed) == "a" * 40
    compiled: dict[str, object] = {}
    exec(changed, compiled)
    assert compiled["x"] == 1 and "Originals" in str(compiled["__doc__"])
