"""The steps by hand, and what a squash meets on its way: other people's commits, hooks, hand edits, unusual trees."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHOP, Make
from tests.support.project import BIN, VARIABLE, Done, Project, Step, query

RECIPE = ("checkout", "reinit", "restore", "createdb", "migrate", "cleanup", "merge")


pytestmark = pytest.mark.usefixtures("put_back")


def step(project: Project, *words: str, code: int = 0, **variables: Any) -> Done:
    """One step by hand, which must end with ``code``."""
    done = project.tool(*words, **variables)
    assert done.code == code, done.said
    return done


def begin(project: Project, rev: str, *words: str) -> Done:
    return step(project, "checkout", "--rev", rev, "--uri-var", VARIABLE, *words)


def plan_of(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((project.top / ".git/alembic-squash/plan.json").read_text())
    return loaded


def next_step(project: Project) -> str:
    """What `status` says to type next."""
    found = re.search(r"Next: alembic-squash (\w+)", step(project, "status").out)
    assert found
    return found.group(1)


def world(project: Project) -> dict[str, bytes]:
    """Every file of the work tree, ignored ones too, without Python's own caches of the app."""
    return {
        path.relative_to(project.top).as_posix(): path.read_bytes()
        for path in sorted(project.top.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


def with_ignored_files(project: Project) -> None:
    """Files that git ignores, where somebody who removes the directory would lose them."""
    project.write(".gitignore", "__pycache__/\n*.pyc\nlocal_*\n")
    project.commit("ignore")
    project.write("migrations/local_helper.py", "SECRET = 1\n")
    project.write("migrations/versions/local_notes.txt", "not in git\n")
    project.write("migrations/versions/__pycache__/old.cpython-311.pyc", "x")


def somebody_commits(project: Project, files: dict[str, str], branch: str = "main") -> str:
    """Another person's commit on the branch, from a clone of their own."""
    clone = project.top.parent / "clone"
    project.run(["git", "clone", "--quiet", "--branch", branch, str(project.top), str(clone)], cwd=project.top.parent)
    other = Project(clone, project.server, list(project.ids))
    other.git("config", "user.name", "Other")
    other.git("config", "user.email", "other@example.com")
    for path, text in files.items():
        other.write(path, text)
    commit = other.commit("theirs")
    other.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return commit


def hook(project: Project, name: str, body: str) -> None:
    file = project.write(f".git/hooks/{name}", f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def our_databases(project: Project) -> set[str]:
    place = plan_of(project)["place"]
    return project.databases() & set(place["names"].values()) if place else set()


def test_the_recipe_by_hand_in_its_own_order_each_step_twice_and_status_names_the_next(shop: Project) -> None:
    with_ignored_files(shop)
    before, start = world(shop), shop.git("rev-parse", "HEAD")
    revision = shop.ids[3]
    assert "No squash is under way" in step(shop, "status").out

    begin(shop, "head-2")
    assert shop.git("symbolic-ref", "--short", "HEAD") == f"squash-{revision}"
    assert "already" in begin(shop, "head-2").out
    assert next_step(shop) == "reinit"

    step(shop, "reinit")
    assert sorted(path.name[:12] for path in shop.versions.glob("*.py")) == shop.ids[4:]
    assert "already" in step(shop, "reinit").out
    assert next_step(shop) == "restore"

    (shop.top / "migrations/env.py").unlink()
    shop.file_of(shop.ids[5]).unlink()
    step(shop, "restore", "--only", "migrations/env.py")
    assert (shop.top / "migrations/env.py").read_bytes() == before["migrations/env.py"]
    assert not list(shop.versions.glob(f"{shop.ids[5]}_*.py"))
    step(shop, "restore")
    step(shop, "restore")
    assert sorted(path.name[:12] for path in shop.versions.glob("*.py")) == shop.ids[4:]
    assert next_step(shop) == "createdb"

    step(shop, "createdb")
    place = plan_of(shop)["place"]
    assert Path(place["server"], "marker").exists()
    assert "already" in step(shop, "createdb").out
    assert plan_of(shop)["place"] == place
    assert next_step(shop) == "migrate"

    step(shop, "migrate")
    assert plan_of(shop)["place"]["server"] == place["server"]
    written = shop.base_text(revision)
    assert "already" in step(shop, "migrate").out
    assert shop.base_text(revision) == written
    assert next_step(shop) == "merge"

    step(shop, "cleanup")
    assert not Path(place["server"]).exists()
    assert not Path(place["work"]).exists()
    step(shop, "cleanup")
    assert next_step(shop) == "merge"
    assert shop.git("rev-parse", "main") == start

    step(shop, "merge")
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^") == start
    assert shop.git("rev-parse", "HEAD^{tree}") in shop.git("log", "-1", "--format=%B")
    assert shop.base_text(revision) == written
    gone = {f"migrations/versions/{shop.git('log', '-1', '--format=%H')}"}  # nothing but revisions may be missing
    missing = before.keys() - world(shop).keys() - gone
    assert sorted(Path(path).name[:12] for path in missing) == shop.ids[:3]
    assert world(shop)["migrations/local_helper.py"] == before["migrations/local_helper.py"]

    head = shop.git("rev-parse", "HEAD")
    assert "already" in step(shop, "merge").out
    assert "nothing" in step(shop, "cleanup").out
    assert shop.git("rev-parse", "HEAD") == head
    step(shop, "reinit", code=1)


@pytest.mark.slow
def test_on_a_named_server_edits_by_hand_are_kept_and_proven_and_the_password_is_never_kept(shop: Project) -> None:
    start, revision = shop.git("rev-parse", "HEAD"), shop.ids[3]
    secret: dict[str, Any] = {"PGPASSWORD": shop.server.password}
    before = shop.databases()
    begin(shop, revision, "--server", shop.server_url)
    step(shop, "reinit")
    step(shop, "restore")
    refused = step(shop, "createdb", code=1)
    assert "PGPASSWORD" in refused.err
    step(shop, "createdb", **secret)
    assert len(our_databases(shop)) == 3  # the groundwork, and the two runs
    assert plan_of(shop)["place"]["server"] is None
    assert shop.server.password not in (shop.top / ".git/alembic-squash/plan.json").read_text()
    step(shop, "migrate", "--server", shop.server_url)
    written = shop.base_text(revision)

    # An edit that changes the database.
    shop.file_of(revision).write_text(written.replace("length=120", "length=121"), encoding="utf-8")
    assert "--force" in step(shop, "migrate", code=1, **secret).err
    assert "length=121" in shop.base_text(revision)
    differs = step(shop, "merge", code=3, **secret)
    assert "users" in differs.err and "121" in differs.err
    assert shop.git("rev-parse", "main") == start
    assert "length=121" in shop.base_text(revision)

    step(shop, "migrate", "--force", **secret)
    assert shop.base_text(revision) == written
    # An edit that does not.
    shop.file_of(revision).write_text(written.replace("length=120)", "120)") + "\n# by hand\n", encoding="utf-8")
    step(shop, "merge", **secret)
    shop.assert_nothing_left()
    assert shop.base_text(revision).endswith("# by hand\n") and "sa.String(120)" in shop.base_text(revision)
    assert not {name for name in shop.databases() - before if name.startswith("alembic_squash_")} & before


def test_abort_before_any_database_puts_everything_back(shop: Project) -> None:
    with_ignored_files(shop)
    before, head = world(shop), shop.git("rev-parse", "HEAD")
    assert "nothing to put back" in step(shop, "abort").out
    for last in ("checkout", "reinit", "restore"):
        begin(shop, "head-2")
        for name in RECIPE[1 : RECIPE.index(last) + 1]:
            step(shop, name)
        mine = ("app.py", "migrations/env.py")
        for path in mine:
            shop.write(path, "somebody's own work")
        said = step(shop, "abort").err
        assert "not of the squash, so it stays in the work tree: app.py, migrations/env.py" in said
        assert shop.git("status", "--porcelain").split() == ["M", "app.py", "M", "migrations/env.py"]
        assert {(shop.top / path).read_text() for path in mine} == {"somebody's own work"}
        shop.git("checkout", "--quiet", "--", *mine)
        shop.assert_nothing_left(head)
        assert world(shop) == before
        assert shop.git("symbolic-ref", "--short", "HEAD") == "main"


def test_abort_after_somebody_committed_half_of_the_squash_on_its_branch(shop: Project) -> None:
    before, head = world(shop), shop.git("rev-parse", "HEAD")
    begin(shop, "head-2")
    for name in ("reinit", "restore"):
        step(shop, name)
    shop.git("commit", "--quiet", "-m", "wip")  # what is left is no history: a parent is missing
    theirs = shop.git("rev-parse", "HEAD")
    said = step(shop, "abort").err
    assert "had commits of somebody's" in said and theirs[:12] in said, said
    shop.assert_nothing_left(head)
    assert world(shop) == before


@pytest.mark.slow
def test_abort_with_databases_and_a_draft_puts_everything_back(shop: Project) -> None:
    with_ignored_files(shop)
    before, head = world(shop), shop.git("rev-parse", "HEAD")
    for last in ("createdb", "migrate"):
        begin(shop, "head-2")
        for name in RECIPE[1 : RECIPE.index(last) + 1]:
            step(shop, name)
        if last == "migrate":
            step(shop, "verify")
        place = plan_of(shop)["place"]
        step(shop, "abort")
        shop.assert_nothing_left(head)
        assert world(shop) == before
        assert not Path(place["server"]).exists()


def test_abort_on_a_named_server_without_its_password_says_what_is_left_and_with_it_leaves_nothing(
    shop: Project,
) -> None:
    head = shop.git("rev-parse", "HEAD")
    begin(shop, "head-2", "--server", shop.server_url)
    step(shop, "reinit")
    step(shop, "restore")
    step(shop, "createdb", "--server", shop.server_url)
    ours = our_databases(shop)
    assert ours
    failed = step(shop, "abort", code=2)
    assert all(name in failed.err for name in ours)
    assert shop.git("symbolic-ref", "--short", "HEAD") == "main"
    step(shop, "abort", "--server", shop.server_url)
    shop.assert_nothing_left(head)
    assert not ours & shop.databases()


def test_init_in_a_project_that_removed_a_template_adds_it_and_abort_takes_it_away_again(shop: Project) -> None:
    shop.git("rm", "--quiet", "migrations/README")
    head = shop.commit("no README")
    before = world(shop)
    begin(shop, "head-2")
    step(shop, "reinit", "--init")
    assert (shop.top / "migrations/README").exists()
    step(shop, "restore")
    step(shop, "abort")
    shop.assert_nothing_left(head)
    assert world(shop) == before


@pytest.mark.slow
def test_what_somebody_commits_meanwhile_is_merged_and_proven_with_it(shop: Project) -> None:
    old = shop.file_of(shop.ids[0]).relative_to(shop.top).as_posix()
    begin(shop, "head-2")
    for name in ("reinit", "restore", "createdb", "migrate"):
        step(shop, name)
    fresh = shop.file_of(shop.ids[5]).read_text(encoding="utf-8")
    fresh = fresh.replace(shop.ids[5], "0007abcabcab").replace(shop.ids[4], shop.ids[5]).replace('"note"', '"remark"')
    fresh = re.sub(r"(?m)^    op.execute.*$", "", fresh)
    theirs = somebody_commits(shop, {
        "migrations/versions/0007abcabcab_remark.py": fresh,
        "notes.txt": "unrelated\n",
        old: shop.git("show", f"main:{old}") + "\n# a harmless edit of a squashed migration\n",
    })  # fmt: skip
    step(shop, "merge")
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^2") == theirs
    assert sorted(p.name[:12] for p in shop.versions.glob("*.py")) == [*shop.ids[3:], "0007abcabcab"]
    assert (shop.top / "notes.txt").read_text() == "unrelated\n"
    address = shop.new_database("meanwhile")
    shop.flask("upgrade", database="meanwhile")
    assert query(address, "SELECT remark FROM orders") == []


def test_a_real_conflict_is_exit_4_and_leaves_both_branches_to_their_owners(shop: Project) -> None:
    begin(shop, "head-2")
    for name in ("reinit", "restore", "createdb", "migrate"):
        step(shop, name)
    before = (shop.top / "app.py").read_text()
    shop.write("app.py", before + "\n# ours\n")
    theirs = somebody_commits(shop, {"app.py": before + "\n# theirs\n"})
    refused = step(shop, "merge", code=1)
    assert "changed meanwhile: app.py" in refused.err and "# ours" in (shop.top / "app.py").read_text()
    shop.git("commit", "--quiet", "-m", "ours", "app.py")
    mine = shop.git("rev-parse", "HEAD")
    done = step(shop, "merge", code=4)
    assert "app.py" in done.err
    assert shop.git("rev-parse", "main") == theirs
    assert shop.run(["git", "rev-parse", "-q", "--verify", "MERGE_HEAD"], check=False).code != 0
    assert "# ours" in (shop.top / "app.py").read_text() and "<<<<" not in (shop.top / "app.py").read_text()
    aborted = step(shop, "abort")
    shop.assert_nothing_left(theirs)
    assert "# theirs" in (shop.top / "app.py").read_text()
    named = re.search(r"git branch NAME (\w+)", aborted.err)
    assert named is not None
    assert shop.run(["git", "merge-base", "--is-ancestor", mine, named.group(1)], check=False).code == 0


def test_a_branch_that_moves_at_the_last_moment_is_never_overwritten(shop: Project) -> None:
    # After our commit and before the branch is moved: git runs this hook in between.
    hook(shop, "post-commit", 'git update-ref refs/heads/main $(git commit-tree -p main -m theirs "main^{tree}")')
    start = shop.git("rev-parse", "HEAD")
    done = shop.squash("head-2")
    assert done.code == 1 and "moved it meanwhile" in done.err, done.said
    assert shop.git("log", "-1", "--format=%s") == "theirs"
    assert shop.git("rev-parse", "HEAD^") == start
    shop.assert_nothing_left()


def test_a_conflict_that_is_merged_by_hand_as_the_hint_says_comes_to_its_end(shop: Project) -> None:
    begin(shop, "head-2")
    for name in ("reinit", "restore", "createdb", "migrate"):
        step(shop, name)
    shop.write("app.py", (shop.top / "app.py").read_text() + "\n# ours\n")
    shop.git("commit", "--quiet", "-m", "ours", "app.py")
    theirs = somebody_commits(shop, {"app.py": shop.git("show", "main:app.py") + "\n# theirs\n"})
    assert "git merge main by hand" in step(shop, "merge", code=4).err
    assert shop.run(["git", "merge", "--no-commit", "main"], check=False).code == 1
    shop.write("app.py", shop.git("show", "main:app.py") + "\n# ours\n")
    shop.git("add", "app.py")
    step(shop, "merge")
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^2") == theirs
    assert {"# theirs", "# ours"} < {*(shop.top / "app.py").read_text().splitlines()}


@pytest.mark.slow
def test_a_commit_hook_that_changes_the_tree_is_noticed_and_what_it_made_is_proven(shop: Project) -> None:
    start, revision = shop.git("rev-parse", "HEAD"), shop.ids[3]
    file = f"migrations/versions/{shop.file_of(revision).name}"
    hook(shop, "pre-commit", f"grep -q formatted {file} || echo '# formatted' >> {file}; git add {file}")
    begin(shop, "head-2")
    for name in ("reinit", "restore", "createdb", "migrate"):
        step(shop, name)
    assert "a git hook changed" in step(shop, "merge").err
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^") == start
    assert shop.git("rev-parse", "HEAD^{tree}") in shop.git("log", "-1", "--format=%B")
    assert "# formatted" in shop.base_text(revision)


@pytest.mark.slow
def test_a_commit_hook_that_fails_puts_everything_back_and_its_words_are_shown(shop: Project) -> None:
    with_ignored_files(shop)
    before, head = world(shop), shop.git("rev-parse", "HEAD")
    hook(shop, "pre-commit", "echo no commits on Sundays >&2; exit 1")
    done = shop.squash("head-2")
    assert done.code == 2 and "no commits on Sundays" in done.err, done.said
    shop.assert_nothing_left(head)
    assert world(shop) == before


@pytest.mark.slow
def test_a_base_that_somebody_committed_on_the_squash_branch_still_gets_its_proof_into_git(shop: Project) -> None:
    begin(shop, "head-2")
    for name in ("reinit", "restore", "createdb", "migrate"):
        step(shop, name)
    shop.commit("my own words")
    step(shop, "merge")
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^{tree}") in shop.git("log", "-1", "--format=%B")
    assert "my own words" in shop.git("log", "-2", "--format=%s")


@pytest.mark.slow
def test_no_merge_ends_on_the_squash_branch_and_into_moves_another_one(shop: Project) -> None:
    start, revision = shop.git("rev-parse", "HEAD"), shop.ids[3]
    done = shop.squash("head-2", "--no-merge")
    assert done.code == 0, done.said
    shop.assert_nothing_left(branches=("main", f"squash-{revision}"))
    assert f"squash-{revision} holds a squash that is proven and committed" in step(shop, "status").out
    assert shop.git("symbolic-ref", "--short", "HEAD") == f"squash-{revision}"
    assert shop.git("rev-parse", "main") == start == shop.git("rev-parse", "HEAD^")
    assert "Proven on PostgreSQL" in shop.git("log", "-1", "--format=%B")

    again = shop.squash("head-2")  # on the squash branch, of which R is the base now
    assert again.code == 1, again.said
    shop.git("checkout", "--quiet", "main")
    again = shop.squash("head-2")
    assert again.code == 1 and f"squash-{revision} exists already" in again.err
    shop.git("branch", "--quiet", "-D", f"squash-{revision}")

    shop.git("branch", "release")
    done = shop.squash("head-2", "--into", "release")
    assert done.code == 0, done.said
    shop.assert_nothing_left(start, branches=("main", "release"))
    assert shop.git("symbolic-ref", "--short", "HEAD") == "main"
    assert shop.git("rev-parse", "release^") == start
    assert len(list(shop.versions.glob("*.py"))) == 6


def test_a_step_on_another_branch_or_out_of_order_is_refused_with_what_to_type(shop: Project) -> None:
    for name in RECIPE[1:]:
        if name != "cleanup":
            assert "checkout --rev R" in step(shop, name, code=1).err
    begin(shop, "head-2")
    assert "already under way" in step(shop, "checkout", "--rev", "head-1", "--uri-var", VARIABLE, code=1).err
    assert "reinit" in step(shop, "migrate", code=1).err
    step(shop, "reinit")
    assert "migrate" in step(shop, "merge", code=1).err
    assert "stays" in step(shop, "restore", "--only", "app.py", code=1).err
    outside = step(shop, "restore", "--only", "/etc/hosts", code=1)
    assert "stays" in outside.err
    step(shop, "restore")
    shop.git("checkout", "--quiet", "--force", "main")
    for name in ("reinit", "restore", "migrate", "verify", "merge"):
        assert "git checkout squash-" in step(shop, name, code=1).err
    step(shop, "abort")
    shop.assert_nothing_left()


# --- unusual trees and graphs ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_project_in_a_subdirectory_with_another_directory_name(shop: Project) -> None:
    shop.write("README", "a repository of several parts\n")
    (shop.top / "backend").mkdir()
    shop.git("mv", "app.py", "backend/app.py")
    shop.git("mv", "migrations", "backend/db_history")
    app = (shop.top / "backend/app.py").read_text()
    shop.write("backend/app.py", app.replace("Migrate(app, db)", 'Migrate(app, db, directory="db_history")'))
    start = shop.commit("move")
    done = shop.run(
        [BIN / "alembic-squash", "squash", "--rev", "head-2", "--uri-var", VARIABLE, "--server", shop.server_url],
        check=False,
        cwd=shop.top / "backend",
    )
    assert done.code == 0, done.said
    shop.assert_nothing_left()
    assert shop.git("rev-parse", "HEAD^") == start
    names = sorted(path.name[:12] for path in (shop.top / "backend/db_history/versions").glob("*.py"))
    assert names == shop.ids[3:]


def graph(make: Make) -> Project:
    """Two bases; the labelled one forks, and comes together again at a merge."""

    def table(name: str) -> str:
        return f'op.create_table("{name}", sa.Column("id", sa.Integer(), primary_key=True))'

    return make([
        Step("accounts", table("accounts"), revision="aaaa00000001", down=None, labels=("core",)),
        Step("left", table("lefts"), revision="aaaa00000002", down="aaaa00000001"),
        Step("right", table("rights"), revision="aaaa00000003", down="aaaa00000001"),
        Step("together", revision="aaaa00000004", down=("aaaa00000002", "aaaa00000003")),
        Step("later", table("laters"), revision="aaaa00000005", down="aaaa00000004"),
        Step("plugin", table("plugins"), revision="bbbb00000001", down=None, labels=("plugin",)),
        Step("plugin two", table("plugin_parts"), revision="bbbb00000002", down="bbbb00000001"),
    ])  # fmt: skip


@pytest.mark.slow
def test_a_merge_point_becomes_a_base_that_carries_the_label_beside_another_base_that_stays(make: Make) -> None:
    project = graph(make)
    refused = project.squash("aaaa00000002")
    assert refused.code == 1 and "aaaa00000003" in refused.err and "aaaa00000004" in refused.err
    project.assert_nothing_left()
    done = project.squash("aaaa00000004")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    left = ["aaaa00000004", "aaaa00000005", "bbbb00000001", "bbbb00000002"]
    assert sorted(path.name[:12] for path in project.versions.glob("*.py")) == left
    project.new_database("graph")
    project.flask("upgrade", "core@head", database="graph")
    tables = {str(name) for (name,) in query(project.address("graph"), "SELECT tablename FROM pg_tables")}
    assert {"accounts", "lefts", "rights", "laters"} <= tables and "plugins" not in tables
    project.flask("upgrade", "heads", database="graph")
    assert query(project.address("graph"), "SELECT count(*) FROM plugin_parts") == [(0,)]


@pytest.mark.slow
def test_a_squash_of_a_squash_with_a_later_r(shop: Project) -> None:
    assert shop.squash("head-3").code == 0
    done = shop.squash("head-1")
    assert done.code == 0, done.said
    shop.assert_nothing_left()
    assert sorted(p.name[:12] for p in shop.versions.glob("*.py")) == shop.ids[4:]
    assert "replaces 3 migrations" in shop.base_text(shop.ids[4])
    again = shop.squash(shop.ids[4])
    assert again.code == 1 and "already the base" in again.err
    head = shop.squash("head")
    assert head.code == 0, head.said
    assert [p.name[:12] for p in shop.versions.glob("*.py")] == shop.ids[5:]
    address = shop.new_database("twice")
    shop.flask("upgrade", database="twice")
    assert query(address, "SELECT code FROM plans ORDER BY id") == [("free",), ("premium",)]


@pytest.mark.slow
def test_a_repository_with_200_migrations(make: Make) -> None:
    steps = [*SHOP]
    for number in range(194):
        if number % 5 == 0:
            steps.append(Step(f"table {number}", f"""
                op.create_table("t{number}", sa.Column("id", sa.Integer(), primary_key=True),
                                sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id")))
            """))  # fmt: skip
        else:
            table = number - number % 5
            steps.append(Step(f"column {number}", f"""
                op.add_column("t{table}", sa.Column("c{number}", sa.String(length={number + 10}), server_default="x"))
            """))  # fmt: skip
    project = make([])
    project.add(*steps, commit=False)
    project.commit("two hundred")
    done = project.squash("head-10")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert len(list(project.versions.glob("*.py"))) == 11
