"""Proof 3: down to nothing, where nothing is left, and up again to the same database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasklib import binds
from tasklib.command.run_errors import explain_failure
from tasklib.errors import Differs
from tasklib.history.chains import Chain
from tasklib.judge import catalog, objects
from tasklib.postgres import version_table
from tasklib.postgres.archive import Key
from tasklib.project import extension_sql
from tasklib.proof import verdicts
from tasklib.proof.verdicts import LeftOut, Verdicts
from tasklib.reference import arrival, server_objects, side_effects
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND


def go(bench: Bench, new: Chain, left_out: LeftOut) -> Verdicts:
    """Downgrade to nothing, and up again; what came up again, beside the reference. `Differs` where that does not work,
    or leaves something behind.
    """
    result = bench.command().downgrade(new, bench.targets("roundtrip"), "base")
    if result.code:
        raise Differs(explain_failure(result, new, "`downgrade base` failed").text)
    _refuse_remains(bench, new)
    side_effects.check(bench, new, result, "roundtrip")
    server_objects.refuse_left_roles(bench, "roundtrip")
    arrival.arrive(bench, new, "roundtrip", bench.plan.revision, "`upgrade` after `downgrade base` failed")
    return verdicts.at_base(bench, "roundtrip", left_out)


def _refuse_remains(bench: Bench, new: Chain) -> None:
    """`Differs` where a database that was taken down to nothing holds more than env.py makes before any migration."""
    tables = bench.version_tables()
    for bind in bench.binds:
        address = bench.address("roundtrip", bind)
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
        differences = objects.compare(empty, remains)
        if differences:
            raise Differs(
                f"`downgrade base` leaves something behind{binds.place(bind, bench.binds)}:\n"
                + objects.report(differences, "empty database", "after downgrade"),
                differences=objects.side_by_side(differences, "after `downgrade base`", binds.shown(bind)),
            )


def _without_version_table(held: Mapping[Key, str], tables: Sequence[version_table.Name]) -> dict[Key, str]:
    names = {name for _, name in tables}
    return {key: text for key, text in held.items() if not objects.is_of(key, names)}
