"""Makes the plan of a squash, or refuses: all that can be known before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasklib import binds
from tasklib.errors import Refused
from tasklib.history import revisions, sole_head
from tasklib.history.cut import Cut, History, Migration
from tasklib.project import discovery, extension_sql, server_sql
from tasklib.project.layout import Layout
from tasklib.repository import git, status, trees, worktree
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.workbench import inplace, plan, undoing
from tasklib.workbench.bench import program
from tasklib.workbench.plan import Plan


@dataclass(frozen=True)
class Prepared:
    """A plan that nothing was done for yet, with the cut that it stands on."""

    repository: Repository
    plan: Plan
    cut: Cut


def prepare(cwd: Path, settings: Settings, *, reading: bool = False) -> Prepared:
    """The plan for these settings in the repository around ``cwd``. Changes nothing.

    Raises `Refused` for every state and input that a squash could not be begun with; with ``reading`` only for those
    that leave nothing to say (a dirty tree or an unnamed variable is no obstacle to reading).
    """
    repository = git.find(cwd)
    if not reading:
        inplace.recover(repository)
        undoing.recover(repository)
        _refuse_unfinished(repository)
    current = repository.branch()
    if not reading:
        _refuse_dirty(repository)
    original = settings.into or current
    tip = _tip(repository, original, current)
    layout = discovery.find_layout(repository, tip, settings, cwd)
    history = revisions.read_history(repository, tip, layout)
    target = _target(repository, history, layout, original, settings, "plan" if reading else "squash")
    cut = history.cut(target.id)
    if not reading:
        refuse_option_of_no_ini(layout, settings)
        _refuse_no_commits(repository)
    run = texts(repository, tip, cut, settings)
    if not reading:
        refuse_server_wide(run)
        _refuse_hidden(repository, [migration.path for migration in cut.gone])
    start = tip
    if settings.source == "models":
        start = sole_head.find(repository, layout, history, target, tip, settings.commit)
    branch = f"squash-{target.id}"
    if not reading and repository.branch_exists(branch):
        raise Refused(
            f"The branch {branch} exists already; it is the name of the squash branch.",
            f"git branch -m {branch} OTHER, or git branch -D {branch} where nothing on it is needed",
        )
    called = program()
    if called != "alembic-squash" and start != tip and not _has_tasks(repository, start, cwd):
        called = "alembic-squash"
    made = Plan(
        revision=target.id, original=original, tip=tip, branch=branch, start=start, source=settings.source,
        base_path=target.path, gone=tuple(m.id for m in cut.gone), kept=tuple(m.id for m in cut.kept),
        layout=layout, settings=settings, program=called, head_was=current,
        apart=settings.server is None and bool(server_sql.of_roles(run)),
        extensions=extension_sql.made(run),
    )  # fmt: skip
    return Prepared(repository, made, cut)


def _refuse_unfinished(repository: Repository) -> None:
    """`Refused` while another squash, or something of git's own, waits to be gone on with."""
    if plan.exists(repository):
        called = program()
        raise Refused(
            "A squash is already under way in this repository; a finished or aborted one was expected.",
            f"{called} status shows where it stands, {called} abort puts everything back",
        )
    if (waiting := status.under_way(repository)) is not None:
        raise Refused(f"A {waiting} is in progress in this repository; a finished one was expected.", "git status")


def _tip(repository: Repository, original: str, current: str) -> str:
    """The commit of the original branch, which no other work tree has checked out."""
    tip = repository.commit(f"refs/heads/{original}")
    if tip is None:
        raise Refused(f"--into {original} is no branch of this repository.", f"--into {current}")
    if (elsewhere := status.in_other_work_tree(repository, original)) is not None:
        raise Refused(f"The branch {original} is checked out in another work tree, {elsewhere}.", f"cd {elsewhere}")
    return tip


def _target(
    repository: Repository, history: History, layout: Layout, original: str, settings: Settings, command: str
) -> Migration:
    """R; ``command`` is what the user typed, as far as a hint says it."""
    if not history.migrations:
        _refuse_links(repository, layout, original)
        raise Refused(f"There is no revision in {', '.join(layout.locations)} at {original}.", "--directory DIR")
    if settings.rev is None:
        raise Refused(
            f"--rev is missing: the revision that becomes the base. The heads are {', '.join(history.heads)}.",
            f"{program()} {command} --rev {_suggestion(history)}",
        )
    return history.resolve(settings.rev)


def _refuse_links(repository: Repository, layout: Layout, original: str) -> None:
    """`Refused` where a directory of revisions is a link: git then holds none of them there."""
    links = [entry.path for entry in repository.files(f"refs/heads/{original}") if entry.mode == "120000"]
    if found := [one for one in links for place in layout.locations if f"{place}/".startswith(f"{one}/")]:
        raise Refused(
            f"{found[0]} is a link in git; the directory itself was expected there.",
            f"git rm {found[0]}, then git mv the directory that it leads to there, and commit",
        )


