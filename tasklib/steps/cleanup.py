"""cleanup. Before: any state of a squash. After: our scratch databases, our server and our directories are gone.

Never drops a database that does not carry our marker.
"""

from __future__ import annotations

from pathlib import Path

from invoke import Context, task

from tasklib import console
from tasklib.bench import Bench, open_bench
from tasklib.errors import Failed
from tasklib.options import only


@task(help=only("server"), auto_shortflags=False)
def cleanup(c: Context, server=None):  # type: ignore[no-untyped-def]
    """Drop the scratch databases, stop our server, remove our temporary files (step 6)."""
    bench = open_bench(Path.cwd(), server)
    if c.config.run.dry:
        console.say("Would drop the scratch databases and stop our server.")
        return
    run(bench)
    console.say(f"Nothing of ours is left on any server. Next: {bench.plan.program} merge")


def run(bench: Bench) -> None:
    """Take everything outside of git away; `Failed` with what could not be."""
    trouble = bench.close_place()
    if trouble:
        raise Failed("; ".join(trouble), f"{bench.plan.program} cleanup --server URL (with its password)")
    bench.finished("cleanup")
