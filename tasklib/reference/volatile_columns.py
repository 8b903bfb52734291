"""Volatile columns, whose values two runs of one history do not share: learnt from the two, and kept in the plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasklib import binds
from tasklib.errors import Refused
from tasklib.judge import catalog, rows
from tasklib.judge.rows import Stable, Volatile
from tasklib.postgres import client
from tasklib.workbench.bench import Bench


def of(bench: Bench, where: str, bind: str | None = None) -> Volatile:
    """What the two runs showed of one bind's databases, at "base" (R) or "head"."""
    if bench.plan.replayed is None:
        return {}
    found: Mapping[str, Mapping[str, Sequence[str]]] = bench.plan.replayed[where][bind or bench.binds[0]]
    return {
        (schema, table): frozenset(columns) for schema, tables in found.items() for table, columns in tables.items()
    }


def names(bench: Bench, bind: str) -> list[str]:
    """Volatile columns at R as they are listed: T.C, with the bind before it where there are several databases."""
    return [binds.before(bind, name, bench.binds) for name in rows.names(of(bench, "base", bind))]


def as_json(found: Mapping[str, Volatile]) -> dict[str, dict[str, dict[str, list[str]]]]:
    result: dict[str, dict[str, dict[str, list[str]]]] = {}
    for bind, of_bind in found.items():
        tables = result.setdefault(bind, {})
        for (schema, table), columns in sorted(of_bind.items()):
            tables.setdefault(schema, {})[table] = sorted(columns)
    return result


def learn(bench: Bench, where: str, first: str, second: str) -> Mapping[str, Volatile]:
    """By bind, columns whose values two runs of one history (two roles) do not share; `Refused` where more than that
    differs.

    The rows of those tables that both runs share to the letter are kept in our directory, see `stable`.
    """
    return {bind: _learn(bench, where, bind, first, second) for bind in bench.binds}


def _learn(bench: Bench, where: str, bind: str, first: str, second: str) -> Volatile:
    found: dict[tuple[str, str], frozenset[str]] = {}
    shared: list[tuple[str, str, list[str]]] = []
    place = binds.place(bind, bench.binds)
    with (
        client.connect(bench.address(first, bind), read_only=True) as one,
        client.connect(bench.address(second, bind), read_only=True) as two,
    ):
        tables, others = catalog.tables(one), catalog.tables(two)
        if tables != others:
            raise Refused(
                f"Two runs of the old chain made different tables or columns{place}: the history depends on chance."
            )
        with one.usual_path(), two.usual_path():
            for table in tables:
                differing = rows.volatile_columns(one, two, table)
                if differing is None:
                    raise Refused(
                        f"Two runs of the old chain put different rows into {table.shown}{place}: other counts, or no "
                        "set of columns explains it. What is different in each run cannot be proven equal.",
                        f"make the migration that fills {table.shown} put the same rows there in each run",
                    )
                if differing:
                    found[(table.schema, table.name)] = differing
                    shared.append((table.schema, table.name, sorted(rows.stable_rows(one, two, table))))
    _stable_file(bench, where, bind).write_text(json.dumps(shared), encoding="utf-8")
    return found


def stable(bench: Bench, where: str, bind: str | None = None) -> Stable:
    """Of tables with volatile columns, digests of the rows that had the same values in both runs."""
    listed = json.loads(_stable_file(bench, where, bind or bench.binds[0]).read_text(encoding="utf-8"))
    return {(schema, table): frozenset(digests) for schema, table, digests in listed}


def _stable_file(bench: Bench, where: str, bind: str) -> Path:
    return bench.work / f"stable-{where}{bench.binds.index(bind) or ''}.json"
