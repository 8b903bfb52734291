"""The guard by itself, in a Python of its own: what it lets through, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tasklib import watch
from tasklib.postgres import Address
from tasklib.watch import Seen, Watch

OURS = Address("127.0.0.1", 1, "u", "p", "alembic_squash_0a_one")  # nobody listens there: what is let through fails


def run(directory: Path, code: str, *, whole: bool = True, strict: bool = False, path: str = "") -> tuple[str, Seen]:
    """Run Python code under the guard: what it printed, and what the guard saw."""
    watch.write(directory)
    guard = Watch(directory, whole, strict, packages=("shop",))
    with guard.record() as record:
        environment = guard.environment(OURS, record, {"PYTHONPATH": path} if path else {})
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=directory
        )
        return done.stdout + done.stderr, watch.read(record)


CONNECT = """
import psycopg2
for target in {targets!r}:
    try:
        psycopg2.connect(target)
    except psycopg2.OperationalError as error:
        print("refused" if "scratch databases" in str(error) else "let through", target)
"""


def test_libpq_may_connect_to_scratch_databases_only(tmp_path: Path) -> None:
    ours = ["host=127.0.0.1 port=1 dbname=alembic_squash_0a_two", "postgresql://u@localhost:1/alembic_squash_0a_one"]
    others = [
        "host=127.0.0.1 port=1 dbname=live",
        "host=127.0.0.1 port=2 dbname=alembic_squash_0a_one",
        "host=127.0.0.1,192.0.2.1 port=1 dbname=alembic_squash_0a_one",
        "host=127.0.0.1 hostaddr=192.0.2.1 port=1 dbname=alembic_squash_0a_one",
        "host=/nowhere port=1 dbname=alembic_squash_0a_one",
        "service=live dbname=alembic_squash_0a_one",
        "dbname=alembic_squash_0a_one",
    ]
    said, seen = run(tmp_path, CONNECT.format(targets=[*ours, *others]), whole=False)
    assert said.splitlines() == [*(f"let through {one}" for one in ours), *(f"refused {one}" for one in others)]
    assert seen.there and [contact.allowed for contact in seen.contacts] == [True] * 2 + [False] * 7
    # On a server of ours every database is.
    said, _ = run(tmp_path, CONNECT.format(targets=others[:2]))
    assert [line.split()[0] for line in said.splitlines()] == ["let", "refused"]


def test_sockets_are_closed_only_where_a_driver_in_python_is_loaded_and_not_for_http(tmp_path: Path) -> None:
    code = (
        "import errno, http.client, socket, sys\n"
        "def tried(connect):\n"
        "    try: connect()\n"
        "    except OSError as error: print('refused' if 'scratch' in str(error) else 'let through')\n"
        "go = lambda: socket.create_connection(('127.0.0.1', 2))\n"
        "tried(go)\n"
        "sys.modules['asyncpg'] = sys\n"
        "tried(go)\n"
        "tried(lambda: socket.create_connection(('127.0.0.1', 1)))\n"
        "tried(lambda: http.client.HTTPConnection('127.0.0.1', 2).connect())\n"
    )
    said, seen = run(tmp_path, code)
    assert said.split("\n")[:4] == ["let through", "refused", "let through", "let through"]
    assert [(contact.port, contact.allowed) for contact in seen.contacts] == [("2", False), ("1", True)]
    # Of a server that is not ours it cannot be told which database a socket is for.
    said, _ = run(tmp_path, code, whole=False)
    assert said.split("\n")[:4] == ["let through", "refused", "refused", "let through"]


def test_a_loop_that_python_cannot_see_is_not_there_where_it_would_matter(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "import uvloop", strict=True)
    assert "uvloop connects where Python does not see it" in said
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "uvloop.py").write_text("print('there')")
    assert run(tmp_path, "import uvloop", path=str(tmp_path / "loops"))[0] == "there\n"


def test_an_application_that_waits_for_its_database_forever_is_ended(tmp_path: Path) -> None:
    code = (
        "import psycopg2\n"
        "while True:\n"
        "    try: psycopg2.connect('host=127.0.0.1 dbname=live')\n"
        "    except psycopg2.OperationalError: pass\n"
    )
    said, seen = run(tmp_path, code)
    assert "not to 127.0.0.1:5432/live; it tried 21 times" in said
    assert len(seen.contacts) == 21 and len(seen.refused) == 1


def test_the_sitecustomize_that_was_there_runs_too_and_modules_come_from_where_they_did(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "shop").mkdir(parents=True)
    (other / "shop" / "__init__.py").touch()
    (other / "sitecustomize.py").write_text("print('theirs')")
    said, seen = run(tmp_path, "import shop, sys; print(sys.modules['sitecustomize'].__file__)", path=str(other))
    assert said.split() == ["theirs", str(other / "sitecustomize.py")]
    assert seen.modules == {"shop": str(other / "shop" / "__init__.py")}
    assert list(tmp_path.glob("record-*")) == []


@pytest.mark.parametrize("flag", ["-E", "-I"])
def test_that_it_did_not_run_is_seen(tmp_path: Path, flag: str) -> None:
    watch.write(tmp_path)
    guard = Watch(tmp_path)
    with guard.record() as record:
        subprocess.run([sys.executable, flag, "-c", ""], env=guard.environment(OURS, record, {}), check=True)
        assert watch.read(record) == Seen()
