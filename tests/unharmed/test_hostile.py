"""An env.py, an application or an environment that does what it should not: noticed, named, and not believed."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from tasklib.postgres import client
from tests.conftest import SHOP, MakePlain
from tests.project.test_urls import aborted, asked, in_use
from tests.support.project import BIN, URL_IN_ENV, VARIABLE, Plain, Step, query

pytestmark = pytest.mark.usefixtures("put_back")

CREATE_ALL = (
    URL_IN_ENV
    + """
import sqlalchemy as sa
_models = sa.MetaData()
sa.Table("made_at_import", _models, sa.Column("id", sa.Integer()))
try:
    _models.create_all(sa.create_engine(os.environ["DATABASE_URL"]))
except sa.exc.DBAPIError{hidden}
"""
)


def edit_env(project: Plain, old: str, new: str) -> None:
    file = project.top / "migrations" / "env.py"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    project.commit("edit env.py")


@pytest.mark.parametrize("shared", [False, True])
def test_an_env_py_that_creates_tables_is_refused_and_they_were_made_in_a_scratch_database(
    make_plain: MakePlain, shared: bool
) -> None:
    project = make_plain(SHOP, env=CREATE_ALL.format(hidden=":\n    pass"))
    done = asked(project, server=shared)
    assert done.code == 1, done.said
    assert "makes tables when it is only asked where it stands: made_at_import" in done.err
    assert "Nothing was written anywhere but in a scratch database" in done.err and "create_all()" in done.err
    aborted(project)


def test_an_env_py_that_upgrades_whatever_it_is_asked_is_noticed(make_plain: MakePlain) -> None:
    upgrade = "\nif context.config.attributes.setdefault('first', True):\n    from alembic import command\n"
    upgrade += "    context.config.attributes['first'] = False\n    command.upgrade(context.config, 'head')\n"
    project = make_plain(SHOP, env=URL_IN_ENV)
    file = project.top / "migrations" / "env.py"
    file.write_text(file.read_text(encoding="utf-8") + upgrade, encoding="utf-8")
    head = project.commit("env.py upgrades")
    done = project.tool("squash", "--rev", "head-2", "--uri-var", VARIABLE)
    assert done.code == 1, done.said
    assert "runs Alembic's upgrade when the command is only asked where it stands" in done.err
    assert "out of what the application does at its start" in done.err
    project.assert_nothing_left(head)


def test_errors_that_env_py_swallows_are_found_in_the_servers_record(make_plain: MakePlain) -> None:
    project = make_plain([*SHOP, Step("broken", sql=["ALTER TABLE users DROP COLUMN nowhere"])])
    swallow = "try:\n        run_migrations_online()\n    except Exception:\n        pass\n"
    edit_env(project, "else:\n    run_migrations_online()\n", f"else:\n    {swallow}")
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head-1", "--uri-var", VARIABLE)
    assert done.code == 2, done.said
    assert "ended without an error" in done.err and "does env.py swallow errors" in done.err
    assert 'column "nowhere" of relation "users" does not exist' in done.err
    assert "ALTER TABLE users DROP COLUMN nowhere" in done.err
    project.assert_nothing_left(head)


# Prints what Alembic prints, and writes into the tree: beside the revisions, elsewhere, over a file that git has.
NOISY = """
import os
print("Rev: feedfacecafe")
print("Path: /nowhere/at/all.py")
print("Parent: feedfacecafe")
os.makedirs("logs", exist_ok=True)
for _path in ("schema.txt", "migrations/last_run.txt", "docs/head.txt", "logs/app.log"):
    with open(_path, "a") as _file:
        _file.write("run\\n")
