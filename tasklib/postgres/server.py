"""The throwaway PostgreSQL server: made, started, found again by a later command, taken away without a trace.

Durability is off, it listens on 127.0.0.1 only, and all of it lives in one temporary home directory, whose marker says
for whom it runs. Nothing outside that directory is written.
"""

from __future__ import annotations

import math
import os
import pwd
import secrets
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasklib.errors import Failed, Refused, SquashError
from tasklib.postgres import processes, server_home
from tasklib.postgres.binaries import Binaries, choose_binaries, copied, environment, version
from tasklib.postgres.processes import DATA
from tasklib.shell import run

HOST = "127.0.0.1"
SUPERUSER = "alembic_squash"  # begins the name of the superuser, which is another one each time

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


def start(owner: str, *, owner_pid: int | None = None, binaries: Binaries | None = None) -> Server:
    """Make and start a server, after a `sweep`; takes about a second. It goes on when this process ends.

    ``owner`` is the absolute path for which it runs: once that is gone the server is stale. With ``owner_pid`` it is
    stale when that process has ended. Raises `Refused` where this machine cannot have one and `Failed` (with the
    output or the end of the log) where initdb or the server fails; then nothing of it is left.
    """
    sweep()
    chosen = binaries or choose_binaries()
    user = server_home.account()
    home = server_home.make(owner, user)
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
        known = {name: getattr(server, name) for name in ("host", "port", "user", "major")}
        known |= {"bin": str(chosen.bin), "origin": chosen.origin}
        server_home.mark(home, owner, owner_pid, known)
    except BaseException:  # Ctrl-C too
        stop(home)
        raise
    return server


def attach(home: Path) -> Server:
    """The server that an earlier command started in ``home``. Raises `Refused` if it is gone or not ours."""
    hint = "run the step again to start a new one"
    marker = server_home.marker(home)
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
    return "postgres" in processes.at_work(home, data).values()


def stop(home: Path) -> None:
    """End the server in ``home`` and delete ``home``; nothing happens where it is gone already.

    Raises `Refused` for a directory that is not ours, `Failed` where files stay.
    """
    if not home.exists():
        return
    if server_home.marker(home) is None:
        raise Refused(f"{home} is no server of ours: expected a directory of this user with our marker.")
    # By signal, not by pg_ctl: the programs may be gone by now (a deleted venv). SIGQUIT is "immediate".
    until = time.monotonic() + server_home.STOP_SECONDS
    while programs := processes.at_work(home):
        for pid, program in programs.items():
            gently = program == "postgres" and time.monotonic() < until
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if gently else signal.SIGKILL)
        time.sleep(0.01)
    server_home.remove(home)


def sweep() -> list[Path]:
    """Stop and delete the servers whose owner is gone, and what an interrupted `start` left; returns their homes."""
    swept = []
    for base in server_home.bases():
        for home in sorted(base.glob(f"{server_home.PREFIX}*")):
            marker = server_home.marker(home)
            with suppress(SquashError, OSError):  # one that resists must not keep a new server from starting
                if marker is not None and _is_stale(marker):
                    stop(home)
                    swept.append(home)
    return swept


def _is_stale(marker: Mapping[str, Any]) -> bool:
    pid, owner = marker["owner_pid"], Path(marker["owner"])
    if time.time() > (marker.get("until") or math.inf):
        return True
    if pid is None:
        return owner.is_absolute() and not owner.exists()
    started = processes.started(pid)
    return started is None or started != marker["owner_started"]  # another start time: the number was given anew


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
