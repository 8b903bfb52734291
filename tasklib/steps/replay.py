"""replay. Before: a plan. After: the old chain stands replayed at R and at head, twice, and volatile columns are known.

Writes only to our scratch databases.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console
from tasklib.options import Given, dry, step
from tasklib.reference import replay as replays
from tasklib.reference import volatile_columns
from tasklib.workbench.bench import Bench, open_bench


@step("server", "reference")
def replay(context: Context, given: Given) -> None:
    """Replay the old migrations, to R and on to the head (migrate and verify call it where it has not run).

    Example: replay
    """
    bench = open_bench(Path.cwd(), given["server"], given["reference"])
    if dry(context):
        console.say(
            f"Would replay {len(bench.plan.gone)} migrations to {bench.plan.revision}, and {len(bench.plan.kept)} more."
        )
        return
    run(bench)
    console.say(f"Replayed. Next: {bench.plan.program} migrate")


def run(bench: Bench) -> None:
    """Replay where it has not been done for this tip; says which columns are volatile."""
    replays.ensure_replayed(bench)
    names = [name for bind in bench.binds for name in volatile_columns.names(bench, bind)]
    if names:
        console.note("  volatile columns (another value in each run): " + ", ".join(names))
