"""Writes the base migration from the reference, by the project's own command."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import replace

from tasklib import console
from tasklib.base import contents, env_hooks, restorable, stale_views, version_table_changes
from tasklib.base.contents import Reference
from tasklib.base.trials import NOT_IN_A_DUMP, Verdicts, converge, in_no_dump
from tasklib.errors import Failed, Refused
from tasklib.history import revisions
from tasklib.judge import compare
from tasklib.judge.compare import Verdict
from tasklib.judge.rows import Volatile
from tasklib.postgres.archive import Key
from tasklib.postgres.version_table import written_out
from tasklib.project import configs, extension_sql, script_mako
from tasklib.reference import arrival, replay, server_objects, volatile_columns
from tasklib.render import engines, entries, owners
from tasklib.render import file as files
from tasklib.render import head as heads
from tasklib.render.file import File, Mark
from tasklib.render.head import Head
from tasklib.render.source import Source
from tasklib.repository import trees
from tasklib.workbench import decisions, groundwork
from tasklib.workbench.bench import Bench
from tasklib.workbench.groundwork import Ground
from tasklib.workbench.provenance import made_from
from tasklib.workbench.scratch import GROUND


def _release(version: str) -> tuple[int, ...]:
    """A version of SQLAlchemy, such as (1, 3, 24)."""
    numbers = re.match(r"(\d+)\.(\d+)\.?(\d+)?", version)
    # Unknown: what the oldest one can say, every newer one can say too.
    return tuple(int(n or 0) for n in numbers.groups()) if numbers else (1, 3, 0)


def write(bench: Bench) -> File:
    """Write the base migration into R's own file; `Differs` where it does not converge on the reference."""
    replay.ensure_replayed(bench)
    read = contents.read_all(bench)
    sources = old_sources(bench)
    credentials = [decision for one in read.values() for decision in contents.credentials(bench, one)]
    decisions.settle(bench, [*server_objects.passwords(bench), *credentials])
    for one in read.values():
        refuse_stale(bench, one, sources)
        refuse_in_catalog(one)
        version_table_changes.refuse_what_acts(bench, one)
    head = _head(bench, sources)
    contents.write_data(bench, read.values())
    sqlalchemy = _release(bench.plan.sqlalchemy)
    made = extension_sql.written(sources)
    laid = {bind: groundwork.read(bench.address(GROUND, bind), bench.binaries(), bench.work) for bind in read}
    rounds = itertools.count(1)

    def render(ddl: frozenset[Mark], survey: bool) -> File:
        file = files.assemble(
            head,
            {bind: source(bench, one, laid[bind], sqlalchemy, made, ddl) for bind, one in read.items()},
            survey=survey,
        )
        if not survey:
            refuse_our_names(bench, file)
        return file

    def attempt(file: File, as_ddl: int) -> Verdicts | None:
        drafted = f"draft {next(rounds)}: {len(file.text.splitlines())} lines, {as_ddl} objects as DDL by comparison"
        with console.doing(drafted), bench.watching():
            _build(bench, file)
            users = {bind: contents.users(bench, "candidate", bind) for bind in read}
            if any(users[bind] != one.users for bind, one in read.items()):
                # The history gave Alembic's own table away; whose it was shows where it has just been made.
                read.update({bind: replace(one, users=users[bind]) for bind, one in read.items()})
                return None
            # To the letter, volatile columns too, since the file was written from this very reference; but for those
            # that it does not fill.
            verdicts = {
                bind: compare.databases(
                    *(bench, "reference", "candidate", _made_anew(bench, one), one.left_out),
                    bind=bind,
                    schema=one.snapshot,
                )
                for bind, one in read.items()
            }
        version_table_changes.refuse_differences(bench, verdicts)
        return verdicts

    def doomed(bind: str, key: Key | None, why: Failed | Verdict) -> None:
        version_table_changes.refuse_failure(bench, key)
        restorable.refuse_what_is_not(bench, read[bind], _made_anew(bench, read[bind]), key, why)
        env_hooks.refuse(bench, why)

    file, verdicts = converge(render, attempt, doomed, bench.plan.revision)
    bench.at_base = (bench.tree(), verdicts)
    return file


def _made_anew(bench: Bench, read: Reference) -> Volatile:
    """The volatile columns of what no base migration fills: of materialized views, whose query runs anew in each
    database, and of Alembic's own table.
    """
    known = volatile_columns.of(bench, "base", read.bind)
    own = written_out(bench.version_tables())
    return {key: columns for key, columns in known.items() if key in own or key in read.populated}


def refuse_stale(bench: Bench, read: Reference, sources: Mapping[str, str]) -> None:
    """`Refused` where a materialized view is stale at R; ``sources`` are the old migrations."""
    address = bench.address("reference", read.bind)
    stale_views.refuse(
        stale_views.views(address, read.populated, _made_anew(bench, read)), sources, bench.plan.revision
    )


