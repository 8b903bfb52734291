"""What env.py does of its own whenever a migration runs or a table is made. It does so for the base migration, too, so
that this leaves other rows than the old migrations, or what the base makes is there already.
"""

from __future__ import annotations

import re

from tasklib.errors import Failed, Refused
from tasklib.judge import objects
from tasklib.judge.compare import Verdict
from tasklib.repository import trees
from tasklib.workbench.bench import Bench

ACTS = re.compile(r"\b(on_version_apply|listens_for|event\.listen)\b")


def refuse(bench: Bench, why: Failed | Verdict) -> None:
    """`Refused` where that is why the base migration fails, or differs, as far as one can say."""
    path = f"{bench.plan.layout.script}/env.py"
    text = trees.read_many(bench.repository, bench.plan.tip, [path]).get(path, "")
    for number, line in enumerate(text.splitlines(), 1):
        if acts := ACTS.search(line.partition("#")[0]):
            said = why.text if isinstance(why, Failed) else objects.report(why.found, "reference", "candidate")
            raise Refused(
                f"{path}:{number} does something of its own whenever a migration runs or makes a table ({acts[1]}), so "
                f"for the base migration, too. What comes of that is not what the old ones left:\n{said}",
                f"let env.py do that only where the revision is another one than {bench.plan.revision}, or the object "
                "is not there yet",
            )
