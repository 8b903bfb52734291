"""The reference as the base migration needs it: schema, tables, rows and where the sequences stand."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tasklib import console
from tasklib.errors import Refused
from tasklib.history import data_files
from tasklib.judge import catalog, compare, rows, tables
from tasklib.judge.disabled_triggers import Switch, switches
from tasklib.judge.roles import Made
from tasklib.judge.tables import Table
from tasklib.postgres import client
from tasklib.postgres.client import Connection
from tasklib.postgres.version_table import existing, written_out
from tasklib.project import packaging
from tasklib.reference import server_objects, volatile_columns
from tasklib.render import values
from tasklib.render.owners import Users
from tasklib.render.pycode import WIDTH
from tasklib.render.rows import lines_of
from tasklib.render.source import Rows, casts_text
from tasklib.repository import status
from tasklib.workbench.bench import Bench
from tasklib.workbench.decisions import Decision

# Of tables whose rows take more lines than this, the rows go into a data file: nobody scrolls past them.
LARGE = 200

CREDENTIAL = re.compile(
    r"(^|_)(passwd|pwd|pw|token|secret|salt|hash|key|otp|pin)s?(_|$)|password|passphrase|credential|apikey|pwhash",
    re.IGNORECASE,
)
NO_SECRET = re.compile(r"timestamp|date|time|interval|boolean")  # when one was changed, whether there is one


@dataclass(frozen=True)
class Reference:
    """All that the file is made from for one database, read once. ``bind`` is env.py's name for it."""

    bind: str
    snapshot: catalog.Snapshot
    model: tables.Model
    rows: tuple[Rows, ...]
    positions: Mapping[tuple[str, str], tuple[int, bool]]
    populated: tuple[tuple[str, str], ...]
    left_out: frozenset[tuple[str, str]]
    users: Users
    switched: tuple[Switch, ...]
    roles: Made | None


def looks_secret(column: str) -> bool:
    """Whether a column's name says credential: password_hash, apiKey, authToken …"""
    return CREDENTIAL.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)) is not None


def read_all(bench: Bench) -> dict[str, Reference]:
    """The reference of each bind."""
    found: dict[str, Reference] = {}
    for bind in bench.binds:
        taken = [one.suffix for other in found.values() for one in other.rows if one.suffix]
        found[bind] = read(bench, bind, taken)
    return found


def read(bench: Bench, bind: str, taken: Collection[str] = ()) -> Reference:
    """Schema, tables, rows and sequences of the reference; rows only of tables that are not large.

    ``taken`` are suffixes of data files that other binds' tables have.
    """
    address = bench.address("reference", bind)
    snapshot = bench.known("reference", bind)
    with client.connect(address, read_only=True) as connection:
        model = tables.read_model(connection)
        carried, left_out = with_rows(bench, connection, bind)
        # What a data file holds is text.
        limit = math.inf if casts_text(snapshot.entries) else LARGE
        with connection.usual_path():
            read = [
                _rows(connection, model.tables[(table.schema, table.name)], count, limit) for table, count in carried
            ]
        large = [(one.table.schema, one.table.name) for one in read if not one.rows]
        suffixes = data_files.suffixes(large, bind, taken)
        found = tuple(replace(one, suffix=suffixes.get((one.table.schema, one.table.name))) for one in read)
        positions = catalog.sequences(connection)
        populated = tuple((t.schema, t.name) for t in catalog.tables(connection) if t.kind == "m")
        off, made = switches(connection), server_objects.made(bench)
        who = users(bench, "reference", bind)
        return Reference(bind, snapshot, model, found, positions, populated, left_out, who, off, made)


def users(bench: Bench, role: str, bind: str) -> Users:
    """Who ran the migrations on a scratch database, by the owner of Alembic's own table, and who connected there.

    They are not the same where env.py sets a role.
    """
    address = bench.address(role, bind)
    with client.connect(address, read_only=True) as connection:
        there = existing(connection, bench.version_tables())
        owner = "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = %s"
        return Users(str(connection.value(owner, there[0])) if there else address.user, address.user)


def with_rows(
    bench: Bench, connection: Connection, bind: str
) -> tuple[list[tuple[catalog.Table, int]], frozenset[tuple[str, str]]]:
    """The reference's tables with rows that the base migration carries, each with their count; and the tables (schema,
    name) whose rows --data leaves out. `Refused` where --data names a table that is not there.
    """
    wanted = compare.data_filter(bench.plan.settings.data)
    version = written_out(bench.version_tables())
    listed = [t for t in catalog.tables(connection) if (t.schema, t.name) not in version]
    compare.refuse_unknown_tables(bench.plan.settings.data, [*listed, *_of_others(bench, bind)])
    configured = catalog.configured(connection)
    theirs = catalog.of_extensions(connection) - configured.keys()
    with connection.usual_path():
        counts = [
            (t, rows.count(connection, t, configured.get((t.schema, t.name), ("", ""))[1]))
            for t in listed
            if t.kind == "r" and (t.schema, t.name) not in theirs
        ]
    carried = [(table, count) for table, count in counts if count and wanted(table)]
    left_out = {(t.schema, t.name) for t, count in counts if count and not wanted(t)}
    return carried, frozenset(left_out | server_objects.passwords_left_out(bench))


