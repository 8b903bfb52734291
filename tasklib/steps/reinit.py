"""reinit. Before: on the squash branch. After: the squashed revisions are out of index and tree.

Never deletes an ignored or untracked file, nor one that is not committed; changes nothing outside the script directory.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from invoke.context import Context

from tasklib import console, temporary
from tasklib.command import not_started
from tasklib.command.guard.lead import NO_PLACE
from tasklib.errors import CommandFailed, Refused
from tasklib.options import Given, dry, step
from tasklib.proof import squash_branch
from tasklib.repository import status, worktree
from tasklib.workbench.bench import Bench, open_bench

TEMPLATES = (
    ("flask", r"\bbind_names\b", ("--multidb",)),
    ("alembic", r"\bdb_names\b", ("-t", "multidb")),
    ("alembic", r"async_engine_from_config|create_async_engine", ("-t", "async")),
)


@step(init="Also run the project's own `init`, into a new path, and copy its templates in.")
def reinit(context: Context, given: Given) -> None:
    """Take the squashed revisions out of index and tree (step 2; the recipe's rm and init).

    Example: reinit
    """
    bench = open_bench(Path.cwd())
    if dry(context):
        console.say(f"Would remove {len(bench.gone('HEAD'))} files of squashed revisions.")
        return
    removed = run(bench, init=given["init"])
    what = f"{removed} files of squashed revisions taken out" if removed else "The squashed revisions are out already"
    console.say(f"{what}. Next: {bench.plan.program} restore")


def run(bench: Bench, *, init: bool = False) -> int:
    """Remove the squashed revisions; returns how many files there were."""
    squash_branch.refuse_other_branch(bench)
    made = bench.plan
    paths = bench.gone("HEAD")
    # R's own file may hold the base migration by now.
    paths = [path for path in paths if path not in made.placed]
    removed = [path for path in paths if worktree.exists(bench.repository.top / path)]
    same = worktree.as_committed(bench.repository, bench.head(), removed)
    if changed := [path for path in removed if path not in same]:
        raise Refused(
            f"{', '.join(changed[:5])}: changed since the squash was begun; as committed they would be taken out.",
            f"git checkout -- {changed[0]} gives the change up; {made.program} abort, then commit it, keeps it",
        )
    worktree.take_out(bench.repository, bench.head(), paths, bench.aside)
    if init or made.source == "models":
        _init(bench)
    bench.finished("reinit")
    return len(removed)


def _template(kind: str, env: str) -> tuple[str, ...]:
    """How `init` was told which template to take, as env.py shows it.

    Never one of Alembic's pyproject templates: they write to the project's own pyproject.toml.
    """
    return next((words for of, mark, words in TEMPLATES if of == kind and re.search(mark, env)), ())


def _init(bench: Bench) -> None:
    """The project's own `init`, into a path that does not exist, and its templates over ours; `restore` is next."""
    with temporary.directory("init") as directory:
        command = bench.command(guard=directory / "guard")
        new = directory / "new"
        env = f"{bench.plan.layout.script}/env.py"
        result = command.init(new, *_template(command.kind, bench.repository.read("HEAD", env)))
        if NO_PLACE in result.stderr:
            raise Refused(
                "The application connects to a database at its start, and `init` has none.",
                "leave --init out; --source history needs none",
            )
        not_started.refuse(command, result)
        if result.code or not new.is_dir():
            raise CommandFailed(result.argv, result.code, result.stdout, result.stderr)
        held = [entry.path for entry in bench.repository.files(bench.head(), bench.plan.layout.script)]
        same = worktree.as_committed(bench.repository, bench.head(), held)
        for source in sorted(new.rglob("*")):
            target = bench.script / source.relative_to(new)
            path = target.relative_to(bench.repository.top).as_posix()
            # Only over what is as git holds it, or where there is nothing: all else is somebody's.
            free = path in same or not worktree.exists(target)
            ignored = path not in held and status.ignoring(bench.repository, path) is not None
            if source.is_file() and "__pycache__" not in source.parts and free and not ignored:
                bench.placing(path)
                if worktree.exists(target):
                    worktree.move(target, bench.aside / path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                bench.placed(path)
