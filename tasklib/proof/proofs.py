"""The proofs: nothing is merged that is not shown equal, by the database's own catalogs and rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tasklib import binds, console, shell
from tasklib.base import contents
from tasklib.command.project_command import explain_failure
from tasklib.errors import Differs, Refused
from tasklib.history.chains import Chain
from tasklib.judge import catalog, compare, rows
from tasklib.judge.compare import TableKey, Verdict
from tasklib.judge.objects import compare as compare_objects
from tasklib.judge.objects import report
from tasklib.postgres import client, version_table
from tasklib.postgres.archive import Key
from tasklib.project import extension_sql
from tasklib.reference import replay, server_objects, side_effects, targets, tenants
from tasklib.workbench import groundwork, provenance
from tasklib.workbench.bench import Bench, watched
from tasklib.workbench.scratch import GROUND

# By bind: what was found, and the tables whose rows --data leaves out.
Verdicts = Mapping[str, Verdict]
LeftOut = Mapping[str, frozenset[TableKey]]


@dataclass(frozen=True)
class Proof:
    """What was shown for one git tree. ``later`` are volatile columns that only the kept migrations make; ``classes``
    the objects by class, at head; ``reprinted`` what is the same only after a restore.
    """

    tree: str
    tip: str
    major: int
    checks: tuple[str, ...]
    volatile: tuple[str, ...]
    left_out: tuple[str, ...]
    truth: tuple[str, ...] = ()
    needed_roles: tuple[str, ...] = ()
    groundwork: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    reprinted: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The proof for people: in the report and in the commit's message."""
        found = [f"Proven on PostgreSQL {self.major}, git tree {self.tree}:", *(f"- {check}" for check in self.checks)]
        found += [f"Compared at head: {classes}" for classes in self.classes]
        if self.reprinted:
            found.append(
                f"{len(self.reprinted)} objects print differently, and the same once restored from a dump: "
                + ", ".join(self.reprinted)
            )
        else:
            found.append("Every object also prints the same, to the letter.")
        found += [*self.truth, *self.groundwork]
        if self.needed_roles:
            names = ", ".join(self.needed_roles)
            found.append(f"Roles that must be on every server, since the migrations name and do not make them: {names}")
        if self.volatile:
            found.append("Was different in each database, is now always the same value: " + ", ".join(self.volatile))
        if self.later:
            found.append("Is different in each database, as before, by migrations that stay: " + ", ".join(self.later))
        if self.left_out:
            found.append("Rows left out, as --data says: " + ", ".join(self.left_out))
        return [*found, "Not compared: " + "; ".join(catalog.BLIND_SPOTS) + "."]


def ensure_proven(bench: Bench) -> Proof:
    """The proof of the tree that the work tree would be committed as; made now where there is none."""
    tree = bench.tree()
    known = bench.plan.proof
    if known is not None and known["tree"] == tree and known["tip"] == bench.plan.tip:
        return from_json(known)
    proof = prove(bench, tree)
    bench.save(replace(bench.plan, proof=asdict(proof)))
    bench.finished("verify")
    return proof


def from_json(data: Mapping[str, Any]) -> Proof:
    """The proof that the plan keeps."""
    kept: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in data.items()}
    return Proof(**kept)


