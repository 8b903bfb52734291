"""instances. Before: databases, at R or not. After: the same. Reads only: where each of them stands.

Exit code 0 only where every one is at R or past it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from tasklib import console, settings
from tasklib.after.instances import Known, look, newest
from tasklib.errors import REFUSED, Refused
from tasklib.history import revisions
from tasklib.options import Given, step
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.project import discovery, sources
from tasklib.repository import git
from tasklib.repository.git import Repository
from tasklib.settings import Settings

SECONDS = 10


@step(
    "rev", "directory", "command",
    lists={"url": "URL of a deployed database. Repeatable."},
    values={
        "urls": "A file with a URL a line; - is standard input.",
        "schemas": "A pattern (tenant_%): each schema that fits is an instance of its own.",
        "timeout": f"Seconds for each connection (default {SECONDS}).",
    },
    json="Say it as JSON.",
)  # fmt: skip
def instances(context: Context, given: Given) -> None:
    """Say which deployed databases are at R or past it, and which are behind.

    Example: instances --rev head-20 --urls databases.txt; after a squash without --rev.
    """
    chosen = settings.resolve(context, {name: given[name] for name in ("rev", "directory", "command")})
    addresses = [client.parse_url(url, "--url") for url in (*(given["url"] or ()), *_lines(given["urls"]))]
    if not addresses:
        raise Refused("No database is named.", "--url postgresql://…, or --urls FILE with one a line")
    repository = git.find(Path.cwd())
    known = _known(repository, chosen)
    show(repository, known, addresses, given["schemas"], _seconds(given["timeout"]), as_json=bool(given["json"]))


def show(
    repository: Repository, known: Known, addresses: list[Address], schemas: str | None, seconds: int, *, as_json: bool
) -> None:
    """Print where they stand; exit code 1 where one is not safe."""
    tables = sources.version_tables(repository, repository.commit("HEAD") or "")
    found = look(addresses, known, tables, schemas, seconds)
    advice = newest(found, known)
    if as_json:
        listed = [
            {"place": o.place, "state": o.state, "ids": o.ids, "missing": o.missing, "words": o.words} for o in found
        ]
        console.say(json.dumps({"revision": known.revision, "newest": advice, "instances": listed}, indent=1))
    else:
        console.say(f"R is {known.revision}.")
        console.say(console.table([(one.place, one.shown()) for one in found]))
    unsafe = [one for one in found if not one.is_safe]
    if not unsafe:
        return
    hint = f"; all that were read have reached {advice}: --rev {advice}" if advice and advice != known.revision else ""
    raise Exit(f"{len(unsafe)} of {len(found)} are not at {known.revision} or past it{hint}", code=REFUSED)


def _known(repository: Repository, chosen: Settings) -> Known:
    """R and its history: as --rev names it, or of the base migration that this checkout has."""
    head = repository.commit("HEAD") or ""
    layout = discovery.find_layout(repository, head, chosen, Path.cwd())
    history = revisions.read_history(repository, head, layout)
    named = [
        (m, commit)
        for m in history.migrations.values()
        if not m.parents and (commit := revisions.originals(repository.read(head, m.path)))
    ]
    if chosen.rev is not None:
        return Known(history.resolve(chosen.rev).id, history)
    if len(named) != 1:
        raise Refused(
            f"{len(named)} base migrations of this checkout name the commit of their originals; one was expected.",
            "--rev R, for the revision that is to become the base",
        )
    base, commit = named[0]
    if repository.commit(commit) is None:
        raise Refused(
            f"{base.path} names the commit {commit}, which this clone does not have.", "git fetch --unshallow"
        )
    return Known(base.id, revisions.read_history(repository, commit, layout), frozenset(history.migrations))


def _lines(file: str | None) -> list[str]:
    if not file:
        return []
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _seconds(text: str | None) -> int:
    if text is None:
        return SECONDS
    if not text.isdigit() or not int(text):
        raise Refused(f"--timeout {text} is no number of seconds.", f"--timeout {SECONDS}")
    return int(text)
