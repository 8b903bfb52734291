"""After a squash of a squash: the way back, twice, and forth again; and databases that stood behind the first one."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.conftest import copied, database_of
from tests.support.project import Plain, Step, query, whole


@pytest.fixture(scope="module")
def twice(new_shop: Plain, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """Squashed up to the fourth migration, then up to the sixth, with a seventh since. Not to be changed."""
    project = copied(new_shop, tmp_path_factory.mktemp("twice"))
    squashed = project.tool("squash", "--rev", project.ids[5], "--server", project.server_url)
    assert squashed.code == 0, squashed.said
    project.add(Step("tags", sql=["CREATE TABLE tags (id integer PRIMARY KEY)"]))
    return project


def texts(project: Plain) -> dict[str, str]:
    """Its revision files, without the commit that a base names."""
    return {path.name: re.sub(r"Originals: git commit \w+", "", path.read_text())
            for path in project.versions.glob("*.py")}  # fmt: skip


def test_a_database_from_before_the_first_squash_is_known_and_caught_up_after_the_second(twice: Plain) -> None:
    project, ids = twice, twice.ids
    text = project.base_file.read_text()
    assert all(one in text for one in ids[:6])  # also those that the first base replaced
    url = database_of(project, 2, "old")
    done = project.tool("instances", "--url", url)
    assert done.code == 1 and f"behind R ({ids[1]}); 4 to go: {ids[2]}, {ids[3]}, {ids[4]} …" in done.out, done.said
    done = project.tool("catchup", "--url", url, "--yes", "--server", project.server_url)
    assert done.code == 0, done.said
    assert whole(project.server, project.address("old")) == whole(project.server, project.address("shop_6"))
    project.db("upgrade", "head", database="old")
    assert query(project.address("old"), "SELECT version_num FROM alembic_version") == [(ids[6],)]


def test_undo_brings_the_originals_back_one_squash_after_the_other(
    twice: Plain, new_shop: Plain, old_shop: Plain, tmp_path: Path
) -> None:
    project = copied(twice, tmp_path)
    head = project.git("rev-parse", "HEAD")
    (project.top / "new.txt").write_text("not committed\n")
    dirty = project.tool("undo", "--server", project.server_url)
    assert dirty.code == 1 and "new.txt" in dirty.err
    (project.top / "new.txt").unlink()
    done = project.tool("undo", "--server", project.server_url)
    assert done.code == 0 and "the same" in done.out, done.said
    assert project.git("rev-parse", "HEAD^") == head and "Proven on PostgreSQL" in project.git(
        "log", "-1", "--format=%B"
    )
    (later,) = [name for name in texts(twice) if name.startswith(project.ids[6])]
    assert {name: text for name, text in texts(project).items() if name != later} == texts(new_shop)
    # The script directory moves before the next one.
    project.git("mv", "migrations", "history")
    ini = project.top / "alembic.ini"
    ini.write_text(ini.read_text().replace("/migrations", "/history"))
    project.script = "history"
    project.commit("move")
    done = project.tool("undo", "--server", project.server_url)
    assert done.code == 0, done.said
    assert {name: text for name, text in texts(project).items() if name != later} == texts(old_shop)
    assert project.git("status", "--porcelain") == ""
    project.new_database("undone")
    project.db("upgrade", "head", database="undone")
    nothing = project.tool("undo", "--server", project.server_url)
    assert nothing.code == 1 and "0 base migrations" in nothing.err
    # And forth again.
    squashed = project.tool("squash", "--rev", project.ids[3], "--server", project.server_url)
    assert squashed.code == 0, squashed.said
    assert {name: text for name, text in texts(project).items() if name != later} == texts(new_shop)
    project.assert_nothing_left()


def test_an_undo_that_is_killed_half_way_is_said_by_status_and_put_back_and_works_again(
    new_shop: Plain, old_shop: Plain, tmp_path: Path
) -> None:
    project = copied(new_shop, tmp_path)
    head, before = project.git("rev-parse", "HEAD"), texts(project)
    # git's hook kills the program that called git, when the files are there and the commit is not.
    hook = project.write(".git/hooks/pre-commit", "#!/bin/sh\nkill -9 $(ps -o ppid= -p $PPID)\nexit 1\n")
    hook.chmod(0o755)
    killed = project.tool("undo", "--server", project.server_url)
    assert killed.code == -signal.SIGKILL and texts(project) == texts(old_shop)
    status = project.tool("status")
    assert status.code == 0 and "An undo was killed half-way on main" in status.out, status.said
    given_up = copied(project, tmp_path / "given up")
    assert given_up.tool("abort").code == 0
    assert texts(given_up) == before
    given_up.assert_nothing_left(head)
    hook.unlink()
    done = project.tool("undo", "--server", project.server_url)
    assert done.code == 0 and texts(project) == texts(old_shop), done.said
    assert project.git("rev-parse", "HEAD^") == head
    assert not [name for name in project.databases() if name.startswith("alembic_squash_")]
    project.assert_nothing_left()


def test_undo_refuses_where_the_base_is_not_what_it_replaced(new_shop: Plain, tmp_path: Path) -> None:
    project = copied(new_shop, tmp_path)
    base = project.base_file
    base.write_text(base.read_text().replace('"code": "free"', '"code": "gratis"').replace('"free"', '"gratis"'))
    head = project.commit("edit")
    done = project.tool("undo", "--server", project.server_url)
    assert done.code == 3 and "plans" in done.err, done.said
    project.assert_nothing_left(head)
