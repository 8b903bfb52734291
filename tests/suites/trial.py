"""One case squashed: what came out, as a row says it."""

from __future__ import annotations

import difflib
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tasklib.errors import BUG, DIFFERS
from tasklib.postgres import client
from tasklib.postgres.server import Server
from tests.suites.case import Case, Piece
from tests.suites.replay import Replayed, replay
from tests.support import native
from tests.support.laboratory import REVISION, Laboratory, Outcome

EXACT = "equal"  # as a dump's text can be: equal, other in print alone (equal after a restore), or different


@dataclass(frozen=True)
class Row:
    """What came of a case. ``code`` is the exit code that the program would have; ``dump`` how pg_dump's text compares,
    "" where there is no second one; ``said`` is all that was wrong.
    """

    case: Case
    kept: tuple[Piece, ...]
    left_out: Counter[str] = field(default_factory=Counter)
    objects: int = 0
    code: int = 0
    dump: str = ""
    differing: tuple[str, ...] = ()
    share: float | None = None
    said: str = ""
    text: str = ""


def tried(case: Case, server: Server, work: Path, token: str) -> Row:
    """Replay the case, squash what it made, compare; whatever happens is a row."""
    laboratory = Laboratory(server, work, token)
    replayed = Replayed((), Counter())
    try:
        replayed = replay(lambda: empty(laboratory), case)
        outcome = laboratory.base_of_reference()
        dump, differing = ("", ()) if outcome.dumps == ("", "") else compared(laboratory, outcome)
        return Row(
            case, replayed.kept, replayed.left_out, outcome.verdict.objects if outcome.verdict else 0, code(outcome),
            dump, tuple(differing), share(outcome.text), outcome.said, outcome.text,
        )  # fmt: skip
    except Exception as error:
        said = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        return Row(case, replayed.kept, replayed.left_out, code=BUG, said=said)
    finally:
        laboratory.close()


def empty(laboratory: Laboratory) -> client.Address:
    """An empty reference with Alembic's table at R."""
    laboratory.make("reference", ())
    return laboratory.bench.address("reference")


def code(outcome: Outcome) -> int:
    """The exit code: of the error, or of what is not the same after `downgrade base` and `upgrade`."""
    if outcome.error is not None:
        return int(outcome.error.code or BUG)
    return 0 if outcome.exact else DIFFERS


def compared(laboratory: Laboratory, outcome: Outcome) -> tuple[str, list[str]]:
    """How the dumps of reference and candidate compare, and their lines that differ."""
    lines = differing(*outcome.dumps)
    if not lines:
        return EXACT, []
    # Expressions print otherwise once they were made from their own print; what else differs stays different.
    again = differing(*(_again(laboratory, role) for role in ("reference", "candidate")))
    again += [line for line in lines if line[1:].startswith("INSERT ")]
    return (f"{len(again)} lines" if again else f"print ({len(lines)} lines)"), again or lines


def _again(laboratory: Laboratory, role: str) -> str:
    """The dump of a restore of the schema's dump."""
    laboratory.bench.create("reprint", bare=True)
    copy = laboratory.bench.address("reprint")
    client.copy_schema(laboratory.bench.address(role), copy, laboratory.bench.binaries(), laboratory.bench.work)
    return laboratory.dump("reprint")


def differing(left: str, right: str) -> list[str]:
    """The lines that two texts do not share, marked as in a diff."""
    if left == right:
        return []
    return list(difflib.unified_diff(left.splitlines(), right.splitlines(), lineterm="", n=0))[2:]


def share(text: str) -> float | None:
    """How much of the base is operations; None where there is none, or nothing in it."""
    try:
        upgrade = native.read(text)
    except (StopIteration, SyntaxError, AssertionError):
        return None
    return upgrade.share if upgrade.operations or upgrade.executed else None


def kept_on_disk(row: Row, directory: Path) -> None:
    """Write what is needed to look into a case that is not as it should be."""
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in row.case.shown)[:120]
    target = directory / name
    target.mkdir(parents=True, exist_ok=True)
    (target / "said.txt").write_text(f"{row.code} {row.dump}\n{row.said}\n" + "\n".join(row.differing) + "\n")
    (target / f"{REVISION}.py").write_text(row.text)
    (target / "history.sql").write_text(script(row.kept))


def script(pieces: Iterable[Piece]) -> str:
    """The statements as psql takes them."""
    return "".join(f"{p.sql};\n" + (f"{p.data}\\.\n" if p.data is not None else "") for p in pieces)


def sweep(server: Server, token: str) -> None:
    """Take away what an earlier case left on the server, which is nobody else's: databases and roles."""
    with client.connect(client.Address(server.host, server.port, server.user, server.password)) as connection:
        for (name,) in connection.rows("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"%{token}%",)):
            connection.run(f"DROP DATABASE {client.identifier(name)} WITH (FORCE)")
        roles = connection.rows("SELECT rolname FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND oid <> 10")
    drop_roles(server, [str(name) for (name,) in roles])


def drop_roles(server: Server, names: Iterable[str]) -> None:
    """Drop roles that own nothing any more."""
    with client.connect(client.Address(server.host, server.port, server.user, server.password)) as connection:
        for name in names:
            connection.run(f"DROP ROLE IF EXISTS {client.identifier(name)}")
