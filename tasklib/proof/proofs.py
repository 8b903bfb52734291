"""The proofs: nothing is merged that is not shown equal, by the database's own catalogs and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from tasklib import binds, console
from tasklib.base import contents
from tasklib.command.run_errors import explain_failure
from tasklib.errors import Differs, Refused
from tasklib.history.chains import Chain
from tasklib.judge import catalog, compare, rows
from tasklib.judge.compare import TableKey
from tasklib.postgres import client
from tasklib.proof import down_and_up, record, verdicts
from tasklib.proof.record import Proof
from tasklib.proof.verdicts import LeftOut, Verdicts
from tasklib.reference import arrival, replay, server_objects, targets, tenants, volatile_columns
from tasklib.workbench import groundwork, provenance
from tasklib.workbench.bench import Bench, watched


@dataclass(frozen=True)
class _Carried:
    """By bind: tables whose rows the base carries; those that --data leaves out; and of the former, columns of tables
    with one row that hold no time.
    """

    tables: Mapping[str, set[str]]
    left_out: LeftOut
    single: Mapping[str, set[str]]


def ensure_proven(bench: Bench) -> Proof:
    """The proof of the tree that the work tree would be committed as; made now where there is none."""
    tree = bench.tree()
    known = bench.plan.proof
    if known is not None and known["tree"] == tree and known["tip"] == bench.plan.tip:
        return record.from_json(known)
    proof = prove(bench, tree)
    bench.save(replace(bench.plan, proof=asdict(proof)))
    bench.finished("verify")
    return proof


@watched
def prove(bench: Bench, tree: str) -> Proof:
    """Prove the new chain that ``tree`` holds; `Differs` with a report where a database is not the same."""
    replay.ensure_replayed(bench)
    new = bench.chain("new", tree)
    _refuse_other_history(bench, new)
    server = server_objects.look(bench)
    carried = _rows(bench)
    left_out = carried.left_out
    old_at_r, old_at_head = provenance.old(bench.plan)
    at_r, at_head = f"at {bench.plan.revision}, {old_at_r} and new chain", f"at head, {old_at_head} and new chain"
    taken_on = f"at head, {old_at_head} and a deployed database taken on"

    with console.doing(f"proof 1: the new chain to {bench.plan.revision} against the reference"):
        shown = [(at_r, _to_base(bench, new, tree, left_out, at_r))]
    with console.doing(
        "proofs 2 and 3: the candidate and a deployed database (the reference) on to the head; down and up again"
    ):
        shown += _run_side_by_side(bench, new, left_out, at_head, taken_on)
        server_objects.refuse_new_roles(bench, server)
        bench.drop("roundtrip")
    if (one := tenants.known(bench)) is not None:
        with console.doing(f"the new chain for another schema than {one.schema}, as {one.shown} may name it"):
            for_another = _for_another(bench, new, one, left_out)
        shown.append((f"at {bench.plan.revision}, for another schema by {one.shown}", for_another))
    return _record(bench, tree, shown, dict(shown)[at_head], carried)


def _to_base(bench: Bench, new: Chain, tree: str, left_out: LeftOut, what: str) -> Verdicts:
    """Proof 1. The candidate that the base was written with is taken, where it is of this very tree."""
    known, bench.at_base = bench.at_base, None  # the candidate goes on to the head later
    if known is not None and known[0] == tree:
        found = known[1]
    else:
        bench.create("candidate")
        arrival.arrive(bench, new, "candidate", bench.plan.revision, "The new chain failed")
        found = verdicts.at_base(bench, "candidate", left_out)
    verdicts.refuse_differences(bench, what, found, "reference", "candidate")
    return found


def _run_side_by_side(
    bench: Bench, new: Chain, left_out: LeftOut, at_head: str, taken_on: str
) -> list[tuple[str, Verdicts]]:
    """Proof 2, on a database from the new chain alone and on one that was at R when the squash came, and proof 3."""
    bench.create("roundtrip", template="candidate")
    bench.create("deployed", template="reference")

    def to_head(role: str, without: LeftOut, failing: str) -> Verdicts:
        arrival.arrive(bench, new, role, "heads", failing)
        return verdicts.at_head(bench, role, without)

    again, candidate, deployed = bench.together(
        partial(down_and_up.go, bench, new, left_out),
        partial(to_head, "candidate", left_out, "A kept migration failed after the new base"),
        partial(to_head, "deployed", {}, "A kept migration failed on a database at R"),
    )
    there = f"at {bench.plan.revision} after down and up"
    verdicts.refuse_differences(bench, there, again, "reference", "after down and up")
    verdicts.refuse_differences(bench, at_head, candidate, "old chain", "new chain")
    verdicts.refuse_differences(bench, taken_on, deployed, "old chain", "deployed")
    return [
        ("at the base after `downgrade base` (which left nothing) and `upgrade`", again),
        (at_head, candidate),
        (taken_on, deployed),
    ]


def _for_another(bench: Bench, new: Chain, one: tenants.Chosen, left_out: LeftOut) -> Verdicts:
    """Old and new chain at R, both run for another schema than this squash's; `Differs` where they differ."""
    why = (
        f"The migrations run for whichever schema {one.shown} names ({one.schema} in this squash), and the base "
        "migration would not: for another one it builds another database. Nothing is merged.\n"
    )
    hint = (
        "a base migration names no schema only where the migrations make everything in public: have "
        f"{one.shown} lead there while you squash (leave it out, or give it)"
    )
    ran = tenants.build(bench, new, one)
    if ran.code:
        raise Differs(why + explain_failure(ran, new, "The new chain failed there").text, hint)
    bind = bench.binds[0]

    def there(key: TableKey) -> list[TableKey]:
        return [(schema, key[1]) for schema in (one.schemas if key[0] == one.schema else key[:1])]

    volatile = volatile_columns.of(bench, "base", bind)
    columns = {other: names for key, names in volatile.items() for other in there(key)}
    without = frozenset(other for key in left_out[bind] for other in there(key))
    found = compare.databases(bench, tenants.OLD, tenants.NEW, columns, without, {}, bind)
    if found.found:
        raise Differs(
            why + compare.report({bind: found}, "old chain", "new chain"),
            hint,
            compare.side_by_side({bind: found}, f"for another schema by {one.shown}"),
        )
    return {bind: found}


