"""Commands as they are typed, each in a repository where that makes sense; killed, and what must be so afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasklib.postgres import client
from tasklib.workbench.bench import TASKS
from tests.support.project import BIN, VARIABLE, Done, Plain, Project, Step, query, server_homes
from tests.support.world import world
from tests.unharmed.running import PATIENCE, Running, begin, processes, until

CHECKOUT = ("checkout", "--rev", "head-1", "--uri-var", VARIABLE)
SQUASH = ("squash", *CHECKOUT[1:])
MODELS = ("--source", "models")
INIT = ("reinit", "--init")
READY = (CHECKOUT, INIT, ("restore",))
DONE = (*READY, ("migrate",), ("verify",), ("cleanup",))
SIDE = "feature"
LEFT = "left_behind"  # a database


def nothing(project: Plain) -> None:
    pass


def squashed(project: Plain) -> None:
    """The squash is merged; a database stands behind it, and a branch hangs on a revision that it took."""
    project.new_database(LEFT)
    project.db("upgrade", project.ids[0], database=LEFT)
    project.git("checkout", "--quiet", "-b", SIDE)
    project.add(Step("side", sql=["CREATE TABLE side (id integer)"], revision="00aafe000000", down=project.ids[0]))
    project.ids.pop()
    project.git("checkout", "--quiet", "main")
    done = project.tool(*SQUASH)
    assert done.code == 0, done.said


def in_place(project: Plain) -> None:
    """The same in a project whose old migrations are put into the work tree while they run."""
    env = project.top / "migrations/env.py"
    env.write_text(env.read_text() + "# version_locations are where they are\n")
    project.commit("env.py")
    squashed(project)


def models(project: Plain) -> None:
    """Each migration in a commit with the models of its time."""
    env = project.top / "migrations/env.py"
    tables = (
        "import pathlib\nimport sqlalchemy as sa\n\ntarget_metadata = sa.MetaData()\n"
        "for name in pathlib.Path('models.txt').read_text().split():\n"
        "    column = sa.Column('id', sa.Integer, primary_key=True, autoincrement=False)\n"
        "    sa.Table(name, target_metadata, column)\n"
    )
    files = {file.name: file.read_text() for file in project.versions.glob("*.py")}
    for file in files:
        (project.versions / file).unlink()
    env.write_text(env.read_text().replace("target_metadata = None\n", tables))
    known = ""
    for name, text in sorted(files.items()):
        known += name.partition("_")[2].removesuffix(".py") + "\n"
        project.write("models.txt", known)
        project.write(f"migrations/versions/{name}", text)
        project.commit(name)


def moved(project: Plain) -> None:
    """Somebody commits on the original branch meanwhile."""
    blob = project.run(["git", "hash-object", "-w", project.top / "settings.py"]).out.strip()
    index = str(project.temporary / "an-index")
    project.run(["git", "read-tree", "main"], GIT_INDEX_FILE=index)
    project.run(["git", "update-index", "--add", "--cacheinfo", f"100644,{blob},theirs.py"], GIT_INDEX_FILE=index)
    tree = project.run(["git", "write-tree"], GIT_INDEX_FILE=index).out.strip()
    Path(index).unlink()
    commit = project.run(["git", "commit-tree", "-p", "main", "-m", "theirs", tree]).out.strip()
    project.git("update-ref", "refs/heads/main", commit)


@dataclass(frozen=True)
class Case:
    """A command's words, and what was before them. ``meanwhile`` comes after the words that were typed before.

    ``works``: it starts databases, so that their server and the project's command can be killed too. ``keeps``: it has
    a plan, which `abort` gives up. ``reads``: it changes nothing by git.
    """

    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    given: Callable[[Plain], None] = nothing
    meanwhile: Callable[[Plain], None] = nothing
    works: bool = True
    keeps: bool = True
    reads: bool = False
    codes: tuple[int, ...] = (0,)


# A command that is missing here has no row below, and fails: a new one is killed too.
CASES = {
    "plan": Case(("plan", *CHECKOUT[1:]), works=False, keeps=False, reads=True),
    "checkout": Case(CHECKOUT, works=False),
    "reinit": Case(INIT, (CHECKOUT,), works=False),
    "restore": Case(("restore",), (CHECKOUT, INIT), works=False),
    "createdb": Case(("createdb",), READY, reads=True),
    "replay": Case(("replay",), READY, reads=True),
    "migrate": Case(("migrate",), READY, reads=True),
    "verify": Case(("verify",), (*DONE[:4], ("cleanup",)), reads=True),
    "cleanup": Case(("cleanup",), (*READY, ("createdb",)), works=False, reads=True),
    "merge": Case(("merge",), DONE, works=False),
    "squash": Case(SQUASH),
    "status": Case(("status",), DONE, works=False, reads=True),
    "abort": Case(("abort",), DONE, works=False),
    "instances": Case(("instances", "--drift", "--url"), given=squashed, keeps=False, reads=True, codes=(1,)),
    "catchup": Case(("catchup", "--yes", "--url"), given=squashed, keeps=False, reads=True),
    "rebase-revision": Case(("rebase-revision", SIDE), given=squashed, works=False, keeps=False),
    "undo": Case(("undo",), given=squashed, keeps=False),
    "squash, of models": Case((*SQUASH, *MODELS), given=models),
    "merge, of models": Case(("merge",), ((*CHECKOUT, *MODELS), *DONE[1:4], ("cleanup",)), given=models),
    "merge, where somebody committed": Case(("merge",), DONE, meanwhile=moved),
    "verify, of a checkout": Case(("verify",), given=squashed, keeps=False, reads=True),
    "catchup, in place": Case(("catchup", "--yes", "--url"), given=in_place, keeps=False, reads=True),
}
COMMANDS = (*TASKS, *(name for name in CASES if "," in name))

# What changes refs, or index and work tree (an index of our own is no harm).
CHANGES = "checkout|update-index|checkout-index|commit|update-ref|symbolic-ref|merge|reset|config"
SHIM = f"""#!/bin/bash
words=("$@")
while [ "${{words[0]}}" = "-c" ]; do words=("${{words[@]:2}}"); done
if [[ -z "$GIT_INDEX_FILE" && "${{words[0]}}" =~ ^({CHANGES})$ && "$*" != *"symbolic-ref --quiet"* \\
    && "$*" != *"config --type"* ]]; then
    echo "${{words[0]}}" >> "$KILL_LOG"
    if [ "$(wc -l < "$KILL_LOG")" = "$KILL_AT" ]; then
        case "$KILL_HOW" in
            before) kill -9 $PPID; exit 1 ;;
            after) REAL "$@"; kill -9 $PPID; exit 1 ;;
            git) REAL "$@" <&0 & git=$!; sleep "$KILL_AFTER"; kill -9 $git; wait $git; exit $? ;;
        esac
    fi
