"""What is not the squash's stays as it is: files of every kind that git does, or does not, look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Make, MakePlain
from tests.support.project import VARIABLE, Done, Plain, Project
from tests.support.world import TINY, world


def hook(project: Project, name: str, script: str) -> None:
    file = project.top / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def begin(project: Project, *words: str) -> Done:
    return project.tool("checkout", "--rev", "head-1", "--uri-var", VARIABLE, *words)


def step(project: Project, *words: str, code: int = 0) -> Done:
    done = project.tool(*words)
    assert done.code == code, f"{words}: {done.said}"
    return done


@pytest.fixture
def tiny(make_plain: MakePlain) -> Plain:
    """Three tables, with files of the user's beside: ignored ones, and one that git was told not to look at."""
    project = make_plain(TINY)
    project.write(".gitignore", "__pycache__/\n*.pyc\n*.local\n")
    project.write("settings.py", "DEBUG = False\n")
    project.write("other.py", "NUMBER = 1\n")
    project.commit("settings")
    project.git("update-index", "--assume-unchanged", "settings.py")
    project.git("update-index", "--skip-worktree", "other.py")
    project.write("settings.py", "DEBUG = True  # here only\n")
    project.write("other.py", "NUMBER = 2  # here only\n")
    project.write("migrations/notes.local", "ignored\n")
    project.write("migrations/versions/helper.local", "ignored too\n")
    return project


def test_files_that_come_while_a_squash_runs_stay_when_it_fails_and_are_named(tiny: Plain) -> None:
    before, head = world(tiny), tiny.git("rev-parse", "HEAD")
    mine = {"migrations/mine.txt": "1", "migrations/versions/mine.py": "2", "mine.sql": "3", tiny_data(tiny): "4"}
    # The hook stands for the user, who works on meanwhile, and for hooks that leave things.
    lines = [f"printf {text} > {path}" for path, text in mine.items()]
    hook(tiny, "pre-commit", "\n".join([*lines, "echo never >&2", "exit 1"]))
    before = world(tiny)
    done = tiny.squash("head-1")
    assert done.code == 2 and "never" in done.err, done.said
    for path, text in mine.items():
        assert (tiny.top / path).read_text() == text
        assert path in done.err
        (tiny.top / path).unlink()
    assert world(tiny) == before
    tiny.assert_nothing_left(head)


def tiny_data(project: Project) -> str:
    """The name that a data file of the base would have."""
    return f"migrations/versions/{project.file_of(project.ids[1]).stem}.one.jsonl"


def test_files_that_come_while_a_squash_runs_are_not_committed_when_it_ends_and_are_named(tiny: Plain) -> None:
    mine = {"migrations/mine.txt": "1", "migrations/versions/mine.txt": "2", "mine.sql": "3"}
    lines = [f"printf {text} > {path}" for path, text in mine.items()]
    hook(tiny, "pre-commit", "\n".join(lines))
    settings, ignored = tiny.top / "settings.py", tiny.top / "migrations/versions/helper.local"
    done = tiny.squash("head-1")
    assert done.code == 0, done.said
    for path, text in mine.items():
        assert (tiny.top / path).read_text() == text
        assert path in done.err
        (tiny.top / path).unlink()
    tiny.assert_nothing_left()
    changed = tiny.git("diff", "--name-status", "--no-renames", "HEAD^", "HEAD").splitlines()
    assert sorted(line.split("\t")[0] for line in changed) == ["D", "M"]
    assert "here only" in settings.read_text() and ignored.exists()


Change = Callable[[Plain], dict[str, str]]


def gone_again(project: Plain) -> dict[str, str]:
    return {project.file_of(project.ids[0]).relative_to(project.top).as_posix(): "mine"}


def base_again(project: Plain) -> dict[str, str]:
    return {project.file_of(project.ids[1]).relative_to(project.top).as_posix(): "mine"}


def kept_changed(project: Plain) -> dict[str, str]:
    return {project.file_of(project.ids[2]).relative_to(project.top).as_posix(): "mine"}


def env_changed(project: Plain) -> dict[str, str]:
    return {"migrations/env.py": "mine", "app.py": "mine", "migrations/versions/new.py": "mine"}


