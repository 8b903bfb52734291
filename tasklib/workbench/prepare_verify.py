"""The plan of `verify` for a checkout without one: what its base migration says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.history.originals import Squashed
from tasklib.project import discovery, extension_sql, server_sql
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
    squashed = Squashed(repository, layout, settings, cwd)
    named = squashed.bases(head)
    if settings.rev is not None:
        target = revisions.read_history(repository, head, layout).resolve(settings.rev)
        named = [one for one in named if one.migration.id == target.id]
    if len(named) != 1:
        raise Refused(
            f"{len(named)} base migrations of this checkout name the commit of their originals; one was expected, in a "
            "line `Originals: git commit …` of its docstring.",
            "--rev R names the base to verify; a squash that is under way is verified without --rev",
        )
    base = named[0].migration
    refuse_option_of_no_ini(layout, settings)
    prepared = detached(squashed, head, squashed.with_originals(head, named[0]), base.id)
    provenance.refuse_missing(repository.read(head, base.path), prepared.plan)
    return prepared


def detached(squashed: Squashed, head: str, tree: str, revision: str) -> Prepared:
    """A plan that is kept nowhere, for runs of the chain that ``tree`` holds beside the checkout of ``head``."""
    repository, layout, settings = squashed.repository, squashed.layout, squashed.settings
    cut = revisions.read_history(repository, tree, layout).cut(revision)
    run = texts(repository, tree, cut, settings)
    refuse_server_wide(run)
    made = Plan(
        revision=revision, original="", tip=tree, branch="", start=head, source="history", base_path=cut.revision.path,
        gone=tuple(m.id for m in cut.gone), kept=tuple(m.id for m in cut.kept), layout=layout,
        settings=replace(settings, rev=revision), program=program(), head_was="",
        apart=settings.server is None and bool(server_sql.of_roles(run)),
        extensions=extension_sql.made(run),
    )  # fmt: skip
    return Prepared(repository, made, cut)
