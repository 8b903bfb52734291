"""No variable is asked for: however the database's address gets into the application, it is led."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.project import likely_variables, variables_read
from tasklib.project.addresses import Addresses
from tasklib.project.layout import Layout
from tasklib.repository import git
from tests.conftest import SHOP, Make, MakePlain
from tests.proof.test_verify import clone
from tests.support.decoy import decoy
from tests.support.project import APP, BIN, URL_IN_ENV, VARIABLE, Done, Project, Step, query, whole

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
    with client.connect(address) as connection, connection.usual_path():
        if not empty:
            connection.run(
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
                f"INSERT INTO alembic_version VALUES ('{project.ids[0]}');"
                "CREATE TABLE people (name text); INSERT INTO people VALUES ('somebody')"
            )
    before = whole(project.server, address)
    yield address
    assert whole(project.server, address) == before
    with client.connect(project.address()) as connection, connection.usual_path():
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


def aborted(project: Project, head: str | None = None) -> None:
    assert project.tool("abort", "--server", project.server_url).code == 0
    project.assert_nothing_left(head)


# --- what the files say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("DATABASE_URL", "{url}"), ("DB_HOST_PORT", "{port}"), ("DB_HOST", "{host}"), ("PGPASSWORD", "{password}"),
        ("POSTGRES_DB", "{database}"), ("DB_USERNAME", "{user}"), ("DB_POOL_SIZE", ""), ("DB_DRIVER", ""),
    ],
)  # fmt: skip
def test_a_variables_name_says_which_part_of_an_address_it_wants(name: str, form: str) -> None:
    assert likely_variables.form_of(name)[0] == form


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
    project.write(".env", "LEGACY_DB_URL=mysql://u:hidden@localhost/x\nSHOP_DATABASE_URL=postgresql+psycopg://h/d\n")
    commit = project.commit("settings")
    repository = git.find(project.top)
    found = {read.name: (read.path, read.line) for read in variables_read.likely_variables(repository, commit)}
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
    every = {
        "DATABASE_URL": "{url}", "DEV_DB_URL": "{url}", "REPORTING_DSN": "{url}", "SHOP_DATABASE_URL": "{url}",
        "POSTGRES_DB": "{database}", "POSTGRES_HOST": "{host}",
    }  # fmt: skip
    assert known.fillable(unset=False) == every
    # What has a value in this shell, or in .env, is the application's own affair.
    assert known.fillable(unset=True).keys() == every.keys() - {"SHOP_DATABASE_URL"}
    assert "hidden" not in repr(found) + repr(known.likely())
    # The driver that a URL names now is the one that is tried first.
    assert known.schemes(["SHOP_DATABASE_URL"])[0] == "postgresql+psycopg"


# --- nothing is asked --------------------------------------------------------------------------------------------

PARTS = """
import os
url = "postgresql+psycopg2://{0}:{1}@{2}:{3}/{4}".format(
    os.getenv("DB_USERNAME", "postgres"), os.getenv("DB_PASSWORD", "mysecretpassword"),
    os.getenv("DB_HOST", "localhost"), os.getenv("DB_PORT", "5432"), os.getenv("DB_DATABASE", "shop"))
