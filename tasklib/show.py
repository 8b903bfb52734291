"""demo. Before: nothing. After: nothing; a made-up project was squashed in a temporary directory, for show.

Never touches the directory that it is called in.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from invoke.context import Context

from tasklib import console, postgres, server, shell, squash
from tasklib import demo as demos
from tasklib.demo import Demo
from tasklib.options import Given, dry, step
from tasklib.postgres import Address
from tasklib.server import Server
from tasklib.settings import Settings

COMMAND = (sys.executable, "-m", "flask", "db")
RUNS = 3  # the best of so many: the machine may be busy


@step(keep="Keep the project afterwards, and say where it is.")
def demo(context: Context, given: Given) -> None:
    """Make a Flask-Migrate project with 122 migrations, squash it, and show before and after."""
    if dry(context):
        console.say("Would make a project in a temporary directory, squash it and show it.")
        return
    if given["keep"]:
        kept = Path(tempfile.mkdtemp(prefix="alembic-squash-demo-")) / "library"
        run(kept)
        console.say(f"The project is in {kept}")
        return
    with tempfile.TemporaryDirectory(prefix="alembic-squash-demo-") as directory:
        run(Path(directory) / "library")
    console.say("The project is gone again; `demo --keep` keeps it.")


def run(directory: Path) -> None:
    """Build, measure, squash, measure, show."""
    with console.doing("a Flask-Migrate project with its own migrations and git history"):
        made = demos.build(directory)
    ours = server.start(str(directory), owner_pid=os.getpid())
    try:
        _show_history(made, "BEFORE")
        with console.doing(f"how long a new database takes: `flask db upgrade`, the best of {RUNS}"):
            before = _measure(made, ours)
        _title(f"SQUASH: alembic-squash squash --rev {made.revision} --uri-var {made.uri_var}")
        squash.run(made.root, Settings(rev=made.revision, command=COMMAND, set=((made.uri_var, "{url}"),)))
        _show_history(made, "AFTER")
        _show_file(made)
        with console.doing(f"how long a new database takes now, the best of {RUNS}"):
            after = _measure(made, ours)
    finally:
        server.stop(ours.home)
    _title("A NEW DATABASE: `flask db upgrade` from nothing to the head")
    rows = [("", "before", "after", "before/after")]
    for name, old, new in (("with start-up", before[0], after[0]), ("without start-up", before[1], after[1])):
        rows.append((name, f"{old:.2f} s", f"{new:.2f} s", f"{old / new:.1f}" if new > 0 else "-"))
    console.say(console.table(rows))
    console.say(f"  start-up (the same command with nothing to do): {before[0] - before[1]:.2f} s")
    console.say()


def _measure(made: Demo, ours: Server) -> tuple[float, float]:
    """Seconds that an upgrade from nothing takes: all of it, and without the start-up of flask and the app."""
    whole: list[float] = []
    idle: list[float] = []
    for number in range(RUNS):
        address = Address(ours.host, ours.port, ours.user, ours.password, f"demo_{number}")
        with postgres.connect(address.at("postgres")) as connection:
            connection.run(f"DROP DATABASE IF EXISTS {address.database}")
            connection.run(f"CREATE DATABASE {address.database} TEMPLATE template0")
        whole.append(_upgrade(made, address))
        idle.append(_upgrade(made, address))
    return min(whole), max(min(whole) - min(idle), 0.001)


def _upgrade(made: Demo, address: Address) -> float:
    environment = {**postgres.clean_environment(), made.uri_var: address.url("postgresql+psycopg2")}
    started = time.monotonic()
    shell.run([*COMMAND, "upgrade"], cwd=made.root, env={**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    return time.monotonic() - started


def _show_history(made: Demo, when: str) -> None:
    _title(f"{when}: flask db history")
    nowhere = Address("127.0.0.1", 1, "nobody", "", "nowhere")
    environment = {**postgres.clean_environment(), made.uri_var: nowhere.url("postgresql+psycopg2")}
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
