"""One history in the laboratory: what kind of failure comes out, if any; and the same failure with fewer statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasklib.errors import Refused
from tasklib.postgres import client
from tasklib.postgres.client import Connection
from tests.random import witness
from tests.random.world import ROLES, execute
from tests.support.laboratory import Laboratory, Outcome

# Not to the letter, though the same: the verdict names what prints differently; pg_dump's order of equals. And what is
# refused in words.
SOFT = ("said", "order", "refused")


@dataclass(frozen=True)
class Failure:
    """A class of failure, what it says (names taken out, so that it tells the same causes apart), and its evidence."""

    kind: str
    sign: str
    evidence: str


class Trials(Laboratory):
    """A laboratory that can leave the way down and up again out, for failures that come before it."""

    short = False

    def down_and_up(self, text: str) -> str:
        return "" if self.short else super().down_and_up(text)


def empty_reference(laboratory: Laboratory) -> None:
    """The database that a history grows in, as Alembic leaves it to the first migration."""
    laboratory.make("reference", [])


def prepare(laboratory: Laboratory) -> None:
    """The roles that histories give things to."""
    with client.connect(laboratory.bench.maintenance("reference")) as connection:
        for role in ROLES:
            execute(connection, f"CREATE ROLE {role}")


def limit(connection: Connection) -> None:
    """A statement of a history may not take long."""
    connection.run("SET statement_timeout = '5s'")


def replay(laboratory: Laboratory, statements: Sequence[str]) -> list[str]:
    """Run what the server takes of a history in a new reference; what it took."""
    empty_reference(laboratory)
    with client.connect(laboratory.bench.address("reference")) as connection, connection.usual_path():
        limit(connection)
        return [one for one in statements if execute(connection, one)]


def failure(laboratory: Laboratory, statements: Sequence[str]) -> Failure | None:
    """What is wrong with a squash of what is in the reference, which these statements made."""
    try:
        outcome = laboratory.base_of_reference("\n".join(f"op.execute({one!r})" for one in statements))
    except AssertionError:
        raise
    except Exception as error:
        return Failure("crash", nameless(f"{type(error).__name__}: {error}"), f"{type(error).__name__}: {error}")
    return judged(laboratory, outcome)


def judged(laboratory: Laboratory, outcome: Outcome) -> Failure | None:
    """The failure that an outcome is."""
    if outcome.after:
        kind = "downgrade" if outcome.after.startswith("`downgrade") else "up again"
        return Failure(kind, nameless(outcome.after), outcome.after)
    if outcome.error is not None:
        text = str(outcome.error)
        if isinstance(outcome.error, Refused):
            return Failure("refused", nameless(text), text)
        if outcome.verdict is None or not outcome.dumps[0]:
            kind = "differs" if "could not be brought" in text else "fails"
        else:
            kind = "downgrade"
        return Failure(kind, nameless(text), text)
    if outcome.verdict is None or outcome.verdict.found:
        return Failure("differs", "verdict", str(outcome.verdict))
    silent = witness.differences(laboratory)
    if silent:
        shown = "\n".join(silent).replace("\x00", " ")
        return Failure("real difference", nameless(shown), shown)
    left, right = (dump.splitlines() for dump in outcome.dumps)
    if left == right:
        return None
    lines = [f"- {one}" for one in left if one not in right] + [f"+ {one}" for one in right if one not in left]
    said = ", ".join(f"{one.kind} {one.shown}" for one in outcome.verdict.reprinted)
    if said:
        kinds = ", ".join(sorted({one.kind for one in outcome.verdict.reprinted}))
        return Failure("said", f"prints differently: {kinds}", "\n".join([f"The verdict says so: {said}", *lines]))
    if sorted(left) == sorted(right):
        return Failure("order", "order", "pg_dump prints the same in another order")
    return Failure("letters", nameless("\n".join(lines)), "\n".join(lines))


def nameless(text: str) -> str:
    """The words of a message, without what is a name or a number in it: the first lines, short."""
    lines = [line for line in text.splitlines() if line.strip()][:4]
    shown = " / ".join(re.sub(r"\s+", " ", line.strip())[:160] for line in lines)
    shown = re.sub(r'"(?:[^"]|"")*"', "NAME", shown)
    shown = re.sub(r"alembic_squash_\w+", "DB", shown)
    return re.sub(r"\b[a-z]{1,2}\d+\w*|\d+", "N", shown)


def same(one: Failure | None, other: Failure) -> bool:
    """Whether it is the same failure; with fewer statements less may differ, in other words."""
    return one is not None and one.kind == other.kind and _first(one.sign) == _first(other.sign)


def _first(sign: str) -> str:
    return " / ".join(sign.split(" / ")[:3])


def reduced(laboratory: Trials, statements: Sequence[str], found: Failure) -> list[str]:
    """The same failure with as few statements as can be, by leaving out ever smaller parts."""
    laboratory.short = found.kind not in ("downgrade", "up again")
    try:
        return _reduced(laboratory, statements, found)
    finally:
        laboratory.short = False


def _reduced(laboratory: Trials, statements: Sequence[str], found: Failure) -> list[str]:
    left = list(statements)
    size = max(1, len(left) // 2)
    while True:
        at = before = len(left)
        while at > 0:
            first = max(0, at - size)
            fewer = left[:first] + left[at:]
            taken = replay(laboratory, fewer) if fewer else []
            if fewer and same(failure(laboratory, taken), found):
                left = taken
            at = min(first, len(left))
        if size > 1:
            size = max(1, size // 2)
        elif len(left) == before or len(left) > 12:
            return left