"""
# How an address gets into env.py: Python, files beside, and the target that is seen.
WAYS = {
    "hard-coded": (URL.format(url='"postgresql://u:secret@db.example:5433/shop"'), {}, "db.example:5433/shop"),
    "in parts, by default": (PARTS + URL.format(url="url"), {}, "localhost:5432/shop"),
    "a file of json": (
        "import json\n" + URL.format(url='json.load(open("settings.json"))["db"]'),
        {"settings.json": '{"db": "postgresql://u:secret@db.example/shop"}'},
        "db.example:5432/shop",
    ),
    "an .env that wins": (
        DOTENV.format(wins=True) + READ,
        {".env": "DATABASE_URL=postgresql://u:secret@db.example/shop\n"},
        "db.example:5432/shop",
    ),
    "libpq's own": (URL.format(url='"postgresql:///shop"'), {}, "[local]:5432/shop"),
    "tls and a certificate": (
        URL.format(url='"postgresql://u@db.example/shop?sslmode=verify-full&sslrootcert=/nowhere.pem"'),
        {},
        "db.example:5432/shop",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_address_from_anywhere_is_led_without_a_word(make_plain: MakePlain, way: str) -> None:
    env, others, target = WAYS[way]
    project = make_plain(SHOP, env=env)
    for path, text in others.items():
        project.write(path, text)
    project.write(".gitignore", "__pycache__/\n*.pyc\n.env\n")
    head = project.commit("where the address is")
    done = asked(project)
    assert done.code == 0 and f"{target} → a scratch database" in done.err, done.said
    assert "Fenced" in done.err and "secret" not in done.said
    aborted(project, head)


def test_a_squash_and_a_verification_in_ci_need_nothing_but_the_revision(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env="")
    with in_use(project) as live, decoy() as other:
        ini = project.top / "alembic.ini"
        url = live.url("postgresql+psycopg2").replace("%", "%%")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", url), encoding="utf-8")
        head, text = project.commit("the address in the ini"), ini.read_text()
        project.environment = {"OTHER": other.url()}
        done = project.tool("squash", "--rev", "head-2", "--server", project.server_url)
        assert done.code == 0, done.said
        assert live.password not in done.said and other.address.password not in done.said
        project.assert_nothing_left()
        assert ini.read_text() == text
        changed = project.git("diff", "--name-only", head, "HEAD").splitlines()
        assert all(path.startswith("migrations/versions/") for path in changed), changed
        assert "alembic_squash_" not in project.git("show", "HEAD")
        proof = project.git("log", "-1", "--format=%B")
        assert f"/{live.database} → a scratch database" in proof and "Fenced (Landlock)" in proof

        # In CI: a shallow clone that holds just the commit with the originals, HEAD detached, no option at all.
        shallow = clone(project, "shallow", "--depth", "2")
        shallow.git("checkout", "--quiet", "--detach")
        before = files(shallow)
        verified = shallow.tool("verify")
        assert verified.code == 0 and "the same" in verified.out, verified.said
        # Nothing is written there, so that it may be read only.
        assert files(shallow) == before
        assert list(shallow.temporary.iterdir()) == []


# --- variables that are missing ----------------------------------------------------------------------------------


def test_likely_variables_are_filled_in_where_the_application_does_not_start_without(make_plain: MakePlain) -> None:
    strict = PARTS.replace('", "', '"] or "').replace("os.getenv(", "os.environ[")
    strict = strict.replace('"postgres")', '"postgres"').replace('"mysecretpassword")', '"mysecretpassword"')
    strict = strict.replace('"localhost")', '"localhost"').replace('"5432")', '"5432"').replace('"shop"))', '"shop")')
    project = make_plain(SHOP, env=strict + URL.format(url='url.replace("%", "%%")'))
    done = asked(project)
    assert done.code == 0, done.said
    for one in ("DB_DATABASE={database}", "DB_HOST={host}", "DB_PASSWORD={password}", "DB_PORT={port}"):
        assert f"--set {one}" in done.err, done.err
    kept = (project.top / ".git" / "alembic-squash" / "plan.json").read_text()
    assert '"{password}"' in kept and project.server.password not in kept
    again = project.tool("createdb", "--server", project.server_url)
    assert again.code == 0 and "are there already" in again.out, again.said
    aborted(project)


def test_references_to_secrets_say_nothing_and_an_instance_in_a_cloud_is_no_part_of_an_address(
    make_plain: MakePlain,
) -> None:
    env = """
import os

_user, _host = os.getenv("DATABASE_USERNAME", ""), os.environ["DATABASE_HOST"]
if os.getenv("DATABASE_INSTANCE_CONNECTION_NAME"):
    raise RuntimeError("a connector is needed")
