"""A squash on a terminal: its steps as a list, drawn anew while it works.

rich draws it: it knows widths of characters, narrow and dumb terminals, and what a resize leaves behind. It is imported
where somebody watches, and nowhere else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from tasklib.console import streams
from tasklib.console.screens import Plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PER_SECOND = 8
WIDEST = 110  # columns
WORKS = 6  # of the step that is under way, as many are shown


class _Errors:
    """Standard error, written to through our door: a terminal that is gone is an interrupt and no traceback."""

    def write(self, text: str) -> int:
        streams.write(sys.stderr, text)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return sys.stderr.isatty()

    def fileno(self) -> int:
        return sys.stderr.fileno()

    @property
    def encoding(self) -> str:
        return sys.stderr.encoding


def terminal() -> Console | None:
    """Standard error as rich sees it; None where nothing can be drawn on it."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    class Visible(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False  # a kill would leave a terminal without one

    made = Visible(file=cast("IO[str]", _Errors()), highlight=False)
    return None if made.is_dumb_terminal or not made.is_terminal else made


class Checklist(Plain):
    """Steps that are done with their seconds, the one that is under way with its works, those to come; what is said
    meanwhile stands above them.
    """

    def __init__(self, console: Console, steps: Sequence[str]) -> None:
        from rich.live import Live

        self._console = console
        self._steps: dict[str, float | None] = dict.fromkeys(steps)  # seconds, once it has ended
        self._step = ""
        self._since = 0.0
        self._works: list[tuple[str, float | None]] = []
        self._migration: tuple[int, int, str] | None = None
        # It is drawn over the block that this manages.
        self.live = Live(
            console=console, get_renderable=self._drawn, refresh_per_second=PER_SECOND,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def text(self, text: str) -> None:
        with self.paused():
            super().text(text)

    def note(self, text: str) -> None:
        with self.paused():
            super().note(text)

    def began(self, step: str) -> None:
        self._step, self._since, self._works = step, time.monotonic(), []

    def ended(self, step: str, seconds: float) -> None:
        self._steps[step], self._step, self._works = seconds, "", []

    def working(self, what: str) -> None:
        self._works.append((what, None))

    def worked(self, what: str, seconds: float) -> None:
        self._works = [(one, seconds if one == what else took) for one, took in self._works]
        self._migration = None

    def migration(self, number: int, total: int, revision: str, message: str) -> None:
        if self._migration is None or self._migration[1] != total or self._migration[0] < number:
            self._migration = (
                number,
                total,
                f"{revision} {message}",
            )  # of two runs side by side, the one that is further

    def migrated(self) -> None:
        pass

    @contextmanager
    def paused(self) -> Iterator[None]:
        live = self.live
        if not live.is_started:
            yield
            return
        live.transient = True  # it is wiped away, and drawn again below what is said
        live.stop()
        try:
            yield
        finally:
            live.transient = False
            live.start(refresh=True)

    def _drawn(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        done, now, later = ("+", ">", "-") if self._console.options.ascii_only else ("✓", "▸", "·")
        table = Table.grid(padding=(0, 1))
        table.width = min(self._console.width, WIDEST)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for step, seconds in self._steps.items():
            if seconds is not None:
                table.add_row(Text(done, "green"), step, f"{seconds:.1f} s")
            elif step == self._step:
                table.add_row(Text(now, "bold cyan"), Text(step, "bold"), f"{time.monotonic() - self._since:.0f} s")
                for what, took in self._works[-WORKS:]:
                    table.add_row("", Text(f"  {what}"), Text(f"{took:.1f} s" if took is not None else "", "dim"))
                if self._migration is not None:
                    number, total, name = self._migration
                    table.add_row("", Text(f"    {number}/{total}  {name}", "cyan"), "")
            else:
                table.add_row(Text(later, "dim"), Text(step, "dim"), "")
        return table
