"""`--rev auto`: R is the newest revision that every database of the user's has reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasklib import console
from tasklib.after import lineage, named
from tasklib.after.instances import SAFE, SECONDS, Instance, look, newest
from tasklib.after.lineage import AUTO
from tasklib.errors import Refused
from tasklib.project import sources
from tasklib.repository import git
from tasklib.settings import Settings

# The options of a task that takes --rev auto, beside --rev.
LISTS = named.LISTS
VALUES = {
    **named.VALUES,
    "at_least": "With --rev auto: where fewer migrations would go, there is nothing to do, and the exit code is 0.",
}


def settled(chosen: Settings, given: Mapping[str, Any]) -> Settings | None:
    """The settings of a squash, with a revision for --rev auto; the databases are only read.

    None where fewer migrations would go than --at-least says, after a word about it.
    """
    if chosen.rev != AUTO:
        if any(given[name] for name in (*LISTS, *VALUES)):
            raise Refused(f"Databases are named, and R is {chosen.rev}: they are asked for --rev {AUTO} only.",
                          f"--rev {AUTO}, or `instances --rev {chosen.rev}` says where they stand")  # fmt: skip
        return chosen
    addresses = named.addresses(given, Path.cwd())
    with git.reading_only(git.find(Path.cwd())) as repository:
        known = lineage.read(repository, chosen, Path.cwd())
        found = look(addresses, known, sources.version_tables(repository, known.head), None, SECONDS)
    _refuse_odd(found)
    revision, least = newest(found, known), _number(given["at_least"])
    gone = len(known.today.cut(revision).gone) if revision is not None else 0
    if gone < least:
        console.say(f"{gone} migrations could go, and at least {least} should: there is nothing to do.")
        return None
    if revision is None:
        raise Refused(f"--rev {AUTO}: there is no revision that could be R and that all of them have reached.",
                      "instances --rev head says where each one stands")  # fmt: skip
    console.note(f"--rev {AUTO}: all {len(addresses)} databases have reached {revision}")
    return replace(chosen, rev=revision)


def _number(text: str | None) -> int:
    if text is not None and not text.isdigit():
        raise Refused(f"--at-least {text} is no number of migrations.", "--at-least 30")
    return int(text or 0)


def _refuse_odd(instances: Sequence[Instance]) -> None:
    """`Refused` where it cannot be told of one of them what it has reached."""
    if odd := [one for one in instances if one.state not in (*SAFE, "behind R")]:
        listed = "\n  ".join(f"{one.place}  {one.shown()}" for one in odd[:10])
        raise Refused(
            f"--rev {AUTO}: of {len(odd)} databases of {len(instances)} it cannot be told what they have reached:\n  "
            f"{listed}",
            "leave them out where they do not count, or name R by its id",
        )
