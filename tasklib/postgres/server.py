"""The throwaway PostgreSQL server: made, started, found again by a later command, taken away without a trace.

Durability is off, it listens on 127.0.0.1 only, and all of it lives in one temporary home directory, whose marker says
for whom it runs. Nothing outside that directory is written.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tasklib.errors import CommandFailed, Failed, Refused, SquashError
from tasklib.postgres.binaries import ROOT, Binaries, choose_binaries, copied, environment, version
from tasklib.shell import run

PREFIX = "alembic-squash-server-"
DATA = "data"  # the data directory in home; those of clusters of their own are called data-NAME
HOST = "127.0.0.1"
SUPERUSER = "alembic_squash"  # begins the name of the superuser, which is another one each time
PROC = Path("/proc/self/stat")
STOP_SECONDS = 10.0

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    # Nothing here need outlive a crash; not waiting for the disk makes and drops databases 2 to 8 times faster.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",  # a worker in a template database makes CREATE DATABASE ... TEMPLATE fail
    "wal_level": "logical",  # migrations may make publications
    "max_wal_senders": "4",
    "max_logical_replication_workers": "0",
    "max_prepared_transactions": "0",
    "max_locks_per_transaction": "512",  # a whole history in one transaction, pg_dump of a thousand tables
    # Containers give /dev/shm 64 MB or less. This keeps everything out of it, and files in home go away with home.
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "64MB",
    "max_parallel_workers": "0",  # rows in one order
    "log_connections": "on",  # the record of who really connected, for drivers that ignore PGOPTIONS
    "log_line_prefix": "%m [%p] %d ",
    "logging_collector": "off",
    "lc_messages": "C",
    "timezone": "UTC",  # the same bytes on every machine
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Server:
    """A running server of ours. ``binaries`` are those that it runs on, and of its version."""

    home: Path
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    major: int
    binaries: Binaries

    @property
    def log(self) -> Path:
        """The server's log: its errors, and one line for each connection."""
        return self.home / "log"


@dataclass(frozen=True)
class LoggedError:
    """An error that a session got, with the statement that it was for ("" where the log does not say)."""

    database: str
    text: str
    statement: str


@dataclass(frozen=True)
class Logged:
    """What the server's log says: (database, application name) of each connection, and every error."""

    connections: tuple[tuple[str, str], ...] = ()
    errors: tuple[LoggedError, ...] = ()

    def of(self, *databases: str) -> Logged:
        """The same, without the errors of other databases."""
        return Logged(self.connections, tuple(error for error in self.errors if error.database in databases))


def logged(server: Server, since: int) -> Logged:
    """What the log says from the byte ``since`` on. The server writes a connection down before it lets it do anything.

    The lines are those of our own log_line_prefix; continued lines of a statement begin with a tab.
    """
    with server.log.open("rb") as file:
        file.seek(since)
        text = file.read().decode(errors="replace")
    entries = re.split(r"(?m)^\d{4}-\S+ \S+ \S+ (?=\[\d+\] )", text)[1:]
    connections, errors = [], []
    for entry in entries:
        if match := re.search(r"connection authorized: user=\S+ database=(\S+)(?: application_name=(.*))?", entry):
            connections.append((match.group(1), (match.group(2) or "").strip()))
        elif match := re.match(r"\[\d+\] (\S*) (?:ERROR|FATAL):  (.*)", entry):
            errors.append(LoggedError(match.group(1), match.group(2).strip(), ""))
        elif errors and (match := re.match(r"(?s)\[\d+\] (\S*) STATEMENT:  (.*)", entry)):
            last = errors[-1]
            if last.database == match.group(1) and not last.statement:
                errors[-1] = LoggedError(last.database, last.text, match.group(2).strip())
    return Logged(tuple(connections), tuple(errors))


# Start and stop


def start(owner: str, *, owner_pid: int | None = None, binaries: Binaries | None = None) -> Server:
    """Make and start a server, after a `sweep`; takes about a second. It goes on when this process ends.

    ``owner`` is the absolute path for which it runs: once that is gone the server is stale. With ``owner_pid`` it is
    stale when that process has ended. Raises `Refused` where this machine cannot have one and `Failed` (with the
    output or the end of the log) where initdb or the server fails; then nothing of it is left.
    """
    sweep()
    chosen = binaries or choose_binaries()
    user = account()
    home = _make_home(owner, user)
    try:
        uid = user.pw_uid if user else None
        if user and version(chosen.bin, uid) is None:
            chosen = copied(chosen, home)
            if version(chosen.bin, uid) is None:
                raise Refused(
                    f"PostgreSQL refuses to run as root, and user {user.pw_name!r} can run neither {chosen.origin} "
                    f"nor a copy of it in {home.parent}.",
                    "set TMPDIR to a directory where programs may run, or give --server URL",
                )
        # A name that no history holds: what is given to postgres there stays postgres's.
        name = f"{SUPERUSER}_{secrets.token_hex(4)}"
        password = _initdb(chosen, home, user, name)
        port = launch(chosen, home, uid)
        server = Server(home, HOST, port, name, password, chosen.major, chosen)
        _mark(home, owner, owner_pid, server)
    except BaseException:  # Ctrl-C too
        stop(home)
        raise
    return server