config.set_main_option("sqlalchemy.url", f"postgresql://{_user}@{_host}/" + os.getenv("DATABASE_NAME", ""))
"""
    secrets = "".join(
        f'{name}="op://database/$APP_ENV/shop/{name}"\n'
        for name in ("DATABASE_USERNAME", "DATABASE_HOST", "DATABASE_NAME", "DATABASE_INSTANCE_CONNECTION_NAME")
    )
    project = make_plain(SHOP, env=env)
    project.write("devops/vaults.env", secrets)
    project.commit("the vault's names")
    done = asked(project)
    assert done.code == 0, done.said
    assert "--set DATABASE_HOST={host}" in done.err and "INSTANCE" not in done.err, done.err
    aborted(project)


def test_an_application_that_takes_sqlite_without_a_variable_is_given_one_and_its_file_is_gone(
    make_plain: MakePlain,
) -> None:
    env = 'import os\nurl = os.environ.get("SHOP_DB_URI", "sqlite:///shop.db")\n'
    project = make_plain(SHOP, env=env + URL.format(url='url.replace("%", "%%")'))
    done = asked(project)
    assert done.code == 0 and "--set SHOP_DB_URI={url}" in done.err, done.said
    aborted(project)
    # One that is there already is not touched.
    project.write(".gitignore", "__pycache__/\n*.pyc\nshop.db\n")
    project.commit("ignore a file")
    project.write("shop.db", "somebody's own")
    done = asked(project)
    assert done.code == 0 and (project.top / "shop.db").read_text() == "somebody's own", done.said
    aborted(project)
    # Nor one that comes meanwhile, and not by the application.
    project.write(".gitignore", "__pycache__/\n*.pyc\nshop.db\nnotes.db\n")
    env = (project.top / "migrations/env.py").read_text()
    project.write("migrations/env.py", env + "\nopen('notes.db', 'wb').write(b'SQLite format 3\\0 of somebody')\n")
    project.commit("a file of somebody else's")
    done = asked(project)
    assert done.code == 0 and (project.top / "notes.db").read_bytes().endswith(b"of somebody"), done.said
    aborted(project)
    (project.top / "notes.db").unlink()
    project.write("migrations/env.py", env)
    # Where nothing leads elsewhere, it is said what was found.
    file = project.top / "migrations/env.py"
    file.write_text(file.read_text().replace('os.environ.get("SHOP_DB_URI", "sqlite:///shop.db")', '"sqlite:///x.db"'))
    head = project.commit("sqlite for ever")
    done = asked(project)
    assert done.code == 1 and "runs its migrations on sqlite; PostgreSQL was expected" in done.err, done.said
    aborted(project, head)


def test_the_one_variable_that_is_missing_is_named_in_one_sentence(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env='import os\nos.environ["SHOP_SECRET"]\nos.environ.get("CACHE_URL")\n' + READ)
    done = asked(project)
    assert done.code == 1, done.said
    assert "The application does not start without SHOP_SECRET, which migrations/env.py:" in done.err, done.said
    assert "hint: export SHOP_SECRET=… in this shell" in done.err and "CACHE_URL" not in done.err
    aborted(project)


ASKS = (
    'os.environ[f"{PREFIX}_TOKEN"]',
    '(lambda name: os.environ[name])("SHOP_TOKEN")',
    "dict(shop=os.environ)['shop'][''.join(('SHOP', '_TOKEN'))]",
)


@pytest.mark.parametrize("asks", ASKS)
def test_a_variable_whose_name_no_file_holds_is_named_as_well(make_plain: MakePlain, asks: str) -> None:
    project = make_plain(SHOP, env=f'import os\nPREFIX = "SHOP"\n{asks}\n{READ}')
    done = asked(project)
    assert done.code == 1 and "does not start without SHOP_TOKEN, which migrations/env.py:" in done.err, done.said
    aborted(project)
    # A key of anything else is no variable, whatever its name.
    env = project.top / "migrations/env.py"
    env.write_text(env.read_text().replace("os.environ[", "{}[").replace("shop=os.environ", "shop={}"))
    head = project.commit("another dictionary")
    done = asked(project)
    assert done.code == 1 and "does not start without" not in done.err and "KeyError" in done.err, done.said
    aborted(project, head)


HANDED_OVER = {
    "an argument": ("context.get_x_argument(as_dictionary=True)['shop']", "asks for the argument -x shop=…",
                    "--command 'alembic -x shop=VALUE'"),
    "a connection": ("config.attributes['connection']", "takes config.attributes['connection']",
                     "--command 'python -m"),
}  # fmt: skip


@pytest.mark.parametrize("what", HANDED_OVER)
def test_what_only_a_certain_command_gives_to_env_py_is_named(make_plain: MakePlain, what: str) -> None:
    asks, said, hint = HANDED_OVER[what]
    project = make_plain(SHOP, env=f"{asks}\n{READ}")
    done = asked(project)
    assert done.code == 1 and said in done.err and hint in done.err, done.said
    aborted(project)


BY_A_HELPER = """
import os

