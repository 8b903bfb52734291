"""The project's program and environment, where this program is installed in another one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasklib.command import programs
from tasklib.errors import Refused
from tests.conftest import SHOP, MakePlain
from tests.support.project import URL_IN_ENV, VARIABLE, plain_template, query, reaches, virtual_environment

pytestmark = pytest.mark.usefixtures("put_back")


def program(directory: Path, name: str = "alembic", text: str = "#!/bin/sh\n") -> str:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / name
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """We are installed in tmp_path/own, where there is an `alembic` too, and no environment is active."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
        monkeypatch.delenv(variable, raising=False)
    own = tmp_path / "own"
    program(own / "bin")
    program(own / "bin", "python")
    monkeypatch.setattr(sys, "prefix", str(own))
    monkeypatch.setattr(sys, "executable", str(own / "bin" / "python"))
    monkeypatch.setenv("PATH", f"{own}/bin:{tmp_path}/path")
    return own


def test_the_programs_environment_is_the_active_one_then_that_in_the_tree_then_ours_then_path(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "project"
    cwd = top / "backend" / "api"
    cwd.mkdir(parents=True)

    def found() -> str:
        return programs.find_program(("alembic", "-n", "x"), cwd, top)[0]

    on_path = program(tmp_path / "path")
    assert found() == f"{apart}/bin/alembic"
    # An environment that stands on PATH, as in a container, is the shell's choice; ours may have come there first.
    with monkeypatch.context() as shell:
        (tmp_path / "pyvenv.cfg").touch()
        shell.setenv("PATH", f"{apart}/bin:{tmp_path}/bin")
        program(tmp_path / "bin")
        assert found() == f"{apart}/bin/alembic"
        shell.setenv("PATH", f"{tmp_path}/bin")
        assert found() == f"{tmp_path}/bin/alembic"
        (tmp_path / "pyvenv.cfg").unlink()
    # What pipx makes holds no project: PATH is where a shell would find one.
    (apart / "pipx_metadata.json").touch()
    assert found() == on_path
    Path(on_path).unlink()
    with pytest.raises(Refused, match="activate the project's environment") as caught:
        found()
    assert "alembic" in caught.value.text
    assert "--command 'PATH/TO/bin/alembic -n x'" in str(caught.value.hint)
    (top / "Pipfile.lock").touch()
    with pytest.raises(Refused, match="activate the project's environment") as caught:
        found()
    assert "--command 'pipenv run alembic -n x'" in str(caught.value.hint)
    (apart / "pipx_metadata.json").unlink()
    above = program(top / ".venv/bin")
    assert found() == above
    nearer = program(top / "backend/venv/bin")
    assert found() == nearer
    # That our own environment is active says nothing about the project's.
    monkeypatch.setenv("VIRTUAL_ENV", str(apart))
    assert found() == nearer
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    conda = program(tmp_path / "conda/bin")
    assert found() == conda
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert found() == nearer
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert found() == nearer  # it has no such program
    assert found() != program(tmp_path / "active/bin")
    assert found() == f"{tmp_path}/active/bin/alembic"


def test_where_we_are_installed_for_the_whole_system_its_programs_stay_on_path(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(apart))
    first = program(tmp_path / "first")
    monkeypatch.setenv("PATH", f"{tmp_path}/first:{apart}/bin")
    assert programs.find_program(("alembic",), tmp_path, tmp_path) == (first,)
    elsewhere = program(tmp_path / "project/.venv/bin")
    assert f"{apart}/bin" in programs.environment((elsewhere,))["PATH"]


def test_the_program_runs_as_if_its_environment_were_active_and_a_wrapper_finds_it_itself(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(apart))
    home = tmp_path / "project/.venv"
    alembic = program(home / "bin")
    (home / "pyvenv.cfg").touch()
    there = programs.environment((alembic,))
    assert there["VIRTUAL_ENV"] == str(home)
    assert there["PATH"] == f"{home}/bin:{tmp_path}/path"
    # `poetry run` would take an active environment for the project's: ours, or the one that it is installed in itself.
    poetry = program(tmp_path / "poetry/bin", "poetry")
    (tmp_path / "poetry/pyvenv.cfg").touch()
    there = programs.environment((poetry, "run", "alembic"))
    assert "VIRTUAL_ENV" not in there and there["PATH"] == f"{tmp_path}/path"
    ours = programs.environment((f"{apart}/bin/alembic",))
    assert ours["VIRTUAL_ENV"] == str(apart) and ours["PATH"] == os.environ["PATH"]


def test_a_script_that_asks_path_for_its_python_gets_the_projects(apart: Path, tmp_path: Path) -> None:
    manage = program(tmp_path / "project", "manage.py", "#!/usr/bin/env -S python\n")
    (tmp_path / "project/.venv/bin").mkdir(parents=True)
    own = program(tmp_path / "project/.venv/bin", "python")
    found = programs.find_program(("./manage.py", "db"), tmp_path / "project", tmp_path / "project")
    assert found == (own, manage, "db")


def test_a_wrapper_runs_the_projects_environment_and_its_own_words_are_shown_where_it_finds_none(
    make_plain: MakePlain,
) -> None:
    env = URL_IN_ENV.replace("import os\n", "import os\n\nimport only_in_the_projects_environment\n")
    made = make_plain(SHOP[:2], env=env)
    elsewhere = made.top.parent / "environments" / "shop"
    virtual_environment(elsewhere)
    (next(elsewhere.glob("lib/*/site-packages")) / "only_in_the_projects_environment.py").touch()
    # What `poetry run` does.
    wrapper = f'#!/bin/sh\nexport VIRTUAL_ENV={elsewhere} PATH={elsewhere}/bin:$PATH\nexec "$@"\n'
    program(made.top.parent, "run-it", wrapper)
    command = f"{made.top.parent}/run-it alembic"
    assert reaches(made, "--command", command).startswith("0 ")
    program(made.top.parent, "run-it", '#!/bin/sh\necho "Command not found: $1"\nexit 1\n')
    said = reaches(made, "--command", command)
    assert said.startswith("2 ") and "run-it alembic` cannot run" in said and "Command not found: alembic" in said


OLD = ("alembic==1.0.10", "sqlalchemy==1.3.24", "psycopg2-binary==2.9.13", "mako==1.4.3", "setuptools<81")


@pytest.mark.slow
def test_the_projects_alembic_may_be_years_older_than_ours(make_plain: MakePlain, tmp_path: Path) -> None:
    environment = tmp_path / "old"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run([environment / "bin/pip", "install", "--quiet", *OLD], check=True)
    made = make_plain([])
    template = plain_template(tmp_path / "template", alembic=environment / "bin/alembic")
    written = (template / "migrations/env.py").read_text(encoding="utf-8")
    made.write(
        "migrations/env.py", written.replace("config = context.config\n", f"config = context.config\n{URL_IN_ENV}")
    )
    made.write("alembic.ini", (template / "alembic.ini").read_text(encoding="utf-8"))
    made.write("migrations/script.py.mako", (template / "migrations/script.py.mako").read_text(encoding="utf-8"))
    made.write(".gitignore", ".venv\n__pycache__/\n")
    made.commit("as it was in 2019")
    made.add(*SHOP)
    (made.top / ".venv").symlink_to(environment)
    done = made.squash("head-2", VIRTUAL_ENV=sys.prefix)
    assert done.code == 0, done.said
    made.assert_nothing_left()
    address = made.new_database("years")
    words: list[str | Path] = [environment / "bin/alembic", "upgrade", "head"]
    made.run(words, cwd=None, check=True, **{VARIABLE: address.url("postgresql+psycopg2")})
    assert query(address, "SELECT id, code FROM plans ORDER BY id") == [(1, "free"), (2, "premium")]