@watched
def prove(bench: Bench, tree: str) -> Proof:
    """Prove the new chain that ``tree`` holds; `Differs` with a report where a database is not the same."""
    replay.ensure_replayed(bench)
    plan = bench.plan
    new = bench.chain("new", tree)
    _refuse_other_history(bench, new)
    server = server_objects.look(bench)
    carried, left_out = _rows(bench)
    old_at_r, old_at_head = provenance.old(plan)
    verdicts: list[tuple[str, Verdicts]] = []

    with console.doing(f"proof 1: the new chain to {plan.revision} against the reference"):
        known, bench.at_base = bench.at_base, None  # the candidate goes on to the head below
        if known is not None and known[0] == tree:
            found = known[1]
        else:
            bench.create("candidate")
            found = _built_to_base(bench, new, left_out)
        verdicts.append((f"at {plan.revision}, {old_at_r} and new chain", found))
        _refuse_differences(verdicts[-1], "reference", "candidate")

    with console.doing("proof 3: down and up again, on a database of its own"):
        bench.create("roundtrip", template="candidate")
        nothing_left = _down_and_up(bench, new, left_out)
        verdicts.append(("at the base after `downgrade base` (which left nothing) and `upgrade`", nothing_left))
        bench.drop("roundtrip")

    with console.doing(
        "proof 2: on to the head, the candidate and a deployed database (the reference), with the new chain"
    ):
        bench.create("deployed", template="reference")
        shell.together(
            partial(replay.arrive, bench, new, "candidate", "heads", "A kept migration failed after the new base"),
            partial(replay.arrive, bench, new, "deployed", "heads", "A kept migration failed on a database at R"),
        )
        at_head = _at_head(bench, "candidate", left_out)
        verdicts.append((f"at head, {old_at_head} and new chain", at_head))
        _refuse_differences(verdicts[-1], "old chain", "new chain")
        verdicts.append((f"at head, {old_at_head} and a deployed database taken on", _at_head(bench, "deployed", {})))
        _refuse_differences(verdicts[-1], "old chain", "deployed")
        server_objects.refuse_new_roles(bench, server)

    if (one := tenants.known(bench)) is not None:
        with console.doing(f"the new chain for another schema than {one.value}, as {one.shown} may name it"):
            verdicts.append(
                (f"at {plan.revision}, for another schema by {one.shown}", _for_another(bench, new, one, left_out))
            )
            if verdicts[-1][1][bench.binds[0]].found:
                raise Differs(
                    f"The migrations run for whichever schema {one.shown} names ({one.value} in this squash), and the "
                    "base migration would not: for another one it builds another database. Nothing is merged.\n"
                    + compare.report(verdicts[-1][1], "old chain", "new chain"),
                    "a base migration names no schema only where the migrations make everything in public by default: "
                    f"squash without {one.shown}",
                )

    checks = [
        f"{what}{binds.place(bind, bench.binds)}: the same ({verdict.shown()})"
        for what, found in verdicts
        for bind, verdict in found.items()
    ]
    checks.append("each run of the command migrated these databases and no other one, with these files")
    checks += targets.lines(bench.plan, bench.is_fenced())
    volatile = _volatile(bench, "base", carried)
    reprinted = {f"{d.kind} {d.shown}" for _, found in verdicts for one in found.values() for d in one.reprinted}
    return Proof(
        tree, plan.tip, int((plan.replayed or bench.plan.replayed or {})["major"]), tuple(checks), tuple(volatile),
        tuple(sorted(binds.before(bind, _shown(key), bench.binds) for bind in left_out for key in left_out[bind])),
        tuple(provenance.limits(plan)), tuple(sorted(bench.plan.needed_roles)),
        tuple(groundwork.lines(bench.plan.ground, list(bench.plan.groundwork.values()))),
        tuple(name for name in _volatile(bench, "head", None) if name not in volatile),
        tuple(f"{verdict.by_class()}{binds.place(bind, bench.binds)}" for bind, verdict in at_head.items()),
        tuple(sorted(reprinted)),
    )  # fmt: skip


def _for_another(bench: Bench, new: Chain, one: tenants.Chosen, left_out: LeftOut) -> Verdicts:
    """Old and new chain at R, both run for another schema than this squash's."""
    ran = tenants.build(bench, new, one)
    if ran.code:
        raise Differs(explain_failure(ran, new, f"The new chain failed for another schema, by {one.shown}").text)
    bind = bench.binds[0]

    def there(key: TableKey) -> TableKey:
        return (tenants.OTHER if key[0] == one.value else key[0], key[1])

    columns = {there(key): names for key, names in replay.volatile(bench, "base", bind).items()}
    without = frozenset(there(key) for key in left_out[bind])
    return {bind: compare.databases(bench, tenants.OLD, tenants.NEW, columns, without, {}, bind)}


def _volatile(bench: Bench, where: str, carried: Mapping[str, set[str]] | None) -> list[str]:
    """Volatile columns at "base" (R) or "head" as they are listed, of all tables or of those ``carried``."""
    return [
        binds.before(bind, name, bench.binds)
        for bind in bench.binds
        for name in rows.names(replay.volatile(bench, where, bind))
        if carried is None or name.rsplit(".", 1)[0] in carried[bind]
    ]


def _shown(key: tuple[str, str]) -> str:
    return catalog.Table(*key, "r", ()).shown


