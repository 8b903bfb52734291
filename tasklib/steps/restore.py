"""restore. Before: the squashed revisions are out. After: all else of the script directory is as git has it.

Never brings a squashed revision back, and never touches a file that git does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from invoke.context import Context

from tasklib import console
from tasklib.errors import Refused
from tasklib.options import Given, dry, step
from tasklib.proof import squash_branch
from tasklib.repository import worktree
from tasklib.workbench.bench import Bench, open_bench


@step(only="FILE to restore, and no other, as the recipe does. Repeatable. Default: all but what is squashed.")
def restore(context: Context, given: Given) -> None:
    """Bring env.py, templates, helpers and the kept revisions back from git (step 3).

    Example: restore; or, as in the recipe, restore --only migrations/env.py
    """
    bench = open_bench(Path.cwd())
    if dry(context):
        console.say(f"Would restore {len(_paths(bench))} files of {bench.plan.layout.script} from git.")
        return
    count = run(bench, given["only"] or ())
    console.say(f"{count} files are as git has them. Next: {bench.plan.program} createdb")


def run(bench: Bench, only: Sequence[str] = ()) -> int:
    """Restore from the squash branch's commit; returns how many files."""
    squash_branch.refuse_other_branch(bench)
    paths = _paths(bench)
    if only:
        wanted = []
        for name in only:
            full, top = Path(Path.cwd(), name).resolve(), bench.repository.top.resolve()
            path = full.relative_to(top).as_posix() if full.is_relative_to(top) else name
            if path not in paths:
                raise Refused(
                    f"--only {name}: {path} is not a committed file of {bench.plan.layout.script} that stays.",
                    f"one of: {', '.join(p for p in paths if '/versions/' not in p)}",
                )
            wanted.append(path)
        paths = wanted
    # Who names a file wants it as git has it, whatever it holds.
    placed = {**bench.plan.placed, **dict.fromkeys(only and paths, "")}
    left = worktree.put_back(bench.repository, bench.head(), paths, placed, bench.aside)
    squash_branch.tell(left)
    bench.save(replace(bench.plan, placed={one: it for one, it in bench.plan.placed.items() if one not in paths}))
    bench.finished("restore")
    return len(paths)


def _paths(bench: Bench) -> list[str]:
    layout = bench.plan.layout
    gone = {*bench.gone("HEAD"), bench.plan.base_path, *bench.plan.data}
    listed = {
        entry.path for place in (layout.script, *layout.locations) for entry in bench.repository.files("HEAD", place)
    }
    if layout.ini is not None:
        listed |= {entry.path for entry in bench.repository.files("HEAD") if entry.path == layout.ini}
    return sorted(listed - gone)
