"""The project's command, started once and held where it enters Alembic; each run is a fork of it (see `guard.hold`).

A run in a fork gives what a start of its own would: exit code, output, record. Where a fork would not be what a fresh
process is, nothing is held, and the reason is kept.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from tasklib import interrupts, shell
from tasklib.command import guard
from tasklib.command.fence import Fence
from tasklib.command.guard.hold import FIRST
from tasklib.errors import Failed
from tasklib.postgres.client import Address
from tasklib.shell import Result
from tasklib.timings import Tally

LONGEST = 100  # of a socket's path, in bytes: Linux takes 107
POLL = 0.01  # seconds
# Of Alembic's and Flask-Migrate's command line → of its function.
OPTIONS = {"-m": "message", "--rev-id": "rev_id", "--version-path": "version_path"}


@dataclass(frozen=True)
class Start:
    """How the command is started. Two that are alike may share one process. ``apart``: with databases of its own, so
    that nothing but forks can be runs.
    """

    argv: tuple[str, ...]  # with the words of a `current`
    cwd: Path
    alike: tuple[object, ...]  # what the application may have read at its start
    environment: Mapping[str, str] = field(repr=False)
    fence: Fence | None
    places: Mapping[str, Address] = field(repr=False)  # the scratch databases that it was started with
    given: Mapping[str, Any] = field(repr=False)  # what the guard is told of it
    apart: bool


@dataclass(frozen=True)
class Order:
    """One run: an Alembic command with its arguments (``named`` ones too), environment and script directory. ``argv``
    are the words that a start of its own would have; ``given`` makes what the guard is told of it, from the scratch
    databases that the application was started with.
    """

    argv: tuple[str, ...]
    command: str
    arguments: tuple[str, ...]
    named: Mapping[str, str | bool]
    environment: Mapping[str, str] = field(repr=False)
    given: Callable[[Mapping[str, Address]], Mapping[str, Any]] = field(repr=False)
    fence: Fence | None  # put on over that of the start, where it bars more: a run has shown other ports
    chain: Mapping[str, Any] | None


class Held:
    """The process that is held, if any; ``reason`` says why none is. ``modules`` are other people's, to be imported
    before the next fork.
    """

    def __init__(
        self, directory: Path, tally: Tally, make_room: Callable[[Held], None], settled: Callable[[], None]
    ) -> None:
        self.directory = directory
        self.tally = tally
        self._make_room = make_room  # called before a start
        self._settled = settled  # called once it is held
        self.modules: tuple[str, ...] = ()
        self.reason = ""
        self.forks = 0
        self._start: Start | None = None
        self._process: shell.Started | None = None
        self._socket: socket.socket | None = None
        self._lock = Lock()
        self._left = b""
        self._said: dict[int, dict[str, Any]] = {}
        self._cpu = 0.0  # of the forks of this process, in seconds

    def run(self, start: Start, order: Order, on_error_line: Callable[[str], None] | None = None) -> Result | None:
        """Do the order in a fork. None where that cannot be, and a start of its own must be made."""
        with self._lock:
            first = self._ensure(start)
            if first is not None and start.apart:
                return None if self.reason else first  # which did not come to Alembic's command
            if first is not None:
                return first if order.command == FIRST else None
            if self._socket is None or self._start is None:
                return None
            self.forks += 1
            self.tally.forks += 1
            number = self.forks
            out, err = (Path(self._temporary(suffix)) for suffix in (".out", ".err"))
            changed = {
                name: order.environment.get(name)
                for name in {*self._start.environment, *order.environment}
                if order.environment.get(name) != self._start.environment.get(name)
            }
            shell.echo(order.argv, start.cwd, order.environment)
            fence = order.fence if order.fence is not self._start.fence else None
            self._say(
                fence, id=number, command=order.command, arguments=order.arguments, named=order.named,
                environment=changed, given=order.given(self._start.places), chain=order.chain, out=str(out),
                err=str(err), sockets=order.fence is not None and order.fence.sockets,
            )  # fmt: skip
        try:
            return self._wait(order.argv, number, out, err, on_error_line)
        finally:
            for file in (out, err):
                file.unlink(missing_ok=True)

    def another(self) -> Held:
        """One for another start, with the same modules."""
        other = Held(self.directory, self.tally, self._make_room, self._settled)
        other.modules = self.modules
        return other

    def begin(self, start: Start) -> Result | None:
        """Start the command and hold it; one that cannot be held is ended, before it does anything. What it did by
        itself comes back.
        """
        with self._lock:
            return self._ensure(start, spare=True)

    def preload(self, modules: Sequence[str]) -> None:
        """Have these modules imported before the next fork: those of other people's that the first run imported."""
        with self._lock:
            self.modules = tuple(modules)
            if self._socket is not None:
                self._say(preload=self.modules)

    def close(self) -> None:
        """End the process that is held, and all forks of it; harmless where there is none."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.end()
            self._process = None
            # The system counts what its children took as its own, once it has ended.
            self.tally.cpu -= self._cpu
            self._cpu = 0.0

    def _ensure(self, start: Start, *, spare: bool = False) -> Result | None:
        """Start the command where no process is held for such a start. What it did by itself, where it did not wait:
        a ``spare`` one ends there.
        """
        if self._start is not None and _is_alike(self._start, start):
            if self._process is not None and self._process.is_alive():
                return None
            if self.reason:
                return None
        self.close()
        self.reason, self._start, self._left = "", start, b""
        path = self._temporary(".sock")
        Path(path).unlink()
        if len(os.fsencode(path)) > LONGEST:
            self._explain(f"the path of a socket would be too long: {path}")
            return None
        out, err = (Path(self._temporary(suffix)) for suffix in (".out", ".err"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(path)
            listening.listen(1)
            listening.settimeout(POLL)
            self._make_room(self)
            self.tally.starts += 1
            environment = {**start.environment, **holding(start, path, spare)}
            self._process = shell.start(start.argv, cwd=start.cwd, env=environment, out=out, err=err, fence=start.fence)
            while self._socket is None:
                try:
                    self._socket, _ = listening.accept()
                    self._socket.settimeout(None)
                except TimeoutError:
                    if not self._process.is_alive():
                        break
                    if interrupts.pending():
                        self.close()
                        interrupts.check()
        Path(path).unlink(missing_ok=True)
        said = self._next() if self._socket is not None else None
        if said is not None and "held" in said:
            for file in (out, err):
                file.unlink(missing_ok=True)
            if self.modules:
                self._say(preload=self.modules)
            self._settled()
            return None
        # It ran to its end by itself, as a start of its own would.
        if said is not None:
            self._explain(said["plain"])
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        code = self._process.wait()
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in (out, err)]
        for file in (out, err):
            file.unlink(missing_ok=True)
        return Result(start.argv, code, *texts)

    def _wait(
        self,
        argv: tuple[str, ...],
        number: int,
        out: Path,
        err: Path,
        on_error_line: Callable[[str], None] | None,
    ) -> Result | None:
        seen = 0
        while True:
            if interrupts.pending():
                self.close()
                interrupts.check()
            done = self._ended(number)
            if on_error_line is not None:
                text = err.read_bytes()[seen:]
                lines, newline, _ = text.rpartition(b"\n")
                seen += len(lines) + len(newline)
                for line in lines.decode(errors="replace").splitlines():
                    on_error_line(line)
            if done is None:
                time.sleep(POLL)
            elif "plain" in done:
                self._explain(done["plain"])
                return None
            else:
                self.tally.cpu += float(done["cpu"])
                self._cpu += float(done["cpu"])
                texts = [file.read_text(encoding="utf-8", errors="replace") for file in (out, err)]
                return Result(argv, int(done["code"]), *texts)

    def _explain(self, reason: str) -> None:
        self.reason = reason
        self.tally.because(reason)

    def _ended(self, number: int) -> dict[str, Any] | None:
        """What was said of a run, if anything: that it ended, or that no fork was made."""
        with self._lock:
            while number not in self._said:
                if self._socket is None:
                    raise gone()
                self._socket.settimeout(0)
                try:
                    data = self._socket.recv(65536)
                except BlockingIOError:
                    return None
                except OSError:
                    raise gone() from None
                if not data:
                    raise gone()
                self._take(data)
            return self._said.pop(number)

    def _take(self, data: bytes) -> None:
        self._left += data
        while b"\n" in self._left:
            line, self._left = self._left.split(b"\n", 1)
            told = json.loads(line)
            if "ended" in told:
                self._said[told["ended"]] = told
            elif "id" in told:
                self._said[told["id"]] = told  # no fork was made

    def _next(self) -> dict[str, Any] | None:
        """The first line that the process says; None where it ends without one."""
        assert self._socket is not None
        while b"\n" not in self._left:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                return None
            self._left += data
        line, self._left = self._left.split(b"\n", 1)
        told: dict[str, Any] = json.loads(line)
        return told

    def _say(self, fence: Fence | None = None, **order: Any) -> None:
        assert self._socket is not None
        self._socket.settimeout(None)
        data = (json.dumps({**order, "fenced": fence is not None}) + "\n").encode()
        try:
            sent = 0
            if fence is not None:
                sent = socket.send_fds(self._socket, [data], [fence.number])
            self._socket.sendall(data[sent:])
        except OSError:
            raise gone() from None

    def _temporary(self, suffix: str) -> str:
        number, name = tempfile.mkstemp(prefix="held-", suffix=suffix, dir=self.directory)
        os.close(number)
        return name


def called(words: Sequence[str]) -> tuple[str, tuple[str, ...], dict[str, str | bool]]:
    """What of Alembic's a subcommand calls: the function, its arguments, and its named ones."""
    name, *rest = words
    named: dict[str, str | bool] = {}
    if name == "migrate":
        name, named["autogenerate"] = "revision", True
    arguments = []
    left = iter(rest)
    for word in left:
        if word == "--autogenerate":
            named["autogenerate"] = True
        elif word in OPTIONS:
            named[OPTIONS[word]] = next(left)
        else:
            arguments.append(word)
    return name, tuple(arguments), named


def _is_alike(held: Start, start: Start) -> bool:
    """Whether what is held can stand for another start: a fence that it has cannot be taken off again."""
    before, after = (one.ports if one is not None else frozenset() for one in (held.fence, start.fence))
    return held.alike == start.alike and before <= after


def gone() -> Failed:
    """The error for a process that was held and is there no more: somebody ended it."""
    return Failed(
        "The project's command, which was held, ended before its runs: it was killed, as happens where memory "
        "runs out.",
        "free -m",
    )


def holding(start: Start, path: str, spare: bool) -> dict[str, str]:
    """The guard's variable for a process that is to be held."""
    return {guard.VARIABLE: json.dumps({**start.given, "hold": path, "spare": spare, "apart": start.apart})}
