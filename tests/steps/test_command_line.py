"""The command line as people meet it: Invoke, the command of its own, configuration, variables, --dry, --help."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tasklib
from tasklib.shell import run
from tests.conftest import Make
from tests.support import documents
from tests.support.project import APP, BIN, VARIABLE, Done, Project, Step, query

SEPARATE = APP.replace(
    'os.environ["DATABASE_URL"]',
    '"postgresql+psycopg2://{DB_USER}:{DB_PASSWORD}@{DB_HOST}:{DB_PORT}/{DB_NAME}".format(**os.environ)',
)
PARTS = ("DB_HOST={host}", "DB_PORT={port}", "DB_NAME={database}", "DB_USER={user}", "DB_PASSWORD={password}")
STEPS = ("plan", "checkout", "reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge",
         "squash", "status", "abort", "instances", "catchup", "rebase-revision", "undo")  # fmt: skip


def invoke(project: Project, *words: str, cwd: Path | None = None, **variables: str) -> Done:
    return project.run([BIN / "invoke", *words], check=False, cwd=cwd, **variables)


def state(project: Project) -> tuple[str, ...]:
    """What must not change where nothing may: refs, index, tree, our state, the server's databases."""
    return (
        project.git("for-each-ref"),
        project.git("symbolic-ref", "HEAD"),
        project.git("status", "--porcelain", "--ignored"),
        str((project.top / ".git/alembic-squash").exists()),
        str(sorted(name for name in project.databases() if str(project.server.port) in name)),
    )


def option_blocks(help_text: str) -> dict[str, str]:
    """Long option → its help, of a task's --help."""
    found = re.findall(r"(?m)^  --([a-z-]+)(?:=\S+)?((?:.|\n(?!  --|\n))*)", help_text.split("Options:")[1])
    return {name: text.strip() for name, text in found}


def test_a_projects_own_tasks_py_and_its_invoke_yaml_are_enough_for_invoke_squash(shop: Project) -> None:
    shop.write("tasks.py", "from tasklib import ns\n")
    shop.write("invoke.yaml", f"squash:\n  uri_var: {VARIABLE}\n")
    start = shop.commit("tasks")
    listed = invoke(shop, "--list")
    assert all(re.search(rf"(?m)^  {name} ", listed.out) for name in STEPS), listed.said
    done = invoke(shop, "squash", "--rev", "head-2", INVOKE_SQUASH_SERVER=shop.server_url)
    assert done.code == 0, done.said
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^") == start
    assert "op.create_table(" in shop.base_text(shop.ids[3])


def test_a_project_with_tasks_of_its_own_adds_the_collection_under_a_name(shop: Project) -> None:
    shop.write("mytasks.py", "from invoke import task\n\n\n@task\ndef deploy(c):\n    print('deployed')\n")
    shop.write("tasks.py", documents.tasks_py())
    shop.write("invoke.yaml", f"squash:\n  uri_var: {VARIABLE}\n  rev: head-2\n")
    head = shop.commit("tasks")
    listed = invoke(shop, "--list")
    assert "deploy" in listed.out and "history.squash" in listed.out
    assert invoke(shop, "deploy").out == "deployed\n"
    shown = invoke(shop, "history.plan")
    assert shown.code == 0 and f"{VARIABLE}={{url}}" in shown.out and shop.ids[3] in shown.out, shown.said
    other = invoke(shop, "history.plan", INVOKE_SQUASH_REV=shop.ids[1])
    assert f"to {shop.ids[1]}, become one" in other.out, other.said
    begun = invoke(shop, "history.checkout")
    assert begun.code == 0, begun.said
    # `invoke reinit` would find nothing, so that is not what it says to type.
    following = re.findall(r"Next: (\S+ \S+)", begun.out)
    assert following == ["alembic-squash reinit"], begun.out
    assert shop.tool("reinit").code == 0
    assert invoke(shop, "history.abort").code == 0
    shop.assert_nothing_left(head)


