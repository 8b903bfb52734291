"""`--source models`: the base migration as the project's own autogenerate drafts it, at the commit where R was head."""

from __future__ import annotations

import re
from pathlib import Path

from tasklib import console
from tasklib.base.base_migration import old_sources, replaced
from tasklib.command import not_started
from tasklib.errors import Failed
from tasklib.history import chains, revisions
from tasklib.project import script_mako
from tasklib.reference import replay
from tasklib.render import head as heads
from tasklib.workbench import provenance
from tasklib.workbench.bench import Bench


def write(bench: Bench) -> str:
    """Run the project's `migrate --rev-id R` on an empty scratch database; its file becomes R's own. Returns its text.

    Raises `Failed` with what the command said where no file came out.
    """
    replay.ensure_databases(bench)
    made = bench.plan
    cut = bench.cut()
    chain = bench.chain("old", made.start)
    command = bench.command()
    word = "migrate" if command.kind == "flask" else "revision --autogenerate"
    with console.doing(f"`{' '.join(made.layout.command)} {word} --rev-id {made.revision}` at {made.start[:12]}"):
        bench.create("draft")
        targets = bench.targets("draft")
        places = [bench.repository.top / place for place in made.layout.locations]
        earlier = bench.base.read_bytes() if bench.base.exists() else None
        bench.base.unlink(missing_ok=True)  # a revision of that id must not be there when another one is made
        before = _files(bench)
        places[0].mkdir(parents=True, exist_ok=True)
        message = " ".join(cut.revision.message.split()) or f"base {made.revision}"
        words = [*word.split(), "--rev-id", made.revision, "-m", message]
        if len(places) > 1:
            words += ["--version-path", str(next(place for place in places if bench.base.is_relative_to(place)))]
        here = chains.in_tree(bench.repository, made.layout, chain.history)
        result = command.run(here, words, targets, read_only=True)
        fresh = _files(bench) - before
        if result.code or len(fresh) != 1:
            for path in fresh:
                _remove(bench, path)
            if earlier is not None:
                bench.base.write_bytes(earlier)
            not_started.refuse(command, result, targets)
            said = "\n  | ".join((result.stderr or result.stdout).strip().splitlines()[-12:])
            raise Failed(f"`migrate` wrote {len(fresh)} files at {made.start[:12]}, not one. It said:\n  | {said}",
                         "--source history does not need the models of that commit")  # fmt: skip
        path = fresh.pop()
        text = _finished(path.read_text(encoding="utf-8"), bench, cut.labels, message)
        _remove(bench, path)
        bench.write_base(text)
        bench.drop("draft")
    migration = revisions.parse(text, made.base_path)
    if migration is None or migration.id != made.revision:
        raise Failed(
            f"`migrate` wrote the revision {migration.id if migration else 'none'}; {made.revision} was expected."
        )
    return text


def _files(bench: Bench) -> set[Path]:
    """The revision files of the work tree."""
    layout, top = bench.plan.layout, bench.repository.top
    listed = {path for place in layout.locations for path in (top / place).rglob("*.py")}
    return {path for path in listed if layout.holds_revision(path.relative_to(top).as_posix())}


def _remove(bench: Bench, path: Path) -> None:
    """Remove a file that the command made, and directories that were made for it (by file_template)."""
    path.unlink()
    places = {bench.repository.top / place for place in bench.plan.layout.locations}
    while path.parent not in places and not any(path.parent.iterdir()):
        path = path.parent
        path.rmdir()


def _finished(text: str, bench: Bench, labels: tuple[str, ...], message: str) -> str:
    """The generated file with the ids that it replaces, the commit that has them, and the branch labels of all."""
    listed = heads.replaces(replaced(bench, old_sources(bench)))
    lines = [*listed, "", f"Originals: git commit {bench.plan.tip}", *provenance.proven_against(bench.plan)]
    said = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    named = script_mako.with_line(text, said, message)
    if not labels:
        return named
    value = repr(labels[0]) if len(labels) == 1 else repr(labels)
    return re.sub(r"(?m)^(branch_labels\b[^=\n]*)= None$", lambda m: f"{m.group(1)}= {value}", named, count=1)
