"""catchup. Before: a squash, and a database that stood behind it. After: the database is at R, as the old migrations
make it, and is shown to be.

Writes to that database by the project's own command alone, and only after a yes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from invoke.context import Context

from tasklib import console, settings
from tasklib.after import catch_up, lineage
from tasklib.errors import Refused
from tasklib.options import Given, dry, step
from tasklib.postgres import client
from tasklib.repository import git

OPTIONS = ("directory", "command", "uri-var", "set", "same", "server", "before")


@step(*OPTIONS, values={"url": "URL of the database that is behind."}, yes="Do it without asking.")
def catchup(context: Context, given: Given) -> None:
    """Bring a database that a squash left behind up to R, with the old migrations; then upgrade it as usual.

    Example: catchup --url postgresql://…; it says what it will run, and asks.
    """
    names = [name.replace("-", "_") for name in OPTIONS]
    chosen = settings.resolve(context, {name: given[name] for name in names})
    if not given["url"]:
        raise Refused("No database is named.", "--url postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    address = client.parse_url(given["url"], "--url")
    with git.reading_only(git.find(Path.cwd())) as repository:
        known = lineage.read(repository, replace(chosen, rev=None), Path.cwd())
        found = catch_up.standing(known, address)
        if found.is_safe:
            console.say(f"{found.place} is {found.shown()}: there is nothing to catch up.")
            return
        if dry(context):
            console.say(f"Would bring {found.place} from {found.ids[0]} to {known.revision}: {found.shown()}.")
            return
        catch_up.catch_up(known, address, found, lambda: _agreed(found.place, yes=bool(given["yes"])))
    console.say(f"{found.place} is at {known.revision}, with the schema that the migrations build there. "
                "Now upgrade it as usual.")  # fmt: skip


def _agreed(place: str, *, yes: bool) -> bool:
    return yes or (console.can_ask() and console.agrees(f"Run them on {place}?"))
