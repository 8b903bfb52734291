"""What all trap histories are held to: the squash's own proof, the file's looks, and pg_dump as another judge."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tasklib.postgres import client
from tasklib.postgres.server import Server
from tests.support import native
from tests.support.project import Project, Step


def ddl(message: str, *statements: str) -> Step:
    """A migration of SQL as it stands: `%` and `:name` in it are neither formatted nor bound."""
    return Step(
        message,
        "\n".join("op.execute(sa.DDL(%r))" % one.replace("%", "%%") for one in statements),  # noqa: UP031
    )


def squash(project: Project, rev: str = "head-2", *words: str, share: float, odd_tables: tuple[str, ...] = ()) -> str:
    """Squash; the proof holds, nothing is left, and the file says with operations what they can say. Returns it.

    ``share`` is how much of its calls must be operations, from 0 to 1: a history of what they have no words for has
    little.
    """
    old = project.git("rev-parse", "HEAD")
    done = project.squash(rev, *words)
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert project.git("rev-parse", "HEAD^") == old
    text = project.base_file.read_text(encoding="utf-8")
    assert_native(text, share, odd_tables)
    return text


def assert_native(text: str, share: float, odd_tables: tuple[str, ...] = ()) -> None:
    """No plain table, column, key, check or index of a base migration is in op.execute, and its share is held."""
    upgrade = native.read(text)
    print(f"native share: {upgrade.share:.1%} ({len(upgrade.operations)} of "
          f"{len(upgrade.operations) + len(upgrade.executed)} calls)")  # fmt: skip
    assert upgrade.blunt(odd_tables) == []
    assert upgrade.share >= share, upgrade.executed


def assert_laid_out(project: Project) -> None:
    """`ruff check` and `ruff format --check` pass on the base migration."""
    base = project.base_file
    ruff = Path(sys.executable).parent / "ruff"
    program = str(ruff) if ruff.exists() else shutil.which("ruff")
    assert program is not None, "ruff is missing, and the generated file must be laid out as it has it"
    for words in (
        ["check", "--isolated"],
        ["check", "--isolated", "--select", "E,F,W,I,N,B,C4,SIM,PTH,RET", "--ignore", "E501"],
        ["format", "--isolated", "--check", "--diff"],
    ):
        done = subprocess.run([program, *words, str(base)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def assert_dumps_agree(project: Project, server: Server, tmp_path: Path, old: str) -> None:
    """pg_dump of a database by the old chain (checked out beside) and of one by the new chain are the same text."""
    beside = tmp_path / "beside"
    project.git("worktree", "add", "--quiet", "--detach", str(beside), old)
    project.new_database("by_old")
    project.new_database("by_new")
    there = replace(project, top=beside)
    base = next(one for one in project.ids if project.base_file.name.startswith(f"{one}_"))
    for target in (base, "head"):  # in two sessions: a sequence with CACHE skips what a session reserved
        project.db("upgrade", target, database="by_new")
        there.db("upgrade", target, database="by_old")
    project.git("worktree", "remove", "--force", str(beside))
    left, right = _dump(project, server, "by_old", tmp_path), _dump(project, server, "by_new", tmp_path)
    assert len(left) > 40
    assert left == right


def _dump(project: Project, server: Server, database: str, tmp_path: Path) -> list[str]:
    """The lines of a dump of a dump's restore: expressions print alike only when parsed from the same print."""
    first = _pg_dump(server, database)
    project.new_database(f"{database}_again")
    script = tmp_path / f"{database}.sql"
    script.write_text(first, encoding="utf-8")
    with client.connect(project.address(f"{database}_again")) as connection, connection.usual_path():
        connection.run(re.sub(r"(?m)^\\.*$", "", first))
    lines = _pg_dump(server, f"{database}_again").splitlines()
    rows = sorted(line for line in lines if line.startswith("INSERT "))
    return [line for line in lines if not line.startswith(("INSERT ", "--", "\\restrict", "\\unrestrict"))] + rows


def _pg_dump(server: Server, database: str) -> str:
    done = subprocess.run(
        [str(server.binaries.bin / "pg_dump"), "--no-owner", "--inserts", "--dbname",
         f"postgresql://{server.user}:{server.password}@{server.host}:{server.port}/{database}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