def maybe_set(settings, name, variable):
    if variable in os.environ:
        settings[name] = os.environ[variable]

settings = {}
maybe_set(settings, "shop.token", "SHOP_TOKEN")
maybe_set(settings, "database.url", "DATABASE_URL")
TOKEN = settings["shop.token"]
"""


def test_variables_that_a_helper_of_the_projects_reads_are_filled_in_or_named(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=BY_A_HELPER + URL.format(url='settings["database.url"].replace("%", "%%")'))
    done = asked(project)
    assert done.code == 1, done.said
    assert "The application does not start without SHOP_TOKEN, which migrations/env.py:" in done.err, done.said
    aborted(project)
    project.environment["SHOP_TOKEN"] = "a token"
    done = asked(project)
    assert done.code == 0 and "DATABASE_URL" in done.err, done.said
    aborted(project)


def test_fields_of_settings_that_are_missing_are_named_in_one_sentence(make_plain: MakePlain) -> None:
    """As pydantic says it, whose last line is an address for people to read."""
    said = "2 validation errors for Settings\\nproduction\\n  Field required [type=missing]\\n    For further …\\n"
    said += "SHOP_KEY\\n  Field required [type=missing, input_value={}]\\n    For further information visit https://x.example/"
    project = make_plain(SHOP, env=f'raise ValueError("{said}")\n' + READ)
    done = asked(project)
    assert done.code == 1, done.said
    assert "The application does not start without PRODUCTION, SHOP_KEY: its settings say" in done.err, done.said
    assert "hint: export PRODUCTION=… in this shell" in done.err
    aborted(project)


def test_a_project_whose_import_fails_is_told_so(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env="import a_module_that_is_not_there\n" + READ)
    done = asked(project)
    assert done.code == 2 and "cannot run in" in done.err and "a_module_that_is_not_there" in done.err, done.said
    aborted(project)


def test_an_option_of_the_ini_is_refused_where_the_command_has_none(make: Make) -> None:
    project = make(SHOP)
    done = project.tool("squash", "--rev", "head-2", "--set", "sqlalchemy.url={url}")
    assert done.code == 1 and "has none of its own" in done.err, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize(
    "given", [("--uri-var", VARIABLE), ("--uri-var", "NOBODY_READS_IT"), ("--set", "DB_HOST={host}")]
)
def test_variables_that_somebody_names_work_and_never_hurt(make_plain: MakePlain, given: tuple[str, str]) -> None:
    project = make_plain(SHOP, env=URL.format(url='os.environ.get("DATABASE_URL", "postgresql://db.example/shop")'))
    file = project.top / "migrations/env.py"
    file.write_text("import os\n" + file.read_text())
    project.commit("a default")
    done = asked(project, *given)
    led = "db.example:5432/shop → a scratch database" in done.err
    assert done.code == 0 and led == (given[1] != VARIABLE), done.said
    aborted(project)


# --- several addresses -------------------------------------------------------------------------------------------

READER = (
    URL.format(url='"postgresql://app@writer.example/shop"')
    + """
