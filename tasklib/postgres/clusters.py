"""Clusters beside the throwaway server's own, in its home: for databases whose roles must not meet.

Each is a copy of a data directory, with a server of its own. The password, and what ends and removes them, is the
throwaway server's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tasklib.errors import Failed
from tasklib.postgres import server, server_home
from tasklib.postgres.binaries import Binaries, environment
from tasklib.postgres.processes import DATA
from tasklib.postgres.server import Server
from tasklib.shell import run

FRESH = "fresh"  # what new clusters are copied from; no server runs on it


def prepare(ours: Server) -> None:
    """Keep a copy of the server's cluster as it is now. The server is stopped meanwhile."""
    _halt(ours, DATA)
    _copy(ours, DATA, _data(FRESH))
    _start(ours, DATA, ours.port)


def make(ours: Server, name: str, source: str, port: int = 0) -> int:
    """A cluster that is a copy of another one (by name), in the place of an older one; returns its port.

    ``port`` is taken where it is free. The other one's server is stopped meanwhile, and has its port again.
    """
    end(ours, name)
    other = _data(source)
    running = _port(ours.home, other) if server.is_running(ours.home, other) else 0
    if running:
        _halt(ours, other)
    _copy(ours, other, _data(name))
    if running:
        _start(ours, other, running)
    return _start(ours, _data(name), port)


def move(ours: Server, name: str, new: str) -> int:
    """Give a cluster another name, and so another port, which comes back."""
    end(ours, new)
    _halt(ours, _data(name))
    (ours.home / _data(name)).rename(ours.home / _data(new))
    return _start(ours, _data(new))


def end(ours: Server, name: str) -> None:
    """Stop a cluster's server and delete its data; harmless where there is none."""
    data = _data(name)
    if server.is_running(ours.home, data):
        _halt(ours, data, "immediate")
    shutil.rmtree(ours.home / data, ignore_errors=True)
    if (ours.home / data).exists():
        raise Failed(f"{ours.home / data} could not be deleted.")


def exists(ours: Server, name: str) -> bool:
    return (ours.home / _data(name)).is_dir()


def pause(ours: Server) -> None:
    """Stop all servers of a home, so that what is on them is on disk."""
    for data in _kept(ours.home):
        if server.is_running(ours.home, data):
            _halt(ours, data)


def resume(home: Path) -> bool:
    """Start what `pause` stopped; whether all of it is there again, on the ports that it had."""
    known = server_home.known(home)
    if known is None:
        return False
    there = Binaries(Path(known["bin"]), known["major"], known["origin"])
    ports = {data: _port(home, data) for data in _kept(home)}
    return all(server.launch(there, home, _uid(), data, port) == port for data, port in ports.items())


def _kept(home: Path) -> list[str]:
    """The data directories with a server of their own: all but the one that is only copied."""
    return [path.name for path in sorted(home.glob(f"{DATA}*")) if path.is_dir() and path.name != _data(FRESH)]


def all_run(home: Path) -> bool:
    """Whether a server runs on every data directory of a home but the one that is only copied."""
    return all(server.is_running(home, name) for name in _kept(home))


def _data(name: str) -> str:
    return f"{DATA}-{name}"


def _uid() -> int | None:
    user = server_home.account()
    return user.pw_uid if user else None


def _halt(ours: Server, data: str, mode: str = "fast") -> None:
    argv: list[str | Path] = [
        ours.binaries.bin / "pg_ctl",
        "-D",
        ours.home / data,
        "-m",
        mode,
        "-w",
        "-t",
        "60",
        "stop",
    ]
    run(argv, cwd=ours.home, env=environment(), uid=_uid())


def _start(ours: Server, data: str, port: int = 0) -> int:
    return server.launch(ours.binaries, ours.home, _uid(), data, port)


def _copy(ours: Server, source: str, target: str) -> None:
    (ours.home / target).mkdir(0o700)
    if user := server_home.account():
        os.chown(ours.home / target, user.pw_uid, user.pw_gid)
    run(["cp", "-Rp", f"{ours.home / source}/.", ours.home / target], cwd=ours.home, env=environment(), uid=_uid())


def _port(home: Path, data: str) -> int:
    """The port that the last line of a cluster's configuration gives."""
    lines = (home / data / "postgresql.conf").read_text().splitlines()
    return int(lines[-1].removeprefix("port = "))
