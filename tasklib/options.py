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
from tasklib.errors import shortage
from tasklib.settings import FLAGS, HELP, LISTS, with_server
from tasklib.workbench.bench import program

Given = Mapping[str, Any]
ALL = tuple(HELP)


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
    texts = {**(positional or {}), **(lists or {}), **(values or {})}

    def default(name: str) -> object:
        if name in (positional or {}):
            return inspect.Parameter.empty
        return False if name in FLAGS or (name in others and name != "only") else None

    def decorate(body: Callable[[Context, Given], None]) -> Task[Any]:
        def run(context: Context, **given: Any) -> None:
            console.prepare()  # also where Invoke's own program calls us
            try:
                with interrupts.heard():
                    temporary.sweep()
                    body(context, with_server(context, given))
                    interrupts.check()
            except OSError as error:
                raise (shortage(error) or error) from None
            except KeyboardInterrupt:
                read = interrupts.noted() != signal.SIGPIPE  # `plan | head` is no matter
                raise ended(f"{program()} status says where the squash stands" if read else "") from None

        # Invoke makes the command line from the signature, which need not be written out in each task.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind, default=default(name)) for name in (*names, *texts, *others)]
        parameters.sort(key=lambda one: one.default is not inspect.Parameter.empty)
        run.__signature__ = inspect.Signature([inspect.Parameter("context", kind), *parameters])  # type: ignore[attr-defined]
        run.__name__, run.__doc__, run.__module__ = body.__name__, _help(body), body.__module__
        made: Task[Any] = task(
            help={**{name: HELP[name] for name in options}, **texts, **others},
            iterable=[name for name in (*LISTS, "only", *(lists or ())) if name in (*names, *texts, *others)],
            # Short flags would be invented from the names, and shift when an option is added.
            auto_shortflags=False,
        )(run)
        return made

    return decorate


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
    return bool(context.config.run.dry)
