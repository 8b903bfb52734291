"""The log of a server of ours: who connected, and what went wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LoggedError:
    """An error that a session got, with the statement that it was for ("" where the log does not say)."""

    database: str
    text: str
    statement: str


@dataclass(frozen=True)
class Logged:
    """What the server's log says: (database, application name) of each connection, and every error."""

    connections: tuple[tuple[str, str], ...] = ()
    errors: tuple[LoggedError, ...] = ()

    def of(self, *databases: str) -> Logged:
        """The same, without the errors of other databases."""
        return Logged(self.connections, tuple(error for error in self.errors if error.database in databases))


def read(log: Path, since: int) -> Logged:
    """What the log says from the byte ``since`` on. The server writes a connection down before it lets it do anything.

    The lines are those of our own log_line_prefix; continued lines of a statement begin with a tab.
    """
    with log.open("rb") as file:
        file.seek(since)
        text = file.read().decode(errors="replace")
    entries = re.split(r"(?m)^\d{4}-\S+ \S+ \S+ (?=\[\d+\] )", text)[1:]
    connections, errors = [], []
    for entry in entries:
        if match := re.search(r"connection authorized: user=\S+ database=(\S+)(?: application_name=(.*))?", entry):
            connections.append((match.group(1), (match.group(2) or "").strip()))
        elif match := re.match(r"\[\d+\] (\S*) (?:ERROR|FATAL):  (.*)", entry):
            errors.append(LoggedError(match.group(1), match.group(2).strip(), ""))
        elif errors and (match := re.match(r"(?s)\[\d+\] (\S*) STATEMENT:  (.*)", entry)):
            last = errors[-1]
            if last.database == match.group(1) and not last.statement:
                errors[-1] = LoggedError(last.database, last.text, match.group(2).strip())
    return Logged(tuple(connections), tuple(errors))
