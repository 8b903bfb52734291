"""migrate. Before: the squashed revisions are out. After: R's own file is the base migration.

Never overwrites a file that somebody edited since we wrote it, without --force; writes to no database but ours.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console
from tasklib.base import autogenerate, base_migration, post_write_hooks
from tasklib.errors import Refused
from tasklib.options import Given, dry, step
from tasklib.proof import squash_branch
from tasklib.workbench.bench import Bench, open_bench


@step("server", "reference", force="Write the base migration anew, over a file that was edited since.")
def migrate(context: Context, given: Given) -> None:
    """Write the base migration with R's id, in R's own file (step 5).

    Example: migrate. Edit the file as you like then; migrate --force writes it anew.
    """
    bench = open_bench(Path.cwd(), given["server"], given["reference"])
    if dry(context):
        console.say(f"Would write {bench.plan.base_path} from {bench.plan.source}.")
        return
    if run(bench, force=given["force"]):
        console.say(f"Wrote {bench.plan.base_path}. Edit it where you like; it is proven as it will be.")
    else:
        console.say(f"{bench.plan.base_path} is written already.")
    console.say(f"Next: {bench.plan.program} verify, or merge, which proves what is not proven yet")


def run(bench: Bench, *, force: bool = False) -> bool:
    """Write R's file; False where it stands there as we wrote it."""
    squash_branch.refuse_other_branch(bench)
    made = bench.plan
    written = made.base_path in made.placed
    if force:
        bench.placing(made.base_path)
    elif bench.base.exists():
        edited = bench.is_edited()
        if written and not edited and "migrate" in made.done:
            return False
        if written and edited:
            raise Refused(f"{made.base_path} was edited since it was written; it is left alone.",
                          f"{made.program} migrate --force writes it anew")  # fmt: skip
        if "reinit" not in made.done:
            raise Refused(f"{made.base_path} still is the old migration.", f"{made.program} reinit")
        if not written:
            raise Refused(f"{made.base_path} is there, and this program did not write it; it is left alone.",
                          f"{made.program} migrate --force writes over it, verify proves it as it is")  # fmt: skip
    if made.source == "models":
        autogenerate.write(bench)
    else:
        _write(bench)
    bench.finished("migrate")
    return True


def _write(bench: Bench) -> None:
    """The base migration from the reference, as the project's own hooks leave it (autogenerate runs them itself)."""
    text = base_migration.write(bench).text
    after = post_write_hooks.formatted(bench, text)
    if after != text:
        bench.write_base(after)