import sqlalchemy as sa
reader = sa.create_engine("postgresql://app@reader.example/shop")
with reader.connect() as _one:
    _one.execute(sa.text("SELECT 1"))
"""
)


@pytest.mark.slow
def test_a_reader_and_a_writer_are_led_apart_and_said_so_and_same_makes_them_one(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=READER)
    project.add(Step("read", """
        import sqlalchemy
        with sqlalchemy.create_engine("postgresql://app@reader.example/shop").connect() as other:
            other.execute(sqlalchemy.text("SELECT count(*) FROM users"))
    """))  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    done = asked(project)
    assert done.code == 0, done.said
    assert "writer.example:5432/shop → a scratch database\n" in done.err
    assert "reader.example:5432/shop → a scratch database beside (other1), which no migration may write to" in done.err
    aborted(project)
    done = project.tool("squash", "--rev", "head-2", "--server", project.server_url)
    assert done.code == 2 and 'relation "users" does not exist' in done.err, done.said
    project.assert_nothing_left(head)
    same = ("--same", "reader.example:5432/shop=writer.example:5432/shop")
    # Another transaction does not see what this one has made: the migration before it is committed by itself.
    edit = project.top / "migrations/env.py"
    apart = "target_metadata=target_metadata, transaction_per_migration=True"
    edit.write_text(edit.read_text().replace("target_metadata=target_metadata", apart))
    project.commit("one transaction for each")
    done = project.tool("squash", "--rev", "head-2", "--server", project.server_url, *same)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    done = project.tool("squash", "--rev", "head", "--same", "nonsense")
    assert done.code == 1 and "--same nonsense is not TARGET=TARGET" in done.err, done.said


def test_migrations_that_write_to_a_second_database_are_refused_and_it_is_not_touched(make_plain: MakePlain) -> None:
    second = """
import os
import sqlalchemy
with sqlalchemy.create_engine(os.environ["LIVE"]).begin() as other:
    other.execute(sqlalchemy.text("CREATE TABLE written (id int)"))
"""
    project = make_plain([*SHOP, Step("elsewhere", second)])
    head = project.git("rev-parse", "HEAD")
    with decoy() as live:
        project.environment = {"LIVE": live.url()}
        done = project.tool("squash", "--rev", "head", "--server", project.server_url)
        assert done.code == 1 and f"write to a second database, {live.target}" in done.err, done.said
        assert f"--same {live.target}=" in done.err
        project.assert_nothing_left(head)


# --- drivers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "used"), [("postgresql+psycopg", ""), ("postgres", "postgresql+psycopg")])
def test_the_application_gets_the_very_url_that_the_shell_has(make_plain: MakePlain, held: str, used: str) -> None:
    url = f'url.replace("{held}://", "{used or held}://").replace("%", "%%")'
    check = f'import os\nurl = os.environ["DATABASE_URL"]\nassert url.startswith("{held}://"), url.split("@")[-1]\n'
    project = make_plain(SHOP, env=check + URL.format(url=url))
    with in_use(project) as live:
        project.environment = {VARIABLE: live.url(held)}
        done = asked(project)
        assert done.code == 0 and f"/{live.database} → a scratch database" in done.err, done.said
        aborted(project)


# At import, by a driver that ignores PGOPTIONS, and without a word about it.
WRITES = """
import asyncio, os
import asyncpg
async def _write():
    connection = await asyncpg.connect(os.environ["LIVE_URL"])
    await connection.execute("CREATE TABLE IF NOT EXISTS written (id int)")
try:
    asyncio.run(_write())
except OSError:
    pass
