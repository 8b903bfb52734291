"""Index and work tree, changed by exact paths; a file that is not as git or this program left it is left alone.

By plumbing only: `git rm`, `add` and `checkout` follow ignore rules, patterns of sparse checkouts and flags such as
assume-unchanged, and throw away what they do not look at.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasklib import temporary
from tasklib.repository import status, trees
from tasklib.repository.git import Repository

LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock")


def take_out(repository: Repository, commit: str, paths: Sequence[str], aside: Path | None = None) -> None:
    """Take files out of the index, and out of the tree where they are as ``commit`` has them; directories that are
    empty then too.

    They are kept below ``aside``: what git would check out need not be the same bytes (line ends).
    """
    top = repository.top
    same = as_committed(repository, commit, paths)
    trees.set_entries(repository, dict.fromkeys(paths))
    for path in sorted(same):
        if aside is None:
            (top / path).unlink()
        else:
            move(top / path, aside / path)
        for parent in (top / path).parents:
            if parent == top or any(parent.iterdir()):
                break
            parent.rmdir()


@dataclass(frozen=True)
class Left:
    """What `put_back` met that nobody but the user can have put there: files that it left alone, and those of this
    program that were edited since, kept in git as a blob each.
    """

    alone: tuple[str, ...] = ()
    edited: Mapping[str, str] = field(default_factory=dict)


def put_back(
    repository: Repository,
    commit: str,
    paths: Iterable[str],
    placed: Mapping[str, str],
    aside: Path,
    ours: Iterable[str] = (),
) -> Left:
    """Make files what ``commit`` has of them, none where it has none, in index and tree; those kept ``aside`` first.

    Only those that are missing, that the program put there (``placed``, by `digest`), or that are as one of the commits
    ``ours`` has them. Any other file stays.
    """
    top, wanted = repository.top, set(paths)
    held = {entry.path: entry for entry in repository.files(commit) if entry.path in wanted}
    # An entry that is right keeps its flags.
    now = status.entries(repository)
    trees.set_entries(repository, {path: held.get(path) for path in sorted(wanted) if now.get(path) != held.get(path)})
    other = {path for path in wanted if exists(top / path)} - as_committed(repository, commit, wanted)
    mine = other & {*placed, *(path for one in ours for path in as_committed(repository, one, other))}
    mine = {path for path in mine if not (top / path).is_dir() or (top / path).is_symlink()}
    edited = {
        path: repository.ask("hash-object", "-w", "--no-filters", "--", path)
        for path in sorted(mine & placed.keys())
        if placed[path] != digest(top / path) and (top / path).is_file()
    }
    for path in mine:
        (top / path).unlink()
    missing = [path for path in held if not exists(top / path)]
    kept = [path for path in missing if exists(aside / path)]
    for path in kept:
        move(aside / path, top / path)
    same = as_committed(repository, commit, kept)
    for path in {*kept} - same:  # of another commit
        (top / path).unlink()
    missing = [path for path in missing if path not in same]
    if missing:
        words = ("checkout-index", "--quiet", "--index", "-z", "--stdin")
        repository.run(*words, stdin="\0".join(missing) + "\0")
    repository.run("update-index", "-q", "--refresh", ok=None)
    return Left(tuple(sorted(other - mine)), edited)


def as_tree(repository: Repository, paths: Sequence[str]) -> str:
    """The tree that a commit after `stage` of the same paths would have; the index stays as it is."""
    with temporary.directory("index") as directory:
        env = {"GIT_INDEX_FILE": str(directory / "index")}
        # From the index and not from HEAD: a merge that is not committed yet has put its new files there.
        shutil.copyfile(repository.own("index"), env["GIT_INDEX_FILE"])
        stage(repository, paths, env)
        return repository.run("write-tree", env=env).stdout.strip()


def stage(repository: Repository, paths: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Take into the index what the work tree has of these paths, also where git ignores them."""
    words = ("update-index", "--add", "--remove", "-z", "--stdin")
    repository.run(*words, stdin="\0".join(paths) + "\0", env=env)


def as_committed(repository: Repository, commit: str, paths: Iterable[str]) -> set[str]:
    """Those of the files that are as a commit (or tree) has them: contents (after filters), mode and kind."""
    wanted = set(paths)
    held = [entry for entry in repository.files(commit) if entry.path in wanted] if wanted else []
    if not held:
        return set()
    # An index of these files alone has no flags by which git would not look at them.
    with trees.own_index(repository, held) as env:
        repository.run("update-index", "-q", "--refresh", ok=None, env=env)
        unlike = repository.run("diff-files", "--name-only", "-z", env=env).stdout.split("\0")
    return {entry.path for entry in held} - {*unlike}


def hidden(repository: Repository, paths: Sequence[str]) -> dict[str, str]:
    """Those of the files that git was told not to look at, with the word for it."""
    wanted = set(paths)
    listed = [line for line in repository.run("ls-files", "-v", "-z").stdout.split("\0") if line[2:] in wanted]
    found = {line[2:]: "skip-worktree" if line[0] in "Ss" else "assume-unchanged" for line in listed}
    return {line[2:]: found[line[2:]] for line in listed if line[0].islower() or line[0] == "S"}


def remove_stale_locks(repository: Repository) -> None:
    """Remove locks that a git which was killed left behind: where no git is at work here, and they stay as they are."""
    locks = [repository.own(name) for name in LOCKS]
    heads = repository.common / "refs" / "heads"
    there = [lock for lock in [*locks, *heads.rglob("*.lock")] if lock.exists()]
    if there and Path("/proc/self/stat").exists():
        time.sleep(1)  # somebody else's git would be done with it
        if not _git_at_work(repository):
            for lock in there:
                lock.unlink(missing_ok=True)


def _git_at_work(repository: Repository) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if (process / "comm").read_text().startswith("git") and (process / "cwd").readlink().is_relative_to(
                repository.top.resolve()
            ):
                return True
    return False


def move(source: Path, target: Path) -> None:
    """Also between file systems, and so that a kill leaves the whole file at one of the two places."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name[:200]}.new")
    try:
        source.rename(target)
    except OSError:
        shutil.copy2(source, fresh, follow_symlinks=False)
        fresh.replace(target)
        source.unlink()


def exists(file: Path) -> bool:
    """Whether something is there, a link that leads nowhere too."""
    return file.is_symlink() or file.exists()


def digest(file: Path) -> str:
    """What the plan keeps of a file that this program put into the tree, to see later whether it is still that."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
