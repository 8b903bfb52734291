"""merge. Before: a base migration. After: it is committed with its proof, and the original branch holds it.

Never commits a tree that is not proven, and never moves a branch that somebody else moved meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context

from tasklib import console, interrupts
from tasklib.after import in_flight
from tasklib.after.in_flight import Gone
from tasklib.after.outcome import Outcome
from tasklib.errors import CommandFailed, Refused
from tasklib.options import Given, dry, step
from tasklib.proof import deployed_condition, proofs, squash_branch
from tasklib.proof.record import Proof
from tasklib.report import report
from tasklib.repository import git, status
from tasklib.settings import truth
from tasklib.workbench import plan
from tasklib.workbench.bench import Bench, open_bench


@step("into", "server", "reference", "no-merge", "report")
def merge(context: Context, given: Given) -> None:
    """Commit the proven tree and bring it into the original branch (step 7).

    Example: merge; or merge --no-merge, which leaves the commit on the squash branch, to be pushed for review.
    """
    report.refuse_unusable(given["report"])
    repository = git.find(Path.cwd())
    if not plan.exists(repository) and squash_branch.is_squash(repository, "HEAD"):
        console.say(
            f"The squash is committed already: {repository.ask('rev-parse', 'HEAD')[:12]} is the current commit."
        )
        return
    bench = open_bench(Path.cwd(), given["server"], given["reference"])
    if squash_branch.is_brought_in(repository, bench.plan) and not dry(context):
        # Killed between the move of the branch and the end.
        for line in bench.close_place():
            console.warn(line)
        squash_branch.finish(bench)
        console.say(f"The squash is in {bench.plan.original}; what was left of it is taken away.")
        return
    into = given["into"]
    if into is not None and into != bench.plan.original:
        raise Refused(f"--into {into}: this squash was begun for the branch {bench.plan.original}.",
                      f"{bench.plan.program} abort, then checkout --into {into}")  # fmt: skip
    if dry(context):
        console.say(f"Would commit on {bench.plan.branch} and move {bench.plan.original} there.")
        return
    page = given["report"] or bench.plan.settings.report
    known = bench.plan.proof
    outcome = run(bench, bring_in=not (given["no_merge"] or truth(bench.plan.settings.no_merge)))
    outcome.say(proof_was_shown=known is not None and known["tree"] == outcome.proof.tree)
    if page is not None:
        report.save(page, report.of_outcome(outcome, ()))


def run(bench: Bench, *, bring_in: bool = True) -> Outcome:
    """Prove what is not proven, commit, bring it in, forget the plan."""
    squash_branch.refuse_other_branch(bench)
    made = bench.plan
    if not bench.base.exists():
        raise Refused(
            f"There is no {made.base_path} yet; the base migration was expected there.", f"{made.program} migrate"
        )
    squash_branch.integrate(bench)
    shown, new = _proven_and_committed(bench)
    made, tables, cut = bench.plan, bench.version_tables(), bench.cut()
    for line in bench.close_place():
        console.warn(line)
    # Between these a Ctrl-C would leave a branch that is moved and a plan that knows nothing of it.
    with interrupts.uninterrupted():
        if bring_in:
            squash_branch.bring_in(bench, new)
        else:
            plan.forget(bench.repository)
    gone = Gone.of(made.revision, cut.gone, made.kept, new)
    return Outcome(
        made, shown, new, bring_in, cut.run(from_r=False),
        deployed_condition.condition(made.revision, made.kept, tables),
        in_flight.mentions(bench.repository, gone, [made.base_path]),
        in_flight.lines(bench.repository, made.layout, gone),
        [line[3:] for line in status.dirty(bench.repository)], bench.repository.read(new, made.base_path),
    )  # fmt: skip


def _proven_and_committed(bench: Bench) -> tuple[Proof, str]:
    """The proof and its commit; what a hook makes of the base (a formatter) is proven in its turn, once."""
    for again in (False, True):
        shown = proofs.ensure_proven(bench)
        squash_branch.refuse_changes_elsewhere(bench)
        try:
            return shown, squash_branch.commit(bench, shown)
        except (Refused, CommandFailed) as error:
            if again or bench.tree() == shown.tree:
                raise
            console.note(
                f"  … a git hook changed {bench.plan.base_path}; what it made is proven now ({error.text[:60]} …)"
            )
    raise AssertionError
