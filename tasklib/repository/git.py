"""Door to git: one function per question, one verb per change; objects first, refs last.

Paths in results are relative to the top level and use ``/``. Every ref is moved by naming the value that it is expected
to have, so that somebody else's commit is never lost.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from tasklib import shell, temporary
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

    @remembered
    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.run("cat-file", "blob", f"{commit}:{path}").stdout


@contextmanager
def reading_only(repository: Repository) -> Iterator[Repository]:
    """The same repository, with nothing written into it over the block."""
    with temporary.directory("objects") as directory:
        yield replace(repository, objects=directory)


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