def attach(home: Path) -> Server:
    """The server that an earlier command started in ``home``. Raises `Refused` if it is gone or not ours."""
    hint = "run the step again to start a new one"
    marker = _marker(home)
    if marker is None:
        raise Refused(f"{home} is no server of ours: expected a directory of this user with our marker.", hint)
    if marker["server"] is None or not is_running(home):
        raise Refused(f"The throwaway server in {home} is gone: expected it to be running.", hint)
    known = marker["server"]
    binaries = Binaries(Path(known["bin"]), known["major"], known["origin"])
    password = (home / "password").read_text().strip()
    return Server(home, known["host"], known["port"], known["user"], password, known["major"], binaries)


def is_running(home: Path, data: str = DATA) -> bool:
    """Whether a server runs on the data in ``home`` (on those in one of its directories)."""
    return "postgres" in _programs(home, data).values()


def stop(home: Path) -> None:
    """End the server in ``home`` and delete ``home``; nothing happens where it is gone already.

    Raises `Refused` for a directory that is not ours, `Failed` where files stay.
    """
    if not home.exists():
        return
    if _marker(home) is None:
        raise Refused(f"{home} is no server of ours: expected a directory of this user with our marker.")
    # By signal, not by pg_ctl: the programs may be gone by now (a deleted venv). SIGQUIT is "immediate".
    until = time.monotonic() + STOP_SECONDS
    while programs := _programs(home):
        for pid, program in programs.items():
            gently = program == "postgres" and time.monotonic() < until
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if gently else signal.SIGKILL)
        time.sleep(0.01)
    _remove(home)


def sweep() -> list[Path]:
    """Stop and delete the servers whose owner is gone, and what an interrupted `start` left; returns their homes."""
    swept = []
    for base in _bases():
        for home in sorted(base.glob(f"{PREFIX}*")):
            marker = _marker(home)
            with suppress(SquashError, OSError):  # one that resists must not keep a new server from starting
                if marker is not None and _is_stale(marker):
                    stop(home)
                    swept.append(home)
    return swept


def _is_stale(marker: Mapping[str, Any]) -> bool:
    pid, owner = marker["owner_pid"], Path(marker["owner"])
    if pid is None:
        return owner.is_absolute() and not owner.exists()
    started = _started(pid)
    return started is None or started != marker["owner_started"]  # another start time: the number was given anew


# The home directory: marker, password, log, data/, programs/


def _bases() -> list[Path]:
    return list(dict.fromkeys(Path(name).resolve() for name in (tempfile.gettempdir(), "/tmp", "/var/tmp")))


def account() -> pwd.struct_passwd | None:
    """The user to run the server as when we are root, which PostgreSQL refuses; None: ourselves."""
    if os.getuid() != 0:
        return None
    others = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    for name in ("postgres", "nobody", *others):
        if name in others:
            return others[name]
    raise Refused("PostgreSQL refuses to run as root, and there is no other user on this machine.", "give --server URL")


def _make_home(owner: str, account: pwd.struct_passwd | None) -> Path:
    reasons = []
    for base in _bases():
        try:
            home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError as error:
            reasons.append(f"{base}: {error.strerror}")
            continue
        try:
            # First of all, so that whatever interrupts us is swept; until the server is up its owner is this process.
            _mark(home, owner, os.getpid(), None)
            home.chmod(0o711)  # the server's user passes through and lists nothing
            (home / "data").mkdir(0o700)
            (home / "log").touch(0o600)
            if account:
                for mine in (home / "data", home / "log"):
                    os.chown(mine, account.pw_uid, account.pw_gid)
                run(["test", "-w", home / "data"], cwd=ROOT, uid=account.pw_uid)
            return home
        except (OSError, CommandFailed) as error:
            reasons.append(f"{base}: not for user {account.pw_name}" if account else f"{base}: {error}")
            _remove(home)
    raise Refused("There is no temporary directory for a server; tried\n  " + "\n  ".join(reasons), "set TMPDIR")


def _mark(home: Path, owner: str, owner_pid: int | None, server: Server | None) -> None:
    """Write the marker in one move, without the password."""
    known = None
    if server is not None:
        known = {name: getattr(server, name) for name in ("host", "port", "user", "major")}
        known |= {"bin": str(server.binaries.bin), "origin": server.binaries.origin}
    text = {
        "program": "alembic-squash",
        "owner": owner,
        "owner_pid": owner_pid,
        "owner_started": _started(owner_pid) if owner_pid is not None else None,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "server": known,
    }
    (home / "marker.new").write_text(json.dumps(text, indent=2))
    (home / "marker.new").replace(home / "marker")


def _marker(home: Path) -> dict[str, Any] | None:
    """What the marker says; None for a directory of another user, of another program, or none at all."""
    try:
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            return None
        marker = json.loads((home / "marker").read_text())
    except (OSError, ValueError):
        return None
    keys = {"owner", "owner_pid", "owner_started", "server"}
    ours = isinstance(marker, dict) and marker.get("program") == "alembic-squash" and keys <= marker.keys()
    return marker if ours else None


