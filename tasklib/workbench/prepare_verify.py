"""The plan of `verify` for a checkout without one: what its base migration says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tasklib.errors import Refused
from tasklib.history import data_files, revisions
from tasklib.project import discovery, extension_sql, server_sql
from tasklib.repository import trees
from tasklib.repository.git import Repository
from tasklib.settings import Settings
from tasklib.workbench import inplace, provenance
from tasklib.workbench.bench import program
from tasklib.workbench.plan import Plan
from tasklib.workbench.prepare import Prepared, refuse_option_of_no_ini, refuse_server_wide, texts


def prepare(repository: Repository, cwd: Path, settings: Settings) -> Prepared:
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
    tree = trees.composed_tree(repository, head, remove=written, add=originals)
    cut = revisions.read_history(repository, tree, layout).cut(base.id)
    run = texts(repository, tree, cut, settings)
    refuse_server_wide(run)
    made = Plan(
        revision=base.id, original="", tip=tree, branch="", start=head, source="history", base_path=base.path,
        gone=tuple(m.id for m in cut.gone), kept=tuple(m.id for m in cut.kept), layout=layout,
        settings=replace(settings, rev=base.id), program=program(), head_was="",
        apart=settings.server is None and bool(server_sql.of_roles(run)),
        extensions=extension_sql.made(run),
    )  # fmt: skip
    provenance.refuse_missing(repository.read(head, base.path), made)
    return Prepared(repository, made, cut)