def _record(
    bench: Bench,
    tree: str,
    shown: Sequence[tuple[str, Verdicts]],
    at_head: Verdicts,
    carried: _Carried,
) -> Proof:
    plan, left_out = bench.plan, carried.left_out
    checks = [
        f"{what}{binds.place(bind, bench.binds)}: the same ({verdict.shown()})"
        for what, found in shown
        for bind, verdict in found.items()
    ]
    checks.append("each run of the command migrated these databases and no other one, with these files")
    checks += targets.lines(plan, bench.fence())
    volatile = _volatile(bench, "base", carried.tables)
    single = {binds.before(bind, name, bench.binds) for bind, of in carried.single.items() for name in of}
    reprinted = {f"{d.kind} {d.shown}" for _, found in shown for one in found.values() for d in one.reprinted}
    return Proof(
        tree, plan.tip, int((plan.replayed or {})["major"]), tuple(checks), tuple(volatile),
        tuple(sorted(binds.before(bind, _shown(key), bench.binds) for bind in left_out for key in left_out[bind])),
        tuple(provenance.limits(plan)), tuple(sorted(plan.needed_roles)),
        tuple(groundwork.lines(plan.ground, list(plan.groundwork.values()))),
        tuple(name for name in _volatile(bench, "head", None) if name not in volatile),
        tuple(f"{verdict.by_class()}{binds.place(bind, bench.binds)}" for bind, verdict in at_head.items()),
        tuple(sorted(reprinted)), _seconds(bench), tuple(name for name in volatile if name in single),
    )  # fmt: skip


def _seconds(bench: Bench) -> tuple[float, ...]:
    """What the old and the new chain took from nothing to R, where both were run."""
    old, new = (bench.plan.replayed or {}).get("seconds"), bench.took.get(("new", "candidate"))
    return (old, new) if old and new else ()


def _volatile(bench: Bench, where: str, carried: Mapping[str, set[str]] | None) -> list[str]:
    """Volatile columns at "base" (R) or "head" as they are listed, of all tables or of those ``carried``."""
    return [
        binds.before(bind, name, bench.binds)
        for bind in bench.binds
        for name in rows.names(volatile_columns.of(bench, where, bind))
        if carried is None or name.rsplit(".", 1)[0] in carried[bind]
    ]


def _shown(key: tuple[str, str]) -> str:
    return catalog.Table(*key, "r", ()).shown


def _rows(bench: Bench) -> _Carried:
    """Which rows the base carries."""
    carried: dict[str, set[str]] = {}
    left_out: dict[str, frozenset[TableKey]] = {}
    single: dict[str, set[str]] = {}
    for bind in bench.binds:
        with client.connect(bench.address("reference", bind), read_only=True) as connection:
            listed, left_out[bind] = contents.with_rows(bench, connection, bind)
        carried[bind] = {table.shown for table, _ in listed}
        single[bind] = {
            f"{table.shown}.{column.name}"
            for table, count in listed
            for column in table.columns
            if count == 1 and not column.type.startswith(("timestamp", "date", "time", "interval"))
        }
    return _Carried(carried, left_out, single)


def _refuse_other_history(bench: Bench, new: Chain) -> None:
    """The new chain must have R as a base, all that stays, the same heads and the labels of all that went."""
    cut = bench.cut()
    there = new.history.migrations
    revision = cut.revision.id
    if revision not in there:
        raise Refused(
            f"{bench.plan.base_path} does not define the revision {revision}; the base migration was expected there.",
            f"{bench.plan.program} migrate",
        )
    if there[revision].parents:
        raise Refused(f"{there[revision].path} has the parents {', '.join(there[revision].parents)}; R must be a base.")
    missing = {m.id for m in cut.kept} - there.keys()
    extra = there.keys() - {m.id for m in cut.kept} - {revision}
    if missing or extra:
        words = [f"{i} is missing" for i in sorted(missing)] + [f"{i} is extra" for i in sorted(extra)]
        raise Refused(f"The new chain holds other revisions than the cut says: {', '.join(words)}.",
                      f"{bench.plan.program} reinit, then restore")  # fmt: skip
    lost = set(cut.labels) - set(there[revision].labels)
    if lost:
        raise Refused(
            f"The base migration must carry the branch labels of what it replaces; missing: {', '.join(sorted(lost))}."
        )