def _refuse_no_commits(repository: Repository) -> None:
    """`Refused` where git could not commit in the end."""
    if not status.has_identity(repository):
        raise Refused(
            "git does not know who you are, so it could not commit.",
            'git config user.name "…" and git config user.email "…"',
        )
    if (why := status.why_not_signed(repository)) is not None:
        raise Refused(
            f"git is to sign commits (commit.gpgSign) and cannot. It said: {why}",
            "unlock the key for your agent (it cannot ask here), or git config commit.gpgSign false",
        )


def texts(repository: Repository, commit: str, cut: Cut, settings: Settings) -> dict[str, str]:
    """The migrations that will be run, by path: all, or what is kept where a real database stands for the rest."""
    run = cut.run(from_r=settings.reference is not None)
    return trees.read_many(repository, commit, [migration.path for migration in run])


def refuse_server_wide(run: Mapping[str, str]) -> None:
    """`Refused` where a migration makes what belongs to the server, and would make it again with each run."""
    found = server_sql.server_wide(run)
    if found:
        listed = "\n  ".join(read.listed for read in found[:10])
        raise Refused(
            "Migrations make or change what belongs to the server and not to the database; a squash runs them several "
            f"times, and no base migration could be proven with it:\n  {listed}",
            "take it out of the migrations: it is made once on a server, by whoever runs that",
        )


def _refuse_dirty(repository: Repository) -> None:
    dirty = status.dirty(repository)
    if dirty:
        listed = "\n  ".join(dirty[:10]) + (f"\n  … and {len(dirty) - 10} more" if len(dirty) > 10 else "")
        raise Refused(
            f"The work tree is not clean; a clean one was expected (untracked files count):\n  {listed}",
            "commit, or git stash --include-untracked, then run this again",
        )


def _refuse_hidden(repository: Repository, paths: Sequence[str]) -> None:
    """`Refused` where git was told not to look at a file that goes: its changes here would be lost, unseen."""
    for path, word in worktree.hidden(repository, paths).items():
        raise Refused(
            f"{path} is marked {word}, so git does not see what it holds here; the squash takes it out.",
            f"git update-index --no-{word} {path}" if worktree.exists(repository.top / path)
            else f"git sparse-checkout add {PurePosixPath(path).parent}",
        )  # fmt: skip


def refuse_option_of_no_ini(layout: Layout, settings: Settings) -> None:
    """`Refused` where --set names an option of an ini, and the project's command has none."""
    options = [name for name, _ in settings.set if binds.is_option(name)]
    if options and layout.ini is None:
        raise Refused(
            f"--set {options[0]} is an option of an alembic.ini, and this project's command has none of its own.",
            "--set takes environment variables too: --uri-var DATABASE_URL",
        )


def _has_tasks(repository: Repository, commit: str, cwd: Path) -> bool:
    """Whether Invoke will find a tasks.py from ``cwd`` upwards where ``commit`` is checked out."""
    there, here = ({entry.path for entry in repository.files(one)} for one in (commit, "HEAD"))
    inner = cwd.resolve().relative_to(repository.top.resolve())
    for directory in (inner, *inner.parents):
        for name in ("tasks.py", "tasks/__init__.py"):
            path = (directory / name).as_posix()
            # What git does not hold stays where it is.
            if path in there or (path not in here and (repository.top / path).exists()):
                return True
    return False


def _suggestion(history: History) -> str:
    """A revision that leaves some migrations after it: databases out there may be a few behind."""
    legal = [m.id for m in history.ordered(history.migrations) if history.legal(m.id)]
    return legal[-1 - min(20, len(legal) // 4)] if legal else "REVISION"


def unread(prepared: Prepared, gone: Mapping[str, str], kept: Mapping[str, str], data: Collection[str]) -> list[str]:
    """Files in the script directory that squashed migrations name, and no migration that stays: they stay, unread.

    ``gone`` and ``kept`` are the texts of both by path, ``data`` the data files of bases, which go.
    """
    made, repository = prepared.plan, prepared.repository
    files = [entry.path for place in dict.fromkeys((made.layout.script, *made.layout.locations))
             for entry in repository.files(made.tip, place)]  # fmt: skip
    squashed, staying = "\n".join(gone.values()), "\n".join(kept.values())
    own = {made.layout.script + f"/{name}" for name in ("env.py", "README", "script.py.mako", "alembic.ini")}
    others = [
        path for path in dict.fromkeys(files) if not path.endswith(".py") and path not in own and path not in data
    ]
    named = [(path, re.compile(rf"\b{re.escape(PurePosixPath(path).name)}\b")) for path in others]
    return [path for path, name in named if name.search(squashed) and not name.search(staying)]
