"""The replay of a squash that ended for want of a decision, kept for the next one of the same commit and settings.

What is kept is the throwaway server's directory, the server stopped, and the plan as it then was, in a file in git's
private directory. The next `squash` takes both, or takes both away; after an hour whatever starts a server does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasklib import console
from tasklib.errors import SquashError
from tasklib.postgres import clusters, server, server_home
from tasklib.repository.git import Repository
from tasklib.workbench import plan
from tasklib.workbench.bench import Bench
from tasklib.workbench.plan import Plan

SECONDS = 3600
# What a replay knows, and the next squash need not learn again.
LEARNT = (
    *("place", "version_table", "sqlalchemy", "apart", "alone", "upgrades_itself", "legacy", "needed_roles", "targets"),
    *("names", "ground", "groundwork", "session", "found", "in_public", "scheme", "replayed"),
)


def _file(repository: Repository) -> Path:
    return repository.common / "alembic-squash-kept.json"


def keep(bench: Bench) -> bool:
    """Keep the replay of this squash, whose databases then are no more its own; whether there was one to keep."""
    made = bench.plan
    place = made.place
    alone = bench.pid is not None and not bench.detached and made.settings.reference is None
    if place is None or place.server is None or made.replayed is None or not alone:
        return False
    bench.end_held()
    ours = server.attach(Path(place.server))
    until = time.time() + SECONDS
    # The file is the owner of the server: with it, the next sweep takes the server away.
    _file(bench.repository).write_text(json.dumps({"until": until, "plan": made.to_json()}), encoding="utf-8")
    server_home.mark(ours.home, str(_file(bench.repository)), None, server_home.known(ours.home), until)
    bench.save(replace(made, place=None, replayed=None))
    clusters.pause(ours)
    return True


def kept(repository: Repository) -> tuple[Plan, float] | None:
    """The plan whose replay is kept and until when (seconds since the epoch), or None; an old one is taken away."""
    try:
        data: Mapping[str, Any] = json.loads(_file(repository).read_text(encoding="utf-8"))
        found, until = Plan.from_json(data["plan"]), float(data["until"])
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        found, until = None, 0.0
    there = found is not None and found.place is not None and Path(found.place.server or "").is_dir()
    if found is None or not there or time.time() > until:
        drop(repository)
        return None
    return found, until


def adopt(bench: Bench) -> bool:
    """Begin with the replay that is kept, where it is of the same commit, revision and settings; whether it was."""
    found = kept(bench.repository)
    if found is None:
        return False
    old, made = found[0], bench.plan
    if _subject(old) == _subject(made) and old.place is not None and old.place.server is not None:
        home = Path(old.place.server)
        try:
            there = clusters.resume(home)
        except SquashError:
            there = False
        if there:
            server_home.mark(home, str(plan.file(bench.repository)), bench.pid, server_home.known(home))
            bench.save(replace(made, **{name: getattr(old, name) for name in LEARNT}))
            _file(bench.repository).unlink()
            return True
    drop(bench.repository)
    return False


def drop(repository: Repository) -> None:
    """Take a kept replay away, the server's directory too."""
    try:
        home = Path(json.loads(_file(repository).read_text(encoding="utf-8"))["plan"]["place"]["server"])
        server.stop(home)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # a file that is not as we wrote it leads nowhere
    except SquashError as error:
        console.warn(error.text)
    _file(repository).unlink(missing_ok=True)


def said(found: tuple[Plan, float]) -> str:
    """What there is, for people."""
    made, until = found
    return (
        f"The replay of {len(made.gone)} migrations to {made.revision} is kept until "
        f"{time.strftime('%H:%M', time.localtime(until))}, for the next squash of the same commit and settings"
    )


def _subject(made: Plan) -> tuple[object, ...]:
    """What a replay is of: with the same, it would come out the same."""
    asked = replace(
        made.settings, rev=None, into=None, data="", keep_value=(), no_merge=False, timings=False, report=None
    )
    return made.tip, made.revision, made.gone, made.kept, made.layout, made.source, asked
