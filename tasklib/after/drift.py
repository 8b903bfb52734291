"""Whether the schema of a deployed database is what the chain builds at its revision: both on a scratch server.

The chain is run there by the project's own command; of the real database a dump is restored there. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from tasklib.after.instances import Instance
from tasklib.after.lineage import Lineage
from tasklib.errors import Refused, SquashError
from tasklib.judge import compare
from tasklib.judge.objects import Difference, report
from tasklib.postgres import version_table
from tasklib.postgres.client import Address
from tasklib.reference import database_copy, replay, server_objects
from tasklib.workbench import prepare_verify, provenance
from tasklib.workbench.bench import Bench, passing

BUILT, REAL = "candidate", "deployed"  # the roles of the scratch databases


@contextmanager
def opened(known: Lineage) -> Iterator[Bench]:
    """A bench for the whole chain of a lineage, on a scratch server for the length of a block."""
    if known.lacking is not None:
        raise known.lacking
    squashed = known.squashed
    made = prepare_verify.detached(squashed, known.head, known.tree, known.revision).plan
    if known.base is not None:
        provenance.refuse_missing(squashed.repository.read(known.head, known.base.migration.path), made)
    with passing(squashed.repository, made, squashed.settings.server) as bench:
        replay.ensure_databases(bench)
        if len(bench.binds) > 1:
            raise Refused(
                f"env.py migrates {len(bench.binds)} databases; what one of them should be is told for one only.",
                "leave --drift out",
            )
        yield bench


def build(bench: Bench, revision: str) -> None:
    """Make the scratch database `BUILT` what the chain builds at a revision."""
    with bench.old_in_place():
        replay.build(bench, bench.chain("old", bench.plan.tip), BUILT, revision)


def differences(bench: Bench, address: Address) -> list[Difference]:
    """How the schema of a real database differs from that of `BUILT`."""
    database_copy.take_schema(bench, address, REAL, "--url")
    # Alembic's own table has other forms by its version.
    return compare.schemas(bench, BUILT, REAL, {name for _, name in bench.version_tables()})


def look(known: Lineage, found: Sequence[tuple[Address, Instance]]) -> tuple[list[Instance], str]:
    """The instances with their drift, and a report of it; the chain is built once for each revision."""
    told: dict[int, tuple[str, ...]] = {}
    reports: list[str] = []
    with opened(known) as bench:
        # In the order of revisions, so that the chain is built once for each.
        for number, (address, one) in sorted(enumerate(found), key=lambda item: item[1][1].ids):
            if not one.ids or one.state in ("unknown revision", "several rows"):
                continue
            try:
                drift = server_objects.again(bench, partial(_compared, bench, one.ids, address))
            except SquashError as error:
                told[number] = (f"not compared: {' '.join(error.text.split())[:300]}",)
                reports.append(f"{one.place}: {told[number][0]}")
                continue
            told[number] = tuple(f"{each.what} {each.kind} {each.shown}" for each in drift)
            if drift:
                reports.append(f"{one.place}, at {one.ids[0]}:\n{report(drift, 'the chain', 'it', limit=10)}")
    return [replace(one, drift=told.get(number)) for number, (_, one) in enumerate(found)], "\n".join(reports)


def _compared(bench: Bench, ids: tuple[str, ...], address: Address) -> list[Difference]:
    if len(ids) > 1:
        raise Refused("it is at several heads; one revision was expected.")
    replay.ensure_databases(bench)  # a role that was lacking may have taken the server with it
    tables = bench.version_tables()
    if BUILT not in bench.place().names or version_table.versions(bench.address(BUILT), tables) != {*ids}:
        build(bench, ids[0])
    return differences(bench, address)
