"""--json, --quiet, --echo, and the list of steps as a terminal shows it."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyte
import pytest

from tasklib import console, masking
from tests.support.project import BIN, VARIABLE, Project

DOCS = Path(__file__).resolve().parents[2] / "docs"
STEPS = ["reinit", "restore", "createdb", "replay", "migrate", "verify", "cleanup", "merge"]


def events(text: str) -> list[dict[str, Any]]:
    """Every line is an object, and nothing else is there."""
    return [json.loads(line) for line in text.splitlines()]


def documented() -> dict[str, set[str]]:
    """The fields of each event, by docs/json.md; those that are only there sometimes end in a question mark."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.*?) \|", (DOCS / "json.md").read_text(encoding="utf-8"))
    return {event: set(re.findall(r"`(\w+\??)`", fields)) for event, fields in rows}


def assert_documented(found: list[dict[str, Any]]) -> None:
    known = documented()
    for one in found:
        assert one["v"] == 1 and one["event"] in known, one
        fields = one.keys() - {"v", "event"}
        needed = {name for name in known[one["event"]] if not name.endswith("?")}
        assert needed <= fields <= {name.rstrip("?") for name in known[one["event"]]}, one


def test_json_says_every_step_and_what_the_squash_came_to_one_event_a_line(shop: Project) -> None:
    done = shop.squash("head-2", "--json", "--echo")
    assert done.code == 0 and done.err == "" and shop.server.password not in done.out, done.said
    found = events(done.out)
    assert_documented(found)
    assert_typable(shop, found)
    assert {one["event"] for one in found} >= {"plan", "step", "work", "migration", "squash", "timings", "end"}
    begun = [one["name"] for one in found if one["event"] == "step" and one["state"] == "began"]
    assert begun == [one["name"] for one in found if one["event"] == "step" and one["state"] == "ended"] == STEPS
    run = {one["revision"] for one in found if one["event"] == "migration"}
    assert run == set(shop.ids)
    made = next(one for one in found if one["event"] == "squash")
    assert made["commit"] == shop.git("rev-parse", "HEAD") and made["merged"] and made["gone"] == shop.ids[:4]
    assert made["kept"] == shop.ids[4:] and made["proof"]["tree"] == shop.git("rev-parse", "HEAD^{tree}")
    steps = next(one for one in found if one["event"] == "timings")["steps"]
    assert [one["step"] for one in steps] == STEPS and all(one["seconds"] > 0 for one in steps)
    assert found[-1] == {"v": 1, "event": "end", "exit": 0}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("plan", "--rev", "nonsense"), 1, "nonsense"),
        (("merge",), 1, "squash"),
        (("status",), 0, ""),
        (("abort",), 0, ""),
    ],
)
def test_json_ends_with_the_exit_code_and_the_error(
    shop: Project, words: tuple[str, ...], code: int, said: str
) -> None:
    done = shop.tool(*words, "--json")
    assert done.code == code, done.said
    found = events(done.out)
    assert_documented(found)
    assert found[-1]["event"] == "end" and found[-1]["exit"] == code
    assert said in found[-1].get("error", "") and (code == 0) == ("error" not in found[-1])


def test_quiet_leaves_errors_and_warnings(shop: Project) -> None:
    done = shop.tool("plan", "--rev", "head-2", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    refused = shop.tool("plan", "--rev", "nonsense", "--quiet")
    assert refused.code == 1 and refused.out == "" and "nonsense" in refused.err


def assert_typable(shop: Project, found: list[dict[str, Any]]) -> None:
    """Each outside command as it can be typed, and no password."""
    typed = [one["line"] for one in found if one["event"] == "command"]
    words = [[word for word in shlex.split(line)[3:] if not re.match(r"\w+=", word)] for line in typed]
    programs = {one[0].rsplit("/", 1)[-1] for one in words}
    assert {"git", "flask", "pg_dump"} <= programs, programs
    assert any(f"{VARIABLE}='postgresql" in line and ":***@" in line for line in typed)
    reading = next(line for line in typed if " rev-parse " in line)
    assert subprocess.run(["bash", "-c", reading], capture_output=True, check=False).returncode == 0
    assert any("upgrade" in one for one in words if one[0].endswith("flask"))  # forks, too


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:SESAME@host/db",
        "postgresql+psycopg2://me:SES@AME@host:5432/db?sslmode=require",
        "host=h password=SESAME user=me",
        "password='SES AME' host=home",
        "postgresql://host/db?user=me&password=SESAME&x=1",
    ],
)
def test_passwords_are_masked_wherever_they_stand(text: str) -> None:
    shown = masking.masked(text)
    assert "SES" not in shown and "AME" not in shown and "me" in shown


