"""Tasks from one table of options: each option is named, explained and typed once, in `settings.HELP`."""

from __future__ import annotations

import inspect
import re
import signal
from collections.abc import Callable, Mapping
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from tasklib import console, interrupts, temporary
from tasklib.errors import BUG, Differs, SquashError, shortage
from tasklib.settings import FLAGS, HELP, LISTS, with_server
from tasklib.workbench.bench import program

Given = Mapping[str, Any]
ALL = tuple(HELP)
# Options of every task: what is seen of it while it works.
SEEN = {
    "quiet": "Say nothing but warnings and errors.",
    "json": "Say everything as JSON, one event a line on standard output (docs/json.md).",
    "echo": "Show each outside command as it could be typed, passwords masked.",
}


def step(
    *options: str,
    lists: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    positional: Mapping[str, str] | None = None,
    **others: str,
) -> Callable[[Callable[[Context, Given], None]], Task[Any]]:
    """Make a task of ``body(context, given)``, which gets its options as one mapping by name.

    ``options`` are names of `settings.HELP`; the rest are options of this task alone with their help: ``lists`` are
    repeatable, as ``only`` is, ``values`` take a text, ``positional`` need no name, ``others`` are flags.
    """
    names = [option.replace("-", "_") for option in options]
    flags = {**{name: text for name, text in SEEN.items() if name not in others}, **others}
    own_json = "json" in others
    texts = {**(positional or {}), **(lists or {}), **(values or {})}

    def default(name: str) -> object:
        if name in (positional or {}):
            return inspect.Parameter.empty
        return False if name in FLAGS or (name in flags and name != "only") else None

    def decorate(body: Callable[[Context, Given], None]) -> Task[Any]:
        def run(context: Context, **given: Any) -> None:
            console.prepare()  # also where Invoke's own program calls us
            seen = {name: bool(given.pop(name)) for name in SEEN if name != "json" or not own_json}
            echo = seen["echo"] or _before_the_name(context, "echo")
            with console.shown(quiet=seen["quiet"], as_json=seen.get("json", False), echo=echo):
                _reporting(lambda: _interruptible(lambda: body(context, with_server(context, given))))

        # Invoke makes the command line from the signature, which need not be written out in each task.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default(name)) for name in (*names, *texts, *flags)]
        parameters.sort(key=lambda one: one.default is not inspect.Parameter.empty)
        run.__signature__ = inspect.Signature([inspect.Parameter("context", kind), *parameters])  # type: ignore[attr-defined]
        run.__name__, run.__doc__, run.__module__ = body.__name__, _help(body), body.__module__
        made: Task[Any] = task(
            help={**{name: HELP[name] for name in options}, **texts, **flags},
            iterable=[name for name in (*LISTS, "only", *(lists or ())) if name in (*names, *texts, *flags)],
            # Short flags would be invented from the names, and shift when an option is added.
            auto_shortflags=False,
        )(run)
        return made

    return decorate


def _interruptible(work: Callable[[], None]) -> None:
    """Signals are noted over the work; what the system lacks, and an interrupt, end in a sentence."""
    try:
        with interrupts.heard():
            temporary.sweep()
            work()
            interrupts.check()
    except OSError as error:
        raise (shortage(error) or error) from None
    except KeyboardInterrupt:
        read = interrupts.noted() != signal.SIGPIPE  # `plan | head` is no matter
        raise ended(f"{program()} status says where the squash stands" if read else "") from None


def _reporting(work: Callable[[], None]) -> None:
    """The work, whose end is told to who reads --json."""
    try:
        work()
    except SquashError as error:
        if isinstance(error, Differs) and error.differences:
            console.result("differences", found=error.differences)
        console.over(error.code, error.text, error.hint)
        raise
    except Exit as error:
        console.over(error.code, error.message or "")
        raise
    except Exception as error:
        console.over(BUG, f"a bug of this program: {type(error).__name__}: {error}")
        raise
    console.over(0)


def ended(text: str) -> Exit:
    """What an interrupted command says, once all is done that is to be done, and its exit code."""
    return Exit(
        f"interrupted; {text}" if text else None,
        code=128 + signal.SIGPIPE if interrupts.noted() == signal.SIGPIPE else 130,
    )


def _help(body: Callable[..., None]) -> str:
    """The task's docstring, which is its help, and below it what its room says: before, after, never."""
    room = re.search(r"Before: .*", inspect.getdoc(inspect.getmodule(body)) or "", re.DOTALL)
    return "\n\n".join([inspect.getdoc(body) or "", *([room.group(0).strip()] if room else [])])


def dry(context: Context) -> bool:
    """Whether the user asked (--dry) to be told what would happen; Invoke itself applies it to c.run only."""
    return _before_the_name(context, "dry")


def _before_the_name(context: Context, option: str) -> bool:
    """Whether Invoke's own option stands before the task's name. What its configuration says of `run` is for c.run,
    by which nothing of ours is started, and would be merged with that.
    """
    return bool(context.config._overrides.get("run", {}).get(option))
