"""The meta-task: the steps in their order; where one stands, and everything back as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from invoke.context import Context

from tasklib import console, interrupts, settings
from tasklib.after import advice
from tasklib.after.outcome import Outcome
from tasklib.errors import Differs, Failed, SquashError
from tasklib.options import ALL, Given, dry, ended, step
from tasklib.postgres import client
from tasklib.project import likely_variables
from tasklib.proof import squash_branch
from tasklib.reference import before_command, deployed_database
from tasklib.report import report
from tasklib.repository import git
from tasklib.steps import checkout, cleanup, createdb, merge, migrate, order, reinit, replay, restore, verify
from tasklib.steps import plan as plans
from tasklib.timings import Timings
from tasklib.workbench import inplace, kept_replay, named_server, plan, undoing
from tasklib.workbench.bench import Bench, open_bench, program
from tasklib.workbench.decisions import Undecided
from tasklib.workbench.prepare import Prepared, prepare

RUN: dict[str, Callable[[Bench], object]] = {
    "reinit": reinit.run,
    "restore": restore.run,
    "createdb": createdb.run,
    "replay": replay.run,
    "migrate": migrate.run,
    "verify": verify.run,
    "cleanup": cleanup.run,
}


@step(*ALL, lists=advice.LISTS, values=advice.VALUES)
def squash(context: Context, given: Given) -> None:
    """Make every migration up to R one proven base migration: all steps, in order.

    Example: squash --rev head-20. Whatever goes wrong, everything is put back.
    """
    chosen = advice.settled(settings.resolve(context, given), given)
    if chosen is None:
        return
    report.refuse_unusable(chosen.report)
    prepared = None if dry(context) else refuse_early(Path.cwd(), chosen)
    plans.show(Path.cwd(), chosen, prepared)
    if prepared is None:
        return
    console.say()
    run(prepared)


def refuse_early(cwd: Path, chosen: settings.Settings) -> Prepared:
    """`Refused` for all that can be known before a plan is shown which would then not be carried out."""
    prepared = prepare(cwd, chosen)
    repository, made = prepared.repository, prepared.plan
    if chosen.before:
        before_command.find_program(chosen.before, cwd, repository.top)
    if chosen.reference is not None:
        client.client_for(deployed_database.refuse_unusable_reference(repository, made))
    if chosen.server is not None:
        named_server.refuse_unusable(chosen.server)
    return prepared


def run(prepared: Prepared) -> Outcome:
    """All steps, and what they came to. After a failure, an interrupt or a difference everything is as it was, and
    nothing of ours is left.
    """
    text, interrupted, chosen = "everything is as it was", 0, prepared.plan.settings
    try:
        bench = checkout.begin(prepared, chosen.server, os.getpid())
        timings = Timings(bench.tally)
        try:
            if kept_replay.adopt(bench):
                console.note(f"the replay that was kept is taken again: {len(bench.plan.gone)} migrations")
            bench.begin_server()
            outcome = _all_steps(bench, timings, bring_in=not chosen.no_merge)
            outcome.say()
            _tell_times(chosen, timings)
            if chosen.report is not None:
                report.save(chosen.report, report.of_outcome(outcome, timings.rows()))
            return outcome
        except BaseException as error:
            interrupted = interrupts.noted()
            if isinstance(error, Undecided) and not interrupted:
                _keep(bench)
            text = _give_up(bench) if plan.exists(bench.repository) else "after the squash was finished"
            if isinstance(error, Differs) and chosen.report is not None and not interrupted:
                before = bench.cut().run(from_r=False)
                report.save(chosen.report, report.of_failure(bench.plan, before, error, timings.rows()))
            raise
    except KeyboardInterrupt:
        raise ended(text) from None
    except SquashError:
        if interrupted:  # whoever ended us may have ended our processes too
            raise ended(text) from None
        raise


def _all_steps(bench: Bench, timings: Timings, *, bring_in: bool) -> Outcome:
    *before, _ = order.of(bench.plan)[1:]
    with console.steps([*before, "merge"]):
        for step in before:
            with console.step(step), timings.of(step):
                RUN[step](bench)
        with console.step("merge"), timings.of("merge"):
            return merge.run(bench, bring_in=bring_in)


def _tell_times(chosen: settings.Settings, timings: Timings) -> None:
    if chosen.timings:
        console.say("\n".join(["", console.table(timings.rows()), *timings.lines()]))
    console.result("timings", **timings.as_json())


def _keep(bench: Bench) -> None:
    """Keep the replay for the next try; that it cannot be kept is no reason to lose sight of why this one ended."""
    with interrupts.uninterrupted():
        try:
            if kept_replay.keep(bench) and (found := kept_replay.kept(bench.repository)):
                console.note(kept_replay.said(found))
        except (SquashError, OSError) as error:
            console.warn(f"the replay could not be kept: {error}")


def _give_up(bench: Bench) -> str:
    """Put everything back, and say what came of it; trouble does not hide what went wrong before."""
    with interrupts.uninterrupted():  # an impatient second Ctrl-C must not stop it half-way
        try:
            trouble = squash_branch.put_back(bench)
        except Exception as second:
            trouble = [str(second)]
    for line in trouble:
        console.warn(f"{line}; {bench.plan.program} abort tries again")
    if not trouble:
        console.note("everything was put back")
    return f"{bench.plan.program} abort puts everything back" if trouble else "everything is as it was"


@step()
def status(context: Context, given: Given) -> None:
    """Say where an unfinished squash stands, and what to type next.

    Example: status
    """
    repository = git.find(Path.cwd())
    if undoing.is_half_done(repository):
        console.say(f"An undo was killed half-way on {repository.current_branch() or 'a detached HEAD'}.\n"
                    f"Next: {program()} undo   ({program()} abort puts everything back)")  # fmt: skip
        return
    if not plan.exists(repository):
        if inplace.is_left(repository):
            console.say("A command was killed while the old migrations were in the work tree.\n"
                        f"Next: {program()} abort   (takes them out again, as the next command does)")  # fmt: skip
            return
        here = repository.current_branch() or ""
        if here.startswith("squash-") and squash_branch.is_squash(repository, "HEAD"):
            console.say(f"{here} holds a squash that is proven and committed: push it for review, or merge it. "
                        f"(git branch -D {here}, from another branch, gives it up.)")  # fmt: skip
        console.say(f"No squash is under way in {repository.top}. To begin: {program()} squash --rev R")
        if (found := kept_replay.kept(repository)) is not None:
            console.say(f"{kept_replay.said(found)} ({program()} abort takes it away).")
        console.result("status", under_way=False, kept_replay=found is not None)
        return
    made = plan.load(repository, program())
    console.say(f"Squash of {len(made.gone)} migrations into {made.revision}, for the branch {made.original}, "
                f"on {made.branch} (current: {repository.current_branch() or 'none'})")  # fmt: skip
    if made.templates:
        console.say(f"Database URL: {likely_variables.options(made.templates)}{' (found)' if made.found else ''}")
    console.say(console.table([(step, order.state(made, step)) for step in order.of(made)]))
    if made.place is not None:
        console.say(f"Scratch databases are on {made.place.host}:{made.place.port}.")
    following = order.following(repository, made)
    console.say(f"Next: {following}")
    console.result("status", under_way=True, revision=made.revision, branch=made.branch, original=made.original,
                   done=made.done, next=following)  # fmt: skip


@step("server")
def abort(context: Context, given: Given) -> None:
    """Give an unfinished squash up: branch, files, databases, server, all as before.

    Example: abort
    """
    repository = git.find(Path.cwd())
    recovered = inplace.recover(repository)
    if undoing.is_half_done(repository):
        if dry(context):
            console.say("Would put back what an undo that was killed has left.")
            return
        undoing.recover(repository)
        console.say("What an undo that was killed has left is put back, or was committed already.")
        return
    if not plan.exists(repository):
        if recovered:
            console.say("The old migrations that a killed command left in the work tree are taken out again.")
        elif kept_replay.kept(repository) is None:
            console.say("No squash is under way; there is nothing to put back.")
        elif dry(context):
            console.say("Would take the replay away that is kept for the next squash.")
        else:
            kept_replay.drop(repository)
            console.say("No squash is under way; the replay that was kept for the next one is taken away.")
        return
    bench = open_bench(Path.cwd(), given["server"])
    if dry(context):
        console.say(f"Would delete {bench.plan.branch}, and go back to {bench.plan.head_was}.")
        return
    merged = squash_branch.is_brought_in(repository, bench.plan)
    with interrupts.uninterrupted():
        trouble = squash_branch.put_back(bench)
        kept_replay.drop(repository)  # a kill may have come just after it was kept
    if trouble:
        raise Failed("; ".join(trouble), f"{bench.plan.program} abort --server URL (with its password)")
    if merged:
        console.say(f"The squash is in {bench.plan.original} already, and stays; what was left of it is taken away.")
        return
    console.say(f"Everything is as it was; on {bench.plan.head_was}.")
