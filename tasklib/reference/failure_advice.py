"""Why an old migration does not run today, as far as it shows, and what can stand for a replay instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasklib import shell
from tasklib.errors import Failed
from tasklib.history.cut import History
from tasklib.postgres import missing_extension
from tasklib.workbench.plan import Plan


class ExtensionMissing(Failed):
    """A migration needs an extension that no migration before it makes."""

    def __init__(self, extension: str, text: str, hint: str) -> None:
        self.extension = extension
        super().__init__(text, hint)


FROM_ELSEWHERE = "that came from elsewhere"
PROGRAM = re.compile(r"(?m)^(?:psql|pg_restore|pg_dump|createdb|createuser|vacuumdb)\b.*: .*")
DRIVERS = r"(psycopg2?|asyncpg|pg8000)\b"


def explain(
    error: Failed, result: shell.Result, revision: str, history: History, plan: Plan, source: Callable[[str], str]
) -> Failed:
    """The error of an upgrade that failed in ``revision`` of the old chain, with its cause and the ways out.

    ``source`` gives the text of a revision's file.
    """
    path = history.migrations[revision].path
    extension = "" if plan.settings.before else _extension(result.stderr)
    why = [f"That is of the extension {extension}, which no migration before it makes."] if extension else []
    text = "\n".join([error.text, *_why(result.stderr, revision, history, plan, source), *why])
    if revision in plan.gone:
        text, hint = _instead(text, path, plan, came_from_elsewhere=FROM_ELSEWHERE in text)
    else:
        rows = "; where it needs rows that are there in real databases, --data TABLE,… takes them along"
        hint = f"repair {path} in a commit of its own: it stays, and every database will run it"
        hint += rows if plan.settings.reference else ""
    return ExtensionMissing(extension, text, hint) if extension else Failed(text, hint)


def _instead(text: str, path: str, plan: Plan, *, came_from_elsewhere: bool) -> tuple[str, str]:
    """What is said of a squashed migration that fails, and the ways out, the likeliest first."""
    if plan.source == "models":
        text += "\n--source models writes the base without a replay, but proves it by one."
    repair = [f"repair {path} in a commit of its own (it goes with the squash)"]
    ways = [] if came_from_elsewhere else [*repair]
    of_one = len(plan.binds) == 1  # the other ways are for one database
    if of_one and not plan.settings.before:
        ways.append("--before 'COMMAND' runs what makes the first tables on the empty database")
    if of_one:
        ways.append(f"--reference URL takes a real database at {plan.revision} for the replay (it is only read)")
    if plan.source == "history":
        proof = ", and needs one of these for its proof" if of_one else ", and is proven by a replay as well"
        ways.append(f"--source models lets autogenerate write the base{proof}")
    ways += repair if came_from_elsewhere else []
    return text, ";\n    ".join(ways)


def _why(said: str, revision: str, history: History, plan: Plan, source: Callable[[str], str]) -> list[str]:
    missing = re.search(r'relation "([^"]+)" does not exist|NoSuchTableError: (\S+)', said)
    if missing:
        name = (missing.group(1) or missing.group(2)).split(".")[-1]
        if not any(_makes(source(one), name) for one in history.ancestors(revision) | {revision}):
            return [f'No migration up to it makes "{name}": {FROM_ELSEWHERE} (db.create_all(), a SQL file).']
        return []
    schema = re.search(r'schema "([^"]+)" does not exist', said)
    if schema and not any(
        re.search(rf"""(?i)CREATE\s+SCHEMA\b[^;]*?\b{re.escape(schema.group(1))}\b|CreateSchema\(""", source(one))
        for one in history.ancestors(revision) | {revision}
    ):
        return [f'No migration up to it makes the schema "{schema.group(1)}": {FROM_ELSEWHERE}.']
    if plan.settings.before and re.search(r'relation "[^"]+" already exists', said):
        return ["The command of --before made it already, and stamped no revision that makes it: it must leave the "
                "version table at the revision whose tables it makes."]  # fmt: skip
    errors = re.findall(r"(?m)^[\w.]*(?:Error|Exception)\b.*", said)
    if errors and errors[-1].startswith("subprocess.CalledProcessError"):
        words = [f"It said: {line}" for line in PROGRAM.findall(said)[-2:]]
        return [*words, "A program that it starts failed. Programs are kept from real databases: where it goes to one "
                "by a variable of this shell, --uri-var NAME gives it the scratch database's address."]  # fmt: skip
    if errors and not re.search(rf"^{DRIVERS}|\({DRIVERS}", errors[-1]):
        return ["It fails in Python, before the database: code or libraries that it was written for are others today."]
    return []


def _extension(said: str) -> str:
    """The extension of whose objects one is missing, or ""."""
    missing = [
        line for line in said.splitlines() if "does not exist" in line or "has no default operator class" in line
    ]
    return missing_extension.not_in_database(" ".join(missing[-1:]))


def _makes(text: str, name: str) -> bool:
    """Whether a migration's text seems to make a table (view, sequence) of this name, or to give it this name."""
    quoted = re.escape(name)
    return bool(
        re.search(rf"""(create|rename)_table\([^)]{{0,200}}?["']{quoted}["']""", text)
        or re.search(rf"""(?i)\bCREATE\s[^;(]{{0,80}}?["'.\s]{quoted}\b|\bRENAME TO\s+["']?{quoted}\b""", text)
    )
