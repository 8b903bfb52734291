"""Where a squash cannot be begun: refused in one sentence, with nothing touched; and streams of any kind."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping

import pytest

from tests.repository.layouts import moved
from tests.support.project import BIN, VARIABLE, Plain
from tests.support.world import world


def unsigned(project: Plain) -> None:
    project.git("config", "commit.gpgSign", "true")
    project.git("config", "gpg.program", "false")


def in_a_merge(project: Plain) -> None:
    project.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    project.write("side.txt", "x\n")
    project.commit("side")
    project.git("checkout", "--quiet", "main")
    project.git("merge", "--quiet", "--no-commit", "--no-ff", "-s", "ours", "side")


def in_a_rebase(project: Plain) -> None:
    project.run(["git", "rebase", "--quiet", "--exec", "false", "HEAD~1"], check=False)


def in_a_cherry_pick(project: Plain) -> None:
    project.git("checkout", "--quiet", "-b", "side", "HEAD~1")
    project.write("app.txt", "x\n")
    project.commit("side")
    project.git("checkout", "--quiet", "main")
    project.write("app.txt", "y\n")
    project.commit("main")
    project.run(["git", "cherry-pick", "side"], check=False)


def in_a_bisect(project: Plain) -> None:
    project.git("bisect", "start", "HEAD", "HEAD~3")


def linked_and_detached(project: Plain) -> Plain:
    project.git("worktree", "add", "--quiet", "--detach", str(project.top.parent / "linked"))
    return moved(project, project.top.parent / "linked")


def link_to_the_versions(project: Plain) -> None:
    project.versions.rename(project.top / "revisions")
    project.versions.symlink_to("../revisions")
    project.commit("a link to a directory")


def filter_that_is_not_there(project: Plain) -> None:
    project.write(".gitattributes", "*.py filter=lfs\n")
    project.commit("attributes")
    project.git("config", "filter.lfs.clean", "git-not-there clean -- %f")
    project.git("config", "filter.lfs.smudge", "git-not-there smudge -- %f")
    project.git("config", "filter.lfs.required", "true")


def detached(project: Plain) -> None:
    project.git("checkout", "--quiet", "--detach")


def sparse_without_revisions(project: Plain) -> None:
    project.write("app/x.txt", "x\n")
    project.commit("app")
    project.git("sparse-checkout", "set", "--cone", "app")


def no_directory(project: Plain) -> None:
    (project.top / ".git/alembic-squash").write_text("in the way\n")


def itself(project: Plain) -> None:
    file = project.file_of(project.ids[0])
    file.write_text(file.read_text().replace("down_revision = None", f"down_revision = {project.ids[0]!r}"))
    project.commit("a circle")


def circle(project: Plain) -> None:
    file = project.file_of(project.ids[0])
    file.write_text(file.read_text().replace("down_revision = None", f"down_revision = {project.ids[2]!r}"))
    project.commit("a circle")


def broken_link(project: Plain) -> None:
    (project.versions / "x.py").symlink_to("/nonexistent/x.py")
    project.commit("a link")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (unsigned, r"git is to sign commits .* and cannot"),
        (in_a_merge, r"A merge is in progress"),
        (in_a_rebase, r"A rebase is in progress"),
        (in_a_cherry_pick, r"A cherry-pick is in progress"),
        (in_a_bisect, r"A bisect is in progress"),
        (detached, r"HEAD is detached"),
        (linked_and_detached, r"HEAD is detached"),
        (link_to_the_versions, r"migrations/versions is a link in git"),
        (filter_that_is_not_there, r"its filter 'lfs' failed \(git-not-there .*not found"),
        (sparse_without_revisions, r"marked skip-worktree(.|\n)*hint: git sparse-checkout add migrations/versions"),
        (no_directory, r"alembic-squash cannot be made \(File exists\)"),
        (itself, r"0001bbbbbbbb comes after 0001bbbbbbbb"),
        (circle, r"0001bbbbbbbb comes after 0003dddddddd comes after 0002cccccccc comes after 0001bbbbbbbb"),
        (broken_link, r"x\.py is a link to /nonexistent/x\.py"),
    ],
)
def test_it_is_refused_in_one_sentence(tiny: Plain, state: Callable[[Plain], Plain | None], words: str) -> None:
    tiny = state(tiny) or tiny
    before = world(tiny)
    done = tiny.tool("checkout", "--rev", "head-1", "--uri-var", VARIABLE)
    assert done.code == 1 and re.search(words, done.err), done.said
    assert "Traceback" not in done.said and world(tiny) == before


def test_a_repository_of_somebody_elses_is_refused_with_what_git_wants(tiny: Plain) -> None:
    done = tiny.tool("status", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert done.code == 1 and re.search(r"hint: git config --global --add safe\.directory ", done.err), done.said


@pytest.mark.parametrize(
    ("redirection", "variables", "shown"),
    [
        ("<&-", {}, "goes"),
        (">&- 2>&-", {}, ""),
        (">&- 2>&-", {"PYTHONPATH": "a library that keeps files open"}, ""),
        ("<&- >&- 2>&-", {}, ""),
        ("", {"PYTHONIOENCODING": "ascii"}, r"\u2026"),
        ("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "goes"),
        ("", {"HOME": "/nonexistent"}, "goes"),
        (">/dev/full", {}, ""),
    ],
)
def test_streams_and_locales_of_any_kind_are_no_obstacle(
    tiny: Plain, redirection: str, variables: Mapping[str, str], shown: str
) -> None:
    file = tiny.file_of(tiny.ids[1])
    file.write_text(file.read_text().replace('"""two', '"""two… with ünïcode'), encoding="utf-8")
    tiny.commit("a message")
    library = tiny.top.parent / "library"
    library.mkdir()
    (library / "sitecustomize.py").write_text("KEPT = [open(__file__) for _ in range(3)]\n")
    if "PYTHONPATH" in variables:
        variables = {"PYTHONPATH": str(library)}
    before = world(tiny)
    done = subprocess.run(
        ["bash", "-c", f"{BIN}/alembic-squash plan --rev head-1 --uri-var {VARIABLE} {redirection}"],
        cwd=tiny.top, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode == (141 if "full" in redirection else 0), done.stderr
    assert shown in done.stdout
    assert world(tiny) == before