fi
exec REAL "$@"
"""


@dataclass
class Killing:
    """A project in the state before a command, as often as it is wanted; and the world as it was before all of it."""

    case: Case
    original: Plain
    before: dict[str, tuple[int, str]]
    refs: dict[str, str]
    shims: Path
    # The points of the command, from a run that nobody disturbs: changes by git, and lines that it says.
    changes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @staticmethod
    def of(command: str, project: Plain) -> Killing:
        case, shims = CASES[command], project.top.parent / "shims"
        project.write(".gitignore", "__pycache__/\n*.pyc\n*.local\n")
        project.write("settings.py", "DEBUG = False\n")
        project.commit("settings")
        case.given(project)
        project.git("update-index", "--assume-unchanged", "settings.py")
        project.write("settings.py", "DEBUG = True  # here only\n")
        project.write("migrations/versions/helper.local", "ignored\n")
        shims.mkdir()
        (shims / "git").write_text(SHIM.replace("REAL", shutil.which("git") or "git"))
        (shims / "git").chmod(0o755)
        made = Killing(case, project, world(project), refs(project), shims)
        if command != "cleanup":  # whose server cannot be copied
            made.prepare(project)
        made.look()
        return made

    def look(self) -> None:
        project = self.fresh("whole")
        done = self.shimmed(project)
        assert done.code in self.case.codes, done.said
        self.changes = (project.top.parent / "log").read_text().split()
        # It says what it does after dots, or names a step; nothing of either is one point.
        said = [line for line in done.err.splitlines() if line.startswith("  … ") or line in TASKS]
        self.lines = said or [""]
        assert_abort_puts_back(self, project, "the whole of it")
        assert_is_back(self, project, "the whole of it")

    def prepare(self, project: Plain) -> None:
        beside = project.top.parent / "beside/project"
        if self.case.meanwhile is not nothing:
            shutil.copytree(project.top, beside, symlinks=True)
        for words in self.case.before:
            done = project.tool(*words)
            assert done.code == 0, f"{words}: {done.said}"
        if self.case.meanwhile is not nothing:
            self.case.meanwhile(project)
            other = replace(project, top=beside)
            other.git("fetch", "--quiet", str(project.top), "main")
            go_to(other, "FETCH_HEAD")
            self.before, self.refs = world(other), refs(other)

    def fresh(self, name: str) -> Plain:
        """A copy; one of the database that stands behind, too."""
        top = self.original.top.parent / name / "project"
        shutil.copytree(self.original.top, top, symlinks=True)
        made = replace(self.original, top=top, environment=dict(self.original.environment))
        made.git("status")  # the index knows files by their inodes
        if self.case.words[-1] == "--url":
            with client.connect(made.address()) as connection, connection.usual_path():
                connection.run(f"DROP DATABASE IF EXISTS {LEFT}_copy")
                connection.run(f"CREATE DATABASE {LEFT}_copy TEMPLATE {LEFT}")
        if "createdb" in str(self.case.before):
            self.prepare(made)
        return made

    @property
    def words(self) -> tuple[str, ...]:
        url = (self.original.address(f"{LEFT}_copy").url(),) if self.case.words[-1] == "--url" else ()
        return (*self.case.words, *url)

    def shimmed(self, project: Plain, at: int = 0, how: str = "", after: float = 0.0) -> Done:
        """The command, killed by git's own hand at one of its changes."""
        log = project.top.parent / "log"
        log.write_text("")
        return project.run(
            [BIN / "alembic-squash", *self.words], check=False, KILL_LOG=str(log), KILL_AT=str(at), KILL_HOW=how,
            KILL_AFTER=f"{after:.4f}", PATH=f"{self.shims}{os.pathsep}{os.environ['PATH']}",
        )  # fmt: skip

    def running(self, project: Plain) -> Running:
        return begin(project, *self.words, nap="0")


