from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasklib import ns
from tests.docs import pages
from tests.docs.pages import ROOT
from tests.support import documents

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("path", pages.pages(), ids=lambda path: str(path.name))
def test_a_page_that_is_made_from_the_program_says_what_that_says_today(path: Path) -> None:
    assert path.read_text() == pages.pages()[path], "python -m tests.docs.pages writes it anew"


def test_every_kind_of_error_is_on_the_page() -> None:
    found = list(pages.messages())
    assert {kind for kind, _, _ in found} == set(pages.KINDS)
    assert len(found) > 200
    assert "The work tree is not clean" in pages.refusals()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text())
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name) if name else page
        assert there.exists(), target
        headings = [
            re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-")
            for one in re.findall(r"(?m)^#+ (.*)", there.read_text())
        ]
        assert not anchor or anchor in headings, target


def test_every_test_that_a_guarantee_names_is_there() -> None:
    lines = [line for line in (ROOT / "docs/unharmed.md").read_text().splitlines() if re.match(r"\|\s*\*\*", line)]
    assert len(lines) == 7
    for line in lines:
        shown = line.replace("\\|", " ").split("|")[3]
        files = [part.partition("`") for part in re.split(r"; (?=`\w+/)", shown.strip())]
        for _, _, rest in files:
            file, _, names = rest.partition("`")
            text = (ROOT / "tests" / file).read_text()
            wanted = re.findall(r"`(\w+)(…?)`", names)
            assert wanted, rest
            for name, more in wanted:
                assert re.search(rf"(?m)^def test_{name}{'' if more else '[(]'}", text), f"{file}: {name}"


def test_every_command_that_your_project_shows_is_run_by_a_test() -> None:
    asked = [
        one
        for path in (ROOT / "tests").rglob("test_*.py")
        for one in re.findall(r'documents\.command\("([^"]+)"\)', path.read_text())
    ]
    assert sorted(documents.commands()) == sorted(map(documents.command, asked))


def test_every_page_can_be_found_from_the_readme() -> None:
    seen, new = set[Path](), {ROOT / "README.md"}
    while new:
        page = new.pop()
        seen.add(page)
        linked = {(page.parent / one).resolve() for one in re.findall(r"\]\(([\w./-]+\.md)", page.read_text())}
        new |= linked - seen
    assert {page.name for page in PAGES} - {page.name for page in seen} == set()


def test_the_readme_is_short_and_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert [name for name in ns.task_names if f"`{name}" not in text and f"alembic-squash {name}" not in text] == []