def _remove(home: Path) -> None:
    """Delete home, its marker last: a removal that is interrupted is taken up again by the next sweep."""
    until = time.monotonic() + STOP_SECONDS
    with suppress(FileNotFoundError):  # another process sweeps the same home
        while others := [entry for entry in home.iterdir() if entry.name != "marker"]:
            if time.monotonic() > until:
                raise Failed(f"{others[0]} could not be deleted.", f"rm -r {home}")
            for entry in others:
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)  # an orphaned initdb may still write: look again
                else:
                    entry.unlink()
        (home / "marker").unlink(missing_ok=True)
        home.rmdir()


# initdb and pg_ctl


def _initdb(binaries: Binaries, home: Path, account: pwd.struct_passwd | None, name: str) -> str:
    """Make the data directory with the superuser ``name``; returns that one's password, which is in home/password and
    nowhere else.
    """
    password = secrets.token_urlsafe(24)
    file = home / "password"
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(f"{password}\n")
    if account:
        os.chown(file, account.pw_uid, account.pw_gid)  # initdb reads it
    argv: list[str | Path] = [
        binaries.bin / "initdb",
        "-D",
        home / "data",
        "-U",
        name,
        f"--pwfile={file}",
        "--auth=scram-sha-256",
    ]
    argv += ["--encoding=UTF8", "--no-sync"]
    if binaries.major >= 16:  # initdb itself then needs no /dev/shm either (PostgreSQL 15 takes 2 MB)
        argv += ["-c", "dynamic_shared_memory_type=mmap"]
    uid = account.pw_uid if account else None
    done = run([*argv, "--locale=C.UTF-8"], cwd=home, env=environment(), uid=uid, ok=None)
    if done.code != 0:
        # Some systems have no C.UTF-8 (older macOS, glibc before 2.35 with no locales): C sorts the same way.
        run([*argv, "--locale=C"], cwd=home, env=environment(), uid=uid)
    if account:
        os.chown(file, os.getuid(), os.getgid())
    settings = dict(SETTINGS) | ({"jit": "off"} if binaries.major >= 11 else {})
    with (home / "data" / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    return password


def launch(binaries: Binaries, home: Path, uid: int | None, data: str = DATA, wanted: int = 0, tries: int = 5) -> int:
    """Start a server on one of home's data directories, as a daemon in a session of its own (pg_ctl's).

    Returns the port: ``wanted`` where that is free, else any.
    """
    log = home / "log"
    for _ in range(tries):
        port = wanted if wanted and _is_free(wanted) else _free_port()
        with (home / data / "postgresql.conf").open("a") as conf:
            conf.write(f"port = {port}\n")  # the last one counts
        done = run(
            [binaries.bin / "pg_ctl", "-D", home / data, "-l", log, "-w", "-t", "60", "start"],
            cwd=home,
            env=environment(),
            uid=uid,
            ok=None,
        )
        if done.code == 0:
            return port
        tail = "\n  | ".join(log.read_text(errors="replace").splitlines()[-20:])
        if "could not bind" not in tail:  # or somebody took the port meanwhile
            raise Failed(f"The throwaway server did not start ({binaries.bin}). The end of its log:\n  | {tail}")
        os.truncate(log, 0)
        wanted = 0
    raise Failed(f"The throwaway server found no free port on {HOST} in {tries} tries.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


# Processes


def _programs(home: Path, data: str = "") -> dict[int, str]:
    """{pid: "initdb", "pg_ctl" or "postgres"} at work on home's data directories (on one of them), also those whose
    starter was killed.

    By the command line, never by postmaster.pid: after a crash or a reboot its number may be any process.
    """
    name = re.escape(data) if data else rf"{DATA}(?:-\w+)?"
    wanted = re.compile(rf"(?:.*/)?(initdb|pg_ctl|postgres) -D {re.escape(str(home.resolve()))}/{name}(?: |$)")
    return {pid: match[1] for pid, line in _command_lines() if (match := wanted.match(line))}


def _command_lines() -> Iterator[tuple[int, str]]:
    """(pid, command line) of every process that we may look at."""
    if not PROC.exists():  # macOS
        listed = run(["ps", "-axww", "-o", "pid=,args="], cwd=ROOT, env=environment()).stdout
        for pid, _, line in (row.strip().partition(" ") for row in listed.splitlines()):
            yield int(pid), line.strip()
        return
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes().replace(b"\0", b" "))


def _started(pid: int) -> str | None:
    """When a process started, only good for comparing; None where it has ended."""
    if not PROC.exists():
        told = run(["ps", "-p", str(pid), "-o", "lstart="], cwd=ROOT, env=environment(), ok=None).stdout.strip()
        return told or None
    try:
        # proc(5): the name in parentheses may hold anything; then the state is field 3 and the start time field 22.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]  # a zombie has ended; only its parent has not asked yet
