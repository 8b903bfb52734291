"""A variable without which the application does not start, as it says itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tasklib.command.project_command import Ran
from tasklib.errors import Refused
from tasklib.project import configs
from tasklib.workbench.bench import Bench

# The last line of an application that lacks a variable names it, in one of these ways or others.
NAME = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
KEY = re.compile(r"KeyError: '([\w.:-]+)'")
# A traceback that ends in os.environ is sure of it.
ENVIRON = re.compile(
    r"""  File "(?:<frozen os>|[^"\n]*\bos\.py)", line \d+, in __getitem__\n(?:    .*\n)*KeyError: '(?P<name>\w+)'"""
)
FRAME = re.compile(r'  File "([^"\n]+)", line (\d+), in ')
FIELD = re.compile(r"(?m)^(\w+)\n +[Ff]ield required\b")  # pydantic's settings


def refuse(bench: Bench, ran: Ran) -> None:
    """`Refused` where the last thing that the application says is the name of a variable that is not set."""
    fields = list(dict.fromkeys(name.upper() for name in FIELD.findall(ran.stderr)))
    if fields:
        raise Refused(
            f"The application does not start without {', '.join(fields)}: its settings say that "
            f"{'these fields are' if len(fields) > 1 else 'this field is'} required.",
            f"export {fields[0]}=… in this shell, as the application needs it",
        )
    if (asked := next(reversed([*ENVIRON.finditer(ran.stderr)]), None)) is not None:
        raise _lacking(asked["name"], _asking(bench, ran.stderr[: asked.start()]), f"KeyError: '{asked['name']}'")
    _refuse_what_is_handed_over(bench, ran)
    last = next(reversed((ran.stderr.strip() or ran.stdout.strip()).splitlines()), "")
    reads = bench.addresses().reads()
    names = NAME.findall(last)
    # Settings have names of their own: KeyError: 'database.url' is DATABASE_URL.
    names += [re.sub(r"\W", "_", key).upper() for key in KEY.findall(last)]
    for name in names:
        if name in reads and name not in os.environ and not reads[name].default:
            raise _lacking(name, f"{reads[name].path}:{reads[name].line}", last)


def _lacking(name: str, place: str, said: str) -> Refused:
    return Refused(
        f"The application does not start without {name}, which {place} reads. It says: {said}",
        f"export {name}=… in this shell, as the application needs it",
    )


def _refuse_what_is_handed_over(bench: Bench, ran: Ran) -> None:
    """`Refused` where env.py looks for what only a certain command gives it: an argument of -x, a connection."""
    key = next(reversed(KEY.findall(ran.stderr)), "")
    layout = bench.plan.layout
    env = configs.text_of(bench.repository, bench.plan.tip, f"{layout.script}/env.py")
    if not key or not re.search(rf"""["']{re.escape(key)}["']""", env):
        return
    command = " ".join(layout.command)
    if re.search(rf"""attributes\[["']{re.escape(key)}["']\]""", env):
        raise Refused(
            f"env.py takes config.attributes[{key!r}], which a program of the project's own hands over.",
            f"--command 'python -m yourapp.db', the program that takes Alembic's words (current, upgrade …); or have "
            f"env.py make a connection where it gets none, so that `{command}` works by itself",
        )
    if "get_x_argument" in env:
        raise Refused(
            f"env.py asks for the argument -x {key}=…, and `{command}` gives none.",
            f"--command '{command} -x {key}=VALUE', as the migrations are run elsewhere",
        )


def _asking(bench: Bench, traceback: str) -> str:
    """Where the last of the project's own lines in a traceback is: its env.py may have run elsewhere."""
    places = bench.repository.top, bench.chain("old", bench.plan.tip).root
    frames = [(Path(path), line) for path, line in FRAME.findall(traceback)]
    own = [f"{path.relative_to(at)}:{line}" for path, line in frames for at in places if path.is_relative_to(at)]
    return (own or [f"{frames[-1][0]}:{frames[-1][1]}" if frames else "it"])[-1]
