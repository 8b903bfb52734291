"""Git as it is out there: a squash works in each kind of repository, and leaves no trace when it is given up."""

from __future__ import annotations

import pytest

from tests.repository.layouts import (
    LAYOUTS,
    OTHERS,
    QUICK,
    Layout,
    git_lfs,
    large_files,
    odd_settings,
    shallow_clone,
    signed,
)
from tests.support.project import BIN, VARIABLE, Done, Plain
from tests.support.world import world

# What is done without any database: begun, drafted, and given up.
ROUND = f"""
from pathlib import Path
from tasklib.proof import squash_branch
from tasklib.settings import Settings
from tasklib.steps import checkout, reinit, restore

bench = checkout.run(Path.cwd(), Settings(rev="head-1", set=(("{VARIABLE}", "{{url}}"),)), None)
print("gone", reinit.run(bench, init=True), "restored", restore.run(bench))
bench.write_base(f'revision = "{{bench.plan.revision}}"\\ndown_revision = None\\n')
history = bench.history(bench.tree())
assert [m.id for m in history.ordered(history.migrations)] == [bench.plan.revision, *bench.plan.kept]
trouble = squash_branch.put_back(bench)
assert not trouble, trouble
"""


def begin_and_give_up(project: Plain) -> Done:
    return project.run([BIN / "python", "-c", ROUND], check=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_squash_is_begun_and_given_up_without_a_trace(tiny: Plain, layout: Layout) -> None:
    project = layout(tiny)
    before = world(project)
    done = begin_and_give_up(project)
    assert done.code == 0, done.said
    assert "gone 2 restored" in done.out
    assert world(project) == before
    assert project.git("status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.slow
@pytest.mark.parametrize("layout", [*QUICK[1:], *OTHERS])
def test_a_squash_works(tiny: Plain, layout: Layout) -> None:
    project = layout(tiny)
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-1")
    assert done.code == 0, done.said
    assert project.git("rev-parse", "HEAD^") == head
    assert project.git("status", "--porcelain", "--untracked-files=all") == ""
    if layout is not odd_settings:
        assert project.git("rev-parse", "HEAD^{tree}") in project.git("log", "-1", "--format=%B")
    if layout is signed:
        assert project.git("log", "-1", "--format=%G?") == "G"
    if layout in (large_files, git_lfs):
        assert "INSERT" in project.base_file.read_text() or "bulk_insert" in project.base_file.read_text()
    assert not [one for one in project.git("branch", "--format=%(refname)").split() if "squash" in one]
    verified = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert verified.code == 0 or layout in (shallow_clone,), verified.said
