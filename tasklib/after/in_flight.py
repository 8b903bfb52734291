"""Work in flight: what colleagues have elsewhere that hangs on a migration which goes. Reads git alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.history.cut import Migration
from tasklib.project.layout import Layout
from tasklib.repository import status, trees
from tasklib.repository.git import Repository, remembered

# Where a mention of a revision hurts, the worst first: what runs somewhere, what is imported, what is read.
RANKS = (
    ("deploy", re.compile(r"(^|/)(Dockerfile|Makefile|Procfile|Jenkinsfile|Justfile)|"
                          r"\.(sh|bash|ya?ml|tf|service|toml|ini|cfg)$|"
                          r"^(\.github|\.gitlab|\.circleci|deploy|ops|bin|scripts)/")),
    ("tests", re.compile(r"(^|/)(tests?|conftest\.py$|test_[^/]*\.py$)")),
    ("docs", re.compile(r"(^|/)docs?/|\.(md|rst|txt|adoc)$")),
    ("code", re.compile(r"\.py$")),
)  # fmt: skip
TITLE = "Work in flight (after the squash, `rebase-revision BRANCH` makes that change in a commit on the branch)"
IMPORT = re.compile(r"\bimport\b|\bimport_module\b|versions[./]")
NAMED = 3  # branches that are alike, by name
FEW = 100  # branches, of each of which git is asked where it begins
MANY = 1000
ORDER = ("deploy", "code", "tests", "docs", "other")


@dataclass(frozen=True)
class Gone:
    """What a squash takes away: ``ids`` (R is not one of them), ``paths`` of all files, R's own ``base`` among them;
    ``known`` are all ids of the branch that it is made on, ``tip`` that branch's commit.
    """

    revision: str
    base: str
    ids: frozenset[str]
    paths: frozenset[str]
    known: frozenset[str]
    tip: str

    @staticmethod
    def of(revision: str, gone: Iterable[Migration], kept: Iterable[str], tip: str) -> Gone:
        listed = list(gone)
        ids = frozenset(m.id for m in listed)
        paths = {m.id: m.path for m in listed}
        return Gone(revision, paths[revision], ids - {revision}, frozenset(paths.values()), ids | {*kept}, tip)


@dataclass(frozen=True)
class Hanging:
    """A migration elsewhere with parents that go; ``where`` is the branch, stash or work tree that has it."""

    where: str
    path: str
    migration: Migration
    parents: tuple[str, ...]

    def shown(self, revision: str) -> str:
        names = [n for n, of in (("down_revision", self.migration.down), ("depends_on", self.migration.depends_on))
                 if {*of} & {*self.parents}]  # fmt: skip
        return (
            f"{self.where}: {self.path} hangs on {', '.join(self.parents)}; its {' and '.join(names)} must name "
            f"{revision!r} instead"
        )


@dataclass(frozen=True)
class Place:
    """Somewhere that is not the branch which is squashed: its name, and its revision files with their texts, of those
    that this branch does not have just so. ``edited`` are files that go and that were changed there.
    """

    where: str
    files: Mapping[str, str]
    edited: tuple[str, ...] = ()


def lines(repository: Repository, layout: Layout, gone: Gone) -> list[str]:
    """What to say of it, a line for each migration that hangs on one which goes and each file changed on both sides."""
    places = [*_branches(repository, layout, gone), *_stashes(repository, layout, gone),
              *_work_trees(repository, layout, gone)]  # fmt: skip
    return [line for place in places for line in _lines(place, gone)]


def _lines(place: Place, gone: Gone) -> Iterator[str]:
    for one in hanging(place, gone):
        yield one.shown(gone.revision)
    for path in place.edited:
        what = "becomes the base" if path == gone.base else "goes"
        then = "the base's text" if path == gone.base else "it deleted"
        yield f"{place.where}: {path} was changed there, and {what} here: whoever merges keeps {then}"


def hanging(place: Place, gone: Gone) -> list[Hanging]:
    """The migrations of a place that hang on one which goes."""
    found = []
    for path, text in place.files.items():
        try:
            migration = revisions.parse(text, path)
        except Refused:
            continue  # half written, or no revision at all: whoever works on it will see
        if migration and migration.id not in gone.known and (parents := gone.ids & {*migration.parents}):
            found.append(Hanging(place.where, path, migration, tuple(sorted(parents))))
    return found


def of_commit(repository: Repository, layout: Layout, gone: Gone, where: str, commit: str) -> Place:
    """What a commit has that the squashed branch has not."""
    here = {entry.path: entry.blob for entry in revisions.files(repository, gone.tip, layout)}
    there = revisions.files(repository, commit, layout)
    fork = _fork(repository, commit, gone.tip)
    then = {e.path: e.blob for e in revisions.files(repository, fork, layout)} if fork else {}
    other = [e.path for e in there if e.path not in gone.paths and here.get(e.path) != e.blob]
    edited = [e.path for e in there if e.path in gone.paths and e.path in then and then[e.path] != e.blob]
    return Place(where, trees.read_many(repository, commit, other) if other else {}, tuple(edited))


@remembered
def _fork(repository: Repository, commit: str, tip: str) -> str:
    """The commit from which on a branch is another one than that which is squashed; "" where there is none."""
    return repository.run("merge-base", tip, commit, ok=(0, 1)).stdout.strip()


def _branches(repository: Repository, layout: Layout, gone: Gone) -> Iterator[Place]:
    """Branches that changed something where the revisions are; those that have the same there are one place."""
    names: dict[str, list[str]] = {}
    for commit, name in _changing(repository, layout, gone):
        names.setdefault(commit, []).append(name)
    alike: dict[tuple[str, ...], list[str]] = {}
    for commit, there in trees.below(repository, names, layout.locations).items():
        # What was changed there shows beside where the branch begins; robots' begin where that does which they are on.
        fork = _fork(repository, commit, gone.tip) if len(names) < FEW else ""
        alike.setdefault((fork, *there), []).append(commit)
    for commits in alike.values():
        shown = sorted((name for commit in commits for name in names[commit]), key=lambda name: (len(name), name))
        more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
        first = next(commit for commit in commits if shown[0] in names[commit])
        yield of_commit(repository, layout, gone, f"{', '.join(shown[:NAMED])}{more}", first)


def _changing(repository: Repository, layout: Layout, gone: Gone) -> Iterator[tuple[str, str]]:
    """Branches with commits of their own that change something where the revisions are: the commit, and the name."""
    changes = repository.run(
        "rev-list", "--branches", "--remotes", f"^{gone.tip}", "--", *layout.locations
    ).stdout.split()
    if not changes:
        return
    # Too many are as good as all, and no command line takes them.
    holding = [word for one in changes for word in ("--contains", one)] if len(changes) < MANY else []
    each = "%(if)%(symref)%(then)%(else)%(objectname) %(refname:lstrip=2)%(end)"
    words = ("for-each-ref", f"--format={each}", f"--no-merged={gone.tip}", *holding)
    for line in repository.run(*words, "refs/heads", "refs/remotes").stdout.split("\n"):
        if line:
            commit, name = line.split(" ", 1)
            yield commit, name


def _stashes(repository: Repository, layout: Layout, gone: Gone) -> Iterator[Place]:
    for line in repository.run("stash", "list", "--format=%gd %H").stdout.splitlines():
        name, commit = line.split(" ", 1)
        yield of_commit(repository, layout, gone, name, commit)
        if (untracked := repository.commit(f"{commit}^3")) is not None:
            yield of_commit(repository, layout, gone, name, untracked)


def _work_trees(repository: Repository, layout: Layout, gone: Gone) -> Iterator[Place]:
    """What is not committed, in this work tree and the others of the repository."""
    for line in repository.run("worktree", "list", "--porcelain").stdout.splitlines():
        top = Path(line.removeprefix("worktree "))
        if not line.startswith("worktree ") or not (top / ".git").exists():
            continue
        paths = [entry[3:] for entry in status.dirty(Repository(top, repository.common))]
        files = {path: (top / path).read_text(encoding="utf-8", errors="replace") for path in paths
                 if layout.holds_revision(path) and path not in gone.paths and (top / path).is_file()}  # fmt: skip
        yield Place("here, not committed" if top.resolve() == repository.top.resolve() else f"in {top}", files)


def mentions(repository: Repository, gone: Gone, outside: Sequence[str]) -> list[str]:
    """Lines of tracked text that name a revision or import a module which goes, the worst first, each with its rank."""
    modules = {PurePosixPath(path).stem for path in gone.paths - {gone.base}}
    found = [line for line in trees.mentions(repository, sorted(gone.ids | modules), outside)
             if any(one in line for one in gone.ids) or IMPORT.search(line)]  # fmt: skip
    ranked = sorted((ORDER.index(_rank(line)), number, line) for number, line in enumerate(found))
    return [f"{ORDER[rank]:6}  {line}" for rank, _, line in ranked]


def _rank(line: str) -> str:
    path = line.split(":", 1)[0]
    return next((name for name, pattern in RANKS if pattern.search(path)), "other")
