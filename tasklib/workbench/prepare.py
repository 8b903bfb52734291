"""Makes the plan of a squash, or refuses: all that can be known before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tasklib import binds
from tasklib.errors import Refused
from tasklib.history import data_files, revisions
from tasklib.history.cut import Cut, History, Migration
from tasklib.project import discovery, server_sql
from tasklib.project.layout import Layout
from tasklib.repository import git, worktree
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.workbench import inplace, plan, provenance
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
    called = program()
    if not reading:
        inplace.recover(repository)
    if not reading and plan.exists(repository):
        raise Refused(
            "A squash is already under way in this repository; a finished or aborted one was expected.",
            f"{called} status shows where it stands, {called} abort puts everything back",
        )
    if not reading and (waiting := repository.under_way()) is not None:
        raise Refused(f"A {waiting} is in progress in this repository; a finished one was expected.", "git status")
    current = repository.branch()
    if not reading:
        _refuse_dirty(repository)
    original = settings.into or current
    tip = repository.commit(f"refs/heads/{original}")
    if tip is None:
        raise Refused(f"--into {original} is no branch of this repository.", f"--into {current}")
    if (elsewhere := repository.in_other_work_tree(original)) is not None:
        raise Refused(f"The branch {original} is checked out in another work tree, {elsewhere}.", f"cd {elsewhere}")
    layout = discovery.find_layout(repository, tip, settings, cwd)
    history = revisions.read_history(repository, tip, layout)
    if not history.migrations:
        raise Refused(f"There is no revision in {', '.join(layout.locations)} at {original}.", "--directory DIR")
    if settings.rev is None:
        raise Refused(
            f"--rev is missing: the revision that becomes the base. The heads are {', '.join(history.heads)}.",
            f"{called} squash --rev {_suggestion(history)}",
        )
    target = history.resolve(settings.rev)
    cut = history.cut(target.id)
    if not reading:
        refuse_option_of_no_ini(layout, settings)
        if not repository.has_identity():
            raise Refused(
                "git does not know who you are, so it could not commit.",
                'git config user.name "…" and git config user.email "…"',
            )
        if (why := repository.why_not_signed()) is not None:
            raise Refused(
                f"git is to sign commits (commit.gpgSign) and cannot. It said: {why}",
                "unlock the key for your agent (it cannot ask here), or git config commit.gpgSign false",
            )
    texts = _texts(repository, tip, cut, settings)
    if not reading:
        _refuse_server_wide(texts)
        _refuse_hidden(repository, [migration.path for migration in cut.gone])
    start = tip
    if settings.source == "models":
        start = find_commit(repository, layout, history, target, tip, settings.commit)
    branch = f"squash-{target.id}"
    if not reading and repository.branch_exists(branch):
        raise Refused(
            f"The branch {branch} exists already; it is the name of the squash branch.",
            f"git branch -m {branch} OTHER, or git branch -D {branch} where nothing on it is needed",
        )
    if called != "alembic-squash" and start != tip and not _has_tasks(repository, start, cwd):
        called = "alembic-squash"
    made = Plan(
        revision=target.id, original=original, tip=tip, branch=branch, start=start, source=settings.source,
        base_path=target.path, gone=tuple(m.id for m in cut.gone), kept=tuple(m.id for m in cut.kept),
        layout=layout, settings=settings, program=called, head_was=current,
        apart=settings.server is None and bool(server_sql.of_roles(texts)),
    )  # fmt: skip
    return Prepared(repository, made, cut)


def _texts(repository: Repository, commit: str, cut: Cut, settings: Settings) -> dict[str, str]:
    """The migrations that will be run, by path: all, or what is kept where a real database stands for the rest."""
    run = cut.run(from_r=settings.reference is not None)
    return repository.read_many(commit, [migration.path for migration in run])


def _refuse_server_wide(texts: Mapping[str, str]) -> None:
    """`Refused` where a migration makes what belongs to the server, and would make it again with each run."""
    found = server_sql.server_wide(texts)
    if found:
        listed = "\n  ".join(read.listed for read in found[:10])
        raise Refused(
            "Migrations make or change what belongs to the server and not to the database; a squash runs them several "
            f"times, and no base migration could be proven with it:\n  {listed}",
            "take it out of the migrations: it is made once on a server, by whoever runs that",
        )


def _refuse_dirty(repository: Repository) -> None:
    dirty = repository.dirty()
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
    legal = [m.id for m in history.ordered(history.migrations) if history.legal(m.id)]
    return legal[-1] if legal else "REVISION"


# --- --source models: where R was the head -----------------------------------------------------------------------


def find_commit(
    repository: Repository, layout: Layout, history: History, target: Migration, tip: str, named: str | None
) -> str:
    """The newest commit of the original branch that left R the sole head; looked up in git objects.

    ``named`` (--commit) is used instead where R is the sole head there. Raises `Refused` otherwise, and where there is
    none, naming the nearest revisions that have one.
    """
    cache: dict[str, Migration | None] = {}
    if named is not None:
        commit = repository.commit(named)
        if commit is None:
            raise Refused(f"--commit {named} is no commit of this repository.", "git log --oneline")
        heads = _heads_at(repository, layout, commit, cache)
        if heads != (target.id,):
            raise Refused(
                f"At --commit {named} the head is {', '.join(heads) or 'nothing'}; {target.id} alone was expected.",
                "leave --commit out, and the commit is looked for",
            )
        return commit
    sole: list[str] = []
    for commit in repository.commits_touching(layout.locations, tip):
        heads = _heads_at(repository, layout, commit, cache)
        if heads == (target.id,):
            return commit
        if len(heads) == 1:
            sole.append(heads[0])
    moved = repository.renamed_from(target.path, tip)
    if moved is not None and not layout.holds_revision(moved[1]):
        raise Refused(
            f"{target.path} was {moved[1]} until the commit {moved[0][:12]}, and {target.id} was the sole head of no "
            "commit since: --source models follows no script directory that moved.",
            "--source history needs no such commit",
        )
    order = [m.id for m in history.ordered(history.migrations)]
    at = order.index(target.id)
    near = sorted((i for i in set(sole) if i in order), key=lambda i: (abs(order.index(i) - at), order.index(i)))[:3]
    legal = [i for i in near if history.legal(i)]
    raise Refused(
        f"{target.id} was the sole head of no commit of the branch (it landed together with others), so there is no "
        f"commit to run `migrate` at. Nearest revisions that were: {', '.join(near) or 'none'}.",
        f"--source history needs no such commit{f', or --rev {legal[0]}' if legal else ''}",
    )


def _heads_at(
    repository: Repository, layout: Layout, commit: str, cache: dict[str, Migration | None]
) -> tuple[str, ...]:
    found = []
    for entry in revisions.files(repository, commit, layout):
        if entry.blob not in cache:
            try:
                cache[entry.blob] = revisions.parse(repository.read(commit, entry.path), entry.path)
            except Refused:
                cache[entry.blob] = None
        migration = cache[entry.blob]
        if migration is not None:
            found.append(migration)
    parents = {parent for migration in found for parent in migration.down}
    return tuple(sorted({migration.id for migration in found} - parents))


# --- verify without a plan ---------------------------------------------------------------------------------------


def from_checkout(repository: Repository, cwd: Path, settings: Settings) -> Prepared:
    """A plan for judging the squash that a checkout holds: its originals come from the commit that its base names.

    The old chain is composed: the originals from that commit, everything later from the checkout.
    """
    inplace.recover(repository)
    head = repository.commit("HEAD") or ""
    layout = discovery.find_layout(repository, head, settings, cwd)
    history = revisions.read_history(repository, head, layout)
    bases = [m for m in history.migrations.values() if not m.parents]
    if settings.rev is not None:
        bases = [history.resolve(settings.rev)]
    named = [(m, commit) for m in bases if (commit := revisions.originals(repository.read(head, m.path)))]
    if len(named) != 1:
        raise Refused(
            f"{len(named)} base migrations of this checkout name the commit of their originals; one was expected, in a "
            "line `Originals: git commit …` of its docstring.",
            "--rev R names the base to verify; a squash that is under way is verified without --rev",
        )
    base, commit = named[0]
    if repository.commit(commit) is None:
        raise Refused(
            f"{base.path} says that its originals are in the commit {commit}, which this clone does not have.",
            f"git fetch --unshallow, or git fetch origin {commit}",
        )
    refuse_option_of_no_ini(layout, settings)
    old = revisions.read_history(repository, commit, layout)
    if base.id not in old.migrations:
        raise Refused(f"The commit {commit} has no revision {base.id}.")
    gone = old.cut(base.id).gone
    files = {entry.path: entry for entry in revisions.files(repository, commit, layout)}
    originals = [files[m.path] for m in gone] + data_files.of_bases(repository, commit, gone)
    written = [base.path, *(entry.path for entry in data_files.of_bases(repository, head, [base]))]
    tree = repository.composed_tree(head, remove=written, add=originals)
    cut = revisions.read_history(repository, tree, layout).cut(base.id)
    texts = _texts(repository, tree, cut, settings)
    _refuse_server_wide(texts)
    made = Plan(
        revision=base.id, original="", tip=tree, branch="", start=head, source="history", base_path=base.path,
        gone=tuple(m.id for m in cut.gone), kept=tuple(m.id for m in cut.kept), layout=layout,
        settings=replace(settings, rev=base.id), program=program(), head_was="",
        apart=settings.server is None and bool(server_sql.of_roles(texts)),
    )  # fmt: skip
    provenance.refuse_missing(repository.read(head, base.path), made)
    return Prepared(repository, made, cut)


def kept_mentions(prepared: Prepared) -> Sequence[str]:
    """Lines outside the squashed files that mention a revision that goes (R itself stays, so it may be mentioned)."""
    ids = [m.id for m in prepared.cut.gone if m.id != prepared.plan.revision]
    repository, cut = prepared.repository, prepared.cut
    data = data_files.of_bases(repository, prepared.plan.tip, cut.gone)
    return repository.mentions(ids, [m.path for m in cut.gone] + [entry.path for entry in data])