def _rows(bench: Bench) -> tuple[Mapping[str, set[str]], LeftOut]:
    """By bind, the tables whose rows the base carries, and those whose rows --data leaves out."""
    carried: dict[str, set[str]] = {}
    left_out: dict[str, frozenset[TableKey]] = {}
    for bind in bench.binds:
        with client.connect(bench.address("reference", bind), read_only=True) as connection:
            listed, left_out[bind] = contents.with_rows(bench, connection, bind)
        carried[bind] = {table.shown for table, _ in listed}
    return carried, left_out


def _built_to_base(bench: Bench, new: Chain, left_out: LeftOut) -> Verdicts:
    replay.arrive(bench, new, "candidate", bench.plan.revision, "The new chain failed")
    return _at_base(bench, "candidate", left_out)


def _at_base(bench: Bench, role: str, left_out: LeftOut) -> Verdicts:
    return {bind: _compared(bench, "base", ("reference", role), bind, left_out) for bind in bench.binds}


def _at_head(bench: Bench, role: str, left_out: LeftOut) -> Verdicts:
    return {bind: _compared(bench, "head", ("oldhead", role), bind, left_out) for bind in bench.binds}


def _compared(bench: Bench, where: str, roles: tuple[str, str], bind: str, left_out: LeftOut) -> Verdict:
    volatile, stable = replay.volatile(bench, where, bind), replay.stable(bench, where, bind)
    return compare.databases(bench, *roles, volatile, left_out.get(bind, frozenset()), stable, bind)


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


def _refuse_differences(verdicts: tuple[str, Verdicts], left: str, other: str) -> None:
    what, found = verdicts
    count = sum(len(verdict.found) for verdict in found.values())
    if count:
        raise Differs(
            f"The databases differ {what}: {count} differences. Nothing is merged.\n"
            + compare.report(found, left, other)
        )


def _down_and_up(bench: Bench, new: Chain, left_out: LeftOut) -> Verdicts:
    """Downgrade to nothing, and up again: the reference once more."""
    result = bench.command().downgrade(new, bench.targets("roundtrip"), "base")
    tables = bench.version_tables()
    for bind in bench.binds:
        address = bench.address("roundtrip", bind)
        if result.code:
            raise Differs(explain_failure(result, new, "`downgrade base` failed").text)
        if left := version_table.versions(address, tables):
            raise Differs(
                f"`downgrade base` ended without an error{binds.place(bind, bench.binds)}, and the version table still "
                f"holds {', '.join(sorted(left))}."
            )
    base = new.file(bench.plan.revision).read_text(encoding="utf-8")
    asked = extension_sql.written({bench.plan.base_path: base}).asked
    for bind in bench.binds:
        address = bench.address("roundtrip", bind)
        empty = catalog.snapshot(bench.address(GROUND, bind), bench.binaries(), bench.work).objects()
        empty = _without_version_table(empty, tables)
        remains = _without_version_table(catalog.snapshot(address, bench.binaries(), bench.work).objects(), tables)
        # What is made only where it is missing may be somebody else's, and stays.
        remains = {key: text for key, text in remains.items() if not extension_sql.is_of(asked, key)}
        differences = compare_objects(empty, remains)
        if differences:
            raise Differs(
                f"`downgrade base` leaves something behind{binds.place(bind, bench.binds)}:\n"
                + report(differences, "empty database", "after downgrade")
            )
    side_effects.check(bench, new, result, "roundtrip")
    server_objects.refuse_left_roles(bench, "roundtrip")
    replay.arrive(bench, new, "roundtrip", bench.plan.revision, "`upgrade` after `downgrade base` failed")
    found = _at_base(bench, "roundtrip", left_out)
    _refuse_differences((f"at {bench.plan.revision} after down and up", found), "reference", "after down and up")
    return found


def _without_version_table(objects: Mapping[Key, str], tables: object) -> dict[Key, str]:
    names = {name for _, name in tables} if isinstance(tables, tuple) else set()
    # Privileges and comments are tagged with the kind of object first: "TABLE alembic_version", "COLUMN table.column".
    of = {key: key[2].split(" ")[key[0] in ("ACL", "COMMENT", "OWNER") and " " in key[2]] for key in objects}
    return {key: text for key, text in objects.items() if of[key].split(".")[0] not in names}