@pytest.mark.parametrize("name", ["PGPASSWORD", "DB_PASS", "API_TOKEN", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY"])
def test_values_of_variables_that_sound_secret_are_masked(name: str) -> None:
    assert masking.value(name, "SESAME") == "***"


class Terminal:
    """A command on a terminal of its own; ``screen`` is what somebody would see."""

    def __init__(self, project: Project, *words: str, columns: int = 100, lines: int = 60) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        project.temporary.mkdir(exist_ok=True)
        environment = {**os.environ, "TERM": "xterm", "TMPDIR": str(project.temporary), "COLUMNS": str(columns),
                       "LINES": str(lines), "LC_ALL": "C.UTF-8"}  # fmt: skip
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [str(BIN / "alembic-squash"), *words], cwd=project.top, env=environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where we run in the background
        )  # fmt: skip
        os.close(theirs)

    def read(self) -> bool:
        """Take in what was written; False once nothing more comes."""
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self._stream.feed(data)
        return bool(data)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


def test_on_a_terminal_the_steps_are_a_list_that_ends_with_all_of_them_done(shop: Project) -> None:
    given = ("squash", "--rev", "head-2", "--uri-var", VARIABLE, "--server", shop.server_url)
    terminal = Terminal(shop, *given)
    seen: set[str] = set()
    while terminal.read():
        shown = terminal.lines()
        seen |= {re.sub(r"\s+[\d.]+ s$", "", line) for line in shown}
        # Never two lists, whatever is said meanwhile.
        assert sum("· merge" in line or "▸ merge" in line or "✓ merge" in line for line in shown) <= 1, shown
    assert terminal.process.wait() == 0
    last = terminal.lines()
    done = [line.split()[1] for line in last if line.startswith("✓")]
    assert done == STEPS, last
    assert "▸ replay" in seen and "· merge" in seen and any(re.match(r"\s+\d/\d  \w{12} ", line) for line in seen), seen
    assert not terminal.screen.cursor.hidden
    shop.assert_nothing_left()


def test_an_interrupt_on_a_terminal_leaves_the_list_as_far_as_it_came_and_everything_as_it_was(shop: Project) -> None:
    head = shop.git("rev-parse", "HEAD")
    given = ("squash", "--rev", "head-2", "--uri-var", VARIABLE, "--server", shop.server_url)
    terminal = Terminal(shop, *given)
    sent = False
    while terminal.read():
        if not sent and any(line.startswith("▸ migrate") for line in terminal.lines()):
            terminal.process.send_signal(signal.SIGINT)
            sent = True
    assert sent and terminal.process.wait() == 130
    said = "\n".join(terminal.lines())
    assert "✓ replay" in said and "▸ migrate" in said and "interrupted; everything is as it was" in said, said
    shop.assert_nothing_left(head)


def test_a_terminal_that_goes_away_is_an_interrupt(shop: Project) -> None:
    head = shop.git("rev-parse", "HEAD")
    given = ("squash", "--rev", "head-2", "--uri-var", VARIABLE, "--server", shop.server_url)
    terminal = Terminal(shop, *given)
    while terminal.read() and not any(line.startswith("▸ createdb") for line in terminal.lines()):
        pass
    os.close(terminal._ours)
    until = time.monotonic() + 60
    while terminal.process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert terminal.process.poll() in (130, 141)
    shop.assert_nothing_left(head)


def test_a_dumb_terminal_gets_plain_lines(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert console.checklist.terminal() is None