def refs(project: Project) -> dict[str, str]:
    lines = project.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in lines)


def go_to(project: Project, commit: str) -> None:
    """The branch at another commit, and the user's own file as it was."""
    project.git("reset", "--quiet", "--hard", commit)
    project.git("update-index", "--assume-unchanged", "settings.py")
    project.write("settings.py", "DEBUG = True  # here only\n")


def is_finished(killing: Killing, project: Project) -> bool:
    """Whether a branch was moved on, as the command does in the end."""
    return any(refs(project).get(name) != commit for name, commit in killing.refs.items())


def assert_status_is_true(killing: Killing, project: Project, what: str) -> None:
    state = project.top / ".git/alembic-squash"
    merged = killing.case.keeps and is_finished(killing, project)
    status = project.tool("status")
    assert status.code == 0 and "Traceback" not in status.said, f"{what}: {status.said}"
    if (state / "undo.json").exists():
        assert "An undo was killed half-way on main" in status.out and "abort" in status.out, f"{what}: {status.said}"
    elif (state / "in-place.json").exists() and not (state / "plan.json").exists():
        assert "was killed while the old migrations were in the work tree" in status.out, f"{what}: {status.said}"
    elif not (state / "plan.json").exists():
        assert "No squash is under way" in status.out, f"{what}: {status.said}"
        assert project.git("symbolic-ref", "--short", "HEAD") == "main", what
        assert project.git("status", "--porcelain", "--untracked-files=all") == "", what
    elif merged:
        assert "is in main already" in status.out and "Next: alembic-squash merge" in status.out, (
            f"{what}: {status.out}"
        )
    else:
        assert "puts everything back" in status.out, f"{what}: {status.out}"
        done = json.loads((state / "plan.json").read_text())["done"]
        assert [line.split()[0] for line in status.out.splitlines() if line.endswith("  done")] == [
            one for one in TASKS if one in done
        ], what


