"""The databases that the application asks for, and the scratch databases that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from tasklib import binds, ports
from tasklib.command.fence import Fence
from tasklib.command.guard import at_any_port
from tasklib.command.watch import Seen
from tasklib.errors import Refused, SquashError
from tasklib.workbench.bench import Bench
from tasklib.workbench.plan import Plan

# Databases that earlier runs asked for and this one did not: with more of them, one is made up at each start.
MOST_GONE = 4


class Learnt(SquashError):
    """A run showed what nobody knew, a second database say. It is known now, and all runs must be made anew."""


def learn(bench: Bench, seen: Seen) -> None:
    """Keep in the plan what a run connected to. Raises `Learnt` where no scratch database stood for one of them.

    The first one of all stands for the project's own database, until env.py says otherwise.
    """
    with bench.lock:
        _learn(bench, seen)


def _learn(bench: Bench, seen: Seen) -> None:
    before = bench.plan.targets
    known = dict(before)
    # What was given a scratch database's own address needs no other one to stand for it.
    direct = {contact.name for contact in seen.contacts if contact.target is None}
    mistaken = False
    for contact in seen.contacts:
        if contact.target is None or {contact.target, at_any_port(contact.target)} & known.keys():
            continue
        same = bench.plan.settings.same_as(contact.target)
        if same in known:
            known[contact.target] = known[same]
        elif contact.name is not None and contact.name not in direct:
            known[contact.target] = contact.name
        else:
            mistaken = mistaken or contact.name is not None
            taken = {*known.values(), *bench.binds}
            known[contact.target] = next(f"other{n}" for n in count(1) if f"other{n}" not in taken)
    asked = {contact.target for contact in seen.contacts if contact.target is not None}
    known = _tunnels_joined(bench, known, asked)
    if known != bench.plan.targets:
        bench.save(replace(bench.plan, targets=known))
    if seen.unknown or mistaken:
        # What runs beside this one may have learnt the same.
        new = known.keys() - before.keys() or {str(contact.target) for contact in seen.unknown}
        listed = " and ".join(sorted(new))
        gone = sorted(before.keys() - asked)
        if len(gone) > MOST_GONE:
            raise Refused(
                f"The application asks for another database at each start: {', '.join(sorted(asked & known.keys()))} "
                f"now, and before for {', '.join(gone)}.",
                "--uri-var NAME, the variable that it takes its database URL from: that is the same one each time then",
            )
        raise Learnt(f"The application connects to {listed} too, for which there was no scratch database.")


def _tunnels_joined(bench: Bench, known: dict[str, str], asked: set[str]) -> dict[str, str]:
    """The known targets, where addresses on this machine that differ in nothing but a port are one target, if that is
    another one at each start, as a tunnel's is: nothing names it, and this run did not ask for all of them.
    """
    alike: dict[str, list[str]] = {}
    for target in known:
        if (joined := at_any_port(target)) != target:
            alike.setdefault(joined, []).append(target)
    several = {joined: found for joined, found in alike.items() if not asked.issuperset(found)}
    if all(len(found) == 1 for found in several.values()):
        return known
    named = bench.command().named_ports()
    for joined, found in several.items():
        drawn = [target for target in found if not named & ports.of_targets([target])]
        if len(drawn) > 1 and not asked.issuperset(drawn):
            name = known[drawn[0]]
            known = {target: of for target, of in known.items() if target not in drawn} | {joined: name}
    return known


def lines(plan: Plan, fence: Fence | None) -> list[str]:
    """Lines for the report and the proof: each target, and what stood for it; and what was barred."""
    found = []
    names, filled = plan.binds, {name for name, _ in plan.found}
    for target, name in sorted(plan.targets.items()):
        variable = target.rpartition("/")[2]
        if name not in names:
            stood = f"a scratch database beside ({name}), which no migration may write to"
        else:
            stood = "a scratch database" + (f" ({binds.shown(name)})" if len(names) > 1 else "")
        asked = f"what was filled in for {variable}" if variable in filled else target
        found.append(f"Led, whatever the application asked for: {asked} → {stood}")
    for kind, name, value, elsewhere in plan.in_public:
        what = f"the argument -x {name}=" if kind == "argument" else f"the variable {name}"
        usual = f" (elsewhere {elsewhere})" if elsewhere else ""
        found.append(f"Led: {what} chooses the migrations' schema → {value}{usual}")
    if plan.upgrades_itself:
        found.append(
            "The application runs Alembic's upgrade at its start: it was held there for each run, and what else it "
            "does at its start is no part of this proof."
        )
    if plan.legacy:
        found.append(legacy(plan.legacy))
    if fence is None:
        return [*found, "Led, not fenced: this system has no Landlock with network rules."]
    listed = ", ".join(map(str, sorted(fence.ports)))
    found.append(f"Fenced (Landlock): no process of the command could reach a real database's port ({listed}).")
    if fence.sockets:
        found.append("Fenced (seccomp): no run could open a Unix socket, by which a database is reached here.")
    elif any(target.startswith("/") for target in plan.targets):
        found.append("Led, not fenced: a database is reached by a Unix socket here, and this machine cannot bar those.")
    return found


def legacy(revisions: Sequence[str]) -> str:
    """The line for revisions that call SQLAlchemy as it was before version 2."""
    what = "a text for execute(), a list for select() …"
    return f"Written for SQLAlchemy 1 ({what}), and run as it did: {', '.join(revisions)}"
