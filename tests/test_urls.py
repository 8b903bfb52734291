"""How the database's address gets into the application: as somebody said, or found out without a risk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasklib import environment, git, postgres, variables
from tasklib.addresses import Addresses
from tasklib.plan import Layout
from tasklib.postgres import Address
from tests.conftest import SHOP, Make, MakePlain
from tests.project import APP, BIN, VARIABLE, Done, Project, whole
from tests.test_verify import clone

pytestmark = pytest.mark.usefixtures("put_back")

# What python-dotenv does, without it; where `wins` is true as with override=True.
DOTENV = """
import os
for _line in open(".env"):
    _name, _, _value = _line.strip().partition("=")
    if {wins} or _name not in os.environ:
        os.environ[_name] = _value
"""
URL = 'config.set_main_option("sqlalchemy.url", {url})\n'
READ = URL.format(url='os.environ["DATABASE_URL"].replace("%", "%%")')


@contextmanager
def in_use(project: Project, *, empty: bool = False) -> Iterator[Address]:
    """A database that somebody uses, on the tests' server: nothing in it may change over the block."""
    address = project.new_database(f"in_use_{os.getpid()}")
    with postgres.connect(address) as connection:
        if not empty:
            connection.run(
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
                f"INSERT INTO alembic_version VALUES ('{project.ids[0]}');"
                "CREATE TABLE people (name text); INSERT INTO people VALUES ('somebody')"
            )
    before = whole(project.server, address)
    yield address
    assert whole(project.server, address) == before
    with postgres.connect(project.address()) as connection:
        connection.run(f'DROP DATABASE "{address.database}"')


def files(project: Project) -> dict[str, bytes]:
    """Every file of a checkout, git's own included, so that a write to any of them shows."""
    return {str(path): path.read_bytes() for path in project.top.rglob("*") if path.is_file()}


def asked(project: Project, *words: str, server: bool = True) -> Done:
    """`checkout` and `createdb`, which is all that is needed to find out where the command connects."""
    started = project.tool("checkout", "--rev", "head-2", *words)
    assert started.code == 0, started.said
    done = project.tool("createdb", *(("--server", project.server_url) if server else ()))
    assert project.server.password not in done.said
    return done


# --- what the files say ------------------------------------------------------------------------------------------


def test_variables_are_offered_the_form_that_their_names_ask_for() -> None:
    def shown(*names: str) -> list[str]:
        return [offer.shown() for offer in variables.offers(names)]

    assert shown("DATABASE_URL", "DB_POOL_SIZE", "SQLALCHEMY_DATABASE_URI") == [
        "DATABASE_URL",
        "SQLALCHEMY_DATABASE_URI",
    ]
    assert shown("DB_HOST", "DB_PORT", "DB_DATABASE", "DB_USERNAME", "DB_PASSWORD", "DB_DRIVER") == [
        "DB_DATABASE={database}, DB_HOST={host}, DB_PASSWORD={password}, DB_PORT={port}, DB_USERNAME={user}"
    ]
    assert shown("POSTGRES_SERVER", "POSTGRES_DB", "APP_DB_HOST", "APP_DB_NAME", "DATABASE_URL") == [
        "DATABASE_URL",
        "POSTGRES_DB={database}, POSTGRES_SERVER={host}",
        "APP_DB_HOST={host}, APP_DB_NAME={database}",
    ]
    # What makes no address by itself goes together; what makes none at all is not offered.
    assert shown("DB_HOST", "DATABASE_NAME", "DB_PORT") == ["DATABASE_NAME={database}, DB_HOST={host}, DB_PORT={port}"]
    assert shown("DB_HOST", "DB_PORT") == []
    assert [o.shown() for o in variables.offers(["DATABASE"], held=["DATABASE"])] == ["DATABASE"]
    assert variables.options((("A", "{url}"),)) == "--uri-var A"
    assert variables.options((("sqlalchemy.url", "{url}"),)) == "--set sqlalchemy.url={url}"