def test_the_command_needs_no_tasks_py_and_reads_the_projects_invoke_yaml_from_anywhere_in_it(shop: Project) -> None:
    shop.write("invoke.yaml", "squash:\n  uri_var: FROM_THE_FILE\n  rev: head-2\n")
    shop.write("docs/index.md", "docs\n")
    shop.commit("configuration")
    before = state(shop)

    def plan(*words: str, inner: str = ".", code: int = 0, **variables: str) -> str:
        done = shop.run([BIN / "alembic-squash", "plan", *words], check=False, cwd=shop.top / inner, **variables)
        assert done.code == code, done.said
        return done.said

    assert "FROM_THE_FILE={url}" in plan()
    assert "FROM_THE_FILE={url}" in plan(inner="docs")
    # The command line is over the environment, which is over the file.
    assert "FROM_THE_SHELL={url}" in plan(INVOKE_SQUASH_URI_VAR="FROM_THE_SHELL")
    assert "GIVEN={url}" in plan("--uri-var", "GIVEN", INVOKE_SQUASH_URI_VAR="FROM_THE_SHELL")
    several = plan(INVOKE_SQUASH_SET="A_HOST={host}\nA_PORT={port}")
    assert "A_HOST={host}" in several and "A_PORT={port}" in several
    assert "INVOKE_SQUASH_URI_VARR" in plan(code=1, INVOKE_SQUASH_URI_VARR="x")
    shop.write("invoke.yaml", "squash:\n  urivar: X\n")
    assert "'urivar'" in plan(code=1)
    shop.write("invoke.yaml", "squash:\n  rev: head-2\n  set:\n    DB_HOST: '{host}'\n    DB_PORT: '{port}'\n")
    assert "text or a list was expected" in plan(code=1)
    shop.write("invoke.yaml", "squash: [\n")
    assert "cannot be read" in plan(code=1)
    shop.write("invoke.yaml", "squash:\n  rev: head-2\n  set:\n  - DB_HOST={host}\n  - DB_PORT={port}\n")
    assert "DB_HOST={host}, DB_PORT={port}" in plan()
    shop.git("checkout", "--quiet", "invoke.yaml")
    assert state(shop) == before


def test_what_the_configuration_says_of_invokes_own_run_changes_nothing(shop: Project) -> None:
    run = "{dry: true, echo: true, pty: true, hide: both, warn: true, shell: /nowhere, env: {PATH: /nowhere}}"
    shop.write("invoke.yaml", f"run: {run}\ntimeouts: {{command: 1}}\n")
    shop.write("tasks.py", "from tasklib import ns\n")
    shop.commit("configuration")
    before = state(shop)
    assert shop.tool("--dry", "checkout", "--rev", "head-2").code == 0 and state(shop) == before
    for tool in (shop.tool, partial(invoke, shop)):
        done = tool("checkout", "--rev", "head-2", INVOKE_RUN_DRY="1")
        assert done.code == 0 and "$ cd " not in done.said and state(shop) != before, done.said
        assert "$ cd " in tool("--echo", "status").err
        assert tool("abort").code == 0 and state(shop) == before


@pytest.mark.slow
def test_an_app_with_separate_variables_is_told_each_with_set(shop: Project) -> None:
    shop.write("app.py", SEPARATE)
    shop.commit("separate variables")
    words = [word for part in PARTS for word in ("--set", part)]
    few = shop.tool("squash", "--rev", "head-2", "--server", shop.server_url, *words[:-2])
    assert few.code == 2 and "DB_PASSWORD" in few.err, few.said
    shop.assert_nothing_left()
    done = shop.tool("squash", "--rev", "head-2", "--server", shop.server_url, *words)
    assert done.code == 0, done.said
    shop.assert_nothing_left()
    address = shop.new_database("separate")
    variables: dict[str, Any] = {
        "DB_HOST": address.host, "DB_PORT": str(address.port), "DB_NAME": "separate", "DB_USER": address.user,
        "DB_PASSWORD": address.password,
    }  # fmt: skip
    shop.run([BIN / "flask", "db", "upgrade"], **variables)
    assert query(address, "SELECT count(*) FROM plans") == [(2,)]