def assert_it_works_again(killing: Killing, project: Project, what: str) -> None:
    """Typed once more, it comes to its end: from where it stands, or from the beginning after `abort`."""
    until("only servers are left", lambda: all("postgres" in line for line in processes(project).values()))
    under_way = (project.top / ".git/alembic-squash/plan.json").exists()
    done = project.tool(*killing.words)
    if killing.words[0] in ("squash", "checkout") and under_way:
        assert "already under way" in done.err or f"squash-{project.ids[1]} already" in done.out, f"{what}: {done.said}"
    elif killing.case.keeps and is_finished(killing, project) and not under_way:
        pass  # nothing to do, or nothing that it could be done to
    else:
        # A second undo has nothing to undo.
        ended = killing.words[0] == "undo" and "0 base migrations" in done.err
        assert done.code in killing.case.codes or ended, f"{what}: {done.said}"
    if killing.words[0] == "catchup":
        version = query(project.address(f"{LEFT}_copy"), "SELECT version_num FROM alembic_version")
        assert version == [(killing.original.ids[1],)], what
    if killing.words[0] in ("undo", "rebase-revision"):
        assert is_finished(killing, project), what


def assert_abort_puts_back(killing: Killing, project: Project, what: str) -> None:
    abort = project.tool("abort")
    assert abort.code == 0 and "Traceback" not in abort.said, f"{what}: {abort.said}"


def assert_is_back(killing: Killing, project: Project, what: str) -> None:
    """The world is as it was before all of it, but for the one commit of a command that came to its end."""
    now = refs(project)
    assert now.keys() == killing.refs.keys(), what
    for name, commit in killing.refs.items():
        if now[name] != commit:
            assert commit in project.git("log", "-1", "--format=%P", name).split(), what
            if name != "refs/heads/main":
                project.git("update-ref", name, commit)
                continue
            go_to(project, commit)
    after = world(project)
    assert {name for name in after.keys() | killing.before.keys() if after.get(name) != killing.before.get(name)} == (
        set()
    ), what
    assert not (project.top / ".git/alembic-squash").exists(), what
    assert server_homes(project) == [], what
    assert [path.name for path in project.temporary.iterdir()] == [], what
    end = time.monotonic() + PATIENCE
    while processes(project) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes(project) == {}, what


def until_said(running: Running, line: str, times: int) -> None:
    end = time.monotonic() + PATIENCE
    while running.err.read_text().splitlines().count(line) < times:
        # Said in the moment of its end, it is there on the second look.
        assert running.process.poll() is None or running.err.read_text().splitlines().count(line) >= times, running.said
        assert time.monotonic() < end, running.said
        time.sleep(0.01)


def kill(project: Project, running: Running, victim: str) -> None:
    """SIGKILL, to what is there of it now."""
    if running.process.poll() is not None:
        return
    if victim == "tool":
        running.process.kill()
    elif victim == "group":
        os.killpg(running.process.pid, signal.SIGKILL)
    else:
        mark = "postgres -D" if victim == "server" else f"{BIN}/alembic "
        for pid, line in processes(project).items():
            if mark in line:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
