"""--report: the revision graph as a picture, one file of its own, and what a real browser makes of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasklib.history.cut import Migration
from tasklib.report import graph, report
from tests.conftest import Make
from tests.support import needs
from tests.support.project import APP, Project, Step

LONG = Step("a long one", sql=["CREATE TABLE long (" + ", ".join(f"column_{n} integer" for n in range(60)) + ")"])


def node(name: str, *parents: str, kind: str = "gone") -> graph.Node:
    return graph.Node(name, parents, f"message of {name}", kind)


def chain(number: int) -> list[graph.Node]:
    return [node(f"n{one}", *([f"n{one - 1}"] if one else [])) for one in range(number)]


def test_a_long_straight_run_is_folded_and_its_ends_are_shown() -> None:
    shown = graph.folded(chain(100))
    assert [one.id for one in shown] == ["n0", "n1", "n2", "n96", "n97", "n98", "n99"]
    assert [one.folded for one in shown] == [0, 0, 0, 94, 0, 0, 0] and shown[3].parents == ("n2",)
    assert graph.folded(chain(7)) == chain(7)


def test_branches_lie_in_lanes_of_their_own_and_meet_again() -> None:
    nodes = [node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c")]
    laid = graph.laid_out(nodes)
    lanes = {one.node.id: one.lane for one in laid.placed}
    assert laid.lanes == 2 and lanes["b"] != lanes["c"] and lanes["d"] == lanes["b"]
    assert {(one.child.node.id, one.parent.node.id) for one in laid.edges} == {
        ("d", "b"), ("d", "c"), ("b", "a"), ("c", "a")}  # fmt: skip


@given(st.lists(st.sets(st.integers(0, 30), max_size=3), min_size=1, max_size=31))
def test_every_graph_is_laid_out_with_each_node_once_and_no_line_through_another_node(parents: list[set[int]]) -> None:
    nodes = [node(f"n{one}", *(f"n{other}" for other in sorted(of) if other < one)) for one, of in enumerate(parents)]
    laid = graph.laid_out(nodes)
    shown = graph.folded(nodes)
    assert sorted(one.node.id for one in laid.placed) == sorted(one.id for one in shown)
    assert sum(one.folded or 1 for one in shown) == len(nodes)
    known = {one.id for one in shown}
    assert len(laid.edges) == sum(len([p for p in one.parents if p in known]) for one in shown)
    places = {(one.row, one.lane) for one in laid.placed}
    for edge in laid.edges:
        assert edge.child.row < edge.parent.row
        between = {(row, edge.lane) for row in range(edge.child.row + 1, edge.parent.row)}
        assert not between & places, edge


class Reader(HTMLParser):
    """The text of a page, what it refers to, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "br", "circle", "path", "colgroup"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open and self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_squash_writes_its_report_and_verify_another_one(shop: Project, tmp_path: Path) -> None:
    page, text = tmp_path / "squash.html", tmp_path / "proof.md"
    done = shop.squash("head-2", "--report", str(page))
    assert done.code == 0 and f"the report is in {page}" in done.err, done.said
    shop.assert_nothing_left()
    read = Reader(page.read_text(encoding="utf-8"))
    said = " ".join(" ".join(read.texts).split())
    assert read.references == [] and read.open == []
    assert "4 migrations are one base migration" in said and shop.git("rev-parse", "HEAD") in said
    assert "Before: 6 migrations" in said and "After: 3 migrations" in said
    assert all(said.count(one) >= 2 for one in shop.ids[3:]) and said.count(shop.ids[1]) >= 1
    checks = re.findall(r"- (at .*?): the same \((.*?)\)", done.out)
    plain = [(" ".join(what.replace("`", " ").split()), numbers) for what, numbers in checks]  # it stands in <code>
    assert len(checks) == 4 and all(what in said and numbers in said for what, numbers in plain)
    assert "SELECT count(*) > 0 AND bool_and(version_num IN" in said and "op.create_table(" in said
    assert "replay" in said and shop.server.password not in page.read_text(encoding="utf-8")
    done = shop.tool("verify", "--server", shop.server_url, "--report", str(text), "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")  # nothing is wrong
    written = text.read_text(encoding="utf-8")
    assert written.startswith("# ✅ 4 migrations") and written.count("```mermaid") == 2
    assert all(f"| {what} | the same: {numbers} |" in written for what, numbers in checks), written


def test_a_squash_that_differs_shows_the_differences_side_by_side(make: Make, tmp_path: Path) -> None:
    """Models that say another default, and a longer name, than the migrations."""
    models = (
        APP
        + """

class User(db.Model):
    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False, index=True)
"""
    )
    project = make([], app=models)
    project.add(Step("users & <their> names", """
    op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(40),
        server_default="<b>none</b>", nullable=False))
    """), Step("more", 'op.alter_column("users", "name", nullable=True)'))  # fmt: skip
    done = project.squash("head", "--source", "models", "--report", str(tmp_path / "differs.html"))
    assert done.code == 3, done.said
    project.assert_nothing_left()
    text = (tmp_path / "differs.html").read_text(encoding="utf-8")
    read = Reader(text)
    assert read.open == [] and "not proven" in " ".join(read.texts) and "As it would be" in " ".join(read.texts)
    assert "<b>none" not in text and "&lt;b&gt;none" in text and "users &amp; &lt;their&gt; names" in text
    tables = re.findall(r'(?s)<table class="diff".*?</table>', text)
    assert tables and any("character&nbsp;varying(40)" in one and "varying(80)" in one for one in tables), tables
    assert "extra: INDEX public.ix_users_name" in " ".join(" ".join(read.texts).split())