@pytest.mark.slow
def test_dry_says_what_would_happen_and_changes_nothing(shop: Project) -> None:
    options = ("--rev", "head-2", "--uri-var", VARIABLE)
    before = state(shop)
    for words in (("--dry", "squash", *options), ("squash", *options, "--dry"), ("--dry", "checkout", *options)):
        done = shop.tool(*words)
        assert done.code == 0, done.said
        assert state(shop) == before, words
    assert shop.tool("squash", *options, "--dry").out == shop.tool("plan", *options).out
    assert shop.tool("checkout", *options).code == 0
    before = state(shop)
    for name in (*STEPS[2:10], "abort"):
        done = shop.tool("--dry", name)
        assert done.code == 0 and "Would" in done.out, done.said
        assert state(shop) == before, name
    assert shop.tool("abort").code == 0


def test_each_task_has_help_for_itself_and_for_each_of_its_options(shop: Project) -> None:
    # One start of the program for all of them, which takes a second or two; Invoke uses a task's help up by showing it.
    script = f"""
import os
import pytest

from tasklib.program import _Program, ns
for name in {STEPS!r}:
    if os.fork() == 0:
        _Program(name="alembic-squash", namespace=ns).run(["alembic-squash", "--help", name], exit=False)
        print("=====", flush=True)
        os._exit(0)
    os.wait()
"""
    texts = shop.run([sys.executable, "-c", script]).out.split("=====\n")
    for name, text in zip(STEPS, texts, strict=False):
        assert text.startswith(f"Usage: alembic-squash [--core-opts] {name} "), text
        docstring = text.split("Docstring:")[1].split("Options:")[0].strip()
        assert docstring.splitlines()[0].endswith((".", ":")), name
        assert "none" not in docstring, name
        assert name in ("squash", "status", "abort") or ("Before: " in docstring and " After: " in docstring)
        options = option_blocks(text)
        assert {"quiet", "json", "echo"} <= options.keys()
        assert all(len(words) > 15 for words in options.values()), options
        assert not re.search(r"(?m)^  -[a-z], ", text), "short flags shift when an option is added"
        assert name not in ("plan", "checkout", "squash") or len(options) == (20 if name == "checkout" else 24)
    assert re.match(r"alembic-squash \d", shop.tool("--version").out)
    said = shop.tool().out  # without a task
    assert said == shop.tool("--help").out and all(name in said for name in STEPS)
    first, listed, before = re.split(r"Subcommands:|Options before the command:", said)
    assert "squash --rev head-20" in first and listed.split()[0] == "plan" and "--version" in before
    assert "--prompt-for-sudo-password" not in said


def test_a_bare_minus_three_is_refused_however_it_is_written(shop: Project) -> None:
    for words in (("--rev=-3",), ("--rev", "-3")):
        done = shop.tool("plan", *words)
        assert done.code == 1, done.said
        assert "--rev head-3" in done.err and "Traceback" not in done.err