"""


@pytest.mark.parametrize("shared", [False, True])
def test_an_async_project_is_squashed_and_nothing_else_is_reached(make_plain: MakePlain, shared: bool) -> None:
    project = make_plain(
        SHOP, template="async", env=WRITES.replace("CREATE TABLE IF NOT EXISTS written (id int)", "SELECT 1")
    )
    with in_use(project) as live, decoy() as other:
        ini = project.top / "alembic.ini"
        url = live.url("postgresql+asyncpg").replace("%", "%%")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", url), encoding="utf-8")
        project.commit("the address in the ini")
        project.environment = {"LIVE_URL": other.address.url()}
        done = project.tool("squash", "--rev", "head-2", *(("--server", project.server_url) if shared else ()))
        assert done.code == 0, done.said
        assert f"{other.target} → a scratch database beside" in done.err
        project.assert_nothing_left()


def test_an_env_py_that_writes_to_another_database_by_itself_writes_to_a_scratch_database(
    make_plain: MakePlain,
) -> None:
    project = make_plain(SHOP, env=WRITES + READ)
    with in_use(project) as live, decoy() as other:
        project.environment = {VARIABLE: live.url("postgresql+pg8000"), "LIVE_URL": other.address.url()}
        done = asked(project)
        assert done.code == 1 and "makes tables when it is only asked where it stands: written" in done.err, done.said
        aborted(project)


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


@pytest.mark.parametrize("way", ["python -E", "env -i"])
def test_a_command_whose_python_is_not_led_is_refused_with_the_reason_and_fenced(
    make_plain: MakePlain, way: str
) -> None:
    project = make_plain(SHOP, env=URL_IN_ENV)
    runs = {"python -E": f"{BIN}/python -E", "env -i": f'env -i DATABASE_URL="$DATABASE_URL" {BIN}/python'}[way]
    project.write("bin/alembic", f'#!/bin/sh\nexec {runs} {BIN}/alembic "$@"\n').chmod(0o755)
    project.commit("a command of its own")
    with decoy() as live:
        project.environment = {VARIABLE: live.url()}
        done = asked(project, "--command", "bin/alembic", server=False)
        assert done.code == 1 and "does not get into the Python that" in done.err, done.said
        assert "PYTHONPATH does not reach it" in done.err
        assert project.tool("abort").code == 0
    project.assert_nothing_left()


def test_a_revision_that_uses_the_database_at_import_is_squashed(make_plain: MakePlain) -> None:
    project = make_plain(SHOP[:2])
    project.add(Step("asks", "pass"))
    file = project.file_of(project.ids[-1])
    file.write_text(file.read_text().replace("\n\ndef upgrade", "\nbind = op.get_bind()\n\n\ndef upgrade"))
    project.commit("at import")
    address = project.new_database("at_import")
    assert "Error" in project.db("show", "head", database="at_import", check=False).said
    project.db("upgrade", "head", database="at_import")
    done = project.tool("squash", "--rev", "head-1", "--server", project.server_url)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert query(address, "SELECT count(*) FROM users") == [(0,)]


# --- addresses that are not the same twice -----------------------------------------------------------------------

# As sshtunnel does: it listens on a free port and leads on to the database.
TUNNEL = """
import os, socket, threading
_tunnel = socket.create_server(("127.0.0.1", 0))
def _lead_on():
    while True:
        _one, _ = _tunnel.accept()
        socket.create_connection(("127.0.0.1", int(os.environ["DB_PORT"])))
        _one.close()
