"""What a run of the project's command that failed says: which migration it was in, and the database's words."""

from __future__ import annotations

import re
from pathlib import Path

from tasklib import shell
from tasklib.errors import Failed, MigrationFailed, Refused
from tasklib.history.chains import Chain
from tasklib.postgres import missing_extension

# The line of a traceback that says which error it was.
ERROR = re.compile(r"[\w.]*(Error|Exception|Exists|Undefined\w*|Violation)\b")
CAUGHT = "Error that was caught before it: "  # from the server's record
NO_SCHEMA = "no schema has been selected to create in"  # PostgreSQL's words
SHOWN = 10  # lines of an error


def failing_migration(result: shell.Result, chain: Chain) -> str | None:
    """The revision that a failed run was in: by the traceback's deepest frame, else by Alembic's last log line."""
    by_name = {Path(m.path).name: m.id for m in chain.history.migrations.values()}
    frames = re.findall(r'File "([^"]+)", line \d+', result.stderr)
    for frame in reversed(frames):
        if Path(frame).name in by_name:
            return by_name[Path(frame).name]
    running = re.findall(r"Running upgrade \S* ?-> ([^\s,]+)", result.stderr)
    return running[-1].rstrip(",") if running and running[-1].rstrip(",") in chain.history.migrations else None


def explain_failure(result: shell.Result, chain: Chain, what: str) -> Failed | Refused:
    """The error for an upgrade that did not arrive: which migration, and the database's words."""
    revision = failing_migration(result, chain)
    lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    caught = [line for line in lines if line.startswith(CAUGHT)]
    lines = [line for line in lines if line not in caught]
    # Of a traceback the last error counts, with what the database and SQLAlchemy say below it.
    errors = [at for at, line in enumerate(lines) if ERROR.match(line)]
    said = lines[errors[-1] :] if errors else lines[-SHOWN:]
    database = "\n  | ".join([*caught, *said[:SHOWN], *(["…"] if len(said) > SHOWN else [])])
    path = chain.history.migrations[revision].path if revision else ""
    frames = re.findall(rf'{re.escape(Path(path).name)}", line (\d+)', result.stderr) if revision else []
    line = int(frames[-1]) if frames else 0
    name = f"the migration {revision} ({path}{f':{line}' if line else ''})" if revision else "a migration"
    if extension := missing_extension.not_on_server(result.stderr):
        return Refused(
            f"{what}: {name} needs the extension {extension!r}, which the server does not have.",
            missing_extension.how_to_get(extension),
        )
    if not revision and NO_SCHEMA in result.stderr:
        return Refused(
            f"{what}: env.py (or a role, or the address) sets a search_path that leads to no schema of an empty "
            "database, so Alembic has no place for its version table.",
            "have env.py make the schema (CREATE SCHEMA IF NOT EXISTS …), as new databases need it too; where an "
            "argument chooses it, name that: --command 'alembic -x tenant=public'",
        )
    text = f"{what}: {name} failed. The command ended with exit code {result.code} and said:\n  | {database}"
    return MigrationFailed(text, revision or "", line)