@pytest.mark.parametrize(
    ("path", "said"),
    [("squash.pdf", "ends in .html or .md"), ("nowhere/squash.html", "there is no directory"), ("d.html", "directory")],
)
def test_a_report_that_could_not_be_written_is_refused_before_anything_is_done(
    shop: Project, path: str, said: str
) -> None:
    (shop.top / ".git" / "d.html").mkdir()
    place = f".git/{path}" if path == "d.html" else path
    done = shop.squash("head-2", "--report", place)
    assert done.code == 1 and said in done.err and "…" not in done.err, done.said
    shop.assert_nothing_left()


# --- a real browser ---------------------------------------------------------------------------------------------------

BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip


def browse(tmp_path: Path, *words: str) -> str:
    program = needs.browser_program()
    assert program is not None
    profile = tmp_path / "profile"
    done = subprocess.run(
        [program, *BROWSER, f"--user-data-dir={profile}", *words], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout


def measured(page: Path, tmp_path: Path, width: int, dark: bool) -> dict[str, object]:
    """What the browser makes of the page in a window of this width: how wide it is, its colours, its pictures."""
    script = """
      const d = document.querySelector('iframe').contentDocument, w = document.querySelector('iframe').contentWindow;
      document.title = JSON.stringify({wide: d.documentElement.scrollWidth, paper: w.getComputedStyle(d.body).
        backgroundColor, ink: w.getComputedStyle(d.body).color, dots: [...d.querySelectorAll('circle')].filter(
        c => c.getBoundingClientRect().width > 5).length, tall: d.documentElement.scrollHeight});
    """
    frame = html.escape(page.read_text(encoding="utf-8"), quote=True)
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(
        f'<!doctype html><meta name="color-scheme" content="light dark">'
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{frame}"></iframe>'
        f"<script>onload = () => {{{script}}}</script>",
        encoding="utf-8",
    )
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    shown = browse(tmp_path, scheme, "--dump-dom", wrapper.as_uri())
    found = re.search(r"<title>(.*?)</title>", shown)
    assert found, shown[:2000]
    result: dict[str, object] = json.loads(html.unescape(found.group(1)))
    return result


def brightness(colour: object) -> int:
    return sum(int(one) for one in re.findall(r"\d+", str(colour))[:3])


@needs.browser
def test_a_browser_shows_it_narrow_and_wide_light_and_dark(tmp_path: Path) -> None:
    migrations = [
        Migration(f"{n:012d}", (f"{n - 1:012d}",) if n else (), (), (), "x.py", "add a column " * 9) for n in range(90)
    ]
    made = report.Report(
        "80 migrations are one base migration", True, [("base migration", "migrations/versions/" + "long_" * 30)],
        graph.before(migrations, [m.id for m in migrations[:80]]),
        graph.after(migrations, [m.id for m in migrations[:80]], migrations[79].id),
        [("at head, old chain and new chain", "the same: 191 objects, 13 rows in 19 tables")], code="x = 1\n" * 300,
        condition=["SELECT " + "a" * 300], timings=[("step", "seconds"), ("replay", "1.0")],
        notes=[("many", [f"table_{n}.column" for n in range(50)])],
    )  # fmt: skip
    report.write(tmp_path / "proven.html", made)
    long = (
        "CREATE TABLE t (" + ",\n".join(f"    column_{n} character varying(40)" for n in range(30)) + ", " + "x" * 300
    )
    of = {"at": "at head", "database": "the default database"}
    differences: list[dict[str, str | None]] = [
        {**of, "kind": "TABLE", "name": "t", "what": "changed", "left": long, "right": long.replace("40", "80", 1)},
        {**of, "kind": "INDEX", "name": "i", "what": "missing", "left": "CREATE INDEX i", "right": None},
    ]
    differs = replace(made, is_proven=False, differences=differences, said="2 differences", checks=(), condition=())
    report.write(tmp_path / "differs.html", differs)
    for page in (tmp_path / "differs.html", tmp_path / "proven.html"):
        for width in (360, 1200):
            light, dark = (measured(page, tmp_path, width, is_dark) for is_dark in (False, True))
            assert light["wide"] == dark["wide"] == width, (page, width, light)
            assert brightness(light["paper"]) > 600 > 200 > brightness(light["ink"]), light
            assert brightness(dark["paper"]) < 200 < 600 < brightness(dark["ink"]), dark
            # Of each straight run the three at each end: 80 that go and 10 that stay; then the base and these.
            assert light["dots"] == 6 + 6 + 1 + 6, light
        pictures = []
        for scheme in (0, 1):
            picture = tmp_path / f"{page.stem}-{scheme}.png"
            browse(tmp_path, f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1200,1600",
                   f"--screenshot={picture}", page.as_uri())  # fmt: skip
            pictures.append(picture.read_bytes())
        assert all(one.startswith(b"\x89PNG") and len(one) > 20_000 for one in pictures) and pictures[0] != pictures[1]
