"""verify. Before: a base migration. After: the same, with the proof of the git tree that it would be committed as.

With --source models, or where somebody committed meanwhile, the original branch is merged in first, uncommitted. Writes
to no database but ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from invoke.context import Context

from tasklib import console, settings
from tasklib.errors import Differs
from tasklib.options import Given, dry, step
from tasklib.proof import deployed_condition, proofs, squash_branch
from tasklib.proof.record import Proof
from tasklib.report import report
from tasklib.repository import git, status
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.steps import order
from tasklib.workbench import plan, prepare_verify
from tasklib.workbench.bench import Bench, open_bench, passing


@step("rev", "directory", "command", "uri-var", "set", "server", "before", "reference", "data", "report")
def verify(context: Context, given: Given) -> None:
    """Prove that the new chain builds the same database. Also on a plain checkout, as in CI: no plan is needed.

    Example: verify; exit code 3 where the databases differ.
    """
    chosen = settings.resolve(context, given)
    report.refuse_unusable(chosen.report)
    repository = git.find(Path.cwd())
    if given["rev"] is None and plan.exists(repository):
        bench = open_bench(Path.cwd(), given["server"], given["reference"])
        if dry(context):
            console.say(f"Would prove the work tree on {bench.plan.branch}.")
            return
        _tell(bench, chosen, lambda: run(bench))
        console.say(f"Next: {order.following(bench.repository, bench.plan)}")
        return
    with git.reading_only(repository) as checkout:
        _verify_checkout(checkout, chosen, dry(context))


def _verify_checkout(repository: Repository, chosen: Settings, dry: bool) -> None:
    """The proof of the commit at HEAD. The checkout may be read only, shallow, and at a detached HEAD."""
    prepared = prepare_verify.prepare(repository, Path.cwd(), chosen)
    if dry:
        console.say(f"Would prove the base {prepared.plan.revision} against its originals.")
        return
    if status.dirty(repository):
        console.warn("the work tree holds changes that are not committed; the commit at HEAD is proven, without them")
    with passing(repository, prepared.plan, chosen.server) as bench:
        _tell(bench, chosen, lambda: proofs.prove(bench, repository.tree("HEAD")))


def _tell(bench: Bench, chosen: Settings, prove: Callable[[], Proof]) -> None:
    """Say what was proven, and write the report where one is asked for: of a difference, too."""
    page = chosen.report or bench.plan.settings.report
    try:
        made = prove()
    except Differs as error:
        if page is not None:
            report.save(page, report.of_failure(bench.plan, bench.cut().run(from_r=False), error, ()))
        raise
    condition = deployed_condition.condition(bench.plan.revision, bench.plan.kept, bench.version_tables())
    console.say("\n".join(made.lines()))
    console.result("proof", revision=bench.plan.revision, proof=asdict(made), condition=condition)
    if page is not None:
        code = bench.repository.read(made.tree, bench.plan.base_path)
        before = bench.cut().run(from_r=False)
        report.save(page, report.of_proof(bench.plan, made, before, condition, code))


def run(bench: Bench) -> Proof:
    """The proof of the work tree, made where there is none."""
    squash_branch.refuse_other_branch(bench)
    squash_branch.integrate(bench)
    return proofs.ensure_proven(bench)
