"""instances. Before: databases, at R or not. After: the same. Reads only: where each of them stands.

Exit code 0 only where every one is at R or past it. Writes to no database but scratch databases (--drift).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from tasklib import console, settings
from tasklib.after import drift, lineage, named
from tasklib.after.instances import SECONDS, Instance, look, newest
from tasklib.after.lineage import Lineage
from tasklib.errors import REFUSED, Refused
from tasklib.options import Given, step
from tasklib.project import sources
from tasklib.repository import git
from tasklib.workbench.bench import program

OPTIONS = ("rev", "directory", "command", "uri-var", "set", "same", "server", "before")


@step(
    *OPTIONS,
    lists=named.LISTS,
    values={
        **named.VALUES,
        "schemas": "A pattern (tenant_%): each schema that fits is an instance of its own.",
        "timeout": f"Seconds for each connection (default {SECONDS}).",
    },
    drift="Also compare the schema of each with what the migrations build at its revision.",
    json="Say it as JSON, for other programs.",
)
def instances(context: Context, given: Given) -> None:
    """Say which deployed databases are at R or past it, and which are behind.

    Example: instances --rev head-20 --urls databases.txt; after a squash without --rev.
    """
    chosen = settings.resolve(context, {name.replace("-", "_"): given[name.replace("-", "_")] for name in OPTIONS})
    addresses = named.addresses(given, Path.cwd())
    if given["drift"] and given["schemas"]:
        raise Refused("--drift compares whole databases, and --schemas names parts of one.", "leave one of them out")
    with git.reading_only(git.find(Path.cwd())) as repository:
        known = lineage.read(repository, chosen, Path.cwd())
        tables = sources.version_tables(repository, known.head)
        found, report = look(addresses, known, tables, given["schemas"], _seconds(given["timeout"])), ""
        if given["drift"]:
            found, report = drift.look(known, [*zip(addresses, found, strict=True)])
    _show(known, found, report, as_json=bool(given["json"]))


def _show(known: Lineage, found: list[Instance], report: str, *, as_json: bool) -> None:
    """Print where they stand; exit code 1 where one is not safe."""
    advice = newest(found, known)
    if as_json:
        listed = [asdict(one) for one in found]
        console.say(json.dumps({"revision": known.revision, "newest": advice, "instances": listed}, indent=1))
    else:
        console.say(f"R is {known.revision}.")
        console.say(console.table([(one.place, one.shown()) for one in found]))
        if report:
            console.say(f"\n{report}")
    unsafe = [one for one in found if not one.is_safe]
    if not unsafe:
        return
    hint = f"; all that were read have reached {advice}: --rev {advice}" if advice and advice != known.revision else ""
    behind = any(one.state == "behind R" for one in found)
    if known.base is not None:
        hint = f"; {program()} catchup --url URL brings one that is behind to {known.revision}" if behind else ""
    drifted = sum(one.drift is not None and one.drift != () for one in found)
    what = f"{len(unsafe)} of {len(found)} are not at {known.revision} or past it" + (
        f", or not what the migrations build ({drifted})" if drifted else ""
    )
    raise Exit(f"{what}{hint}", code=REFUSED)


def _seconds(text: str | None) -> int:
    if text is None:
        return SECONDS
    if not text.isdigit() or not int(text):
        raise Refused(f"--timeout {text} is no number of seconds.", f"--timeout {SECONDS}")
    return int(text)
