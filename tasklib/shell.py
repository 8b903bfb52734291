"""Door to processes: argument lists (never a shell), a working directory always, errors untruncated."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import sh

from tasklib.errors import CommandFailed, Failed, Refused

T = TypeVar("T")


AT_A_TIME = 2  # processes of the project's command that run side by side
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_SECONDS = 5.0  # for a process that was asked to end


def together(*calls: Callable[[], T]) -> list[T]:
    """Run the calls side by side, wait for all of them, and return their results in order.

    The first call (in order) that raised decides the exception. An interrupt ends the processes that run, and waits
    for the calls: none goes on behind the back of whoever then puts things back.
    """
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            futures = [pool.submit(call) for call in calls]
            wait(futures)
        except BaseException:
            with uninterrupted(), _processes.ended():
                pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP (the terminal is gone), are KeyboardInterrupt in the block: with everything cleaned up.

    As is Ctrl-C, once: an impatient second one could fall into the first lines of the cleaning up.
    """
    numbers = [number for number in INTERRUPTS if signal.getsignal(number) != signal.SIG_IGN]

    def interrupt(number: int, frame: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP are ignored for the length of a block, by its processes too. Main thread only.

    `run` keeps what a terminal sends away from processes that would not ignore it.
    """
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in INTERRUPTS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _is_putting_back() -> bool:
    """Whether even SIGTERM is ignored, as while things are put back."""
    return signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


class _Processes:
    """The processes of ours that run now, so that an interrupt reaches those that other threads wait for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[int, Any] = {}  # by pid: sh's processes have no hash, and compare by output
        self._closed = False

    @contextmanager
    def waiting_for(self, start: Callable[[], Any]) -> Iterator[Any]:
        """Start a process; whatever interrupts the block ends it."""
        with self._lock:
            if self._closed:
                raise Failed("Interrupted.")
            process = start()
            self._running[process.pid] = process
        try:
            yield process
        except (KeyboardInterrupt, SystemExit):
            with uninterrupted():
                _end(process)
            raise
        finally:
            with self._lock:
                self._running.pop(process.pid, None)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """All of them are ended, and for the length of the block no other one starts."""
        with self._lock:
            self._closed = True
            for process in self._running.values():
                _signal(process, signal.SIGTERM)
        try:
            yield
        finally:
            self._closed = False


_processes = _Processes()


def _end(process: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, number)
        try:
            process.wait(timeout=END_SECONDS)
        except sh.TimeoutException:
            continue
        except sh.ErrorReturnCode:
            pass
        return


def _signal(process: Any, number: int) -> None:
    with suppress(ProcessLookupError):
        process.signal(number)


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
) -> Result:
    """Run ``argv`` in ``cwd`` and wait for its end.

    ``env`` replaces the whole environment (None: inherit ours). ``ok`` lists the exit codes that are no error (None:
    all). ``uid`` runs it as that user, which needs root. ``on_error_line`` sees each line of standard error as it
    comes. Raises `Refused` where there is no such program and `CommandFailed` for a code that is not in ``ok``.
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
            # git handles SIGINT although its parent ignores it: a terminal's Ctrl-C reaches the foreground group only.
            _new_group=_is_putting_back(),
            _return_cmd=True,
            _bg=True,
            _bg_exc=False,
            _decode_errors="replace",
            _truncate_exc=False,
        )
        with _processes.waiting_for(start) as done:
            done.wait()
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
    text = "".join(errors) if on_error_line is not None else err.decode(errors="replace")
    result = Result(words, code, out.decode(errors="replace"), text)
    if ok is not None and code not in ok:
        raise CommandFailed(words, code, result.stdout, result.stderr)
    return result