def test_variables_are_read_from_code_from_settings_classes_and_from_env_files(make: Make) -> None:
    project = make([])
    project.write("settings.py", """
from pydantic_settings import BaseSettings

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    database_url: str = "postgresql+psycopg://localhost/shop"
    cache_url: str = "redis://localhost"
    reporting: str = Field(..., validation_alias="REPORTING_DSN")
""")  # fmt: skip
    project.write("config.py", "import os\nBROKER_URL = os.getenv('BROKER_URL', 'amqp://localhost')\n"
                               "URL = os.getenv('DEV_DB_URL', 'sqlite:///dev.db')\n")  # fmt: skip
    project.write("deploy/.env.example", "# all of it\nexport POSTGRES_HOST=db\nPOSTGRES_DB='shop'\nDEBUG=1\n")
    project.write(".env", "LEGACY_DB_URL=mysql://u:hidden@localhost/x\n")
    commit = project.commit("settings")
    repository = git.find(project.top)
    found = {read.name: (read.path, read.line) for read in environment.likely_variables(repository, commit)}
    assert found == {
        "BROKER_URL": ("config.py", 2),
        "DATABASE_URL": ("app.py", 9),
        "DEV_DB_URL": ("config.py", 3),
        "LEGACY_DB_URL": (".env", 1),
        "POSTGRES_DB": ("deploy/.env.example", 3),
        "POSTGRES_HOST": ("deploy/.env.example", 2),
        "REPORTING_DSN": ("settings.py", 8),
        "SHOP_CACHE_URL": ("settings.py", 7),
        "SHOP_DATABASE_URL": ("settings.py", 6),
    }
    known = Addresses(repository, commit, Layout("flask", "migrations", (), None, ("flask", "db"), "."))
    assert [offer.shown() for offer in known.offers()] == [
        *("DATABASE_URL", "DEV_DB_URL", "REPORTING_DSN", "SHOP_DATABASE_URL"),
        "POSTGRES_DB={database}, POSTGRES_HOST={host}",
    ]
    assert "hidden" not in repr(found) + str(known.unnamed()) + repr(known.likely())
    # The driver that a URL names now is the one that is tried first.
    assert known.schemes(["SHOP_DATABASE_URL"])[0] == "postgresql+psycopg"
    assert known.deaf() is None
    project.write("db.py", "url = url.replace('postgresql://', 'postgresql+asyncpg://')\n")
    later = Addresses(repository, project.commit("another driver"), known.layout)
    assert (found_deaf := later.deaf()) is not None and (found_deaf.name, found_deaf.line) == ("postgresql+asyncpg", 1)


# --- found out ---------------------------------------------------------------------------------------------------


def test_a_squash_and_a_verification_in_ci_find_the_variable_themselves(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=DOTENV.format(wins=False) + 'os.environ.get("REPORTING_DSN")\n' + READ)
    project.write(".gitignore", "__pycache__/\n*.pyc\n.env\n")
    project.commit("ignore .env")
    with in_use(project) as live:
        project.write(".env", f"{VARIABLE}={live.url('postgresql+psycopg2')}\n")
        head = project.git("rev-parse", "HEAD")
        plan = project.tool("plan", "--rev", "head-2")
        assert "not named; would be found out" in plan.out, plan.said
        assert f"--uri-var {VARIABLE} or --uri-var REPORTING_DSN" in plan.out
        done = project.tool("squash", "--rev", "head-2", "--server", project.server_url)
        assert done.code == 0, done.said
        assert f"the application takes {VARIABLE}. To say so: --uri-var {VARIABLE}" in done.err
        assert live.password not in done.said
        project.assert_nothing_left()
        assert project.git("rev-parse", "HEAD^") == head

        # In CI: a shallow clone that holds just the commit with the originals, HEAD detached, no option at all.
        shallow = clone(project, "shallow", "--depth", "2")
        shallow.write(".env", f"{VARIABLE}={live.url('postgresql+psycopg2')}\n")
        shallow.git("checkout", "--quiet", "--detach")
        before = files(shallow)
        verified = shallow.tool("verify")
        assert verified.code == 0 and "the same" in verified.out, verified.said
        # Nothing is written there, so that it may be read only.
        assert files(shallow) == before
        assert list(shallow.temporary.iterdir()) == []


PARTS = """
import os
url = "postgresql+psycopg2://{0}:{1}@{2}:{3}/{4}".format(
    os.getenv("DB_USERNAME", "postgres"), os.getenv("DB_PASSWORD", "mysecretpassword"),
    os.getenv("DB_HOST", "localhost"), os.getenv("DB_PORT", "5432"), os.getenv("DB_DATABASE", "shop"))
"""


