"""demo. Before: nothing. After: nothing; a made-up project was squashed in a temporary directory, for show.

Never touches the directory that it is called in.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from tasklib import console, shell, squash
from tasklib.options import Given, dry, step
from tasklib.postgres import client, server
from tasklib.postgres.client import Address
from tasklib.repository import git
from tasklib.settings import Settings

if TYPE_CHECKING:
    from tasklib.demo.build import Demo

COMMAND = (sys.executable, "-m", "flask", "db")
RUNS = 5  # the best of so many, old and new by turns: the machine may be busy


@step(keep="Keep the project afterwards, and say where it is.")
def demo(context: Context, given: Given) -> None:
    """Make a Flask-Migrate project with 122 migrations, squash it, and show before and after.

    Example: demo; demo --keep leaves the project to be looked at.
    """
    if dry(context):
        console.say("Would make a project in a temporary directory, squash it and show it.")
        return
    if given["keep"]:
        kept = Path(tempfile.mkdtemp(prefix="alembic-squash-demo-")) / "library"
        run(kept)
        console.say(f"The project is in {kept}, and beside it as it was before")
        return
    with tempfile.TemporaryDirectory(prefix="alembic-squash-demo-") as directory:
        run(Path(directory) / "library")
    console.say("The project is gone again; `demo --keep` keeps it.")


def run(directory: Path) -> None:
    """Build, squash, measure, show."""
    from tasklib.demo.build import build  # it needs Alembic and Mako, which no other command waits for

    with console.doing("a Flask-Migrate project with its own migrations and git history"):
        made = build(directory)
    _show_history(made, "BEFORE")
    _title(f"SQUASH: alembic-squash squash --rev {made.revision} --uri-var {made.uri_var}")
    squash.run(made.root, Settings(rev=made.revision, command=COMMAND, set=((made.uri_var, "{url}"),)))
    _show_history(made, "AFTER")
    _show_file(made)
    earlier = directory.with_name(f"{directory.name}-before")
    git.find(made.root).run("clone", "--quiet", str(made.root), str(earlier))
    git.find(earlier).run("checkout", "--quiet", "--detach", "HEAD~1")
    with console.doing(f"how long a new database takes: `flask db upgrade`, the best of {RUNS}"):
        before, after = _measure(made.uri_var, earlier, made.root)
    _title("A NEW DATABASE: `flask db upgrade` from nothing to the head")
    rows = [("", "before", "after", "before/after")]
    for name, old, new in (("with start-up", before[0], after[0]), ("without start-up", before[1], after[1])):
        rows.append((name, f"{old:.2f} s", f"{new:.2f} s", f"{old / new:.1f}" if new > 0 else "-"))
    console.say(console.table(rows))
    console.say(f"  start-up (the same command with nothing to do): {before[0] - before[1]:.2f} s")
    console.say()


def _measure(uri_var: str, *roots: Path) -> list[tuple[float, float]]:
    """For each project, the seconds that an upgrade from nothing takes: all of it, and without the start-up of flask
    and the app. They run by turns, so that what else the machine does is the same for all.
    """
    whole: dict[Path, list[float]] = {root: [] for root in roots}
    idle: dict[Path, list[float]] = {root: [] for root in roots}
    ours = server.start(str(roots[0]), owner_pid=os.getpid())
    try:
        for _ in range(RUNS):
            for root in roots:
                address = Address(ours.host, ours.port, ours.user, ours.password, "demo")
                with client.connect(address.at("postgres")) as connection:
                    connection.run(f"DROP DATABASE IF EXISTS {address.database}")
                    connection.run(f"CREATE DATABASE {address.database} TEMPLATE template0")
                whole[root].append(_upgrade(root, uri_var, address))
                idle[root].append(_upgrade(root, uri_var, address))
    finally:
        server.stop(ours.home)
    return [(min(whole[root]), max(min(whole[root]) - min(idle[root]), 0.001)) for root in roots]


def _upgrade(root: Path, uri_var: str, address: Address) -> float:
    environment = {**client.clean_environment(), uri_var: address.url("postgresql+psycopg2")}
    started = time.monotonic()
    shell.run([*COMMAND, "upgrade"], cwd=root, env={**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    return time.monotonic() - started


def _show_history(made: Demo, when: str) -> None:
    _title(f"{when}: flask db history")
    nowhere = Address("127.0.0.1", 1, "nobody", "", "nowhere")
    environment = {**client.clean_environment(), made.uri_var: nowhere.url("postgresql+psycopg2")}
    result = shell.run([*COMMAND, "history"], cwd=made.root, env={**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    lines = [line for line in result.stdout.splitlines() if " -> " in line]
    for line in lines if len(lines) < 10 else [*lines[:4], f"… {len(lines) - 7} more …", *lines[-3:]]:
        console.say(f"  {line}")
    console.say(f"  = {len(lines)} migrations")


def _show_file(made: Demo) -> None:
    path = next((made.root / "migrations" / "versions").glob(f"{made.revision}_*.py"))
    lines = path.read_text(encoding="utf-8").splitlines()
    _title(f"THE NEW FILE: {path.relative_to(made.root)} ({len(lines)} lines)")
    tables, rows = lines.index("    # tables"), lines.index("    # rows")
    for line in (*lines[:11], "…", *lines[tables : tables + 24], "    …", *lines[rows : rows + 24], "    …"):
        console.say(f"  {line}".rstrip())


def _title(text: str) -> None:
    console.say()
    console.say(text)
    console.say("-" * len(text))
