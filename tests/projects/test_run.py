"""The runner for real projects, on a little one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import run
from tests.support.project import BIN, VARIABLE, Done, Project

ROOT = Path(__file__).parents[2]


def trial(project: Project, *words: str) -> Done:
    argv = [sys.executable, "-m", "tests.projects.run", str(project.top), "--bin", str(BIN), *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def cells(done: Done) -> list[str]:
    rows = [line for line in done.out.splitlines() if line.startswith("| ")]
    assert len(rows) == 3 and rows[0].count("|") == rows[1].count("|") == rows[2].count("|"), done.said
    return rows[2].strip("| ").split(" | ")


@pytest.mark.slow
def test_a_trial_squashes_a_clone_of_the_clone_and_prints_what_it_saw(shop: Project) -> None:
    before = shop.git("rev-parse", "HEAD")
    url = "postgresql+psycopg2://{user}:{password}@{host}:{port}/{database}"
    shop.write("untracked.txt", "the clone itself is not looked at")
    done = trial(
        shop, "--times", "1", "--env", f"{VARIABLE}={url}", "--new-database", "flask db upgrade",
        "--", "--rev", "head-2", "--uri-var", VARIABLE, "--server", shop.server_url,
    )  # fmt: skip
    assert done.code == 0, done.said
    name, commit, revision, migrations, options, proof, base, _, new = cells(done)
    assert (name, migrations, options) == ("project", "6 → 3", f"`--uri-var {VARIABLE}`")
    assert before.startswith(commit) and revision == f"`{shop.ids[3]}`"
    # Two rows of plans, and the version.
    same = r"0: 4 comparisons without a difference, of \d+ objects and 3 rows at R, \d+ objects and 3 rows at the head"
    assert re.fullmatch(same, proof), proof
    # The enum type of this project is the one thing that operations have no word for.
    lines = sum(len(shop.file_of(one).read_text().splitlines()) for one in shop.ids[:4])
    assert re.fullmatch(rf"{lines} → \d+ lines, \d+\.\d% operations \(2 op\.execute\)", base), base
    assert re.fullmatch(r"\d+\.\d → \d+\.\d s; pg_dump prints them alike", new), new
    assert shop.server.password not in done.said
    assert shop.git("rev-parse", "HEAD") == before and shop.git("status", "--porcelain") == "?? untracked.txt"


def test_a_trial_of_a_refused_squash_has_a_row_with_the_reason(shop: Project) -> None:
    done = trial(shop, "--", "--rev", shop.ids[0], "--uri-var", VARIABLE)
    assert done.code == 1, done.said
    assert cells(done)[5].startswith(f"1: {shop.ids[0]} is already the base of this history"), done.said


def test_sql_for_what_an_operation_says_as_well_is_named_and_makes_the_exit_code(shop: Project) -> None:
    path = shop.file_of(shop.ids[-1])
    plain = "CREATE INDEX by_total ON orders (total)"
    head = path.read_text(encoding="utf-8").split("def upgrade")[0]
    path.write_text(f"{head}def upgrade():\n    op.execute({plain!r})\n", encoding="utf-8")
    shop.commit("a base with SQL")
    said, faults = run.base(shop.top)
    assert said.endswith("(1 op.execute, of which 1 an operation could say)")
    assert faults == [f"an operation could say: {plain}"]
    # Of a partitioned table the keys come with it.
    parted = "CREATE TABLE orders (total int) PARTITION BY RANGE (total)"
    body = f"    op.execute({parted!r})\n    op.execute({plain!r})\n"
    path.write_text(f"{head}def upgrade():\n{body}", encoding="utf-8")
    shop.commit("a partitioned table")
    assert run.base(shop.top)[1] == []
