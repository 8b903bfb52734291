"""plan. Before: any state. After: the same. Reads only: what a squash would do, and what to know before it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invoke.context import Context

from tasklib import binds, console, settings
from tasklib.after import advice, in_flight
from tasklib.after.in_flight import Gone
from tasklib.errors import Failed, Refused
from tasklib.history import data_files
from tasklib.options import ALL, Given, step
from tasklib.postgres import binaries, client
from tasklib.project import configs, server_sql, sources, variables_read
from tasklib.project.layout import Layout
from tasklib.proof import deployed_condition
from tasklib.reference import before_command, deployed_database
from tasklib.repository import trees
from tasklib.settings import Settings
from tasklib.workbench import provenance
from tasklib.workbench.prepare import Prepared, prepare, unread


@step(*ALL, lists=advice.LISTS, values=advice.VALUES)
def plan(context: Context, given: Given) -> None:
    """Say what a squash would do: what goes, what stays, what to look at. Reads only.

    Example: plan --rev head-20
    """
    chosen = advice.settled(settings.resolve(context, given), given)
    if chosen is not None:
        show(Path.cwd(), chosen)


def show(cwd: Path, chosen: Settings, prepared: Prepared | None = None) -> None:
    """Print the plan, made now where none is ``prepared``; nothing is changed. Raises `Refused` where there is no legal
    cut.
    """
    alone = prepared is None  # the squash that follows says the condition at its end
    prepared = prepared or prepare(cwd, chosen, reading=True)
    made, cut, repository = prepared.plan, prepared.cut, prepared.repository
    say = console.say
    server = _server(chosen)
    say(f"Squash of {made.layout.script} on the branch {made.original} (at {made.tip[:12]})")
    say(console.table([
        ("R, the new base", f"{made.revision}  {' '.join(cut.revision.message.split())}"),
        ("its file", made.base_path),
        ("goes", f"{len(cut.gone)} migrations, {cut.gone[0].id} to {made.revision}, become one"),
        ("stays", _kept(cut.kept)),
        ("heads", ", ".join(cut.heads)),
        ("branch labels", ", ".join(cut.labels) or "none"),
        ("source", made.source + (f", at commit {made.start[:12]}" if made.source == "models" else "")),
        *([("runs first", before_command.shown(made))] if chosen.before else []),
        *([("instead of a replay", _reference(prepared))] if chosen.reference else []),
        ("command", _command(made.layout)),
        ("database URL", _url(prepared)),
        *([("databases", binds.listed(made.binds))] if len(made.binds) > 1 else []),
        ("PostgreSQL", server),
    ]))  # fmt: skip
    data = [entry.path for entry in data_files.of_bases(repository, made.tip, cut.gone)]
    texts, staying = (trees.read_many(repository, made.tip, [m.path for m in of]) for of in (cut.gone, cut.kept))
    gone = Gone.of(made.revision, cut.gone, made.kept, made.tip)
    outside = [*gone.paths, *data]
    _section("Mentions of revisions that go, outside of their files (they will point nowhere)",
             in_flight.mentions(repository, gone, outside))  # fmt: skip
    _section("Data files that go with the base which is squashed again", data)
    _section("Files that only squashed migrations read (they stay; git rm them afterwards, if nothing else needs them)",
             unread(prepared, texts, staying, data))  # fmt: skip
    _section("Squashed migrations that read the environment: the base keeps what it holds when you squash",
             [read.listed for read in variables_read.environment_reads(texts)])  # fmt: skip
    _section("Squashed migrations that ask something of the run or the server: the base keeps what is answered here",
             [read.listed for read in sources.asks_of_the_run(texts)])  # fmt: skip
    _section("Squashed migrations that write, move or delete files (each replay does it, in your work tree)",
             [read.listed for read in sources.file_writes(texts)])  # fmt: skip
    _section("Squashed migrations that reach other programs, stores or machines (each replay does it)",
             [read.listed for read in sources.imports_of_outside(texts)])  # fmt: skip
    _section("Squashed migrations that call for time or chance (in a row, one run's value becomes everybody's)",
             [read.listed for read in sources.chance_calls(texts)])  # fmt: skip
    _section(in_flight.TITLE, in_flight.lines(repository, made.layout, gone))
    apart = "each run gets a server of its own, and the base makes them too"
    _section(f"Squashed migrations that make roles ({apart if made.apart else 'on a server of yours: refused'})",
             [read.listed for read in server_sql.of_roles(texts)])  # fmt: skip
    _section("Squashed migrations that make what belongs to the server (refused: it would be made with each run)",
             [read.listed for read in server_sql.server_wide(texts)])  # fmt: skip
    _section("Migrations for other databases too (the base is for PostgreSQL only)",
             [read.listed for read in sources.other_databases({**texts, **staying})])  # fmt: skip
    _warn_of_another_server(prepared, server)
    tables = sources.version_tables(repository, made.tip)
    condition = deployed_condition.condition(made.revision, [m.id for m in cut.kept], tables)
    if alone:
        say("\n".join(["", *condition]))
    console.result(
        "plan", revision=made.revision, base=made.base_path, gone=[m.id for m in cut.gone],
        kept=[m.id for m in cut.kept], heads=cut.heads, source=made.source, branch=made.original, tip=made.tip,
        condition=condition,
    )  # fmt: skip


def _command(layout: Layout) -> str:
    """The command as one would type it, and where."""
    named = layout.toml or layout.ini
    path = os.path.relpath(named, layout.cwd) if named else configs.INI
    file = [] if path in (configs.INI, configs.TOML) else ["-c", path]
    return " ".join((*layout.command, *file)) + f", in {layout.cwd}/"


def _kept(kept: Sequence[Any]) -> str:
    if len(kept) == 1:
        return f"1 migration, {kept[0].id}"
    return f"{len(kept)} migrations" + (f", {kept[0].id} to {kept[-1].id}" if kept else "")


def _url(prepared: Prepared) -> str:
    given = ", ".join(f"{name}={template}" for name, template in prepared.plan.settings.set)
    return f"whatever the application asks for, it is led to scratch databases{f'; given: {given}' if given else ''}"


def _reference(prepared: Prepared) -> str:
    """The real database that stands for the replay, and whether it can."""
    made = prepared.plan
    address = client.parse_url(made.settings.reference or "", "--reference")
    try:
        deployed_database.refuse_unusable_reference(prepared.repository, made)
    except Refused as error:
        return f"NOT USABLE: {error.text}"
    return (
        f"{address.masked()}, at {made.revision}: its schema, and the rows of {provenance.rows_of(made.settings.data)}"
    )


def _server(chosen: Settings) -> str:
    """Where the proof will be made, beginning with the major version where that can be told."""
    if chosen.server is not None:
        named = client.parse_url(chosen.server, "--server")
        try:
            return f"{client.server_major(named)}, the server {named.masked()}"
        except Failed:
            return f"unknown: the server {named.masked()} cannot be reached"
    found = binaries.find_binaries()
    return f"{found[0].major}, a throwaway server ({found[0].origin})" if found else "none found: --server is needed"


def _warn_of_another_server(prepared: Prepared, server: str) -> None:
    """A base migration made on a newer PostgreSQL may hold DDL that an older one does not know; an older one may not
    know what the migrations say.
    """
    declared = sources.declared_majors(prepared.repository, prepared.plan.tip)
    major = re.match(r"\d+", server)
    if not declared or major is None:
        return
    ours, oldest = int(major.group(0)), min(declared)
    said = f"the proof will be made on PostgreSQL {ours}, and {declared[oldest]} names {oldest}"
    if ours < oldest:
        console.note(said)
    elif ours > oldest:
        console.warn(
            f"{said}: "
            + (
                f"put the programs of PostgreSQL {oldest} first on PATH (a history that makes roles takes no --server)"
                if prepared.plan.apart
                else "make it there, with --server"
            )
        )


def _section(title: str, lines: Sequence[str]) -> None:
    if lines:
        console.say()
        console.listing(title, lines)
