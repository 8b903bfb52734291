"""Door to git: one function per question, one verb per change; objects first, refs last.

Paths in results are relative to the top level and use ``/``. Every ref is moved by naming the value that it is expected
to have, so that somebody else's commit is never lost.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Concatenate, ParamSpec, TypeVar

from tasklib import shell
from tasklib.errors import CommandFailed, Refused

T = TypeVar("T")
P = ParamSpec("P")

# Set by git for its hooks and aliases; they would make git answer for another repository, index or directory.
LOCATION_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
)

# What the user's configuration may say that would make git answer in another form, or refuse what we write.
OVERRIDES = (
    "color.ui=false",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "grep.column=false",
    "i18n.commitEncoding=utf-8",
    "i18n.logOutputEncoding=utf-8",
    "log.showSignature=false",
    "status.branch=false",
)
# What git leaves in its directory while it waits for the user, and what it is called.
UNDER_WAY = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


def remembered(question: Callable[Concatenate[Repository, str, P], T]) -> Callable[Concatenate[Repository, str, P], T]:
    """Ask once in a process: ``question(repository, name, …)``, where ``name`` is a whole object id, whose contents
    never change. Any other name (HEAD, a branch) is asked about each time.
    """
    answers: dict[tuple[Hashable, ...], T] = {}

    @wraps(question)
    def ask(repository: Repository, name: str, /, *others: P.args, **named: P.kwargs) -> T:
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
            return question(repository, name, *others, **named)
        key = (repository.common, name, *others, *sorted(named.items()))
        if key not in answers:
            answers[key] = question(repository, name, *others, **named)
        return answers[key]

    return ask


@dataclass(frozen=True)
class Entry:
    """A file in a git tree: its path, the id of its blob, and its mode as git writes it (120000 is a link)."""

    path: str
    blob: str
    mode: str = "100644"


@dataclass(frozen=True)
class Repository:
    """A repository with a work tree: its top level and git's common directory (shared by all work trees).

    ``objects``: where new objects go, so that a repository that may not be written to can still be asked.
    """

    top: Path
    common: Path
    objects: Path | None = None

    def run(
        self,
        *words: str,
        ok: Sequence[int] | None = (0,),
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> shell.Result:
        """Run git at the top level, its messages in English whatever the user's locale."""
        ours = {}
        if self.objects is not None:
            others = str(self.common / "objects")
            ours = {"GIT_OBJECT_DIRECTORY": str(self.objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": others}
        argv = ["git", *(word for one in OVERRIDES for word in ("-c", one)), *words]
        try:
            done = shell.run(argv, cwd=self.top, env={**_environment(), **ours, **(env or {})}, ok=ok, stdin=stdin)
        except CommandFailed as failure:
            full = re.search("Out of diskspace|No space left|unable to write|write error", failure.stderr)
            hint = f"df -h {self.top} {tempfile.gettempdir()}" if full else ""
            raise CommandFailed(["git", *words], failure.exit_code, failure.stdout, failure.stderr, hint) from None
        return replace(done, argv=("git", *words))

    def ask(self, *words: str) -> str:
        """The one line that git answers."""
        return self.run(*words).stdout.strip()

    # --- questions -----------------------------------------------------------------------------------------------

    def branch(self) -> str:
        """The current branch's short name; `Refused` on a detached HEAD."""
        name = self.current_branch()
        if name is None:
            raise Refused(
                f"HEAD is detached at {self.ask('rev-parse', '--short', 'HEAD')}; a branch was expected.",
                "git checkout BRANCH, then run this again",
            )
        return name

    def current_branch(self) -> str | None:
        """The current branch's short name, or None on a detached HEAD."""
        # Not --short: where a tag has the same name, that says heads/NAME.
        return self.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1)).stdout.strip().removeprefix("refs/heads/") or None

    def under_way(self) -> str | None:
        """What git is in the middle of (a rebase, a merge …) and waits for the user to go on with, or None."""
        return next((word for name, word in UNDER_WAY.items() if self.own(name).exists()), None)

    def own(self, name: str) -> Path:
        """The path of a file in git's own directory, of this work tree or the common one."""
        return self.top / self.ask("rev-parse", "--git-path", name)

    def commit(self, name: str) -> str | None:
        """The commit id that ``name`` stands for, or None."""
        result = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1, 128))
        return result.stdout.strip() or None

    def tree(self, name: str) -> str:
        """The id of the tree of a commit."""
        return self.ask("rev-parse", "--verify", f"{name}^{{tree}}")

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        return self.run("log", "-1", "--format=%B", commit).stdout

    def branch_exists(self, branch: str) -> bool:
        return self.commit(f"refs/heads/{branch}") is not None

    def dirty(self) -> list[str]:
        """Lines of ``git status --porcelain``, untracked files included; empty for a clean work tree."""
        return [
            line
            for line in self.run("status", "--porcelain=v1", "-z", "--untracked-files=all").stdout.split("\0")
            if line
        ]

    @remembered
    def files(self, commit: str, under: str = "") -> list[Entry]:
        """All files of a commit (or tree), those below the directory ``under`` only."""
        words = ["ls-tree", "-r", "-z", "--full-tree", commit]
        if under and under != ".":
            words += ["--", under.rstrip("/") + "/"]
        found = []
        for line in self.run(*words).stdout.split("\0"):
            if line:
                meta, path = line.split("\t", 1)
                found.append(Entry(path, meta.split()[2], meta.split()[0]))
        return found

    def entries(self) -> dict[str, Entry]:
        """The index by path; the mode of one that is in conflict is "conflict"."""
        found = {}
        for line in self.run("ls-files", "--stage", "-z").stdout.split("\0"):
            if line:
                meta, path = line.split("\t", 1)
                mode, blob, stage = meta.split()
                found[path] = Entry(path, blob, mode if stage == "0" else "conflict")
        return found

    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.run("cat-file", "blob", f"{commit}:{path}").stdout

    def read_many(self, tree: str, paths: Sequence[str]) -> dict[str, str]:
        """The texts of files of a commit or tree: one checkout, not a process for each of several hundred."""
        with tempfile.TemporaryDirectory(prefix="alembic-squash-read-") as directory:
            self.export(tree, paths, Path(directory))
            return {path: self._text(tree, path, Path(directory)) for path in paths}

    def _text(self, tree: str, path: str, exported: Path) -> str:
        """The text of an exported file; of what a link leads to, within the tree."""
        file = exported / path
        if not file.is_symlink():
            return file.read_text(encoding="utf-8", errors="replace")
        target = os.path.normpath(f"{PurePosixPath(path).parent}/{file.readlink()}")
        if not any(entry.path == target for entry in self.files(tree)):
            raise Refused(f"{path} is a link to {file.readlink()}; a file that git holds was expected.",
                          f"git rm {path}, or put the file itself there, and commit")  # fmt: skip
        return self.read(tree, target)

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self.run("merge-base", "--is-ancestor", older, newer, ok=(0, 1)).code == 0

    def unmerged_branches(self, commit: str) -> list[str]:
        """Local branches with commits that ``commit`` does not reach."""
        return self.run(
            "for-each-ref", "--format=%(refname:lstrip=2)", f"--no-merged={commit}", "refs/heads"
        ).stdout.split()

    def commits_touching(self, paths: Sequence[str], start: str) -> list[str]:
        """Commits reachable from ``start`` that touch one of ``paths``, newest first; merges are followed."""
        return self.run("rev-list", "--full-history", start, "--", *paths).stdout.split()

    def renamed_from(self, path: str, start: str) -> tuple[str, str] | None:
        """(commit, earlier path) of the last time that a file was renamed, as git sees it; None where it never was."""
        words = ["log", "--follow", "--diff-filter=R", "--name-status", "--format=%H", "-z", "-1", start, "--", path]
        parts = [part.strip() for part in self.run(*words).stdout.split("\0")]
        at = next((number for number, part in enumerate(parts) if re.fullmatch(r"R\d+", part)), None)
        return (parts[0], parts[at + 1]) if at else None

    def commits_since(self, commit: str, *known: str) -> list[str]:
        """Commits that ``commit`` reaches and none of the ``known`` does."""
        return self.run("rev-list", commit, "--not", *known).stdout.split()

    def in_other_work_tree(self, branch: str) -> str | None:
        """The path of another work tree that has ``branch`` checked out, or None."""
        trees = self.run("worktree", "list", "--porcelain").stdout.split("\n\n")
        # The first one is the main one, and of a submodule or a separate git directory it is named by the latter.
        main = (self.top / self.ask("rev-parse", "--git-dir")).resolve() == self.common
        for number, tree in enumerate(trees):
            lines = tree.splitlines()
            path = lines[0].removeprefix("worktree ") if lines else ""
            mine = number == 0 if main else Path(path).resolve() == self.top.resolve()
            if f"branch refs/heads/{branch}" in lines and not mine:
                return path
        return None

    def has_identity(self) -> bool:
        """Whether git knows a name and an address to commit with."""
        return self.run("var", "GIT_COMMITTER_IDENT", ok=(0, 128)).code == 0

    def why_not_signed(self) -> str | None:
        """What git said where it should sign commits and cannot; None where it can, or need not."""
        if self.run("config", "--type=bool", "commit.gpgSign", ok=None).stdout.strip() != "true":
            return None
        with reading_only(self) as trial:  # the object goes with the trial
            empty = trial.ask("hash-object", "-w", "-t", "tree", os.devnull)
            result = trial.run("commit-tree", "-S", empty, stdin="a trial\n", ok=None)
        return (result.stderr.strip() or "nothing") if result.code else None

    def files_matching(self, pattern: str, tree: str, glob: str) -> list[str]:
        """Paths of a tree's text files that fit ``glob`` and hold a match of an extended regular expression."""
        words = ["grep", "-l", "-I", "-z", "-E", pattern, tree, "--", glob]
        found = self.run(*words, ok=(0, 1)).stdout.split("\0")
        return [line.split(":", 1)[1] for line in found if line]

    def differing(self, *commits: str) -> list[str]:
        """Files that differ between two commits, or between one and index or work tree."""
        words = ("diff", "--name-only", "--no-renames", "-z", *commits)
        return [path for path in self.run(*words).stdout.split("\0") if path]

    def changed(self) -> list[str]:
        """Tracked files whose work tree is not what the index holds."""
        return [path for path in self.run("diff", "--name-only", "-z").stdout.split("\0") if path]

    def mentions(self, words: Sequence[str], outside: Iterable[str]) -> list[str]:
        """Lines ("path:number: beginning") of tracked text outside the given paths that hold one of the words."""
        if not words:
            return []
        patterns = "\n".join(words) + "\n"
        not_there = [f":(exclude,top,literal){path}" for path in outside]
        result = self.run(
            "grep", "-I", "-n", "-z", "-w", "-F", "-f", "-", "--", ".", *not_there, ok=(0, 1), stdin=patterns
        )
        found = []
        for line in result.stdout.splitlines():
            parts = line.split("\0")
            if len(parts) == 3:
                found.append(f"{parts[0]}:{parts[1]}: {parts[2].strip()[:90]}")
        return found

    def unheld(self, under: str) -> list[str]:
        """Files below ``under`` that git does not hold, ignored ones included; never ours to delete."""
        words = ["ls-files", "-z", "--others", "--", under or "."]
        return [path for path in self.run(*words).stdout.split("\0") if path]

    def ignoring(self, path: str) -> str | None:
        """The rule by which git ignores an untracked file of this path (file:line:pattern), or None."""
        return self.run("check-ignore", "--verbose", "--", path, ok=(0, 1)).stdout.split("\t")[0].strip() or None

    # --- trees and indexes of our own --------------------------------------------------------------------------------

    @contextmanager
    def own_index(self, entries: Iterable[Entry]) -> Iterator[dict[str, str]]:
        """The environment of an index of ours that holds these entries and no other."""
        with tempfile.TemporaryDirectory(prefix="alembic-squash-index-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            self.set_entries({entry.path: entry for entry in entries}, env)
            yield env

    def set_entries(self, wanted: Mapping[str, Entry | None], env: Mapping[str, str] | None = None) -> None:
        """Make entries of the index what they are wanted to be, by path; None takes one out."""
        if wanted:
            none = "0" * len(self.ask("hash-object", "--stdin"))  # SHA-256 has longer ids
            lines = [f"{e.mode} {e.blob}\t{path}" if e else f"0 {none}\t{path}" for path, e in wanted.items()]
            self.run("update-index", "-z", "--index-info", stdin="\0".join(lines) + "\0", env=env)

    def export(self, tree: str, paths: Iterable[str], to: Path) -> None:
        """Write files of a commit (or tree) below ``to``, as a checkout would (line ends, filters, modes)."""
        wanted = set(paths)
        if wanted:
            with self.own_index(entry for entry in self.files(tree) if entry.path in wanted) as env:
                self.run("checkout-index", "--all", "--force", f"--prefix={to}/", env=env)

    def composed_tree(self, commit: str, remove: Iterable[str], add: Iterable[Entry]) -> str:
        """A tree made from a commit's, without some paths and with files of other commits; returns its id."""
        with self.own_index(()) as env:
            self.run("read-tree", commit, env=env)
            self.set_entries({**dict.fromkeys(remove), **{entry.path: entry for entry in add}}, env)
            return self.run("write-tree", env=env).stdout.strip()


@contextmanager
def reading_only(repository: Repository) -> Iterator[Repository]:
    """The same repository, with nothing written into it over the block."""
    with tempfile.TemporaryDirectory(prefix="alembic-squash-objects-") as directory:
        yield replace(repository, objects=Path(directory))


def find(cwd: Path) -> Repository:
    """The repository around ``cwd``; `Refused` where there is none, or it has no work tree or no commit."""
    said = []
    for question in ("--show-toplevel", "--git-common-dir"):  # a path may hold a line break
        result = shell.run(["git", "rev-parse", question], cwd=cwd, env=_environment(), ok=None)
        if result.code:
            trust = re.search(r"git config --global --add safe\.directory .*", result.stderr)
            raise Refused(
                f"{cwd} is not in a git repository with a work tree; one was expected: the squash lives in git. git "
                f"said: {result.stderr.strip()}",
                trust.group(0) if trust else "cd into your project's repository, then run this again",
            )
        said.append(result.stdout.removesuffix("\n"))
    top, common = said
    repository = Repository(Path(top), (cwd / common).resolve())
    if repository.commit("HEAD") is None:
        raise Refused("The repository has no commit yet; a committed migration history was expected.", "git commit")
    return repository


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in LOCATION_VARIABLES}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
