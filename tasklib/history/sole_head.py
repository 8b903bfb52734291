"""The commit where R was the sole head: where the project's models are those that R stands for."""

from __future__ import annotations

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.history.cut import History, Migration
from tasklib.project.layout import Layout
from tasklib.repository import log
from tasklib.repository.git import Repository


def find(
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
    for commit in log.commits_touching(repository, layout.locations, tip):
        heads = _heads_at(repository, layout, commit, cache)
        if heads == (target.id,):
            return commit
        if len(heads) == 1:
            sole.append(heads[0])
    moved = log.renamed_from(repository, target.path, tip)
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