def test_an_address_in_parts_is_found_and_kept_in_the_plan(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=PARTS + URL.format(url='url.replace("%", "%%")'))
    done = asked(project)
    assert done.code == 0, done.said
    options = "--set DB_DATABASE={database} --set DB_HOST={host} --set DB_PASSWORD={password} --set DB_PORT={port} " \
              "--set DB_USERNAME={user}"  # fmt: skip
    assert f"To say so: {options}" in done.err
    kept = (project.top / ".git" / "alembic-squash" / "plan.json").read_text()
    assert '"{password}"' in kept and project.server.password not in kept
    again = project.tool("createdb", "--server", project.server_url)
    assert again.code == 0 and "are there already" in again.out, again.said
    assert options in project.tool("status").out
    assert project.tool("abort", "--server", project.server_url).code == 0
    project.assert_nothing_left()


def test_a_url_in_the_ini_is_replaced_in_an_ini_of_ours_that_is_never_committed(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env="")
    with in_use(project) as live:
        ini = project.top / "alembic.ini"
        url = live.url("postgresql+psycopg2").replace("%", "%%")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", url), encoding="utf-8")
        head, text = project.commit("the address in the ini"), ini.read_text()
        done = project.tool("squash", "--rev", "head-2", "--server", project.server_url)
        assert done.code == 0, done.said
        assert "To say so: --set sqlalchemy.url={url}" in done.err
        assert live.password not in done.said
        project.assert_nothing_left()
        assert ini.read_text() == text
        changed = project.git("diff", "--name-only", head, "HEAD").splitlines()
        assert all(path.startswith("migrations/versions/") for path in changed), changed
        assert "alembic_squash_" not in project.git("show", "HEAD")


def test_an_env_file_that_is_loaded_over_the_environment_is_noticed_and_its_database_untouched(
    make_plain: MakePlain,
) -> None:
    project = make_plain(SHOP, env=DOTENV.format(wins=True) + READ)
    project.write(".gitignore", "__pycache__/\n*.pyc\n.env\n")
    head = project.commit("ignore .env")
    with in_use(project) as live:
        project.write(".env", f"{VARIABLE}={live.url('postgresql+psycopg2')}\n")
        for words in ((), ("--uri-var", VARIABLE)):
            done = project.tool("squash", "--rev", "head-2", "--server", project.server_url, *words)
            assert done.code == 1, done.said
            assert f"went to {live.host}:{live.port}/{live.database}" in done.err.replace("it went", "went"), done.err
            assert "was not let through" in done.err and "Nothing was written anywhere" in done.err
            assert f".env sets {VARIABLE} too" in done.err and "load it without override=True" in done.err
            assert live.password not in done.said
            project.assert_nothing_left(head)


def test_an_option_of_the_ini_is_refused_where_the_command_has_none(make: Make) -> None:
    project = make(SHOP)
    done = project.tool("squash", "--rev", "head-2", "--set", "sqlalchemy.url={url}")
    assert done.code == 1 and "has none of its own" in done.err, done.said
    project.assert_nothing_left()


def test_a_project_whose_import_fails_is_told_so_and_not_asked_for_its_variable(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env="import a_module_that_is_not_there\n" + READ)
    done = asked(project)
    assert done.code == 2 and "cannot run in" in done.err and "a_module_that_is_not_there" in done.err, done.said
    assert "How does the application get" not in done.err
    assert project.tool("abort", "--server", project.server_url).code == 0
    project.assert_nothing_left()


# --- drivers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "used"), [("postgresql+psycopg", ""), ("postgres", "postgresql+psycopg")])
def test_the_scheme_that_a_variable_holds_is_kept(make_plain: MakePlain, held: str, used: str) -> None:
    url = f'url.replace("{held}://", "{used or held}://").replace("%", "%%")'
    check = f'import os\nurl = os.environ["DATABASE_URL"]\nassert url.startswith("{held}://"), url.split("@")[-1]\n'
    project = make_plain(SHOP, env=check + URL.format(url=url))
    with in_use(project) as live:
        project.environment = {VARIABLE: live.url(held)}
        done = asked(project)
        assert done.code == 0, done.said
        assert project.tool("abort", "--server", project.server_url).code == 0
    project.assert_nothing_left()


# At import, by a driver that ignores PGOPTIONS, and without a word about it.
WRITES = """
import asyncio, os
import asyncpg
async def _write():
    connection = await asyncpg.connect(os.environ["LIVE_URL"])
    await connection.execute("CREATE TABLE written (id int)")
try:
    asyncio.run(_write())
except OSError:
    pass
"""


