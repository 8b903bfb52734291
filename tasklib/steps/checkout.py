"""checkout. Before: a clean work tree on a branch. After: the squash branch is current, and the plan is written.

Never touches a file, the original branch, or any database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from invoke.context import Context

from tasklib import console, interrupts, settings
from tasklib.history import revisions
from tasklib.options import ALL, Given, dry, step
from tasklib.proof import squash_branch
from tasklib.repository import git, refs
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.workbench import plan
from tasklib.workbench.bench import Bench, program
from tasklib.workbench.plan import Plan
from tasklib.workbench.prepare import Prepared, prepare


@step(*ALL)
def checkout(context: Context, given: Given) -> None:
    """Make the squash branch and write the plan that the next steps follow (step 1 of the recipe).

    Example: checkout --rev head-20. Then reinit, restore, createdb, migrate, cleanup, merge.
    """
    chosen = settings.resolve(context, given)
    if dry(context):
        made = prepare(Path.cwd(), chosen).plan
        console.say(f"Would make the branch {made.branch} at {made.start[:12]} and check it out.")
        return
    if (under_way := _same_again(git.find(Path.cwd()), chosen)) is not None:
        console.say(f"On the squash branch {under_way.branch} already. Next: {under_way.program} status")
        return
    bench = begin(prepare(Path.cwd(), chosen))
    console.say(f"On the squash branch {bench.plan.branch}. Next: {bench.plan.program} reinit")


def _same_again(repository: Repository, chosen: Settings) -> Plan | None:
    """The plan that is under way, where its branch is current and the revision asked for is the one of the plan."""
    if not plan.exists(repository):
        return None
    made = plan.load(repository, program())
    if repository.current_branch() != made.branch or chosen.source != made.source:
        return None
    history = revisions.read_history(repository, made.tip, made.layout)
    if chosen.rev is None or history.resolve(chosen.rev).id != made.revision:
        return None
    # URLs are kept without their passwords, and are asked for again with each step.
    kept = Settings.from_json(chosen.to_json())
    same = replace(kept, rev=None, server=None) == replace(made.settings, rev=None, server=None)
    return made if same else None


def begin(prepared: Prepared, server_url: str | None = None, pid: int | None = None) -> Bench:
    """Write the plan, then make the squash branch; a failure leaves neither."""
    repository, made = prepared.repository, prepared.plan
    plan.create(repository, made)
    bench = Bench(repository, made, server_url, pid)
    try:
        refs.switch_to_new_branch(repository, made.branch, made.start)
    except BaseException:
        with interrupts.uninterrupted():  # git may have come to any point
            trouble = squash_branch.put_back(bench)
        for line in trouble:
            console.warn(f"{line}; {made.program} abort tries again")
        raise
    bench.finished("checkout")
    return bench


def run(cwd: Path, chosen: Settings, pid: int | None) -> Bench:
    """`begin` for the meta-task, with the server that the settings name."""
    return begin(prepare(cwd, chosen), chosen.server, pid)
