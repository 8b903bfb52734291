"""rebase-revision. Before: a squash, and a branch with migrations that hang on ones which it took. After: they hang on
R, by a commit on that branch.

Never touches a work tree, a branch that is checked out, or any database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from invoke.context import Context

from tasklib import console, settings
from tasklib.after import lineage, rebase
from tasklib.errors import Refused
from tasklib.options import Given, dry, step
from tasklib.repository import git
from tasklib.workbench.bench import program


@step(
    "directory", "command",
    positional={"branch": "The local branch."},
    yes="Also where other migrations are about the same tables.",
)  # fmt: skip
def rebase_revision(context: Context, given: Given) -> None:
    """Make a branch's migrations hang on R where they hang on ones that the squash took.

    Example: rebase-revision feature, on the branch that has the squash.
    """
    chosen = settings.resolve(context, {name: given[name] for name in ("directory", "command")})
    repository = git.find(Path.cwd())
    branch = given["branch"]
    if branch.startswith("-"):
        raise Refused(f"{branch} is no branch; its name was expected.", f"{program()} rebase-revision BRANCH")
    known = lineage.read(repository, replace(chosen, rev=None), Path.cwd())
    made = rebase.changes(known, branch)
    if not made:
        console.say(f"Nothing on {branch} hangs on a revision that the squash took.")
        return
    for one in made:
        console.say(one.hanging.shown(known.revision))
    if shared := [f"{one.hanging.path} and {other}: {table}" for one in made for table, other in one.tables]:
        listed = "\n  ".join(shared[:10])
        if not given["yes"]:
            raise Refused(
                "These migrations will run after others that are about the same tables, and did not before:\n  "
                f"{listed}",
                "look whether both still do what was meant; --yes makes the change",
            )
    if dry(context):
        return
    new = rebase.commit(known, branch, made)
    console.say(f"Committed on {branch}: {new[:12]}. Next: bring {repository.current_branch() or 'the squash'} into it "
                "(git merge, or rebase), and run its migrations.")  # fmt: skip
    if len(known.today.heads) > 1 or known.today.heads != (known.revision,):
        merge = " ".join((*known.squashed.layout.command, "merge", "heads"))
        console.note(f"{known.revision} is not the head: there will be two, as with any branch. `{merge}` joins them; "
                     f"or write {', '.join(known.today.heads)} in its place in the branch's file")  # fmt: skip
