"""The whole squash, as a user runs it."""

from __future__ import annotations

from tests.support.project import Project, query


def test_a_squash_leaves_one_base_with_the_id_of_r_on_the_original_branch(shop: Project) -> None:
    before = shop.git("rev-parse", "HEAD")
    done = shop.squash("head-2")
    assert done.code == 0, done.said
    shop.assert_nothing_left()
    assert sorted(p.name[:12] for p in shop.versions.glob("*.py")) == shop.ids[3:]
    assert shop.git("rev-parse", "HEAD^") == before
    assert "Proven on PostgreSQL" in shop.git("log", "-1", "--format=%B")
    text = shop.base_text(shop.ids[3])
    assert "op.create_table(" in text and f'revision = "{shop.ids[3]}"' in text and "down_revision = None" in text
    address = shop.new_database("fresh")
    shop.flask("upgrade", database="fresh")
    assert query(address, "SELECT id, code FROM plans ORDER BY id") == [(1, "free"), (2, "premium")]
    assert query(address, "SELECT nextval('plans_id_seq')") == [(3,)]