def test_unknown_options_and_tasks_are_exit_1_and_a_bug_is_a_traceback_and_70(shop: Project) -> None:
    assert shop.tool("squash", "--no-such-option").code == 1
    assert shop.tool("no-such-task").code == 1
    broken = "import sys; from tasklib import program; from tasklib.workbench import plan\nplan.exists = None\n"
    broken += "sys.argv[1:] = ['status']; program.main()"
    bug = shop.run([sys.executable, "-c", broken], check=False)
    assert bug.code == 70 and "Traceback" in bug.err, bug.said
    assert shop.run(["sh", "-c", f"{BIN}/alembic-squash --list | head -1"]).err == ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("squash", "--revision", "x"), "Did you mean --rev?"),
        (("squash", "--rev", "x", "--no-mrge"), "Did you mean --no-merge?"),
        (("sqash",), "Did you mean squash?"),
        (("zzz",), "alembic-squash --list"),
        (("help",), "Did you mean alembic-squash --help?"),
        (("--json", "plan"), "It stands after the command: alembic-squash plan --json"),
        (("demo", "--report", "x.html"), "demo has none; these have: plan, checkout, verify, merge, squash."),
        (("rebase-revision",), "Type: alembic-squash rebase-revision BRANCH"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_may_be_meant(tmp_path: Path, words: Sequence[str], meant: str) -> None:
    done = run([BIN / "alembic-squash", *words], cwd=tmp_path, ok=None)
    assert done.code == 1 and meant in done.stderr and done.stdout == ""


def test_the_list_is_in_the_order_of_the_steps_and_every_help_has_an_example_and_begins_with_r(tmp_path: Path) -> None:
    listed = run([BIN / "alembic-squash", "--list"], cwd=tmp_path).stdout
    names = re.findall(r"(?m)^  (\w[\w-]*)  ", listed)
    assert names == list(tasklib.ns.task_names) and names[:3] == ["plan", "checkout", "reinit"]
    for name in names:
        said = run([BIN / "alembic-squash", "--help", name], cwd=tmp_path).stdout
        assert f"Example: {name}" in said or f"Example: alembic-squash {name}" in said, said
    assert re.search(r"Options:\n  --rev", run([BIN / "alembic-squash", "--help", "squash"], cwd=tmp_path).stdout)
    # Also after the name, where Invoke would take it for the value that must be given.
    asked = run([BIN / "alembic-squash", "rebase-revision", "--help"], cwd=tmp_path)
    assert asked.stdout == run([BIN / "alembic-squash", "--help", "rebase-revision"], cwd=tmp_path).stdout


def test_another_package_of_the_same_import_name_is_said(tmp_path: Path) -> None:
    shutil.copytree(Path(tasklib.__file__).parent, tmp_path / "tasklib")
    (tmp_path / "tasklib/__init__.py").write_text("from .task import Task\n")
    (tmp_path / "tasklib/task.py").write_text("class Task: pass\n")
    argv = [sys.executable, "-c", "from tasklib.program import main; main()", "--list"]
    done = run(argv, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, ok=None)
    assert done.code == 1 and "pip uninstall tasklib" in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_plan_names_files_that_only_squashed_migrations_read(make: Make) -> None:
    made = make(
        [Step("one", "open('seed.csv'); open('both.sql')"), Step("two", "pass"), Step("three", "open('both.sql')")]
    )
    for name in ("seed.csv", "both.sql", "other.txt"):
        made.write(f"migrations/data/{name}", "1\n")
    made.commit("their data")
    done = made.tool("plan", "--rev", "head-1")
    assert "migrations/data/seed.csv" in done.out, done.said
    assert "both.sql" not in done.out and "other.txt" not in done.out


def test_plan_reads_only_and_shows_mentions_other_branches_and_reads_of_the_environment(shop: Project) -> None:
    shop.write("docs/deploy.md", f"After {shop.ids[1]} run the importer.\nAnd {shop.ids[3]} is fine.\n")
    old = shop.file_of(shop.ids[2])
    text = old.read_text().replace("def upgrade():\n", 'def upgrade():\n    import os\n    os.environ.get("REGION")\n')
    old.write_text(text, encoding="utf-8")
    kept = shop.file_of(shop.ids[5])
    other = 'def upgrade():\n    if op.get_bind().dialect.name == "sqlite":\n        return\n'
    kept.write_text(kept.read_text().replace("def upgrade():\n", other), encoding="utf-8")
    shop.commit("mentions")
    shop.git("checkout", "--quiet", "-b", "feature", "main")
    ids = list(shop.ids)
    shop.add(Step("side", 'op.execute("SELECT 1")', revision="0007feature00", down=shop.ids[1]))
    shop.ids[:] = ids
    shop.git("checkout", "--quiet", "main")
    shop.write("untracked.txt", "a dirty tree is no obstacle to reading\n")
    before = state(shop)
    done = shop.tool("plan", "--rev", "head-2")
    assert done.code == 0, done.said
    assert state(shop) == before
    assert f"docs/deploy.md:1: After {shop.ids[1]}" in done.out
    assert "docs/deploy.md:2" not in done.out  # R stays
    assert f"feature: migrations/versions/0007feature00_side.py hangs on {shop.ids[1]}" in done.out
    assert re.search(rf"{old.name}:\d+: REGION", done.out)
    assert re.search(rf"\(the base is for PostgreSQL only\):\n.*{kept.name}:\d+: sqlite\n", done.out)
    assert "whatever the application asks for, it is led to scratch databases\n" in done.out
    assert "version_num IN" in done.out
    assert f"{shop.ids[0]} to {shop.ids[3]}" in done.out and f"{shop.ids[4]} to {shop.ids[5]}" in done.out
