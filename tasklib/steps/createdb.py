"""createdb. Before: a plan. After: empty scratch databases, which the command has been shown to reach.

Never touches a database that we did not make; without --server it starts a server of its own, on loopback.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console
from tasklib.options import Given, dry, step
from tasklib.reference import replay
from tasklib.workbench.bench import Bench, open_bench


@step("server", "reference")
def createdb(context: Context, given: Given) -> None:
    """Make the empty scratch databases, and prove that the command reaches them (step 4).

    Example: createdb; or, on a server of yours, createdb --server postgresql://me@localhost/postgres
    """
    bench = open_bench(Path.cwd(), given["server"], given["reference"])
    if dry(context):
        console.say(
            f"Would make scratch databases on {'the server you named' if given['server'] else 'a throwaway server'}."
        )
        return
    there = "createdb" in bench.plan.done
    run(bench)
    place = bench.place()
    names = ", ".join(place.names.values())
    console.say(f"Scratch databases {'are there already, ' if there else ''}on {place.host}:{place.port}: {names}.")
    console.say(f"Next: {bench.plan.program} migrate   ({bench.plan.program} cleanup takes them away)")


def run(bench: Bench) -> None:
    """A server, the databases of the two replays, and the URL's scheme found by probing."""
    with console.doing("scratch databases; does the command reach them?"):
        replay.ensure_databases(bench)
    bench.finished("createdb")
