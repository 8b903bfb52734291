"""Scratch databases on a server that the user named, of a command that was killed and keeps no plan.

Such a command (`verify` of a checkout, `undo`, `catchup` …) notes them in its temporary directory, and the next one
that works on the same server drops them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tasklib import temporary
from tasklib.errors import SquashError
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.workbench.plan import Place

KIND = "passing"
NOTE = "place.json"


def make() -> Path:
    """The temporary directory of such a command."""
    return temporary.make(KIND)


def note(place: Place) -> None:
    """Write down what is there, or is about to be; no password is in it."""
    if place.server is None:
        fresh = Path(place.work) / f"{NOTE}.new"
        fresh.write_text(json.dumps(asdict(place)), encoding="utf-8")
        fresh.replace(Path(place.work) / NOTE)


def sweep(named: Address) -> None:
    """Drop the databases on this server whose command is gone, and its directory; what resists is left for later."""
    for directory in temporary.stale(KIND):
        place = _noted(directory)
        if place is not None and (place.host, place.port) != (named.host, named.port):
            continue
        with suppress(SquashError):
            if place is not None:
                with client.connect(named) as connection:
                    for name in place.names.values():
                        client.drop_database(connection, name, place.token)
            shutil.rmtree(directory, ignore_errors=True)


def _noted(directory: Path) -> Place | None:
    """What a directory says; None where a kill came before that was written, and so before there was a database."""
    try:
        told: Mapping[str, object] = json.loads((directory / NOTE).read_text(encoding="utf-8"))
        return Place.from_json(told)
    except (OSError, ValueError, KeyError, TypeError):
        return None