def test_an_async_project_is_squashed_on_a_throwaway_server_and_writes_nowhere_else(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, template="async", env=WRITES)
    with in_use(project) as live:
        ini = project.top / "alembic.ini"
        url = live.url("postgresql+asyncpg").replace("%", "%%")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", url), encoding="utf-8")
        head = project.commit("the address in the ini")
        project.environment = {"LIVE_URL": live.url()}

        unasked = project.tool("squash", "--rev", "head-2")
        assert unasked.code == 1 and "Nothing is tried unasked" in unasked.err, unasked.said
        assert "names postgresql+asyncpg" in unasked.err and "--set sqlalchemy.url={url}" in unasked.err
        words = ("squash", "--rev", "head-2", "--set", "sqlalchemy.url={url}")
        shared = project.tool(*words, "--server", project.server_url)
        assert shared.code == 1 and "postgresql+asyncpg ignores PGOPTIONS" in shared.err, shared.said
        assert "leave --server out" in shared.err
        project.assert_nothing_left(head)

        done = project.tool(*words)
        assert done.code == 0, done.said
        assert f"not let connect to {live.host}:{live.port}" in done.err
        project.assert_nothing_left()


@pytest.mark.slow
def test_a_driver_in_python_reaches_the_throwaway_server_only(make_plain: MakePlain) -> None:
    write = WRITES.replace("asyncio.run(_write())", "connect()").replace("import asyncpg", """
from sqlalchemy import create_engine, text
def connect():
    with create_engine(os.environ["LIVE_URL"]).begin() as connection:
        connection.execute(text("CREATE TABLE written (id int)"))
""").replace("except OSError", "except Exception")  # fmt: skip
    project = make_plain(SHOP, env=write + READ)
    with in_use(project) as live:
        url = live.url("postgresql+pg8000")
        project.environment = {VARIABLE: url, "LIVE_URL": url}
        done = asked(project, "--uri-var", VARIABLE, server=False)
        assert done.code == 0, done.said
        assert f"not let connect to {live.host}:{live.port} (with pg8000" in done.err
        # Its own address is what it goes to where it reads another variable.
        assert project.tool("abort").code == 0
        env = project.top / "migrations" / "env.py"
        env.write_text(env.read_text().replace(READ, READ.replace(VARIABLE, "LIVE_URL")), encoding="utf-8")
        project.commit("another variable")
        done = asked(project, "--uri-var", VARIABLE, server=False)
        assert done.code == 1 and f"to {live.host}:{live.port} (pg8000)" in done.err, done.said
        assert project.tool("abort").code == 0
    project.assert_nothing_left()


# What Flask-Migrate 2.5.2 and earlier do; from some version on, Alembic has no such argument.
OLD_CURRENT = """
import flask_migrate.cli
from flask import current_app

def _current(directory=None, verbose=False):
    config = current_app.extensions["migrate"].migrate.get_config(directory)
    flask_migrate.command.current(config, verbose=verbose, head_only=False)

flask_migrate.cli._current = _current
"""


def test_a_flask_migrate_that_is_too_old_for_its_alembic_is_asked_all_the_same(make: Make) -> None:
    project = make(SHOP, app=APP + OLD_CURRENT)
    own = project.flask("current", database="postgres", check=False)
    assert own.code != 0 and "head_only" in own.said, own.said
    done = asked(project, "--uri-var", VARIABLE)
    assert done.code == 0 and "Scratch databases on" in done.out, done.said


def test_a_driver_in_python_is_refused_where_nothing_would_hold_it(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env="raise RuntimeError('this was run')")
    # A Python that takes no PYTHONPATH.
    project.write("bin/alembic", f'#!/bin/sh\nexec {BIN}/python -E {BIN}/alembic "$@"\n').chmod(0o755)
    project.commit("a command of its own")
    project.environment = {VARIABLE: "postgresql+asyncpg://u@localhost/live"}
    done = asked(project, "--uri-var", VARIABLE, "--command", "bin/alembic", server=False)
    assert done.code == 1 and "postgresql+asyncpg ignores PGOPTIONS" in done.err, done.said
    assert "PYTHONPATH does not reach it" in done.err and "this was run" not in done.said
    assert project.tool("abort").code == 0
    project.assert_nothing_left()
