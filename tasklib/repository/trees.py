"""Contents of commits and trees: read, searched, written somewhere else, and composed to new trees."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tasklib import temporary
from tasklib.errors import Refused
from tasklib.repository.git import Entry, Repository, remembered


def read_many(repository: Repository, tree: str, paths: Sequence[str]) -> dict[str, str]:
    """The texts of files of a commit or tree: one checkout, not a process for each of several hundred."""
    known = _read(repository, tree)
    missing = [path for path in paths if path not in known]
    if missing:
        with temporary.directory("read") as directory:
            export(repository, tree, missing, directory)
            known.update((path, _text(repository, tree, path, directory)) for path in missing)
    return {path: known[path] for path in paths}


@remembered
def _read(repository: Repository, tree: str) -> dict[str, str]:
    """What has been read of a commit or tree: text by path."""
    del repository, tree
    return {}


def _text(repository: Repository, tree: str, path: str, exported: Path) -> str:
    """The text of an exported file; of what a link leads to, within the tree."""
    file = exported / path
    if not file.is_symlink():
        return file.read_text(encoding="utf-8", errors="replace")
    target = os.path.normpath(f"{PurePosixPath(path).parent}/{file.readlink()}")
    if not any(entry.path == target for entry in repository.files(tree)):
        raise Refused(f"{path} is a link to {file.readlink()}; a file that git holds was expected.",
                      f"git rm {path}, or put the file itself there, and commit")  # fmt: skip
    return repository.read(tree, target)


def files_matching(repository: Repository, pattern: str, tree: str, *globs: str) -> list[str]:
    """Paths of a tree's text files that fit one of ``globs`` and hold a match of an extended regular expression."""
    words = ["grep", "-l", "-I", "-z", "-E", pattern, tree, "--", *globs]
    found = repository.run(*words, ok=(0, 1)).stdout.split("\0")
    return [line.split(":", 1)[1] for line in found if line]


def below(repository: Repository, commits: Iterable[str], places: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The trees that commits have in these places, "" for none, by commit; in one process for all of them."""
    listed = list(commits)
    asked = "".join(f"{one}:{'' if place == '.' else place}\n" for one in listed for place in places)
    said = iter(repository.run("cat-file", "--batch-check=%(objectname)", stdin=asked).stdout.splitlines())
    found = {one: tuple(next(said) for _ in places) for one in listed}
    return {one: tuple("" if tree.endswith(" missing") else tree for tree in there) for one, there in found.items()}


def mentions(repository: Repository, words: Sequence[str], outside: Iterable[str]) -> list[str]:
    """Lines ("path:number: beginning") of tracked text outside the given paths that hold one of the words."""
    if not words:
        return []
    patterns = "\n".join(words) + "\n"
    not_there = [f":(exclude,top,literal){path}" for path in outside]
    result = repository.run(
        "grep", "-I", "-n", "-z", "-w", "-F", "-f", "-", "--", ".", *not_there, ok=(0, 1), stdin=patterns
    )
    found = []
    for line in result.stdout.splitlines():
        parts = line.split("\0")
        if len(parts) == 3:
            found.append(f"{parts[0]}:{parts[1]}: {parts[2].strip()[:90]}")
    return found


@contextmanager
def own_index(repository: Repository, entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
    """The environment of an index of ours that holds these entries and no other."""
    with temporary.directory("index") as directory:
        env = {"GIT_INDEX_FILE": str(directory / "index")}
        set_entries(repository, {entry.path: entry for entry in entries}, env)
        yield env


def set_entries(
    repository: Repository, wanted: Mapping[str, Entry | None], env: Mapping[str, str] | None = None
) -> None:
    """Make entries of the index what they are wanted to be, by path; None takes one out."""
    if wanted:
        none = "0" * len(repository.ask("hash-object", "--stdin"))  # SHA-256 has longer ids
        lines = [f"{e.mode} {e.blob}\t{path}" if e else f"0 {none}\t{path}" for path, e in wanted.items()]
        repository.run("update-index", "-z", "--index-info", stdin="\0".join(lines) + "\0", env=env)


def export(repository: Repository, tree: str, paths: Iterable[str], to: Path) -> None:
    """Write files of a commit (or tree) below ``to``, as a checkout would (line ends, filters, modes)."""
    wanted = set(paths)
    if wanted:
        with own_index(repository, (entry for entry in repository.files(tree) if entry.path in wanted)) as env:
            repository.run("checkout-index", "--all", "--force", f"--prefix={to}/", env=env)


def keep(repository: Repository, text: str) -> str:
    """Write a text into git's objects; returns the id of its blob."""
    return repository.run("hash-object", "-w", "--stdin", stdin=text).stdout.strip()


def composed_tree(repository: Repository, commit: str, remove: Iterable[str], add: Iterable[Entry]) -> str:
    """A tree made from a commit's, without some paths and with files of other commits; returns its id."""
    with own_index(repository, ()) as env:
        repository.run("read-tree", commit, env=env)
        set_entries(repository, {**dict.fromkeys(remove), **{entry.path: entry for entry in add}}, env)
        return repository.run("write-tree", env=env).stdout.strip()
