"""Projects that are laid out otherwise than the tutorial's: each is made as its own tools make it, and squashed."""

from __future__ import annotations

import pytest

from tests.conftest import SHOP, MakePlain
from tests.project import query


@pytest.mark.e2e
def test_a_plain_alembic_project_is_squashed_without_an_option_but_the_variable(make_plain: MakePlain) -> None:
    project = make_plain(SHOP)
    before = project.git("rev-parse", "HEAD")
    done = project.squash("head-2")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert project.git("rev-parse", "HEAD^") == before
    assert sorted(p.name[:12] for p in project.versions.glob("*.py")) == project.ids[3:]
    address = project.new_database("plain")
    project.db("upgrade", "head", database="plain")
    assert query(address, "SELECT id, code FROM plans ORDER BY id") == [(1, "free"), (2, "premium")]