def refuse_in_catalog(read: Reference) -> None:
    """`Refused` where the history edits PostgreSQL's own catalogs: what it makes in them no dump holds, and a view that
    it breaks so no dump can restore.
    """
    inside, broken = "OBJECT IN A SCHEMA OF POSTGRESQL", "DROPPED COLUMN"
    found = {inside: [f"{value} {name}" for (what, _, name), value in read.snapshot.facts.items() if what == inside]}
    # PostgreSQL's word for a column that is not there any more.
    found[broken] = [f"{e.kind.lower()} {e.tag}" for e in read.snapshot.entries if '"?dropped?column?"' in e.ddl]
    for kind, objects in found.items():
        if objects:
            listed = f"{', '.join(sorted(objects)[:5])}{' …' if len(objects) > 5 else ''}"
            raise in_no_dump(f"{NOT_IN_A_DUMP[kind]}: {listed}.")


def refuse_our_names(bench: Bench, file: File) -> None:
    """`Refused` where the name of the throwaway server's superuser would be in git: in text that a migration made of
    who runs it, which is somebody else in every other database.
    """
    if bench.place().server is None:
        return
    user = bench.address().user
    lines = file.text.splitlines()
    at = next((number for number, line in enumerate(lines, 1) if user in line), 0)
    found = [f"{key[0]} {key[2]}" for first, last, (_, key) in file.spans if first <= at <= last]
    for path in bench.data:
        with path.open(encoding="utf-8") as rows:
            found += [f"the rows in {path.name}"] if any(user in row for row in rows) else []
    if at or found:
        raise Refused(
            f"{found[0] if found else f'line {at} of the base migration'} would hold the name of the database user who "
            "runs the migrations, which is another one in every database: no base migration can say that.",
            "take it out of the migration that puts it there, or leave the table's rows out with --data",
        )


def _build(bench: Bench, file: File) -> None:
    """Build the candidate with this file, by the project's own command."""
    bench.write_base(file.text)
    chain = bench.chain("new", bench.tree())
    bench.create("candidate")
    arrival.arrive(bench, chain, "candidate", bench.plan.revision, "The base migration failed")


def _head(bench: Bench, sources: Mapping[str, str]) -> Head:
    plan, cut = bench.plan, bench.cut()
    original = bench.repository.read(plan.tip, plan.base_path)
    mako = configs.text_of(bench.repository, plan.tip, f"{plan.layout.script}/script.py.mako")
    return Head(
        header=script_mako.header(mako, original),
        revision=plan.revision, message=cut.revision.message, gone=len(cut.gone), first=cut.gone[0].id,
        replaces=replaced(bench, sources),
        commit=plan.tip, made=made_from(plan, (plan.replayed or {})["major"]),
        created=heads.created(original), labels=cut.labels,
        engines=engines.argument(original, plan.base_path) if len(bench.binds) > 1 else None,
        arguments=engines.arguments(original) if len(bench.binds) == 1 else "",
    )  # fmt: skip


def replaced(bench: Bench, sources: Mapping[str, str]) -> list[str]:
    """The ids that the base replaces, oldest first, R's own last; in the place of a base those that it replaced.
    ``sources`` are the texts of `old_sources`.
    """
    return [
        id_
        for one in bench.cut().gone
        for id_ in (() if one.parents else revisions.replaced(sources[one.path])) or (one.id,)
    ]


def old_sources(bench: Bench) -> dict[str, str]:
    """The texts of the migrations that go, by path, oldest first."""
    return trees.read_many(bench.repository, bench.plan.tip, [migration.path for migration in bench.cut().gone])


def source(
    bench: Bench,
    read: Reference,
    laid: Ground,
    sqlalchemy: tuple[int, ...],
    made: extension_sql.Written,
    ddl: frozenset[Mark],
) -> Source:
    """What the file of one bind is made from, with these objects as DDL; ``laid`` is env.py's groundwork."""
    own = frozenset(key for bind, key in ddl if bind == read.bind)
    version = bench.version_tables()
    staying = written_out(version)
    listed = laid.without(owners.for_anybody(read.snapshot.entries, read.model, read.users, staying, laid.schemas))
    left = (bench.plan.replayed or {}).get("session", {}).get(read.bind, {})
    session = {(entries.SESSION, "", name): value for name, value in left.items()}
    return Source(
        listed, read.model, read.rows,
        read.positions, read.populated, version, sqlalchemy, own, {**read.snapshot.facts, **session},
        read.users.migrator, read.switched, read.roles, server_objects.keeps_passwords(bench),
        len(bench.binds) > 1, frozenset(laid.objects), made,
        read.users.words() if bench.place().server is not None else {},
    )  # fmt: skip
