"""The project's own post_write_hooks (a formatter, say) on the base migration, run by the project's own Alembic."""

from __future__ import annotations

from tasklib import console
from tasklib.history import chains, revisions
from tasklib.workbench.bench import Bench

# In place of script.py.mako: `alembic revision` then writes the text of a file, and runs the hooks on it.
TEMPLATE = '${{open({path!r}, encoding="utf-8").read()}}'


def formatted(bench: Bench, text: str) -> str:
    """The text after the hooks, or as it was where there are none. Hooks that fail are a warning: they may be tools of
    a developer's machine; what one of them has changed before another one failed is kept.
    """
    plan, layout = bench.plan, bench.plan.layout
    if not layout.hooks or layout.kind == "code":
        return text
    chain = chains.write(bench.repository, plan.tip, layout, "hooks", bench.work)
    for revision in chain.history.migrations:
        chain.file(revision).unlink()
    ours = bench.work / "hooks.txt"
    ours.write_text(text, encoding="utf-8")
    chain.directory.joinpath("script.py.mako").write_text(TEMPLATE.format(path=str(ours)), encoding="utf-8")
    words = ["revision", "--rev-id", plan.revision, "-m", "base"]
    if len(layout.locations) > 1:
        # Another one than R's own would do as well: the file is taken away again.
        words += ["--version-path", str(chain.root / layout.locations[0])]
    places = [chain.root / place for place in layout.locations]
    before = {path for place in places for path in place.rglob("*.py")}
    command = bench.command()
    with console.doing("the project's post_write_hooks on the base migration"):
        result = command.run(chain, words, bench.targets("candidate"), read_only=True)
    made = {path for place in places for path in place.rglob("*.py")} - before
    after = made.pop().read_text(encoding="utf-8") if len(made) == 1 else ""
    migration = revisions.parse(after, plan.base_path)
    whole = migration is not None and migration.id == plan.revision
    if result.code or not whole:
        said = (result.stderr.strip() or result.stdout.strip() or "nothing").splitlines()[-1]
        what = f"did not run through (exit code {result.code}): {said}"
        if not whole:
            what += f"; after them the file is no migration of revision {plan.revision}"
        console.warn(
            f"the project's post_write_hooks {what}. {plan.base_path} is proven as it is; format it by hand, if at all."
        )
    return after if whole else text
