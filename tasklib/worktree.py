"""Index and work tree, changed by exact paths; a file that is not as git or this program left it is left alone.

By plumbing only: `git rm`, `add` and `checkout` follow ignore rules, patterns of sparse checkouts and flags such as
assume-unchanged, and throw away what they do not look at.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasklib.git import Repository


def take_out(repository: Repository, commit: str, paths: Sequence[str]) -> None:
    """Take files out of the index, and out of the tree where they are as ``commit`` has them; directories that are
    empty then too.
    """
    top = repository.top
    same = as_committed(repository, commit, paths)
    repository.set_entries(dict.fromkeys(paths))
    for path in sorted(same):
        (top / path).unlink()
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
    repository: Repository, commit: str, paths: Iterable[str], placed: Mapping[str, str], ours: Iterable[str] = ()
) -> Left:
    """Make files what ``commit`` has of them, none where it has none, in index and tree.

    Only those that are missing, that the program put there (``placed``, by `digest`), or that are as one of the commits
    ``ours`` has them. Any other file stays.
    """
    top, wanted = repository.top, set(paths)
    held = {entry.path: entry for entry in repository.files(commit) if entry.path in wanted}
    # An entry that is right keeps its flags.
    now = repository.entries()
    repository.set_entries({path: held.get(path) for path in sorted(wanted) if now.get(path) != held.get(path)})
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
    if missing:
        words = ("checkout-index", "--quiet", "--index", "-z", "--stdin")
        repository.run(*words, stdin="\0".join(missing) + "\0")
    repository.run("update-index", "-q", "--refresh", ok=None)
    return Left(tuple(sorted(other - mine)), edited)


def as_tree(repository: Repository, paths: Sequence[str]) -> str:
    """The tree that a commit after `stage` of the same paths would have; the index stays as it is."""
    with tempfile.TemporaryDirectory(prefix="alembic-squash-index-") as directory:
        env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
        # From the index and not from HEAD: a merge that is not committed yet has put its new files there.
        shutil.copyfile(repository.top / repository.ask("rev-parse", "--git-path", "index"), env["GIT_INDEX_FILE"])
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
    with repository.own_index(held) as env:
        repository.run("update-index", "-q", "--refresh", ok=None, env=env)
        unlike = repository.run("diff-files", "--name-only", "-z", env=env).stdout.split("\0")
    return {entry.path for entry in held} - {*unlike}


def hidden(repository: Repository, paths: Sequence[str]) -> dict[str, str]:
    """Those of the files that git was told not to look at, with the word for it."""
    wanted = set(paths)
    listed = [line for line in repository.run("ls-files", "-v", "-z").stdout.split("\0") if line[2:] in wanted]
    found = {line[2:]: "skip-worktree" if line[0] in "Ss" else "assume-unchanged" for line in listed}
    return {line[2:]: found[line[2:]] for line in listed if line[0].islower() or line[0] == "S"}


def exists(file: Path) -> bool:
    """Whether something is there, a link that leads nowhere too."""
    return file.is_symlink() or file.exists()


def digest(file: Path) -> str:
    """What the plan keeps of a file that this program put into the tree, to see later whether it is still that."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
