"""Door to git: one function per question, one verb per change; objects first, refs last.

Paths in results are relative to the top level and use ``/``. Every ref is moved by naming the value that it is expected
to have, so that somebody else's commit is never lost.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
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
    """A file in a git tree: its path and the id of its blob."""

    path: str
    blob: str


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
        return shell.run(
            ["git", *words], cwd=self.top, env={**_environment(), **ours, **(env or {})}, ok=ok, stdin=stdin
        )

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
        return self.run("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1)).stdout.strip() or None

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
                found.append(Entry(path, meta.split()[2]))
        return found

    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.run("cat-file", "blob", f"{commit}:{path}").stdout

    def read_many(self, tree: str, paths: Sequence[str]) -> dict[str, str]:
        """The texts of files of a commit or tree: one checkout, not a process for each of several hundred."""
        with tempfile.TemporaryDirectory(prefix="alembic-squash-read-") as directory:
            self.export(tree, paths, Path(directory))
            return {path: (Path(directory) / path).read_text(encoding="utf-8", errors="replace") for path in paths}

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self.run("merge-base", "--is-ancestor", older, newer, ok=(0, 1)).code == 0

    def unmerged_branches(self, commit: str) -> list[str]:
        """Local branches with commits that ``commit`` does not reach."""
        return self.run(
            "for-each-ref", "--format=%(refname:short)", f"--no-merged={commit}", "refs/heads"
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
        path = ""
        for line in self.run("worktree", "list", "--porcelain").stdout.splitlines():
            if line.startswith("worktree "):
                path = line.removeprefix("worktree ")
            elif line == f"branch refs/heads/{branch}" and Path(path).resolve() != self.top.resolve():
                return path
        return None

    def has_identity(self) -> bool:
        """Whether git knows a name and an address to commit with."""
        return self.run("var", "GIT_COMMITTER_IDENT", ok=(0, 128)).code == 0

    def files_matching(self, pattern: str, tree: str, glob: str) -> list[str]:
        """Paths of a tree's text files that fit ``glob`` and hold a match of an extended regular expression."""
        words = ["grep", "-l", "-I", "-z", "-E", pattern, tree, "--", glob]
        found = self.run(*words, ok=(0, 1)).stdout.split("\0")
        return [line.split(":", 1)[1] for line in found if line]

    def changed_outside(self, places: Sequence[str]) -> list[str]:
        """Tracked files that differ from HEAD, in index or work tree, and lie in none of ``places``."""
        words = [
            "diff",
            "--name-only",
            "-z",
            "HEAD",
            "--",
            ".",
            *(f":(exclude,top,literal){place}" for place in places),
        ]
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

    def blobs(self, paths: Sequence[str]) -> dict[str, str]:
        """The ids that files of the work tree would have as blobs, by path (line ends and filters as git has them)."""
        if not paths:
            return {}
        found = self.run("hash-object", "--stdin-paths", stdin="\n".join(paths) + "\n").stdout.split()
        return dict(zip(paths, found, strict=True))

    # --- changes -------------------------------------------------------------------------------------------------

    def export(self, tree: str, paths: Sequence[str], to: Path) -> None:
        """Write files of a tree below the directory ``to``, as a checkout would (line ends, filters, modes)."""
        if not paths:
            return
        with tempfile.TemporaryDirectory(prefix="alembic-squash-index-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            self.run("read-tree", tree, env=env)
            self.run(
                "checkout-index", "--force", "-z", "--stdin", f"--prefix={to}/", stdin="\0".join(paths) + "\0", env=env
            )

    def work_tree_as_tree(self, places: Sequence[str], without: Sequence[str] = ()) -> str:
        """The tree that a commit after `add_changes` of the same places would have; the index stays as it is."""
        with tempfile.TemporaryDirectory(prefix="alembic-squash-index-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            # From the index and not from HEAD: a merge that is not committed yet has put its new files there.
            shutil.copyfile(self.top / self.ask("rev-parse", "--git-path", "index"), env["GIT_INDEX_FILE"])
            self.add_changes(places, without, env)
            return self.run("write-tree", env=env).stdout.strip()

    def composed_tree(self, commit: str, remove: Sequence[str], add: Sequence[Entry]) -> str:
        """A tree made from a commit's, without some paths and with files of other commits; returns its id."""
        with tempfile.TemporaryDirectory(prefix="alembic-squash-index-") as directory:
            env = {"GIT_INDEX_FILE": str(Path(directory) / "index")}
            self.run("read-tree", commit, env=env)
            lines = [f"0 {'0' * 40}\t{path}" for path in remove] + [f"100644 {e.blob} 0\t{e.path}" for e in add]
            self.run("update-index", "-z", "--index-info", stdin="\0".join(lines) + "\0", env=env)
            return self.run("write-tree", env=env).stdout.strip()

    def switch_to_new_branch(self, branch: str, start: str) -> None:
        self.run("checkout", "--quiet", "--no-track", "-b", branch, start)

    def switch(self, branch: str) -> None:
        self.run("checkout", "--quiet", branch)

    @contextmanager
    def set_aside(self, paths: Sequence[str]) -> Iterator[None]:
        """Keep the work tree's contents of tracked files over the block, whatever is checked out in it.

        Not `git stash`: it takes the whole index along, and so brings other files' staged deletions back.
        """
        files = [self.top / path for path in paths]
        contents = [file.read_bytes() if file.is_file() else None for file in files]
        try:
            yield
        finally:
            for file, content in zip(files, contents, strict=True):
                if content is None:
                    file.unlink(missing_ok=True)
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)

    def switch_forced(self, branch: str) -> None:
        """Check out ``branch``, throwing away changes to tracked files (of a squash branch that is given up)."""
        self.run("checkout", "--quiet", "--force", branch)

    def remove(self, paths: Sequence[str]) -> None:
        """Take tracked, committed files out of index and tree; missing ones are no error."""
        if paths:
            self.run("rm", "--quiet", "--force", "--ignore-unmatch", "--pathspec-from-file=-", "--pathspec-file-nul",
                     stdin="\0".join(_literal(paths)) + "\0")  # fmt: skip

    def restore(self, commit: str, paths: Sequence[str]) -> None:
        """Put files of a commit back into index and tree."""
        if paths:
            self.run("checkout", "--quiet", commit, "--pathspec-from-file=-", "--pathspec-file-nul",
                     stdin="\0".join(_literal(paths)) + "\0")  # fmt: skip

    def add(self, paths: Sequence[str]) -> None:
        """Put files of the work tree into the index; ignored ones are left out."""
        if paths:
            self.run("add", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul", ok=(0, 1),
                     stdin="\0".join(_literal(paths)) + "\0")  # fmt: skip

    def add_changes(
        self, places: Sequence[str], without: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        """Take into the index: changes of tracked files anywhere, and new files in ``places`` only; no file of
        ``without``.

        Whatever the user puts elsewhere in the tree meanwhile is no part of a squash.
        """
        not_these = [f":(exclude,top,literal){path}" for path in without]
        self.run("add", "--update", "--", ".", *not_these, env=env)
        there = [place for place in places if (self.top / place).exists()]
        if there:
            # `git add` fails where it is told to leave out what is ignored anyway.
            found = self.run("check-ignore", "-z", "--stdin", ok=(0, 1), stdin="\0".join(without)) if without else None
            ignored = found.stdout.split("\0") if found else []
            not_these = [f":(exclude,top,literal){path}" for path in without if path not in ignored]
            self.run("add", "--all", "--", *_literal(there), *not_these, env=env)

    def commit_index(self, message: str) -> str:
        """Commit the index (as it is already, where nothing changed) with the user's own hooks and signing."""
        self.run("commit", "--quiet", "--allow-empty", "--file=-", stdin=message)
        return self.ask("rev-parse", "HEAD")

    def uncommit(self, to: str) -> None:
        """Take the branch back to ``to``; index and tree stay as they are."""
        self.run("reset", "--quiet", "--soft", to)

    def merge_without_commit(self, commit: str) -> list[str]:
        """Merge into index and tree, uncommitted; returns the paths in conflict."""
        result = self.run("merge", "--no-commit", "--no-ff", "--quiet", "-X", "no-renames", commit, ok=(0, 1))
        conflicts = self.run("diff", "--name-only", "--diff-filter=U", "-z").stdout.split("\0")
        paths = [path for path in conflicts if path]
        if result.code and not paths:
            raise CommandFailed(result.argv, result.code, result.stdout, result.stderr)
        return paths

    def merging(self) -> bool:
        return self.run("rev-parse", "--verify", "--quiet", "MERGE_HEAD", ok=(0, 1)).code == 0

    def abort_merge(self) -> None:
        self.run("merge", "--abort")

    def move_branch(self, branch: str, new: str, old: str) -> None:
        """Compare-and-swap: `Refused` where ``branch`` is no longer at ``old``."""
        result = self.run("update-ref", "-m", "alembic-squash", f"refs/heads/{branch}", new, old, ok=None)
        if result.code:
            raise Refused(
                f"The branch {branch} is at {self.commit(f'refs/heads/{branch}')}, it was expected at {old}: "
                "somebody moved it meanwhile. Nothing was merged.",
            )

    def point_head_at(self, branch: str) -> None:
        """Make ``branch`` current; index and tree stay, so it must hold the same tree as HEAD."""
        self.run("symbolic-ref", "-m", "alembic-squash", "HEAD", f"refs/heads/{branch}")

    def delete_branch(self, branch: str, old: str) -> None:
        self.run("update-ref", "-d", f"refs/heads/{branch}", old)
        # update-ref leaves the branch's section in the configuration, which `git branch -D` would remove.
        self.run("config", "--remove-section", f"branch.{branch}", ok=None)


@contextmanager
def reading_only(repository: Repository) -> Iterator[Repository]:
    """The same repository, with nothing written into it over the block."""
    with tempfile.TemporaryDirectory(prefix="alembic-squash-objects-") as directory:
        yield replace(repository, objects=Path(directory))


def find(cwd: Path) -> Repository:
    """The repository around ``cwd``; `Refused` where there is none, or it has no work tree or no commit."""
    result = shell.run(
        ["git", "rev-parse", "--show-toplevel", "--git-common-dir"], cwd=cwd, env=_environment(), ok=None
    )
    if result.code:
        raise Refused(
            f"{cwd} is not in a git repository with a work tree; one was expected: the squash lives in git. git said: "
            f"{result.stderr.strip()}",
            "cd into your project's repository, then run this again",
        )
    top, common = result.stdout.splitlines()
    repository = Repository(Path(top), (cwd / common).resolve())
    if repository.commit("HEAD") is None:
        raise Refused("The repository has no commit yet; a committed migration history was expected.", "git commit")
    return repository


def _literal(paths: Sequence[str]) -> list[str]:
    # A name such as [a].py is a pattern to git unless told otherwise.
    return [f":(top,literal){path}" for path in paths]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in LOCATION_VARIABLES}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
