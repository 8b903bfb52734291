"""A case's statements in a database: those that fail are left out, and what is left is replayed until none fails."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg2
import psycopg2.errors

from tasklib.postgres.client import Address, identifier
from tests.suites import psql
from tests.suites.case import Case, Piece

SECONDS = 5  # a statement may take
ROUNDS = 6

# What a statement is → how it begins. Such are left out without a try.
_OUT: Mapping[str, re.Pattern[str]] = {
    reason: re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for reason, pattern in {
        "of the server": r"(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION)\b"
        r"|ALTER\s+SYSTEM\b|(?:GRANT|REVOKE)\b.*\bON\s+(?:DATABASE|TABLESPACE|PARAMETER)\b"
        r"|(?:COMMENT\s+ON|SECURITY\s+LABEL.*\bON)\s+(?:ROLE|DATABASE|TABLESPACE|SUBSCRIPTION)\b"
        r"|(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO)\s+(?:pg_catalog\.)?pg_(?:database|authid|tablespace|db_role_setting)\b"
        r"|(?:GRANT|REVOKE)\s+(?:(?!\bON\b).)+\b(?:TO|FROM)\b"
        r"|.*\bpg_(?:create_(?:logical|physical)_replication_slot|replication_origin_create)\b",
        "transaction": r"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ABORT|END|(?:START|PREPARE)\s+TRANSACTION)\b",
        "another user": r"(?:RE)?SET\s+(?:(?:LOCAL|SESSION)\s+)?(?:ROLE|SESSION\s+AUTHORIZATION)\b",
        "temporary": r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\b"
        r"|SELECT\b.*\bINTO\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\b|.*\bpg_temp\b",
        "beyond the database": r"COPY\b.*\b(?:PROGRAM\b|(?:TO|FROM)\s+E?')|.*\b(?:lo_export|pg_reload_conf)\s*\(",
        "Alembic's table": r"DROP\s+SCHEMA\s+(?:IF\s+EXISTS\s+)?\"?public\b",
        "time limit": r".*\bstatement_timeout\b",
    }.items()
}  # fmt: skip
_ROLE = re.compile(r'role "([^"]+)" does not exist')
_MISSING = re.compile(r'"([^"]+)" does not exist|function (\w+)\(')


@dataclass(frozen=True)
class Replayed:
    """The statements that ran, in order; how many of the case's own were left out, by reason."""

    kept: tuple[Piece, ...]
    left_out: Counter[str]


def replay(address: Callable[[], Address], case: Case) -> Replayed:
    """Bring a database to what the case makes; ``address`` gives an empty one each time.

    Roles that are missing are made on the server, and what the suite makes beforehand in the database.
    """
    left_out: Counter[str] = Counter()
    pieces: Sequence[Piece] = case.pieces
    for _ in range(ROUNDS):
        session = _Session(address(), dict(case.beforehand))
        try:
            session.run(pieces)
        finally:
            session.close()
        pieces = session.kept
        if not session.failed:
            break
        left_out += session.failed
    return Replayed(tuple(pieces), left_out)


class _Session:
    """One connection for a whole case, in autocommit mode: what a statement sets holds for those after it."""

    def __init__(self, address: Address, beforehand: Mapping[str, Piece]) -> None:
        self.raw = psycopg2.connect(address.url(), options=f"-c statement_timeout={SECONDS}s -c lock_timeout=2s")
        self.raw.autocommit = True
        self.beforehand = dict(beforehand)
        self.kept: list[Piece] = []
        self.failed: Counter[str] = Counter()

    def close(self) -> None:
        self.raw.close()

    def run(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            reason = next((reason for reason, pattern in _OUT.items() if pattern.match(piece.sql)), None)
            if reason is None:
                self._run(piece)
            else:
                self.failed[reason] += 1

    def _run(self, piece: Piece) -> None:
        for _ in range(50):  # each try is given one thing that was missing
            try:
                self._execute(piece)
            except psycopg2.Error as error:
                if self._provide(str(error)):
                    continue
                self.failed[type(error).__name__] += 1
                if self.raw.closed:
                    raise
                if piece.data is not None and not (error.diag.context or "").startswith("COPY "):
                    # Refused before it took any data, and so psql reads on: what follows was SQL.
                    self.run(psql.pieces(piece.data))
                return
            except (UnicodeError, ValueError) as error:
                self.failed[type(error).__name__] += 1
                return
            self.kept.append(piece)
            return

    def _execute(self, piece: Piece) -> None:
        with self.raw.cursor() as cursor:
            if piece.data is None:
                cursor.execute(piece.sql)
            else:
                cursor.copy_expert(piece.sql, io.StringIO(piece.data))

    def _provide(self, message: str) -> bool:
        """Whether something was made that the message misses."""
        if role := _ROLE.search(message):
            with self.raw.cursor() as cursor:
                try:
                    cursor.execute(f"CREATE ROLE {identifier(role.group(1))}")
                except psycopg2.Error:  # a reserved name
                    return False
            return True
        for match in _MISSING.finditer(message):
            maker = self.beforehand.pop(match.group(1) or match.group(2), None)
            if maker is not None:
                self._run(maker)
                return True
        return False