def _of_others(bench: Bench, bind: str) -> Iterator[catalog.Table]:
    """The tables of the other binds' references: --data names tables of whichever database."""
    if bench.plan.settings.data not in ("all", "none"):
        for other in bench.binds:
            if other != bind:
                with client.connect(bench.address("reference", other), read_only=True) as connection:
                    yield from catalog.tables(connection)


def _rows(connection: Connection, table: Table, count: int, limit: float) -> Rows:
    """A table's rows; none of them where they would take more lines than ``limit``."""
    if not values.carried(table):
        return Rows(table, count, ((),))  # they are made by their number
    found: list[tuple[object, ...]] = []
    size = 0
    limit = math.inf if table.extension else limit
    if count <= limit:
        for row in values.read(connection, table):
            found.append(row)
            size += lines_of(row) + sum(len(value) for value in row if isinstance(value, str)) // WIDTH
            if size > limit:
                return Rows(table, count)
    return Rows(table, count, tuple(found))


def write_data(bench: Bench, read: Iterable[Reference]) -> None:
    """Write the data files of large tables of all binds, streamed, beside R's file; those of an earlier draft go.

    `Refused` where a file of that name is there that is not ours.
    """
    paths: dict[str, Rows] = {}
    of: dict[str, str] = {}
    for reference in read:
        for one in reference.rows:
            if one.suffix is not None:
                path = str(PurePosixPath(bench.plan.base_path).with_suffix(one.suffix))
                paths[path], of[path] = one, reference.bind
    top = bench.repository.top
    for path in paths:
        if path not in bench.plan.data and (top / path).exists():
            raise Refused(f"{path} is in the way: the rows of {paths[path].table.shown} go into a file of that name.",
                          f"git mv {path} to another name, and commit")  # fmt: skip
    earlier = bench.plan.data
    bench.placing(*sorted(paths))
    for path in set(earlier) - paths.keys():
        (top / path).unlink(missing_ok=True)
    bench.base.parent.mkdir(parents=True, exist_ok=True)
    for path, one in paths.items():
        with client.connect(bench.address("reference", of[path]), read_only=True) as connection:
            data_files.write(top / path, values.types(one.table), values.read(connection, one.table))
        package = packaging.left_out(top, path)
        if package is not None:
            console.warn(
                f"{path} lies in the package {package}, and nothing in its setuptools configuration includes it: "
                "where the migrations are installed with it, add *.jsonl to its package data"
            )
        ignoring = status.ignoring(bench.repository, path)
        for where in [*([ignoring] if ignoring else []), *packaging.excluding(top, path)]:
            console.warn(
                f"{path} belongs to R's file and is committed with it, and is left out by {where}: let it in, where a "
                "new database is made from a package or an image"
            )
    left = {path: one for path, one in bench.plan.placed.items() if path not in earlier or path in paths}
    bench.save(replace(bench.plan, placed=left))
    bench.placed(*sorted(paths))


def credentials(bench: Bench, reference: Reference) -> Iterator[Decision]:
    """Values that look like credentials and would become constants for everybody: those of volatile columns, and with a
    real database those of any column. Of others a warning is said.
    """
    volatile = volatile_columns.of(bench, "base", reference.bind)
    for one in reference.rows:
        shown = catalog.Table(one.table.schema, one.table.name, "r", ()).shown
        changing = volatile.get((one.table.schema, one.table.name), frozenset())
        for column in one.table.columns:
            name = f"{shown}.{column.name}"
            if not looks_secret(column.name) or NO_SECRET.match(column.type):
                continue
            if column.name in changing:
                yield Decision(
                    name,
                    f"The column {name} holds another value in each run of the old chain and looks like a credential: "
                    "it would become one constant, the same in every new database.",
                    shown,
                )
            # A column named just "key" is a setting's or a word's name far more often than a secret.
            elif column.name == "key" or not column.type.startswith(("character", "text", "bytea")):
                continue
            elif bench.plan.settings.reference:
                yield Decision(
                    name,
                    f"The column {name} looks like a credential, with {one.count} rows of the real database.",
                    shown,
                )
            else:
                console.warn(f"{name} looks like a credential; its {one.count} rows will be in the base migration")
