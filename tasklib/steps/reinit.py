"""reinit. Before: on the squash branch. After: the squashed revisions are out of index and tree.

Never deletes an ignored or untracked file, nor one that is not committed; changes nothing outside the script directory.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from invoke.context import Context

from tasklib import branches, console
from tasklib.bench import Bench, open_bench
from tasklib.errors import CommandFailed
from tasklib.options import Given, dry, step

TEMPLATES = (
    ("flask", r"\bbind_names\b", ("--multidb",)),
    ("alembic", r"\bdb_names\b", ("-t", "multidb")),
    ("alembic", r"async_engine_from_config|create_async_engine", ("-t", "async")),
)


@step(init="Also run the project's own `init`, into a new path, and copy its templates in.")
def reinit(context: Context, given: Given) -> None:
    """Take the squashed revisions out of index and tree (step 2; the recipe's rm and init)."""
    bench = open_bench(Path.cwd())
    if dry(context):
        console.say(f"Would remove {len(bench.gone('HEAD'))} files of squashed revisions.")
        return
    removed = run(bench, init=given["init"])
    what = f"{removed} files of squashed revisions taken out" if removed else "The squashed revisions are out already"
    console.say(f"{what}. Next: {bench.plan.program} restore")


def run(bench: Bench, *, init: bool = False) -> int:
    """Remove the squashed revisions; returns how many files there were."""
    branches.refuse_other_branch(bench)
    made = bench.plan
    paths = bench.gone("HEAD")
    # R's own file may hold the base migration by now, written by us or edited by hand.
    keep = {made.base_path} if made.written is not None else set()
    removed = [path for path in paths if path not in keep and (bench.repository.top / path).exists()]
    bench.repository.remove([path for path in paths if path not in keep])
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
    with tempfile.TemporaryDirectory(prefix="alembic-squash-init-") as directory:
        command = bench.command(guard=Path(directory) / "guard")
        new = Path(directory) / "new"
        env = f"{bench.plan.layout.script}/env.py"
        result = command.init(new, *_template(command.kind, bench.repository.read("HEAD", env)))
        command.refuse_if_it_cannot_run(result)
        if result.code or not new.is_dir():
            raise CommandFailed(result.argv, result.code, result.stdout, result.stderr)
        held = {entry.path for entry in bench.repository.files("HEAD", bench.plan.layout.script)}
        made: list[str] = []
        for source in sorted(new.rglob("*")):
            target = bench.script / source.relative_to(new)
            path = target.relative_to(bench.repository.top).as_posix()
            # Only over what git holds, or where there is nothing: an ignored file of that name stays.
            if source.is_file() and "__pycache__" not in source.parts and (path in held or not target.exists()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                made.append(path)
        # What git knows of, `abort` takes away again; an ignored name stays out, as for `git add`.
        bench.repository.add([path for path in made if path not in held])
