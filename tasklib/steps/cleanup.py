"""cleanup. Before: any state of a squash. After: our scratch databases, our server and our directories are gone.

Never drops a database that does not carry our marker.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console
from tasklib.errors import Failed
from tasklib.options import Given, dry, step
from tasklib.repository import git
from tasklib.steps import order
from tasklib.workbench import plan
from tasklib.workbench.bench import Bench, open_bench


@step("server")
def cleanup(context: Context, given: Given) -> None:
    """Drop the scratch databases, stop our server, remove our temporary files (step 6).

    Example: cleanup. A later step makes what it needs again.
    """
    if not plan.exists(git.find(Path.cwd())):
        console.say("No squash is under way; there is nothing to clean up.")
        return
    bench = open_bench(Path.cwd(), given["server"])
    if dry(context):
        console.say("Would drop the scratch databases and stop our server.")
        return
    run(bench)
    console.say(f"Nothing of ours is left on any server. Next: {order.following(bench.repository, bench.plan)}")


def run(bench: Bench) -> None:
    """Take everything outside of git away; `Failed` with what could not be."""
    trouble = bench.close_place()
    if trouble:
        raise Failed("; ".join(trouble), f"{bench.plan.program} cleanup --server URL (with its password)")
    bench.finished("cleanup")
