"""What only the user can decide is asked once: on a terminal there and then, else with one line to paste."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading

import pytest

from tests.conftest import Make
from tests.support.project import BIN, VARIABLE, Project, Step, query

pytestmark = pytest.mark.usefixtures("put_back")

TOKENS = (
    Step("clients", sql=("CREATE TABLE clients (id int PRIMARY KEY, api_token text)",
                         "INSERT INTO clients VALUES (1, gen_random_uuid()::text)")),
    Step("users", sql=("CREATE TABLE users (id int PRIMARY KEY, password_hash text, at timestamptz)",
                       "INSERT INTO users VALUES (1, gen_random_uuid()::text, clock_timestamp())")),
)  # fmt: skip


def answered(project: Project, answer: str, *words: str) -> tuple[int, str]:
    """Run the tool on a terminal, where somebody gives this answer to every question."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TMPDIR": str(project.temporary)}
    environment.pop(VARIABLE, None)
    project.temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [BIN / "alembic-squash", *words], cwd=project.top, env=environment, stdin=theirs, stderr=theirs,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    said = b""

    def talk() -> None:
        nonlocal said
        asked = 0
        while True:
            try:
                data = os.read(ours, 4096)
            except OSError:
                return
            if not data:
                return
            said += data
            while said.count(b"[y/N]") > asked:
                asked += 1
                os.write(ours, f"{answer}\n".encode())

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    out, _ = process.communicate(timeout=300)
    thread.join(timeout=10)
    os.close(ours)
    return process.returncode, out.decode() + said.decode(errors="replace")


def test_all_of_them_are_in_one_message_with_one_line_to_paste(make: Make) -> None:
    project = make(TOKENS)
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head")
    assert done.code == 1 and "2 values would be in the base migration" in done.err, done.said
    line = re.search(r"(--keep-value clients\.api_token --keep-value users\.password_hash) ", done.err)
    assert line is not None and "a list of tables without clients, users for --data" in done.err
    project.assert_nothing_left(head)
    done = project.tool("squash", "--rev", "head", *line.group(1).split())
    assert done.code == 0, done.said
    # A column that is different each time and no secret is a constant that is named, and no question.
    assert "always the same value: clients.api_token, users.at, users.password_hash" in done.out
    project.assert_nothing_left()


def test_on_a_terminal_they_are_asked_there_and_then_and_the_squash_goes_on(make: Make) -> None:
    project = make(TOKENS)
    head = project.git("rev-parse", "HEAD")
    code, said = answered(project, "n", "squash", "--rev", "head")
    assert code == 1 and said.count("[y/N]") == 1 and "--keep-value clients.api_token" in said, said
    project.assert_nothing_left(head)
    code, said = answered(project, "y", "squash", "--rev", "head")
    assert code == 0 and said.count("[y/N]") == 2, said
    project.assert_nothing_left()
    address = project.new_database("decided")
    project.db("upgrade", "head", database="decided")
    assert query(address, "SELECT count(*) FROM users JOIN clients USING (id)") == [(1,)]
