"""The reference as the base migration needs it: schema, tables, rows and where the sequences stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasklib import catalog, compare, console, postgres, replay, rows, sources, tables, values
from tasklib.bench import Bench
from tasklib.errors import Refused
from tasklib.render.source import Rows

CREDENTIAL = re.compile(
    r"(^|_)(passwd|pwd|pw|token|secret|salt|hash|key|otp|pin)s?(_|$)|password|passphrase|credential|apikey|pwhash",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reference:
    """All that the file is made from, read once."""

    snapshot: catalog.Snapshot
    model: tables.Model
    rows: tuple[Rows, ...]
    positions: Mapping[tuple[str, str], tuple[int, bool]]
    populated: tuple[tuple[str, str], ...] = field(default=())
    left_out: frozenset[tuple[str, str]] = field(default=frozenset())


def looks_secret(column: str) -> bool:
    """Whether a column's name says credential: password_hash, apiKey, authToken …"""
    return CREDENTIAL.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)) is not None


def read(bench: Bench) -> Reference:
    """Schema, tables, rows and sequences of the reference."""
    address = bench.address("reference")
    snapshot = catalog.snapshot(address, bench.binaries(), bench.work)
    wanted = compare.data_filter(bench.plan.settings.data)
    version = {(schema or "public", name) for schema, name in sources.version_tables(bench.repository, bench.plan.tip)}
    with postgres.connect(address, read_only=True) as connection:
        listed = [t for t in catalog.tables(connection) if (t.schema, t.name) not in version]
        model = tables.read_model(connection)
        compare.refuse_unknown_tables(bench.plan.settings.data, listed)
        ours = {e.key for e in snapshot.entries}
        found: list[Rows] = []
        left_out: set[tuple[str, str]] = set()
        for table in listed:
            key = (table.schema, table.name)
            if table.kind != "r" or ("TABLE", *key) not in ours or not rows.count(connection, table):
                continue
            if wanted(table):
                found.append(Rows(model.tables[key], tuple(values.read(connection, model.tables[key]))))
            else:
                left_out.add(key)
        positions = catalog.sequences(connection)
        populated = tuple((t.schema, t.name) for t in listed if t.kind == "m")
    return Reference(snapshot, model, tuple(found), positions, populated, frozenset(left_out))


def refuse_credentials(bench: Bench, reference: Reference) -> None:
    """`Refused` where a volatile column that looks like a credential would become one constant for everybody."""
    volatile = replay.volatile(bench, "base")
    kept = set(bench.plan.settings.keep_value)
    carried = {(one.table.schema, one.table.name) for one in reference.rows}
    names = rows.names({key: columns for key, columns in volatile.items() if key in carried})
    suspicious = [n for n in names if looks_secret(n.split(".")[-1]) and n not in kept]
    if suspicious:
        first = suspicious[0]
        raise Refused(
            f"The column {first} holds another value in each run of the old chain and looks like a credential"
            + (f" (so do {', '.join(suspicious[1:])})" if suspicious[1:] else "")
            + ". In the base migration it would become one constant, the same in every new database, readable in git.",
            f"--keep-value {first} if that is harmless, or a list of tables without "
            f"{first.rsplit('.', 1)[0]} for --data",
        )
    for one in reference.rows:
        shown = catalog.Table(one.table.schema, one.table.name, "r", ()).shown
        for column in one.table.columns:
            # A column named just "key" is a setting's or a word's name far more often than a secret.
            if (
                column.name != "key"
                and looks_secret(column.name)
                and column.type.startswith(("character", "text", "bytea"))
            ):
                console.warn(
                    f"{shown}.{column.name} looks like a credential; "
                    f"its {len(one.rows)} rows will be in the base migration"
                )