threading.Thread(target=_lead_on, daemon=True).start()
"""
DRAWN = """
import uuid
_port, _name = {port}, {name}
config.set_main_option("sqlalchemy.url", f"postgresql+psycopg2://u@127.0.0.1:{{_port}}/{{_name}}")
"""


def test_a_tunnel_that_has_another_port_at_each_start_is_one_database(make_plain: MakePlain) -> None:
    env = TUNNEL + DRAWN.format(port="_tunnel.getsockname()[1]", name='"shop"')
    project = make_plain(SHOP, env=env)
    with decoy() as live:
        project.environment = {"DB_PORT": str(live.server.port)}
        done = project.tool("squash", "--rev", "head-2")
    assert done.code == 0, done.said
    assert "localhost:*/shop → a scratch database" in done.said and done.said.count("begins anew") <= 1, done.said
    project.assert_nothing_left()


def test_an_application_that_makes_up_a_database_at_each_start_is_refused(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=DRAWN.format(port="5432", name="uuid.uuid4().hex"))
    done = project.tool("squash", "--rev", "head-2")
    assert done.code == 1 and "asks for another database at each start" in done.err, done.said
    project.assert_nothing_left()


def test_variables_of_libpq_lead_the_application_and_none_of_our_own_connections(make_plain: MakePlain) -> None:
    project = make_plain(SHOP, env=URL.format(url='"postgresql+psycopg2:///orders"'))
    project.environment = {
        "PGHOST": "db.example", "PGHOSTADDR": "192.0.2.1", "PGDATABASE": "shop", "PGUSER": "u", "PGSERVICE": "nowhere",
        "PGSSLMODE": "require", "PGSSLNEGOTIATION": "direct", "PGGSSENCMODE": "require", "PGREQUIREPEER": "nobody",
        "PGCHANNELBINDING": "require", "PGTARGETSESSIONATTRS": "standby", "PGCLIENTENCODING": "LATIN1",
        "PGOPTIONS": "-c search_path=nowhere", "PGPASSFILE": "/nowhere", "PGDATESTYLE": "German", "PGTZ": "Asia/Tokyo",
    }  # fmt: skip
    done = project.tool("squash", "--rev", "head-2")
    assert done.code == 0, done.said
    assert "192.0.2.1:5432/orders → a scratch database" in done.said, done.said
    project.assert_nothing_left()


# A loop before the first connection, as many a project has it, and a socket that a connector of a cloud makes.
WAITS = """
import os, socket
socket.create_connection(("127.0.0.1", int(os.environ["DB_PORT"])), timeout=2).close()
"""
HANDS_OVER = """
import pg8000.dbapi
from sqlalchemy import create_engine
def engine_from_config(*_, **__):
    made = lambda: pg8000.dbapi.connect("u", database="live", sock=socket.create_connection(("127.0.0.1", {port})))
    return create_engine("postgresql+pg8000://", creator=made)
"""


def test_sockets_that_env_py_connects_by_itself_are_led_too(make_plain: MakePlain) -> None:
    with decoy() as live:
        project = make_plain(SHOP, env=WAITS + HANDS_OVER.replace("{port}", str(live.server.port)))
        project.environment = {"DB_PORT": str(live.server.port)}
        file = project.top / "migrations/env.py"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("from sqlalchemy import engine_from_config\n", ""), encoding="utf-8")
        project.commit("sockets")
        done = project.tool("squash", "--rev", "head-2")
        assert done.code == 0 and f"{live.target} → a scratch database" in done.said, done.said
    project.assert_nothing_left()


def test_an_env_py_that_looks_at_the_name_of_its_database_is_told_what_to_take(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    env = project.top / "migrations/env.py"
    text = env.read_text()
    begin = "        with context.begin_transaction():"
    assert text.count(begin) == 1
    guard = (
        "        _name = connection.exec_driver_sql('SELECT current_database()').scalar()\n"
        "        if _name != 'shop':\n            raise SystemExit(f'{_name} is no database of ours')\n"
    )
    env.write_text(text.replace(begin, guard + begin))
    project.commit("a guard")
    done = project.tool("squash", "--rev", "head-2")
    assert done.code == 1 and "looks at the name of its database" in done.err, done.said
    assert "is no database of ours" in done.err and "begin with alembic_squash_" in done.err, done.said
    project.assert_nothing_left()
