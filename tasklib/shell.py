"""Door to processes: argument lists (never a shell), a working directory always, errors untruncated."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

import sh

from tasklib import console, interrupts
from tasklib.errors import CommandFailed, Failed, Refused

T = TypeVar("T")


AT_A_TIME = 2  # processes of the project's command that run side by side
LOOK_SECONDS = 0.1  # between two looks at whether somebody interrupts; the end of a process is noticed at once
END_SECONDS = 5.0  # for a process that was asked to end
OURS = "ALEMBIC_SQUASH_"  # variables that this program tells its own parts by


class Fence(Protocol):
    """What is put on between fork and exec, see `tasklib.command.fence`."""

    def put_on(self) -> None: ...

    def put_on_for_forks(self) -> None: ...


def together(*calls: Callable[[], T], at_a_time: int = AT_A_TIME) -> list[T]:
    """Run the calls side by side, wait for all of them, and return their results in order.

    The first call (in order) that raised decides the exception; each ends by itself where somebody interrupts.
    """
    with ThreadPoolExecutor(at_a_time) as pool:
        futures = [pool.submit(call) for call in calls]
        wait(futures)
    interrupts.check()
    return [future.result() for future in futures]


def _wait(process: Any) -> None:
    """Wait for the end of a process; an interrupt ends it, and all that it started, and is raised."""
    ended = Event()

    def until_its_end() -> None:
        with suppress(Exception):  # raised below, in whose thread it belongs
            process.wait()
        ended.set()

    Thread(target=until_its_end, daemon=True).start()
    while not ended.wait(LOOK_SECONDS):
        if interrupts.pending():
            _end(process, ended)
            interrupts.check()
    process.wait()  # raises where the exit code is not 0


def _end(process: Any, ended: Event) -> None:
    """End the session of a process: a hook of git's would go on without git."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        ended.wait(END_SECONDS)


class Started:
    """A process that goes on while we do other things. Its output is in files."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        with suppress(sh.ErrorReturnCode):
            _wait(self._process)
        return int(self._process.exit_code)

    def end(self) -> None:
        """End it, and all that it started; harmless where it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + END_SECONDS
            while self.is_alive() and time.monotonic() < until:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
                time.sleep(0.01)


def start(
    argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], out: Path, err: Path, fence: Fence | None = None
) -> Started:
    """Start ``argv`` and return at once, to be held. ``out`` and ``err`` are files for its output."""
    words = [str(word) for word in argv]
    echo(words, cwd, env)
    with out.open("wb") as to_out, err.open("wb") as to_err:  # a path would be opened by sh, and stay open
        process = sh.Command(words[0])(
            *words[1:], _cwd=str(cwd), _env=dict(env), _tty_out=False, _in=b"", _out=to_out, _err=to_err,
            _new_session=True, _preexec_fn=fence.put_on_for_forks if fence is not None else None, _return_cmd=True,
            _bg=True, _bg_exc=False, _truncate_exc=False,
        )  # fmt: skip
    return Started(process)


def echo(words: Sequence[str], cwd: Path, env: Mapping[str, str] | None) -> None:
    """Show the command, where the user asked for that, with the variables that it gets and the user's shell has not."""
    own = {n: value for n, value in (env or {}).items() if os.environ.get(n) != value and not n.startswith(OURS)}
    console.echo(words, cwd, own)


@dataclass(frozen=True)
class Result:
    """What a process left behind: its exit code (negative: the signal that ended it) and both streams, decoded."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] | None = (0,),
    stdin: str | bytes | None = None,
    uid: int | None = None,
    on_error_line: Callable[[str], None] | None = None,
    fence: Fence | None = None,
) -> Result:
    """Run ``argv`` in ``cwd`` and wait for its end.

    ``env`` replaces the whole environment (None: inherit ours). ``ok`` lists the exit codes that are no error (None:
    all). ``uid`` runs it as that user, which needs root. ``on_error_line`` sees each line of standard error as it
    comes. ``fence`` is put on before the program begins. Raises `Refused` where there is no such program and
    `CommandFailed` for a code that is not in ``ok``.
    """
    words = tuple(str(word) for word in argv)
    errors: list[str] = []

    def take(line: str) -> None:
        errors.append(line)
        if on_error_line is not None:
            on_error_line(line.rstrip("\n"))

    try:
        # _tty_out: sh gives programs a terminal for stdout unless told otherwise, and they would colour and page.
        start = partial(
            sh.Command(words[0]),
            *words[1:],
            _cwd=str(cwd),
            _env=dict(os.environ if env is None else env),
            _tty_out=False,
            _in=stdin if stdin is not None else b"",
            _err=take if on_error_line is not None else None,
            _uid=uid,
            # A session of its own: a terminal's Ctrl-C comes to us alone, and we decide what becomes of the process.
            # What would ask at the terminal fails at once, where it would wait unseen.
            _new_session=True,
            _preexec_fn=fence.put_on if fence is not None else None,
            _return_cmd=True,
            _bg=True,
            _bg_exc=False,
            _decode_errors="replace",
            _truncate_exc=False,
        )
        interrupts.check()
        echo(words, cwd, env)
        done = start()
        _wait(done)
        code, out, err = int(done.exit_code), done.stdout, done.stderr
    except sh.ErrorReturnCode as failure:
        code, out, err = int(failure.exit_code), failure.stdout, failure.stderr
    except sh.CommandNotFound:
        raise Refused(f"There is no program {words[0]!r} on this machine's PATH.") from None
    except sh.ForkException as failure:
        # The child could not even begin: no such directory, not allowed to become that user, not a program.
        reason = str(failure).strip().splitlines()
        raise Failed(
            f"`{' '.join(words)}` could not be started in {cwd}: {reason[-1] if reason else failure}"
        ) from None
    except (OSError, RuntimeError) as shortage:  # of processes, memory, descriptors; threads are a RuntimeError
        raise Failed(f"`{' '.join(words)}` could not be started: {shortage}.", "ulimit -a; free -m") from None
    text = "".join(errors) if on_error_line is not None else err.decode(errors="replace")
    if code < 0:
        memory = ", as the system does where memory runs out" if -code == signal.SIGKILL else ""
        text += f"(it was ended by {signal.Signals(-code).name}{memory})\n"
    result = Result(words, code, out.decode(errors="replace"), text)
    if ok is not None and code not in ok:
        raise CommandFailed(words, code, result.stdout, result.stderr)
    return result
