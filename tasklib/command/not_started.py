"""What is said of a project's command that did not even start, or cannot be held."""

from __future__ import annotations

import re

from tasklib import shell
from tasklib.command import programs
from tasklib.command.project_command import READ_ONLY, Command, Targets
from tasklib.errors import Failed

# What wrappers (poetry, uv, pdm, pipenv) and Python say where the program is not in the environment that they found.
NO_PROGRAM = re.compile(
    r"(?i)command not found|failed to spawn|not found in your PATH|could not be found within PATH|can't open file|"
    r"No module named '?(alembic|flask)'?$",
    re.MULTILINE,
)
NOT_STARTED = re.compile(
    rf"{NO_PROGRAM.pattern}|No such (command|option)|unrecognized arguments|invalid choice|Could not (import|locate)",
    re.MULTILINE,
)


def refuse(command: Command, result: shell.Result, targets: Targets | None = None) -> None:
    """Raise `Failed` with the application's own error where the command did not even start.

    ``targets`` are those that the command was run with.
    """
    said = result.stderr + result.stdout
    if result.code == 0:
        return
    # Where env.py is in no frame of a traceback, the application failed before Alembic began.
    crashed = command.kind == "flask" and "Traceback" in said and '/env.py"' not in said
    if said.strip() and not crashed and not NOT_STARTED.search(said):
        return
    why = said
    if command.kind == "flask" and "Traceback" not in said and not NO_PROGRAM.search(said):
        # Flask says "No such command 'db'" or nothing at all where the app's import failed; any command that
        # needs the app says why.
        environment = {**command.environment(command.apart or targets), **READ_ONLY}
        routes = shell.run(
            [*command.words[:-1], "routes"], cwd=command.cwd, env=environment, ok=None, fence=command.fence(targets)
        )
        asked = command.masked(routes, targets)
        if asked.code != 0:
            why = asked.stderr if asked.stderr.strip() else asked.stdout
        elif "No such command" in said:
            why += "\nThe app itself can be imported, but it has no `db` command: is Migrate(app, db) called?"
    if "Traceback" in why:
        # What Flask says last, "No such command 'db'", is only what follows from the app's own error above it.
        why = re.sub(r"(?m)^(Usage: .*|Try '.* --help' .*|Error: No such command .*)\n?", "", why)
    raise error(command, result, why)


def error(command: Command, result: shell.Result, why: str) -> Failed:
    """The error for a command that did not start, with the reason in the application's own words."""
    missing = re.search(r"ModuleNotFoundError: No module named ['\"](\S+)['\"]", why)
    hint = f"make `{' '.join(command.words)} history` work in this shell first; FLASK_APP and the like are inherited"
    if command.kind == "code":
        hint = (
            "the project's own program must take Alembic's words (current --verbose, show, upgrade, downgrade), or "
            "--command 'alembic -c FILE'"
        )
    if missing:
        hint = (
            f"its Python does not find {missing.group(1)}: install that (the project itself: pip install -e .) in "
            "the environment of this command, or set PYTHONPATH; this shell's variables are inherited"
        )
    if missing and programs.is_ours(command.words[0]):
        program = f"{programs.prefix(command.cwd)}{'flask db' if command.kind == 'flask' else 'alembic'}"
        hint = (
            f"{command.words[0]} is of the environment that this program is installed in; name the project's own, "
            f"--command '{program}', or activate it"
        )
    return Failed(
        f"`{' '.join(command.words)}` cannot run in {command.cwd} (exit code {result.code}). It says:\n  | "
        + (why.strip() or "nothing").replace("\n", "\n  | "),
        hint,
    )
