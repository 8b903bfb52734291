"""Revision files and graphs of any kind: never a loop, never a traceback, and the cut is what Alembic says."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence

import pytest
from alembic.script.revision import Revision, RevisionError, RevisionMap
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasklib.errors import Refused
from tasklib.history.cut import History, Migration
from tasklib.history.revisions import parse

FILE = '"""one\n\nRevises: a\n"""\nrevision = "b"\ndown_revision = "a"\n\n\ndef upgrade():\n    pass\n'
PIECES = st.sampled_from([
    'revision = "b"', "down_revision = ", "None", '"a"', "('a', 'c')", "branch_labels", "=", "depends_on: str = ", ",",
    "if True:", "\n", "\n    ", "(", ")", "[", "]", "{", "}", "\0", "\ufeff", "\r\n", "\t", "*", "global revision", "#",
    '"""', "for revision in 'ab': pass", "revision, down_revision = 'b', 'a'", "import os", "é",
    "del revision", "lambda:",
    "x" * 3, "(" * 300, "class C:\n  revision = 1", "def f():\n  revision = 1",
    "try:\n  revision = 'z'\nfinally:\n  pass",
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=8).map("\n".join)))
@example("(" * 100_000)
def test_any_text_is_a_revision_or_none_or_refused(text: str) -> None:
    with contextlib.suppress(Refused), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = parse(text, "versions/x.py")
        assert found is None or isinstance(found, Migration)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + FILE,
        FILE.replace("\n", "\r\n"),
        FILE.replace('revision = "b"\ndown_revision = "a"', 'revision, down_revision = "b", "a"'),
        FILE.replace('revision = "b"\ndown_revision = "a"', '[revision, (down_revision, x)] = "b", ("a", 1)'),
        FILE.replace('revision = "b"', 'revision: str = "b"'),
        FILE.replace('down_revision = "a"', 'down_revision = ["a"]'),
        FILE.replace('down_revision = "a"', 'down_revision = other = "a"'),
        FILE + 'class C:\n    revision = "c"\n\n    def f(self):\n        down_revision = "d"\n',
    ],
)
def test_it_is_read_as_alembic_reads_it(text: str) -> None:
    found = parse(text, "versions/x.py")
    space: dict[str, object] = {}
    exec(compile(text.encode(), "x.py", "exec"), space)
    assert found is not None and found.id == space["revision"] == "b"
    assert found.down == ("a",) and space["down_revision"] in ("a", ["a"])


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('if True:\n    down_revision = "a"', "down_revision"),
        ('try:\n    down_revision = "a"\nexcept ImportError:\n    down_revision = "c"', "down_revision"),
        ('down_revision += "x"', "down_revision"),
        ("down_revision = PARENT", "down_revision"),
        ("down_revision = 5", "down_revision"),
        ("down_revision = (None, 'a')", "down_revision"),
        ('revision, down_revision = "ba"', "revision"),
        ('revision, *down_revision = "b", "a"', "revision"),
        ("for revision in ('b',):\n    pass", "revision"),
        ("with open('x') as revision:\n    pass", "revision"),
        ('(revision := "b")', "revision"),
    ],
)
def test_what_only_running_it_would_tell_is_refused_with_its_line(line: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(f'revision = "b"\n{line}\n', "versions/x.py")
    assert f"versions/x.py, line 2: {name} is computed" in refused.value.text


@st.composite
def graphs(draw: st.DrawFn) -> list[Migration]:
    """Revisions whose parents are mostly earlier ones, and sometimes any, themselves too."""
    count = draw(st.integers(1, 9))
    ids = [f"r{number}" for number in range(count)]
    wild = draw(st.booleans())
    made = []
    for number, one in enumerate(ids):
        choices = ids if wild else ids[:number]
        parents = st.lists(st.sampled_from(choices), max_size=3, unique=True) if choices else st.just([])
        down, depends = draw(parents), draw(st.one_of(st.just([]), parents))
        label = draw(st.sampled_from([(), (), (f"label{number}",)]))
        made.append(Migration(one, tuple(down), tuple(depends), label, f"versions/{one}.py", one))
    return made


@settings(max_examples=500, deadline=None)
@given(graphs())
@example([Migration("a", ("a",), (), (), "versions/a.py", "a")])
@example([Migration("a", ("b",), (), (), "versions/a.py", "a"), Migration("b", ("a",), (), (), "versions/b.py", "b")])
@example([Migration("a", (), ("b",), (), "versions/a.py", "a"), Migration("b", ("a",), (), (), "versions/b.py", "b")])
def test_any_graph_is_cut_as_alembic_would_or_refused(graph: list[Migration]) -> None:
    alembics = alembic_map(graph)
    try:
        history = History(graph)
    except Refused as refused:
        assert "comes after" in refused.text
        # Alembic itself does not see every circle in which there is a dependency.
        assert has_circle(graph)
        return
    assert not has_circle(graph)
    assert alembics is not None
    assert set(history.heads) == set(alembics.heads)
    assert {migration.id for migration in history.ordered(history.migrations)} == {one.id for one in graph}
    for one in history.migrations:
        before = {r.revision for r in alembics.iterate_revisions(one, "base", implicit_base=True)}
        try:
            cut = history.cut(one)
        except Refused:
            continue
        assert {migration.id for migration in cut.gone} == before
        done: set[str] = set()
        for migration in (*cut.gone, *cut.kept):
            assert done >= set(migration.parents)
            done.add(migration.id)
        for migration in cut.kept:
            assert not {*migration.parents} & (before - {one})


def has_circle(graph: Sequence[Migration]) -> bool:
    reached = {m.id: {*m.parents} for m in graph}
    for _ in graph:
        reached = {one: there.union(*(reached[parent] for parent in there)) for one, there in reached.items()}
    return any(one in there for one, there in reached.items())


def alembic_map(graph: Sequence[Migration]) -> RevisionMap | None:
    """Alembic's own, or None where it refuses the graph."""

    def made() -> list[Revision]:
        return [
            Revision(m.id, m.down or None, dependencies=m.depends_on or None, branch_labels=m.labels or None)
            for m in graph
        ]

    found = RevisionMap(made)
    try:
        _ = found._revision_map
    except RevisionError:
        return None
    return found


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_head_and_so_many_before_it_are_what_alembic_says(graph: list[Migration]) -> None:
    alembics = alembic_map(graph)
    try:
        history = History(graph)
    except Refused:
        return
    assert alembics is not None
    for name in ("head", *(f"head-{steps}" for steps in range(1, len(graph) + 2))):
        plain = history._straight(name)
        if plain is None:
            continue
        theirs = alembics.get_revision(name) if name == "head" else next(iter(alembics.iterate_revisions(name, "base")))
        assert theirs is not None and plain.id == theirs.revision, name


def test_a_line_is_counted_back_without_alembic_and_a_history_that_is_none_is_not() -> None:
    def made(*links: tuple[str, tuple[str, ...], tuple[str, ...]]) -> History:
        return History([Migration(id_, down, needs, (), f"versions/{id_}.py", id_) for id_, down, needs in links])

    line = made(("a", (), ()), ("b", ("a",), ()), ("c", ("b",), ()))
    assert [getattr(line._straight(name), "id", None) for name in ("head", "head-1", "head-2", "head-3")] == [
        "c", "b", "a", None,
    ]  # fmt: skip
    assert made(("a", (), ()), ("b", ("a",), ()), ("c", ("a",), ()))._straight("head") is None
    assert made(("a", (), ()), ("b", (), ()), ("c", ("a",), ("b",)))._straight("head-1") is None
