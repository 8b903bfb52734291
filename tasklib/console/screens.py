"""What people and programs see: plain lines, next to nothing (--quiet), or one JSON object a line (--json)."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasklib.console import streams

VERSION = 1  # of the events; it goes up when a field goes away or means something else


class Plain:
    """Lines: results on standard output, progress and all else on standard error."""

    asks = True  # whether a question reaches somebody

    def text(self, text: str) -> None:
        streams.write(sys.stdout, f"{text}\n")

    def note(self, text: str) -> None:
        streams.write(sys.stderr, f"{text}\n")

    def warning(self, text: str) -> None:
        self.note(f"warning: {text}")

    def echo(self, line: str) -> None:
        self.note(f"  $ {line}")

    def began(self, step: str) -> None:
        self.note(step)

    def ended(self, step: str, seconds: float) -> None:
        pass

    def working(self, what: str) -> None:
        self.note(f"  … {what}")

    def worked(self, what: str, seconds: float) -> None:
        self.note(f"    {seconds:.1f} s")

    def migration(self, number: int, total: int, revision: str, message: str) -> None:
        """One more migration has begun to run; shown only where somebody watches, overwritten by the next one."""
        if sys.stderr.isatty():
            streams.write(sys.stderr, f"\r\033[K    {number}/{total} {revision} {message}".rstrip()[:100])

    def migrated(self) -> None:
        if sys.stderr.isatty():
            streams.write(sys.stderr, "\r\033[K")

    def result(self, kind: str, fields: dict[str, Any]) -> None:
        """What a command found or made, for programs; people were told."""

    def over(self, code: int, text: str, hint: str) -> None:
        """The command has ended; Invoke prints the text of an error."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Over the block somebody else writes to the terminal: a question."""
        yield


class Quiet(Plain):
    """Warnings and errors alone; the exit code says the rest."""

    def text(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        super().note(f"warning: {text}")

    def echo(self, line: str) -> None:
        super().note(f"$ {line}")

    def migration(self, number: int, total: int, revision: str, message: str) -> None:
        pass

    def migrated(self) -> None:
        pass


class Events(Plain):
    """One JSON object a line on standard output; docs/json.md lists them."""

    asks = False

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()  # two runs go side by side

    def _event(self, event: str, **fields: Any) -> None:
        line = json.dumps({"v": VERSION, "event": event, **fields})
        with self._one_at_a_time:
            streams.write(sys.stdout, f"{line}\n")

    def text(self, text: str) -> None:
        self._event("text", text=text)

    def note(self, text: str) -> None:
        self._event("note", text=text)

    def warning(self, text: str) -> None:
        self._event("warning", text=text)

    def echo(self, line: str) -> None:
        self._event("command", line=line)

    def began(self, step: str) -> None:
        self._event("step", name=step, state="began")

    def ended(self, step: str, seconds: float) -> None:
        self._event("step", name=step, state="ended", seconds=round(seconds, 3))

    def working(self, what: str) -> None:
        self._event("work", text=what, state="began")

    def worked(self, what: str, seconds: float) -> None:
        self._event("work", text=what, state="ended", seconds=round(seconds, 3))

    def migration(self, number: int, total: int, revision: str, message: str) -> None:
        self._event("migration", number=number, total=total, revision=revision, message=message)

    def migrated(self) -> None:
        pass

    def result(self, kind: str, fields: dict[str, Any]) -> None:
        self._event(kind, **fields)

    def over(self, code: int, text: str, hint: str) -> None:
        self._event("end", exit=code, **({"error": text, "hint": hint} if code else {}))
