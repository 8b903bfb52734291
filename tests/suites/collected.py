"""The suites by name, and where in a clone or source tree each has its cases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.suites import golang, perl, psql, python, txtar
from tests.suites.case import Case, Piece

_MADE = re.compile(
    r"create\s+(?:or\s+replace\s+)?(?:unlogged\s+)?(?:table|type|function|operator\s+class|view)\s+(\w+)", re.IGNORECASE
)


_DROP = re.compile(r"DROP\s", re.IGNORECASE)


def regress(top: Path) -> Iterator[Case]:
    """PostgreSQL's regression tests: a file is a case, with what it misses of test_setup.sql; and once more without its
    DROPs of whole objects, since most files clean up behind them.
    """
    directory = top / "src" / "test" / "regress" / "sql"
    setup = psql.pieces(_read(directory / "test_setup.sql"))
    makers = tuple((match.group(1).lower(), piece) for piece in setup if (match := _MADE.match(piece.sql)))
    for path in sorted(directory.glob("*.sql")):
        if path.name != "test_setup.sql":
            pieces = tuple(psql.pieces(_read(path)))
            yield Case(path.name, "whole", pieces, makers)
            yield Case(path.name, "undropped", tuple(p for p in pieces if not _DROP.match(p.sql)), makers)
    yield Case("test_setup.sql", "", tuple(piece for piece in setup if not piece.sql.startswith("COPY ")))


def pg_dump(top: Path) -> Iterator[Case]:
    """What pg_dump's own test dumps."""
    path = top / "src" / "bin" / "pg_dump" / "t" / "002_pg_dump.pl"
    yield from perl.cases(path.name, _read(path))


def pg_schema_diff(top: Path) -> Iterator[Case]:
    """stripe/pg-schema-diff: each acceptance test's old schema, new schema and migration."""
    for path in sorted((top / "internal" / "migration_acceptance_tests").glob("*_cases_test.go")):
        yield from golang.acceptance(path.name, _read(path))


def migra(top: Path) -> Iterator[Case]:
    """djrobstep/migra: each fixture's two databases; and the first one with the expected migration after it."""
    for directory in sorted((top / "tests" / "FIXTURES").iterdir()):
        found = {path.stem: tuple(psql.pieces(_read(path))) for path in sorted(directory.glob("*.sql"))}
        for name in ("a", "b"):
            if found.get(name):
                yield Case(directory.name, name, found[name])
        if found.get("a") and found.get("expected"):
            pieces = (*found["a"], *found.get("additions", ()), *found["expected"])
            yield Case(directory.name, "migrated", pieces)


def alembic_utils(top: Path) -> Iterator[Case]:
    """olirice/alembic_utils: the SQL and the entities in its tests."""
    yield from _python(top / "src" / "test")


def declarative_extensions(top: Path) -> Iterator[Case]:
    """DanCardin/sqlalchemy-declarative-extensions: the SQL in its tests, but of those for other databases."""
    yield from _python(top / "tests", without=("mysql", "snowflake", "sqlite"))


def atlas(top: Path) -> Iterator[Case]:
    """ariga/atlas: the SQL in its scripts, migrations and Go tests for PostgreSQL."""
    integration = top / "internal" / "integration"
    for path in sorted((integration / "testdata" / "postgres").glob("*.tx*")):
        yield from txtar.cases(path.name, _read(path))
    for path in [*sorted((top / "sql" / "postgres").rglob("*_test.go")), integration / "postgres_test.go"]:
        yield from golang.by_function(path.name, _read(path))
    for directory in sorted({path.parent for path in top.rglob("*.sql")}):
        pieces: list[Piece] = []
        for path in sorted(directory.glob("*.sql")):
            if "down" not in path.name.split("."):
                pieces += psql.pieces(_read(path))
        yield Case(str(directory.relative_to(top)), "", tuple(pieces))


SUITES: Mapping[str, Callable[[Path], Iterator[Case]]] = {
    "regress": regress,
    "pg_dump": pg_dump,
    "pg-schema-diff": pg_schema_diff,
    "migra": migra,
    "alembic_utils": alembic_utils,
    "declarative-extensions": declarative_extensions,
    "atlas": atlas,
}


def _python(directory: Path, without: Sequence[str] = ()) -> Iterator[Case]:
    for path in sorted(directory.rglob("*.py")):
        name = str(path.relative_to(directory))
        if not any(word in name for word in without):
            yield from python.cases(name, _read(path))


def _read(path: Path) -> str:
    # Some of PostgreSQL's files are in other encodings.
    return path.read_text(encoding="utf-8", errors="replace")
