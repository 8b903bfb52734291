"""What colleagues have in flight: named before a squash and after it, and hung on R where that is safe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import copied
from tests.support.project import MIGRATION, Plain, Step, query


def side(project: Plain, branch: str, revision: str, down: str, sql: str) -> None:
    """A branch with one migration that hangs on ``down``."""
    ids = [*project.ids]
    project.git("checkout", "--quiet", "-b", branch)
    project.add(Step(f"side {branch}", sql=[sql], revision=revision, down=down))
    project.git("checkout", "--quiet", "main")
    project.ids[:] = ids


@pytest.fixture
def busy(old_shop: Plain, tmp_path: Path) -> Plain:
    """The shop before its squash, with work in flight of every kind."""
    project, ids = copied(old_shop, tmp_path), old_shop.ids
    project.write("deploy/release.sh", f"flask db upgrade {ids[1]}\n")
    project.write("docs/notes.md", f"{ids[0]} was the first.\n")
    project.write("tests/test_old.py", f"from migrations.versions.{project.file_of(ids[2]).stem} import upgrade\n")
    project.commit("mentions")
    side(project, "safe", "00aafe000000", ids[1], "CREATE TABLE invoices (id integer)")
    side(project, "clash", "00c1a5000000", ids[1], "ALTER TABLE orders ADD COLUMN tax integer")
    side(project, "fine", "00f19e000000", ids[4], "CREATE TABLE fine (id integer)")
    project.git("checkout", "--quiet", "-b", "edited", "main~1")
    for one in (ids[0], ids[3]):
        project.file_of(one).write_text(project.base_text(one) + "\n# a note\n")
    project.commit("edit an old one")
    project.git("checkout", "--quiet", "main")
    project.git("update-ref", "refs/remotes/origin/theirs", "refs/heads/safe")
    project.git("branch", "--quiet", "-D", "safe")
    project.git("branch", "--quiet", "safe", "origin/theirs")
    text = MIGRATION.format(message="wip", revision="00wip1000000", down=ids[0], day=1, labels=None, depends_on=None,
                            upgrade="    pass")  # fmt: skip
    stashed = project.versions / "00wip1000000_wip.py"
    stashed.write_text(text)
    project.git("stash", "--include-untracked", "--quiet")
    project.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    (tmp_path / "other/migrations/versions/00wip2000000_wip.py").write_text(text.replace("00wip1", "00wip2"))
    return project


def test_plan_and_squash_name_it_and_rebase_revision_makes_the_change(busy: Plain, tmp_path: Path) -> None:
    project, ids = busy, busy.ids
    planned = project.tool("plan", "--rev", ids[3])
    squashed = project.tool("squash", "--rev", ids[3], "--server", project.server_url)
    assert planned.code == 0 and squashed.code == 0, planned.said + squashed.said
    for out in (planned.out, squashed.out.split("Proven on ")[1]):
        flying = out.split("Work in flight")[1]
        assert "safe, origin/theirs: migrations/versions/00aafe000000" in flying or (
            "origin/theirs, safe: migrations/versions/00aafe000000" in flying
        ), out
        assert re.search(rf"clash: \S+ hangs on {ids[1]}; its down_revision must name '{ids[3]}' instead", flying), out
        assert re.search(r"stash@\{0\}: \S+00wip1000000_wip.py hangs on", flying), out
        assert re.search(rf"in {tmp_path}/other: \S+00wip2000000_wip.py hangs on", flying), out
        assert re.search(rf"edited: \S+{ids[0]}\S+ was changed there, and goes here", flying), out
        assert re.search(rf"edited: \S+{ids[3]}\S+ was changed there, and becomes the base here", flying), out
        assert "fine:" not in flying
        named = [
            line.split()[0] for line in out.splitlines() if re.match(r"  (deploy|tests|docs|code) +\S+:\d+:", line)
        ]
        assert named == ["deploy", "tests", "docs"], out
    # On a branch of which nobody has the files.
    before = project.git("rev-parse", "safe")
    done = project.tool("rebase-revision", "safe")
    assert done.code == 0, done.said
    assert project.git("rev-parse", "safe^") == before and project.git("status", "--porcelain") == ""
    shown = project.git("show", "--format=%B", "--unified=0", "safe")
    assert re.findall(r"(?m)^[-+][^-+ ].*", shown) == [
        *(f"-Revises: {ids[1]}", f"+Revises: {ids[3]}", f"-down_revision = '{ids[1]}'", f"+down_revision = '{ids[3]}'"),
    ], shown
    assert "Nothing on safe" in project.tool("rebase-revision", "safe").out
    assert "Nothing on fine" in project.tool("rebase-revision", "fine").out
    for words, said in (
        (("clash",), f"{ids[3]}: orders"),
        (("edited",), "edited changed migrations/versions/"),
        (("main",), "is checked out"),
        (("nowhere",), "no local branch nowhere"),
    ):
        refused = project.tool("rebase-revision", *words)
        assert refused.code == 1 and said in refused.err, refused.said
    assert project.tool("rebase-revision", "clash", "--yes").code == 0
    # Both merge, and a new database gets it all.
    project.git("merge", "--quiet", "--no-edit", "safe")
    project.git("merge", "--quiet", "--no-edit", "clash")
    address = project.new_database("merged")
    project.db("upgrade", "heads", database="merged")
    assert query(address, "SELECT to_regclass('invoices')::text, count(tax) FROM orders") == [("invoices", 0)]


def test_branches_cost_no_more_than_what_they_changed_beside_one_another(busy: Plain, tmp_path: Path) -> None:
    """Robots leave thousands of them."""

    def processes() -> int:
        trace = tmp_path / f"trace-{len([*tmp_path.iterdir()])}"
        planned = busy.tool("plan", "--rev", busy.ids[3], GIT_TRACE2_EVENT=str(trace))
        assert planned.code == 0, planned.said
        assert re.search(r"\bclash[:,] ", planned.out) and len(planned.out.splitlines()) < 100, planned.out
        return trace.read_text(encoding="utf-8").count('"event":"start"')

    before = processes()
    busy.git("checkout", "--quiet", "-b", "robot", "main~1")
    busy.write("other.txt", "nothing to do with migrations")
    commit = busy.commit("by a robot")
    busy.git("checkout", "--quiet", "clash")
    busy.write("other.txt", "nothing to do with migrations")
    clashing = busy.commit("by a robot, on another branch")
    busy.git("checkout", "--quiet", "main")
    listed = [f"create refs/remotes/origin/robot/{one}-{n} {one}" for one in (commit, clashing) for n in range(300)]
    file = tmp_path / "refs"
    file.write_text("\n".join([*listed, ""]), encoding="utf-8")
    busy.run(["sh", "-c", f"git update-ref --stdin < {file}"])
    assert processes() == before


def test_branches_that_have_the_same_and_began_elsewhere_are_told_apart(old_shop: Plain, tmp_path: Path) -> None:
    project, ids = copied(old_shop, tmp_path), old_shop.ids
    file = project.file_of(ids[1])
    project.git("branch", "--quiet", "x/HEAD")
    file.write_text(file.read_text(encoding="utf-8") + "\n# a note\n", encoding="utf-8")
    project.commit("a note")
    text = file.read_text(encoding="utf-8")
    side(project, "here", "00aafe000000", ids[1], "CREATE TABLE invoices (id integer)")
    added = next(iter(project.git("show", "--format=", "--name-only", "here").split()))
    project.git("checkout", "--quiet", "x/HEAD", "--")
    project.git("checkout", "--quiet", "here", "--", added)
    file.write_text(text, encoding="utf-8")
    project.commit("the same, by another way")
    project.git("checkout", "--quiet", "main")
    planned = project.tool("plan", "--rev", ids[3])
    for where in ("here", "x/HEAD"):
        assert f"{where}: {added} hangs on {ids[1]}" in planned.out, planned.said
    edited = re.findall(r"(\S+): \S+ was changed there, and goes here", planned.out)
    assert edited == ["x/HEAD"], planned.said
