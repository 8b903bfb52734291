"""Traps of databases that are not where one thinks, and of files that others need."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import SHOP, Make, MakePlain
from tests.support.project import APP, URL_IN_ENV, Step, query
from tests.support.traps import assert_native

pytestmark = pytest.mark.slow

# Two branches that meet in R.
MERGED = (
    Step("a", sql=["CREATE TABLE a (id serial PRIMARY KEY)", "INSERT INTO a DEFAULT VALUES"], revision="aaaa"),
    Step("left", sql=["CREATE TABLE l (id serial PRIMARY KEY)"], revision="bbb1", down="aaaa"),
    Step("right", sql=["CREATE TABLE r (id serial PRIMARY KEY)"], revision="bbb2", down="aaaa"),
    Step("both", revision="cccc", down=("bbb1", "bbb2")),
    Step("later", sql=["ALTER TABLE a ADD COLUMN n integer"], revision="dddd", down="cccc"),
)


def test_a_database_behind_r_or_on_both_sides_of_a_merge_is_shown_by_plans_sql_and_loses_nothing(
    make_plain: MakePlain, tmp_path: Path
) -> None:
    project = make_plain(MERGED)
    old = project.git("rev-parse", "HEAD")
    planned = project.tool("plan", "--rev", "cccc")
    assert planned.code == 0, planned.said
    found = re.search(r"(?m)^  (SELECT count\(\*\) > 0 .+);$", planned.out)
    assert found
    where = {"behind": ("aaaa",), "on_both": ("bbb1", "bbb2"), "at_r": ("cccc",), "at_head": ("dddd",)}
    for name, targets in where.items():
        project.new_database(name)
        for target in targets:
            project.db("upgrade", target, database=name)
    versions = {
        name: query(project.address(name), "SELECT version_num FROM alembic_version ORDER BY 1") for name in where
    }
    assert versions["on_both"] == [("bbb1",), ("bbb2",)]
    ready = {name: query(project.address(name), found.group(1)) == [(True,)] for name in where}
    assert ready == {"behind": False, "on_both": False, "at_r": True, "at_head": True}

    assert project.squash("cccc").code == 0
    project.assert_nothing_left()
    assert_native(project.base_file.read_text(encoding="utf-8"), 0.8)
    for name in ("behind", "on_both"):
        done = project.db("upgrade", "head", database=name, check=False)
        assert done.code != 0 and "Can't locate revision" in done.said
        assert query(project.address(name), "SELECT version_num FROM alembic_version ORDER BY 1") == versions[name]
        assert query(project.address(name), "SELECT count(*) FROM a") == [(1,)]
    # With the old migrations first, as plan says.
    beside = tmp_path / "beside"
    project.git("worktree", "add", "--quiet", "--detach", str(beside), old)
    for name in ("behind", "on_both"):
        replace(project, top=beside).db("upgrade", "cccc", database=name)
    for name in where:
        project.db("upgrade", "head", database=name)
        assert query(project.address(name), "SELECT count(n) FROM a") == [(0,)]
        assert query(project.address(name), "SELECT version_num FROM alembic_version") == [("dddd",)]


@pytest.mark.slow
def test_a_kept_migration_that_imports_one_that_goes_is_named_and_nothing_is_merged(make_plain: MakePlain) -> None:
    project = make_plain(
        [
            Step("users", 'NAME = "users"\nop.execute("CREATE TABLE users (id serial PRIMARY KEY)")', revision="a001"),
            Step("more", sql=["INSERT INTO users DEFAULT VALUES"], revision="a002"),
            Step("later", """
                from migrations.versions.a001_users import revision as first
                op.execute("COMMENT ON TABLE users IS 'since %s'" % first)
            """, revision="a003"),
        ],
        env=URL_IN_ENV + "\nimport sys\n\nsys.path.insert(0, os.getcwd())\n",
    )  # fmt: skip
    head = project.git("rev-parse", "HEAD")
    done = project.squash("a002")
    assert done.code == 2 and "a003_later.py" in done.err and "a001_users" in done.err, done.said
    project.assert_nothing_left(head)


@pytest.mark.slow
def test_an_app_that_imports_a_file_which_git_ignores_is_squashed_where_it_stands(make: Make) -> None:
    project = make(SHOP, app="from generated import NUMBER\n" + APP + "\nassert NUMBER == 7\n")
    project.write(".gitignore", "__pycache__/\n*.pyc\ngenerated.py\n")
    project.commit("a generated file")
    without = project.squash("head-2")
    assert without.code != 0 and "generated" in without.err, without.said
    project.write("generated.py", "NUMBER = 7\n")
    done = project.squash("head-2")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert_native(project.base_file.read_text(encoding="utf-8"), 0.71)
    assert (project.top / "generated.py").read_text() == "NUMBER = 7\n"
