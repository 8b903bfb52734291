"""The worked example and the CI files of the docs, run as they stand: as far as they run without servers of others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from invoke.vendor import yaml

from tests.conftest import copied, database_of
from tests.support.project import BIN, VARIABLE, Done, Plain, Step

DOCS = Path(__file__).resolve().parents[2] / "docs"


def bash(project: Plain, text: str, **variables: str) -> Done:
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    variables = {"PATH": path, "INVOKE_SQUASH_SERVER": project.server_url, **variables}
    return project.run(["bash", "-euo", "pipefail", "-c", text], check=False, cwd=None, **variables)


def typed(text: str) -> list[tuple[str, list[str]]]:
    """Each line with a $ of the fenced blocks without a language, and the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"(?ms)^```\n(.*?)^```$", text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif line.strip():
                found[-1][1].append(line.strip())
    return found


def assert_goes_as_it_says(project: Plain, page: str, **variables: str) -> None:
    """Every line with a $ is typed; each line below it is said, in that order or another one, with anything for an …"""
    commands = typed((DOCS / page).read_text(encoding="utf-8"))
    assert len(commands) > 12
    for command, shown in commands:
        code = re.search(r"# exit code (\d)$", command)
        done = bash(project, command, **variables)
        assert done.code == (int(code.group(1)) if code else 0), f"{command}\n{done.said}"
        for line in shown:
            words = [re.escape(word) for word in re.sub(r"\s+", " ", line).split("…")]
            assert re.search(".*".join(words), re.sub(r"[ \t]+", " ", done.said)), f"{command}\n{line}\n{done.said}"


def test_a_squash_goes_step_by_step_as_the_example_says(old_shop: Plain, tmp_path: Path) -> None:
    project = copied(old_shop, tmp_path)
    assert_goes_as_it_says(project, "example.md")
    project.assert_nothing_left()


@pytest.mark.slow
def test_the_worked_example_goes_as_it_says(old_shop: Plain, tmp_path: Path) -> None:
    project = copied(old_shop, tmp_path)
    urls = {"EU": database_of(project, 6, "eu"), "US": database_of(project, 2, "us")}
    project.git("checkout", "--quiet", "-b", "feature")
    project.add(Step("invoices", sql=["CREATE TABLE invoices (id integer)"], revision="0007feature00",
                     down=project.ids[0]))  # fmt: skip
    project.git("checkout", "--quiet", "main")
    assert_goes_as_it_says(project, "after.md", **urls)
    project.assert_nothing_left(branches=("feature", "main"))


def scripts(text: str, number: int) -> dict[str, list[str]]:
    """The shell lines of each job in one of the YAML files."""
    read: dict[str, Any] = yaml.safe_load(  # type: ignore[no-untyped-call]
        re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)[number]
    )
    jobs = read.get("jobs", read)
    return {
        name: job["script"] if "script" in job else [step["run"] for step in job["steps"] if "run" in step]
        for name, job in jobs.items()
        if "script" in job or "steps" in job
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_the_ci_files_prove_and_propose(new_shop: Plain, tmp_path: Path, number: int) -> None:
    project = copied(new_shop, tmp_path)
    found = scripts((DOCS / "ci.md").read_text(encoding="utf-8"), number)
    assert {*found} == {"verify", "propose"}
    # The pull request's server is a repository of ours, and so is what gh would talk to.
    project.run(["git", "init", "--quiet", "--bare", str(tmp_path / "server.git")])
    project.git("remote", "add", "origin", str(tmp_path / "server.git"))
    urls = [database_of(project, 6, "ci_one"), database_of(project, 5, "ci_two")]
    project.write("list-databases", "#!/bin/sh\n" + "".join(f"echo '{url}'\n" for url in urls)).chmod(0o755)
    project.commit("databases")
    gh = project.write("../bin/gh", '#!/bin/sh\necho "$@" >> "$(dirname "$0")/said"\n')
    gh.chmod(0o755)
    variables = {"PATH": os.pathsep.join([str(gh.parent), str(BIN), os.environ["PATH"]]), "CI_COMMIT_BRANCH": "main"}
    server = re.compile(r"https://squash:\$SQUASH_TOKEN@\S+\.git\"?")

    def run(job: str, few: str = "30") -> str:
        said = ""
        for line in found[job]:
            if not line.startswith("pip install"):
                line = server.sub("origin", line).replace('"origin', "origin").replace("-o merge_request.create ", "")
                done = bash(project, line.replace("--at-least 30", f"--at-least {few}"), **variables)
                assert done.code == 0, f"{line}\n{done.said}"
                said += done.said
        return said

    assert "Proven on PostgreSQL" in run("verify")
    head = project.git("rev-parse", "HEAD")
    assert "nothing to do" in run("propose") and project.git("branch", "--show-current") == "main"
    # The base and the fifth, which both have passed.
    run("propose", few="2")
    branch = f"squash-{project.ids[4]}"
    assert project.git("ls-remote", "--heads", "origin").split()[1:] == [f"refs/heads/{branch}"]
    assert project.git("rev-parse", f"{branch}^") == head == project.git("rev-parse", "main")
    if number == 0:
        assert (gh.parent / "said").read_text() == f"pr create --fill --head {branch}\n"
    assert VARIABLE not in os.environ
