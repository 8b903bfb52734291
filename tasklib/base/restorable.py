"""What PostgreSQL itself does not bring back from its own dump of the reference. No base migration can make that, and
it is the history's doing.
"""

from __future__ import annotations

from tasklib.base import stale_views
from tasklib.base.contents import Reference
from tasklib.errors import Failed, Refused
from tasklib.judge import compare, object_counts, objects
from tasklib.judge.compare import Verdict
from tasklib.judge.rows import Volatile
from tasklib.postgres import client
from tasklib.postgres.archive import Key, shown
from tasklib.workbench.bench import Bench

PLACE = "roundtrip"  # free as long as there is no base


def refuse_what_is_not(
    bench: Bench, read: Reference, volatile: Volatile, key: Key | None, why: Failed | Verdict
) -> None:
    """`Refused` where pg_dump and pg_restore come no further than the base migration did: ``why`` is what it failed
    with, at the object ``key``, or how what it made differs.
    """
    if isinstance(why, Verdict):
        stale_views.refuse_uncertain(read.populated, why.found)
    bench.create(PLACE, beside="reference", bare=True)
    there, here = bench.address("reference", read.bind), bench.address(PLACE, read.bind)
    errors = client.copy(there, here, bench.binaries(), bench.work, read.left_out)
    if isinstance(why, Failed):
        error = next((error for error in errors if error in why.text), "")
        said = f"{shown(key)}: {error}" if error and key else ""
    else:
        lost = compare.databases(bench, "reference", PLACE, volatile, read.left_out, bind=read.bind).found
        ours = [difference for difference in lost if difference.key in {one.key for one in why.found}]
        # What the comparison did not see of one side is its own fault.
        unseen = any(one.kind == object_counts.DIFFERENCE and one.name.endswith(")") for one in why.found)
        said = "" if unseen or len(ours) < len(why.found) else objects.report(ours, "reference", "restored")
    bench.drop(PLACE)
    if said:
        raise Refused(
            "PostgreSQL cannot restore its own dump of what the old migrations make, so no base migration can make "
            f"that:\n{said}",
            f"mend it at the end of upgrade() in {bench.plan.revision}'s file, in a commit of its own (it goes with "
            "the squash)",
        )
