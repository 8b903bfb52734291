"""What only the user can decide is asked once: on a terminal there and then, else with one line to paste."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasklib.postgres import server as servers
from tests.conftest import Make
from tests.support.project import BIN, VARIABLE, Project, Step, query

pytestmark = pytest.mark.usefixtures("put_back")

TOKENS = (
    Step("clients", sql=("CREATE TABLE clients (id int PRIMARY KEY, api_token text)",
                         "INSERT INTO clients VALUES (1, gen_random_uuid()::text)")),
    Step("users", sql=("CREATE TABLE users (id int PRIMARY KEY, password_hash text, password_changed_at timestamptz)",
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


def kept_home(project: Project) -> Path:
    """The directory of the server with the replay that is kept."""
    return Path(json.loads(project.kept_replay().read_text())["plan"]["place"]["server"])


def test_all_of_them_are_in_one_message_with_one_line_to_paste(make: Make) -> None:
    project = make(TOKENS)
    head = project.git("rev-parse", "HEAD")
    done = project.tool("squash", "--rev", "head")
    assert done.code == 1 and "2 values would be in the base migration" in done.err, done.said
    assert "warning: users.password_hash" not in done.err
    line = re.search(r"(--keep-value clients\.api_token --keep-value users\.password_hash) ", done.err)
    assert line is not None and "a list of tables without clients, users for --data" in done.err
    assert project.git("rev-parse", "HEAD") == head and project.git("status", "--porcelain") == ""
    # The replay is kept, without a process, and the next squash of the same begins with it.
    home = kept_home(project)
    assert home.is_dir() and not servers.is_running(home)
    assert "The replay of 2 migrations" in project.tool("status").out
    done = project.tool("squash", "--rev", "head", *line.group(1).split())
    assert done.code == 0 and "the replay that was kept is taken again" in done.err, done.said
    assert "a second run beside it" not in done.err
    # A column that is different each time and no secret is a constant that is named, and no question.
    assert "always the same value: clients.api_token, users.password_changed_at, users.password_hash" in done.out
    project.assert_nothing_left()


def test_a_kept_replay_is_for_the_same_commit_and_settings_and_for_an_hour(make: Make) -> None:
    project = make(TOKENS)

    def kept() -> Path:
        done = project.tool("squash", "--rev", "head")
        assert done.code == 1 and "is kept until" in done.err, done.said
        return kept_home(project)

    home = kept()
    done = project.tool("abort")
    assert done.code == 0 and "taken away" in done.out and not home.exists() and not project.kept_replay().exists()
    # Another commit: another history may be in it.
    home = kept()
    project.write("notes.txt", "another commit")
    project.commit("notes")
    assert kept() != home and not home.exists()
    # An hour later: whatever looks at it takes it away, and so does the next server that is started anywhere.
    data = json.loads(project.kept_replay().read_text())
    project.kept_replay().write_text(json.dumps({**data, "until": data["until"] - 3601}))
    assert "is kept" not in project.tool("status").out
    project.assert_nothing_left()
    home = kept()
    marker = json.loads((home / "marker").read_text())
    (home / "marker").write_text(json.dumps({**marker, "until": marker["until"] - 3601}))
    assert project.tool("squash", "--rev", "head", "--data", "none").code == 0
    project.assert_nothing_left()


def test_a_kept_replay_whose_server_was_taken_away_is_made_again(make: Make) -> None:
    project = make(TOKENS)
    assert project.tool("squash", "--rev", "head").code == 1
    servers.stop(kept_home(project))
    done = project.tool("squash", "--rev", "head", "--data", "none")
    assert done.code == 0 and "a second run beside it" in done.err, done.said
    project.assert_nothing_left()


@pytest.mark.parametrize("where", ["server_home.mark", "clusters.pause"])
def test_a_kill_while_the_replay_is_kept_leaves_what_abort_takes_away(make: Make, where: str) -> None:
    project = make(TOKENS)
    head = project.git("rev-parse", "HEAD")
    project.temporary.mkdir(exist_ok=True)
    code = (
        "import os, sys\nfrom tasklib import program\nfrom tasklib.postgres import clusters, server_home\n"
        f"real = {where}\n"
        "def last(*given):\n    if len(given) in (1, 5):\n        os.kill(os.getpid(), 9)\n    real(*given)\n"
        f"{where} = last\nsys.argv[1:] = ['squash', '--rev', 'head']\nprogram.main()\n"
    )
    done = project.run([sys.executable, "-c", code], check=False)
    assert done.code == -9 and project.kept_replay().exists(), done.said
    home = kept_home(project)
    assert project.tool("abort").code == 0
    assert not project.kept_replay().exists() and not home.exists()
    project.assert_nothing_left(head)
    assert project.tool("squash", "--rev", "head", "--data", "none").code == 0
    project.assert_nothing_left()


def test_on_a_terminal_they_are_asked_there_and_then_and_the_squash_goes_on(make: Make) -> None:
    project = make(TOKENS)
    head = project.git("rev-parse", "HEAD")
    code, said = answered(project, "n", "squash", "--rev", "head")
    assert code == 1 and said.count("[y/N]") == 1 and "--keep-value clients.api_token" in said, said
    project.assert_nothing_left(head)
    code, said = answered(project, "y", "squash", "--rev", "head")
    assert code == 0 and said.count("[y/N]") == 2 and "taken again" not in said, said
    project.assert_nothing_left()
    message = project.git("log", "-1", "--format=%B")
    assert "in a table of one row, and no time: clients.api_token, users.password_hash." in message, message
    address = project.new_database("decided")
    project.db("upgrade", "head", database="decided")
    assert query(address, "SELECT count(*) FROM users JOIN clients USING (id)") == [(1,)]