@pytest.mark.parametrize("change", [gone_again, base_again, kept_changed, env_changed])
@pytest.mark.parametrize("staged", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_the_user_writes_between_two_steps_survives_abort(tiny: Plain, change: Change, staged: bool) -> None:
    before, head = world(tiny), tiny.git("rev-parse", "HEAD")
    mine = change(tiny)
    for word in (begin, lambda one: step(one, "reinit"), lambda one: step(one, "restore")):
        assert word(tiny).code == 0
    for path, text in mine.items():
        tiny.write(path, text)
    if staged:
        tiny.git("add", "--", *mine)
    said = step(tiny, "abort").err
    for path, text in mine.items():
        assert (tiny.top / path).read_text() == text
        assert path in said
        if tiny.run(["git", "cat-file", "-e", f"{head}:{path}"], check=False).code:
            tiny.run(["git", "rm", "-qf", "--cached", "--ignore-unmatch", "--", path])
            (tiny.top / path).unlink()
        else:
            tiny.git("checkout", "--quiet", "HEAD", "--", path)
    assert world(tiny) == before
    tiny.assert_nothing_left(head)


@pytest.mark.slow
def test_a_base_edited_by_hand_is_kept_in_git_when_the_squash_is_given_up(tiny: Plain) -> None:
    before, head = world(tiny), tiny.git("rev-parse", "HEAD")
    begin(tiny)
    for name in ("reinit", "restore", "migrate"):
        step(tiny, name)
    tiny.base_file.write_text("# hours of work\n", encoding="utf-8")
    said = step(tiny, "abort").err
    blob = said.partition("git cat-file blob ")[2].split()[0]
    assert tiny.git("cat-file", "blob", blob) == "# hours of work"
    assert world(tiny) == before
    tiny.assert_nothing_left(head)


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_revision_that_git_was_told_not_to_look_at_is_refused(tiny: Plain, flag: str) -> None:
    path = tiny.file_of(tiny.ids[0]).relative_to(tiny.top).as_posix()
    tiny.git("update-index", flag, path)
    tiny.write(path, (tiny.top / path).read_text() + "# here only\n")
    before = world(tiny)
    done = begin(tiny)
    assert done.code == 1 and path in done.err and f"git update-index --no{flag[1:]} {path}" in done.err, done.said
    assert world(tiny) == before
    tiny.assert_nothing_left()


def test_another_branch_is_left_and_come_back_to_without_writing_over_ignored_or_unseen_files(tiny: Plain) -> None:
    """--into another branch switches the whole tree: git itself says what would be lost."""
    tiny.git("update-index", "--no-assume-unchanged", "settings.py")
    tiny.git("update-index", "--no-skip-worktree", "other.py")
    tiny.git("checkout", "--quiet", "--", "settings.py", "other.py")
    tiny.git("checkout", "--quiet", "-b", "feature")
    tiny.write("settings.py", "FEATURE = 1\n")
    tiny.write(".gitignore", "__pycache__/\n*.pyc\n*.local\nsecret.txt\n")
    tiny.git("rm", "--quiet", "--ignore-unmatch", "secret.txt")
    tiny.commit("feature")
    tiny.git("checkout", "--quiet", "main")
    tiny.write("secret.txt", "committed on main by mistake\n")
    tiny.commit("a secret")
    tiny.git("checkout", "--quiet", "feature")
    tiny.write("secret.txt", "mine alone\n")
    tiny.git("update-index", "--assume-unchanged", "settings.py")
    tiny.write("settings.py", "FEATURE = 2  # here only\n")
    before, head = world(tiny), tiny.git("rev-parse", "HEAD")
    done = begin(tiny, "--into", "main")
    assert done.code != 0 and "settings.py" in done.err and "Traceback" not in done.err, done.said
    assert world(tiny) == before
    tiny.write("settings.py", "FEATURE = 1\n")
    done = begin(tiny, "--into", "main")
    assert done.code != 0 and "secret.txt" in done.err and "Traceback" not in done.err, done.said
    assert (tiny.top / "secret.txt").read_text() == "mine alone\n"
    assert tiny.git("rev-parse", "HEAD") == head
    assert tiny.git("symbolic-ref", "--short", "HEAD") == "feature"
    assert not (tiny.top / ".git/alembic-squash").exists()


def test_an_untracked_revision_of_the_users_stays_and_is_not_taken_for_the_drafts(make: Make) -> None:
    project = make(TINY)
    begin(project)
    step(project, "reinit")
    other = project.write("migrations/versions/mine.py", 'revision = "mine"\ndown_revision = None\n')
    step(project, "abort")
    assert other.read_text().startswith("revision")


def test_the_plan_knows_every_path_before_it_is_written(tiny: Plain) -> None:
    begin(tiny)
    step(tiny, "reinit", "--init")
    listed = {
        path.relative_to(tiny.top).as_posix() for path in Path(tiny.top, "migrations").glob("*") if path.is_file()
    }
    assert "migrations/env.py" in listed
    step(tiny, "abort")
    tiny.assert_nothing_left()
