"""demo. Before: nothing. After: nothing; a made-up project was squashed in a temporary directory, for show.

Never touches the directory that it is called in.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from tasklib import console, shell, squash
from tasklib.options import Given, dry, step
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.report import report
from tasklib.settings import Settings
from tasklib.workbench.prepare import prepare

if TYPE_CHECKING:
    from tasklib.demo.build import Demo

COMMAND = (sys.executable, "-m", "flask", "db")


@step(
    values={"html": "FILE.html: write the squash's report there, to be shown to a colleague."},
    keep="Keep the project afterwards, and say where it is.",
)
def demo(context: Context, given: Given) -> None:
    """Make a Flask-Migrate project with 122 migrations, squash it, and show before and after.

    Example: demo; demo --html demo.html writes a page for a colleague; demo --keep leaves the project to be looked at.
    """
    page = given["html"]
    report.refuse_unusable(page)
    page = str(Path(page).absolute()) if page else None
    if dry(context):
        console.say("Would make a project in a temporary directory, squash it and show it.")
        return
    if given["keep"]:
        kept = Path(tempfile.mkdtemp(prefix="alembic-squash-demo-")) / "library"
        run(kept, page)
        console.say(f"The project is in {kept}; `git checkout HEAD~1` there is as it was before.")
        return
    with tempfile.TemporaryDirectory(prefix="alembic-squash-demo-") as directory:
        run(Path(directory) / "library", page)
    console.say("The project is gone again; `demo --keep` keeps it.")


def run(directory: Path, page: str | None = None) -> None:
    """Build, squash, show; the report of the squash goes to ``page``."""
    from tasklib.demo.build import build  # it needs Alembic and Mako, which no other command waits for

    with console.doing("a Flask-Migrate project with its own migrations and git history"):
        made = build(directory)
    _show_history(made, "BEFORE")
    _title(f"SQUASH: alembic-squash squash --rev {made.revision}")
    outcome = squash.run(prepare(made.root, Settings(rev=made.revision, command=COMMAND, report=page)))
    _show_history(made, "AFTER")
    _show_file(made)
    _title("A NEW DATABASE: `flask db upgrade` from nothing to R, without the start of flask and the app")
    before, after = outcome.proof.seconds
    console.say(f"  before {before:.2f} s, after {after:.2f} s ({before / after:.1f} times as fast)")
    console.say()


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
