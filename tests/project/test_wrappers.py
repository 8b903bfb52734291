"""The programs that run a command in a project's own environment: each is installed as its own documentation says, from
the package index, and squashes a project that it manages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SHOP, Make, MakePlain
from tests.support import documents
from tests.support.project import Project, Step

PACKAGES = ("alembic", "psycopg2-binary")
METADATA = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.10"\n'

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("put_back")]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """PATH with a directory of its own first, as after `pipx install`, and no environment active."""
    for variable in ("VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    return os.pathsep.join([str(tmp_path / "wrapper/bin"), os.environ["PATH"]])


def given(made: Project, wrapper: str, path: str, *preparing: str) -> None:
    """Installs the wrapper, and has it make the project's environment; without words for that, pip makes it."""
    home = made.top.parent / "wrapper"
    environment(home, wrapper)
    if preparing:
        made.run([home / "bin" / wrapper, *preparing], cwd=None, check=True, PATH=path, TMPDIR=str(home))


def environment(directory: Path, *packages: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    subprocess.run([directory / "bin/pip", "install", "--quiet", *packages], check=True)


def assert_squashes(made: Project, words: str, path: str) -> None:
    made.write(".gitignore", ".venv/\n__pycache__/\n.pdm-python\n")
    made.commit("managed")
    done = made.squash("head", "--command", words, PATH=path, VIRTUAL_ENV="")
    assert done.code == 0, done.said
    for lock in made.temporary.glob("uv-*.lock"):
        lock.unlink()  # uv's own
    made.assert_nothing_left()


def test_uv(make_plain: MakePlain, path: str) -> None:
    made = make_plain(SHOP)
    made.write("pyproject.toml", METADATA + f"dependencies = {json.dumps(PACKAGES)}\n")
    given(made, "uv", path, "sync")
    assert_squashes(made, documents.command("uv run"), path)


def test_poetry(make: Make, path: str) -> None:
    made = make([Step("one", sql=["CREATE TABLE one (id int)"]), Step("two", sql=["CREATE TABLE two (id int)"])])
    made.write("pyproject.toml", METADATA + "[tool.poetry]\npackage-mode = false\n")
    made.write("poetry.toml", "[virtualenvs]\nin-project = true\n")
    environment(made.top / ".venv", "flask-migrate", "psycopg2-binary")
    given(made, "poetry", path)
    assert_squashes(made, documents.command("poetry run"), path)


def test_pdm(make_plain: MakePlain, path: str) -> None:
    made = make_plain(SHOP)
    made.write("pyproject.toml", METADATA + "[tool.pdm]\ndistribution = false\n")
    environment(made.top / ".venv", *PACKAGES)
    given(made, "pdm", path)
    assert_squashes(made, "pdm run alembic", path)


def test_pipenv(make_plain: MakePlain, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPENV_VENV_IN_PROJECT", "1")
    made = make_plain(SHOP)
    given(made, "pipenv", path, "install", *PACKAGES)
    assert_squashes(made, "pipenv run alembic", path)
