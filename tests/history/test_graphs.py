"""Histories that are no line: merges, several bases and heads, dependencies, branch labels."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasklib.errors import Refused
from tasklib.history.cut import History, Migration
from tests.conftest import MakePlain
from tests.support.project import Step, query
from tests.support.traps import assert_native


def made(revision: str, *down: str, depends_on: Sequence[str] = (), label: str = "") -> Migration:
    labels = (label,) if label else ()
    return Migration(revision, down, tuple(depends_on), labels, f"versions/{revision}.py", revision)


# core1 - core2 - core3 - join - - - core4 - core5            (heads: core5, feat2, rept3)
#            .              /    \- feat1 - feat2
#  bill1 (needs core2) - bill2
#        \- - - - - - -- bill3 - /                            rept1 - rept2 (needs join) - rept3 (needs billing)
BRANCHED = History([
    made("core1", label="core"), made("core2", "core1"), made("core3", "core2"),
    made("bill1", depends_on=["core2"], label="billing"), made("bill2", "bill1"), made("bill3", "bill1"),
    made("bills", "bill2", "bill3"), made("join1", "core3", "bills"), made("core4", "join1"), made("core5", "core4"),
    made("feat1", "join1", label="feature"), made("feat2", "feat1"),
    made("rept1", label="reports"), made("rept2", "rept1", depends_on=["join1"]),
    made("rept3", "rept2", depends_on=["billing"]),
])  # fmt: skip


def test_a_merge_point_takes_all_its_branches_and_their_dependencies_along_and_leaves_the_rest() -> None:
    cut = BRANCHED.cut("join1")
    assert [m.id for m in cut.gone] == ["core1", "core2", "bill1", "bill2", "bill3", "bills", "core3", "join1"]
    assert {m.id for m in cut.kept} == {"core4", "core5", "feat1", "feat2", "rept1", "rept2", "rept3"}
    assert cut.heads == ("core5", "feat2", "rept3")
    # rept3 depends on `billing`, a label that the base carries from then on.
    assert sorted(cut.labels) == ["billing", "core"]


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        # On one of two branches, which meet again: the other branch hangs on what would go.
        ("bill2", ("bill3 (versions/bill3.py) stays, and it hangs on bill1", "core2 (before it) or join1 (after it)")),
        # Past a fork: the other head hangs on the merge point.
        ("core4", ("feat1 (versions/feat1.py) stays, and it hangs on join1", "The nearest legal R: join1")),
        # What another branch depends on by its id cannot go.
        ("core3", ("bill1 (versions/bill1.py) stays, and it hangs on core2", "core2 (before it) or join1 (after it)")),
        ("rept2", ("core4 (versions/core4.py) stays, and it hangs on join1", "The nearest legal R: join1")),
        ("core1", ("core1 is already the base",)),
        ("rept1", ("rept1 is already the base",)),
    ],
)
def test_a_cut_that_is_not_clean_is_refused_with_the_nearest_that_is(revision: str, says: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as caught:
        BRANCHED.cut(revision)
    assert all(part in str(caught.value) for part in says), str(caught.value)
    nearest = BRANCHED.nearest_legal(revision)
    assert all(BRANCHED.legal(one) for one in nearest)


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("core4", "core4"), ("bills", "bills"), ("rept", None), ("join", "join1"),
        ("core5-1", "core4"), ("core5-2", "join1"), ("core4+1", "core5"),
        ("feature@head", "feat2"), ("feature@head-1", "feat1"), ("reports@head", "rept3"), ("reports@rept2", "rept2"),
        ("feature", "feat1"),
        # Not one revision: two heads carry the label, a merge lies between, another branch.
        ("core@head", None), ("core5-3", None), ("feature@core4", None), ("head", None), ("base", None),
    ],
)  # fmt: skip
def test_what_rev_may_be(name: str, revision: str | None) -> None:
    if revision is not None:
        assert BRANCHED.resolve(name).id == revision
        return
    with pytest.raises(Refused) as caught:
        BRANCHED.resolve(name)
    assert f"--rev {name}" in str(caught.value) and "core5, feat2, rept3" in str(caught.value)


def test_a_relative_form_that_means_nothing_here_gets_one_that_does() -> None:
    for name, hint in (
        ("head-2", "--rev core5-2 counts from one of the heads; so does LABEL@head-2"),
        ("core5-3", "--rev join1"),
    ):
        with pytest.raises(Refused) as caught:
            BRANCHED.resolve(name)
        assert hint in caught.value.hint


def test_a_dependency_on_a_label_of_what_goes_is_clean_and_one_by_id_is_not() -> None:
    line = [made("one", label="first"), made("two", "one"), made("three", "two")]
    by_label = History([*line, made("other", depends_on=["first"])])
    assert by_label.legal("three")
    by_id = History([*line, made("other", depends_on=["one"])])
    assert not by_id.legal("three")
    both = History([*line, made("other", depends_on=["first", "one"])])
    assert not both.legal("three")


def table(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.Integer(), primary_key=True))'


def test_a_history_of_several_bases_merges_dependencies_labels_and_heads_is_squashed_at_a_merge(
    make_plain: MakePlain,
) -> None:
    project = make_plain([
        Step(m.id, table(m.id), revision=m.id, down=m.down if len(m.down) > 1 else (*m.down, None)[0],
             labels=m.labels or None, depends_on=m.depends_on[0] if m.depends_on else None)
        for m in BRANCHED.ordered(BRANCHED.migrations)
    ])  # fmt: skip
    dependent = project.file_of("rept3")
    dependent.write_text(dependent.read_text().replace("depends_on = 'bill1'", "depends_on = 'billing'"))
    project.commit("depend on a label")
    old = project.new_database("branched_old")
    project.db("upgrade", "heads", database="branched_old")
    done = project.squash("join1")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert sorted(p.name.split("_")[0] for p in project.versions.glob("*.py")) == [
        "core4", "core5", "feat1", "feat2", "join1", "rept1", "rept2", "rept3",
    ]  # fmt: skip
    text = project.base_text("join1")
    assert_native(text, 1.0)
    assert "down_revision = None" in text and "depends_on = None" in text
    # What names the labels still works, and a database of before ends where a new one does.
    fresh = project.new_database("branched_fresh")
    project.db("upgrade", "reports@head", database="branched_fresh")
    assert "Rev: join1" in project.db("show", "billing", database="branched_fresh").out
    project.db("upgrade", "heads", database="branched_fresh")
    project.db("upgrade", "heads", database="branched_old")
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    versions = "SELECT version_num FROM alembic_version ORDER BY 1"
    assert query(fresh, tables) == query(old, tables)
    assert query(fresh, versions) == query(old, versions) == [("core5",), ("feat2",), ("rept3",)]