"""


def test_files_that_the_command_leaves_are_named_and_not_committed_and_prints_and_locks_do_no_harm(
    make_plain: MakePlain,
) -> None:
    project = make_plain(SHOP, env=NOISY + URL_IN_ENV)
    project.write("docs/head.txt", "as it was\n")
    project.write(".gitignore", "__pycache__/\n*.pyc\nlogs\n")
    lock = 'connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")\n            context.run_migrations()'
    file = project.top / "migrations" / "env.py"
    before, online = file.read_text(encoding="utf-8").split("def run_migrations_online")
    assert "            context.run_migrations()" in online
    online = online.replace("context.run_migrations()", lock)
    file.write_text(f"{before}def run_migrations_online{online}", encoding="utf-8")
    head = project.commit("a file that env.py keeps up to date, and a lock")
    done = project.squash("head-2")
    assert done.code == 0, done.said
    named = [line for line in done.err.splitlines() if "came into the work tree" in line]
    assert len(named) == 1 and all(path in named[0] for path in ("schema.txt", "last_run.txt", "docs/head.txt"))
    changed = project.git("diff", "--name-only", head, "HEAD").splitlines()
    assert changed and all(path.startswith("migrations/versions/") for path in changed), changed
    assert project.git("status", "--porcelain").splitlines() == [
        *("M docs/head.txt", "?? migrations/last_run.txt", "?? schema.txt")
    ]
    address = project.new_database("noisy")
    project.db("upgrade", "head", database="noisy")
    assert query(address, "SELECT code FROM plans ORDER BY id") == [("free",), ("premium",)]


def test_a_role_that_env_py_sets_and_the_server_does_not_have_is_named(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    role = 'connection.exec_driver_sql("SET ROLE shop_owner")\n            context.run_migrations()'
    edit_env(project, "            context.run_migrations()", f"            {role}")
    done = asked(project, "--uri-var", VARIABLE)
    assert done.code == 1 and "the role shop_owner (SET ROLE?)" in done.err and "--server" in done.err, done.said
    # Where it is, its probe can read the version table.
    with client.connect(project.address()) as connection, connection.usual_path():
        connection.run("CREATE ROLE shop_owner")
    try:
        assert project.tool("createdb", "--server", project.server_url).code == 0
    finally:
        assert project.tool("abort", "--server", project.server_url).code == 0
        with client.connect(project.address()) as connection, connection.usual_path():
            connection.run("DROP ROLE shop_owner")
    project.assert_nothing_left()


def test_an_env_py_that_writes_elsewhere_writes_to_a_scratch_database(make_plain: MakePlain) -> None:
    # Options of a connection replace PGOPTIONS, which would keep it read only.
    writes = """
import sqlalchemy as sa
with sa.create_engine(os.environ["LIVE"], connect_args={"options": "-c search_path=public"}).begin() as _live:
    _live.execute(sa.text("CREATE TABLE written (id int)"))
"""
    project = make_plain(SHOP, env=URL_IN_ENV + writes)
    head = project.git("rev-parse", "HEAD")
    with in_use(project) as live:
        project.environment = {"LIVE": live.url("postgresql+psycopg2")}
        done = project.squash("head-2")
        assert done.code == 1, done.said
        assert "makes tables when it is only asked where it stands: written" in done.err
        # So does a migration that opens a connection of its own, at a time when nothing is read only any more.
        edit_env(project, writes, "")
        project.add(Step("elsewhere", f"import os\n{writes.strip()}"))
        done = project.squash("head-2")
        assert done.code == 1, done.said
        assert "write to a second database" in done.err and f"/{live.database}, which is not" in done.err
    project.assert_nothing_left()
    assert project.git("rev-parse", "HEAD~2") == head


def test_code_that_is_installed_from_another_checkout_is_no_proof_for_this_one(
    make_plain: MakePlain, tmp_path: Path
) -> None:
    project = make_plain(SHOP, env=URL_IN_ENV + "import shop.seeds\n")
    project.write("shop/__init__.py", "")
    project.write("shop/seeds.py", "PLANS = ['free', 'paid']\n")
    ini = project.top / "alembic.ini"
    ini.write_text(ini.read_text().replace("prepend_sys_path = .", ""), encoding="utf-8")
    project.commit("a package")
    shutil.copytree(project.top / "shop", tmp_path / "other" / "shop")
    project.environment = {"PYTHONPATH": str(tmp_path / "other")}
    # The same to the letter, as `pip install .` makes it in CI, is this tree's code.
    done = asked(project, "--uri-var", VARIABLE)
    assert done.code == 0, done.said
    assert project.tool("abort", "--server", project.server_url).code == 0
    (tmp_path / "other" / "shop" / "seeds.py").write_text("PLANS = ['free']\n", encoding="utf-8")
    done = asked(project, "--uri-var", VARIABLE)
    assert done.code == 1, done.said
    assert f"The command runs {tmp_path}/other/shop/seeds.py" in done.err and "installed from elsewhere" in done.err
    assert "pip install -e" in done.err
    assert project.tool("abort", "--server", project.server_url).code == 0
    project.assert_nothing_left()


def test_a_command_that_runs_the_migrations_of_another_checkout_is_refused(
    make_plain: MakePlain, tmp_path: Path
) -> None:
    project = make_plain(SHOP)
    shutil.copytree(project.top, tmp_path / "other")
    script = f'#!/bin/sh\nshift 2\nexec {BIN}/alembic -c {tmp_path}/other/alembic.ini "$@"\n'
    project.write("bin/alembic", script).chmod(stat.S_IRWXU)
    head = project.commit("a command that knows better")
    done = project.squash("head-2", "--command", "bin/alembic")
    assert done.code == 1, done.said
    assert "does not run the old chain" in done.err and f"{tmp_path}/other/migrations/versions" in done.err
    project.assert_nothing_left(head)
