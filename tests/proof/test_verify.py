"""`verify` without a plan: on any checkout of a squashed repository, as in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.project import VARIABLE, Done, Project, Step


def verify(project: Project, code: int, *words: str, server: bool = True) -> Done:
    """`verify` on the test server (or a throwaway one); it must end with ``code`` and leave nothing."""
    options = ("--server", project.server_url) if server else ()
    before, head = project.databases(), project.git("rev-parse", "HEAD")
    done = project.tool("verify", "--uri-var", VARIABLE, *options, *words)
    assert done.code == code, done.said
    assert project.git("rev-parse", "HEAD") == head
    assert not (project.top / ".git/alembic-squash").exists()
    token = re.findall(r"alembic_squash_([0-9a-f]{8})_", done.said)
    assert not {name for name in project.databases() - before if any(one in name for one in token)}
    return done


def clone(project: Project, name: str, *words: str) -> Project:
    target = project.top.parent / name
    project.run(["git", "clone", "--quiet", *words, project.top.as_uri(), str(target)], cwd=project.top.parent)
    made = Project(target, project.server, list(project.ids))
    made.git("config", "user.name", "Test")
    made.git("config", "user.email", "test@example.com")
    return made


def test_a_squash_is_proven_again_on_a_checkout_in_a_fresh_clone_and_after_later_migrations(shop: Project) -> None:
    assert shop.squash("head-2").code == 0
    tree = shop.git("rev-parse", "HEAD^{tree}")
    done = verify(shop, 0)
    assert tree in done.out and "the same" in done.out

    shop.add(Step("later", 'op.add_column("users", sa.Column("later", sa.Integer()))'))
    fresh = clone(shop, "fresh")
    fresh.git("checkout", "--quiet", "--detach")  # as CI does
    done = verify(fresh, 0, server=False)
    assert fresh.git("rev-parse", "HEAD^{tree}") in done.out
    assert list(fresh.temporary.iterdir()) == []


@pytest.mark.slow
def test_after_a_rebase_and_a_second_squash_the_originals_are_still_found(shop: Project) -> None:
    start = shop.git("rev-parse", "HEAD")
    assert shop.squash("head-2").code == 0
    shop.git("checkout", "--quiet", "-b", "other", start)
    shop.write("notes.txt", "unrelated\n")
    shop.commit("unrelated")
    shop.git("rebase", "--quiet", "other", "main")
    verify(shop, 0)
    assert shop.squash("head-1").code == 0
    done = verify(shop, 0, "--rev", shop.ids[4])
    assert shop.ids[4] in done.out


@pytest.mark.slow
def test_a_tampered_base_is_exit_3_and_names_what_differs(shop: Project) -> None:
    assert shop.squash("head-2").code == 0
    file = shop.file_of(shop.ids[3])
    file.write_text(file.read_text().replace('"premium"', '"free2"').replace('"paid"', '"free2"'), encoding="utf-8")
    warned = verify(shop, 0)  # what is not committed is not what CI would see
    assert "not committed" in warned.err
    shop.commit("tamper")
    done = verify(shop, 3)
    assert "plans" in done.err and "free2" in done.err
    shop.git("reset", "--quiet", "--hard", "HEAD~1")
    file.write_text(file.read_text().replace("length=120", "length=12"), encoding="utf-8")
    shop.commit("tamper")
    assert "users" in verify(shop, 3).err


def test_a_checkout_that_cannot_be_verified_says_why(shop: Project) -> None:
    never = verify(shop, 1)
    assert "Originals: git commit" in never.err
    assert shop.squash("head-2").code == 0
    shallow = clone(shop, "shallow", "--depth", "1")
    done = verify(shallow, 1)
    assert "git fetch --unshallow" in done.err and shop.git("rev-parse", "HEAD^") in done.err
    nothing = shallow.tool("verify", "--uri-var", VARIABLE, "--rev", "nonsense")
    assert nothing.code == 1 and "nonsense" in nothing.err
    assert not Path(shop.top, ".git/alembic-squash").exists()
