"""A variable without which the application does not start, as it says itself."""

from __future__ import annotations

import os
import re

from tasklib.command.project_command import Ran
from tasklib.errors import Refused
from tasklib.workbench.bench import Bench

# The last line of an application that lacks a variable names it, in one of these ways or others.
NAME = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
KEY = re.compile(r"KeyError: '([\w.:-]+)'")
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
    last = next(reversed((ran.stderr.strip() or ran.stdout.strip()).splitlines()), "")
    reads = bench.addresses().reads()
    names = NAME.findall(last)
    # Settings have names of their own: KeyError: 'database.url' is DATABASE_URL.
    names += [re.sub(r"\W", "_", key).upper() for key in KEY.findall(last)]
    for name in names:
        if name in reads and name not in os.environ and not reads[name].default:
            raise Refused(
                f"The application does not start without {name}, which {reads[name].path}:{reads[name].line} reads. "
                f"It says: {last}",
                f"export {name}=… in this shell, as the application needs it",
            )
