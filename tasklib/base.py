"""Writes the base migration from the reference, and repeats with more DDL until the candidate is the reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from tasklib import compare, configs, console, groundwork, probe, programs, reference, replay, serverwide, template
from tasklib.archive import Key
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.compare import Verdict
from tasklib.errors import Differs, Failed, MigrationFailed
from tasklib.reference import Reference
from tasklib.render import engines, owners
from tasklib.render import file as files
from tasklib.render import head as heads
from tasklib.render.file import File, Mark
from tasklib.render.head import Head
from tasklib.render.source import Source
from tasklib.schema import Difference
from tasklib.truth import made_from

ROUNDS = 8
# Kinds of objects that the dump's own DDL stands for where our words do not make the same.
FALLBACKS = ("TABLE", "COMMENT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "SEQUENCE", "VIEW", "MATERIALIZED VIEW")


def write(bench: Bench) -> File:
    """Write the base migration into R's own file; `Differs` where it does not converge on the reference."""
    replay.ensure_replayed(bench)
    read = reference.read_all(bench)
    for one in read.values():
        reference.refuse_credentials(bench, one)
    head = _head(bench)
    reference.write_data(bench, read.values())
    sqlalchemy = programs.sqlalchemy_version(bench.command().words, bench.cwd)
    ddl: frozenset[Mark] = frozenset()
    known = False  # who runs the migrations
    for round_ in range(1, ROUNDS + 1):
        file = files.assemble(head, {bind: _source(bench, one, sqlalchemy, ddl) for bind, one in read.items()})
        bench.base.parent.mkdir(parents=True, exist_ok=True)
        bench.base.write_text(file.text, encoding="utf-8")
        # Before it is known to be right: so a later try knows that the file is ours.
        bench.save(replace(bench.plan, written=bench.digest()))
        drafted = f"draft {round_}: {len(file.text.splitlines())} lines, {len(ddl)} objects as DDL by comparison"
        with console.doing(drafted), bench.watching():
            tree = bench.repository.work_tree_as_tree(bench.places, bench.plan.left)
            chain = bench.chain("new", tree)
            bench.create("candidate")
            probe.prove_connections(bench, chain, "candidate")
            probe.prove_chain(bench, chain, "candidate")
            more, verdicts = _try(bench, chain, file, ddl, read)
        if verdicts and not known:
            known, users = True, {bind: reference.users(bench, "candidate", bind) for bind in read}
            if any(users[bind] != one.users for bind, one in read.items()):
                # The history gave Alembic's own table away; whose it was shows where it has just been made.
                read = {bind: replace(one, users=users[bind]) for bind, one in read.items()}
                continue
        if verdicts and not any(verdict.found for verdict in verdicts.values()) and not more:
            bench.at_base = (tree, verdicts)
            return file
        if not more - ddl:
            break
        ddl |= more
    raise Differs(
        "The base migration could not be brought to make the reference. What is left:\n"
        + compare.report(verdicts, "reference", "candidate"),
        "this is a gap of this program: please report the objects above",
    )


def _try(
    bench: Bench, chain: Chain, file: File, ddl: frozenset[Mark], read: Mapping[str, Reference]
) -> tuple[set[Mark], Mapping[str, Verdict]]:
    """Build the candidate with this file: the objects that must become DDL, and the verdicts where it was built."""
    try:
        replay.arrive(bench, chain, "candidate", bench.plan.revision, "The base migration failed")
    except Failed as error:
        culprit = _culprit(error, file, bench.plan.revision)
        if culprit is None or culprit in ddl or culprit[1][0] not in FALLBACKS:
            hint = "your own migrations ran, so this is a gap of this program: please report the statement above"
            raise Failed(error.text, hint) from None
        return {culprit}, {}
    # To the letter, volatile columns too: the file was written from this very reference.
    verdicts = {
        bind: compare.databases(bench, "reference", "candidate", {}, one.left_out, bind=bind)
        for bind, one in read.items()
    }
    return {(bind, key) for bind, verdict in verdicts.items() for d in verdict.found for key in fallbacks(d)}, verdicts


def _culprit(error: Failed, file: File, revision: str) -> Mark | None:
    """The object whose lines a failed upgrade was in."""
    if not isinstance(error, MigrationFailed) or error.revision != revision:
        return None
    return next((mark for first, last, mark in file.spans if first <= error.line <= last), None)


def fallbacks(difference: Difference) -> set[Key]:
    """What must be written as DDL because of a difference; empty where nothing would help."""
    kind, schema, name = difference.key
    if kind == "TABLE":
        left, right = (difference.left or "").splitlines(), (difference.right or "").splitlines()
        differing = set(left) ^ set(right)
        checks = [re.match(r'\s+CONSTRAINT ("(?:[^"]|"")+"|\w+) CHECK', line) for line in differing]
        if differing and all(checks):
            return {("CHECK", schema, f"{name} {match.group(1).strip(chr(34))}") for match in checks if match}
        return {("TABLE", schema, name)}
    if kind == "DEFAULT":
        return {("TABLE", schema, name.split(" ")[0])}
    if kind == "SEQUENCE OWNED BY":
        return {("SEQUENCE", schema, name)}
    return {difference.key} if kind in FALLBACKS else set()


def _head(bench: Bench) -> Head:
    plan, cut = bench.plan, bench.cut()
    original = bench.repository.read(plan.tip, plan.base_path)
    mako = configs.text_of(bench.repository, plan.tip, f"{plan.layout.script}/script.py.mako")
    return Head(
        header=template.header(mako, original),
        revision=plan.revision, message=cut.revision.message, gone=len(cut.gone), first=cut.gone[0].id,
        commit=plan.tip, made=made_from(plan, (plan.replayed or {})["major"]),
        created=heads.created(original), labels=cut.labels,
        engines=engines.argument(original, plan.base_path) if len(bench.binds) > 1 else None,
    )  # fmt: skip


def _source(bench: Bench, read: Reference, sqlalchemy: tuple[int, ...], ddl: frozenset[Mark]) -> Source:
    own = frozenset(key for bind, key in ddl if bind == read.bind)
    version = bench.version_tables()
    staying = {(schema or "public", name) for schema, name in version}
    laid = groundwork.keys(bench.plan.groundwork)
    schemas = frozenset(name for kind, _, name in laid if kind == "SCHEMA")
    entries = [
        entry
        for entry in owners.for_anybody(read.snapshot.entries, read.model, read.users, staying, schemas)
        if not groundwork.holds(laid, entry.key)
    ]
    return Source(
        entries, read.model, read.rows,
        read.positions, read.populated, version, sqlalchemy, own, read.snapshot.facts,
        read.users.migrator, read.switched, read.roles, serverwide.keeps_passwords(bench),
        len(bench.binds) > 1, schemas,
    )  # fmt: skip
