"""How the base migration is written: with operations wherever they say it, and always with the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasklib.demo import build as demo
from tasklib.postgres.server import Server
from tests.conftest import MakePlain
from tests.support import native
from tests.support.project import Project, Step
from tests.support.traps import assert_laid_out, assert_native
from tests.traps.test_rows import CALENDAR
from tests.traps.test_schema import NAMES

ROOT = Path(__file__).resolve().parents[2]
# An operation says each of these as well.
PLAIN = (
    "CREATE TABLE public.t (\n    id integer NOT NULL\n)",
    "ALTER TABLE public.t ADD COLUMN a integer",
    "ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)",
    "ALTER TABLE ONLY public.t ADD CONSTRAINT t_a_key UNIQUE (a) DEFERRABLE",
    "ALTER TABLE public.t ADD CONSTRAINT t_check CHECK ((a > 0))",
    "ALTER TABLE ONLY public.t ADD CONSTRAINT t_fkey FOREIGN KEY (a) REFERENCES public.u(id) ON DELETE CASCADE",
    "CREATE INDEX t_a ON public.t USING btree (a)",
    "CREATE UNIQUE INDEX t_lower ON public.t USING btree (lower(b)) WHERE (a > 1)",
    "INSERT INTO public.t VALUES (1)",
)
ODD = (
    "CREATE UNLOGGED TABLE public.t (\n    id integer NOT NULL\n)",
    "CREATE TABLE public.parted (\n    id integer NOT NULL\n)\nPARTITION BY RANGE (id)",
    "ALTER TABLE ONLY public.parted ADD CONSTRAINT parted_pkey PRIMARY KEY (id)",
    "ALTER TABLE public.u ADD CONSTRAINT t_check CHECK ((a > 0)) NOT VALID",
    "CREATE TYPE status AS ENUM ('a')",
    "INSERT INTO public.u (id) OVERRIDING SYSTEM VALUE VALUES (1)",
)


def test_sql_for_what_an_operation_says_as_well_is_noticed() -> None:
    body = "\n".join(f"    op.execute(sa.DDL({one!r}))" for one in (*PLAIN, *ODD))
    upgrade = native.read(f"def upgrade():\n    op.create_table('u')\n{body}\n")
    # `t` is an odd table here as well, and its keys would come with it.
    assert upgrade.blunt(("parted",)) == list(PLAIN)
    assert upgrade.odd_tables() == ("t", "parted")
    assert upgrade.share == 1 / (1 + len(PLAIN) + len(ODD))


def library(directory: Path, server: Server) -> tuple[Project, demo.Demo]:
    """The demo's project, to be squashed on the test server."""
    made = demo.build(directory)
    project = Project(made.root, server)
    return project, made


def assert_the_readme_shows(project: Project, side: int) -> None:
    """`flask db history` is what the README has in its column before (0) or after (1), where it has no …"""
    block = re.search(r"(?ms)^```\nbefore .*?^```$", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert block is not None
    at = block.group().splitlines()[1].index("after")
    columns = [(line[:at].strip(), line[at:].strip()) for line in block.group().splitlines()[3:-1]]
    said = project.flask("history", database="postgres").out
    shown = [one[side] for one in columns if one[side]]
    for line in shown:
        pattern = re.sub(r"… \d+ more …", "", re.escape(line).replace(re.escape("…"), "…")).replace("…", ".*")
        assert re.search(rf"(?m)^{pattern}$", said) or " more " in line, (line, said)
    more = [int(number) for line in shown for number in re.findall(r"^… (\d+) more …$", line)]
    assert said.count(" -> ") == len(shown) - len(more) + sum(more)


@pytest.mark.slow
def test_the_demos_base_is_operations_where_these_say_it_and_two_squashes_of_it_are_the_same_bytes(
    server: Server, tmp_path: Path
) -> None:
    texts, others = [], []
    for name in ("one", "two"):
        project, made = library(tmp_path / name / "library", server)
        assert_the_readme_shows(project, 0)
        done = project.squash(made.revision)
        assert done.code == 0, done.said
        assert "Was different in each database, is now always the same value: plan_log.changed_at\n" in done.out
        assert "in a table of one row" not in done.out
        project.assert_nothing_left()
        assert_the_readme_shows(project, 1)
        text = project.base_file.read_text(encoding="utf-8")
        # All but the one value that is the time of the replay.
        texts.append(re.sub(r'"changed_at": "[^"]+"', '"changed_at": "…"', text))
        listed = project.git("ls-tree", "-r", "HEAD").splitlines()
        others.append([line for line in listed if not line.endswith(project.base_file.name)])
    assert texts[0] == texts[1] and others[0] == others[1]
    assert texts[0].count("…") == 1
    assert_native(text, 0.78)
    assert_laid_out(project)
    # What is left are the enums, a sequence, a function, a trigger, a view, and where the sequences stand.
    made_by_sql = [" ".join(one.split()[:2]) for one in native.read(text).executed]
    assert not {one for one in made_by_sql if re.match("CREATE (TABLE|INDEX|UNIQUE)|ALTER TABLE|INSERT", one)}


@pytest.mark.slow
def test_two_squashes_of_one_history_are_the_same_bytes_whatever_is_in_it(make_plain: MakePlain) -> None:
    histories: tuple[tuple[Step, ...], ...] = (NAMES, CALENDAR)
    for number, steps in enumerate(histories):
        project = make_plain(steps, name=f"project{number}")
        before = project.git("rev-parse", "HEAD")
        trees = []
        for _ in range(2):
            project.git("reset", "--quiet", "--hard", before)
            done = project.squash("head-2")
            assert done.code == 0, done.said
            project.assert_nothing_left()
            trees.append(project.git("rev-parse", "HEAD^{tree}"))
        assert trees[0] == trees[1]
        assert trees[0] != project.git("rev-parse", f"{before}^{{tree}}")
