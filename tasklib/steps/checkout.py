"""checkout. Before: a clean work tree on a branch. After: the squash branch is current, and the plan is written.

Never touches a file, the original branch, or any database.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console, plan, settings
from tasklib.bench import Bench
from tasklib.options import ALL, Given, dry, step
from tasklib.prepare import Prepared, prepare
from tasklib.settings import Settings


@step(*ALL)
def checkout(context: Context, given: Given) -> None:
    """Make the squash branch and write the plan that the next steps follow (step 1 of the recipe)."""
    chosen = settings.resolve(context, given)
    if dry(context):
        made = prepare(Path.cwd(), chosen).plan
        console.say(f"Would make the branch {made.branch} at {made.start[:12]} and check it out.")
        return
    bench = begin(prepare(Path.cwd(), chosen))
    console.say(f"On the squash branch {bench.plan.branch}. Next: {bench.plan.program} reinit")


def begin(prepared: Prepared, server_url: str | None = None, pid: int | None = None) -> Bench:
    """Write the plan, then make the squash branch; a failure leaves neither."""
    repository, made = prepared.repository, prepared.plan
    plan.create(repository, made)
    try:
        repository.switch_to_new_branch(made.branch, made.start)
    except BaseException:
        plan.forget(repository)
        raise
    bench = Bench(repository, made, server_url, pid)
    bench.finished("checkout")
    return bench


def run(cwd: Path, chosen: Settings, pid: int | None) -> Bench:
    """`begin` for the meta-task, with the server that the settings name."""
    return begin(prepare(cwd, chosen), chosen.server, pid)
