"""Rows as people read them: one for each file, with counts where a file has several cases."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from tests.suites.trial import EXACT, Row

COLUMNS = ("file", "cases", "statements", "left out", "objects", "exit code", "pg_dump's text", "operations",
           "what was wrong")  # fmt: skip
WIDTHS = (40, 5, 10, 40, 7, 12, 24, 10, 100)


def cells(rows: Sequence[Row]) -> tuple[str, ...]:
    """One file's cells."""
    left_out = sum((row.left_out for row in rows), Counter[str]())
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common(3))
    codes = Counter(row.code for row in rows)
    dumps = Counter(row.dump if row.dump == EXACT else _kind(row.dump) for row in rows)
    shares = [row.share for row in rows if row.share is not None]
    wrong = next((first_line(row) for row in rows if row.code), "")
    single = len(rows) == 1
    return (
        rows[0].case.file, str(len(rows)), str(sum(len(row.kept) for row in rows)),
        f"{left_out.total()}" + (f" ({reasons})" if reasons else ""), str(sum(row.objects for row in rows)),
        str(rows[0].code) if single else ", ".join(f"{count} x {code}" for code, count in sorted(codes.items())),
        rows[0].dump or "-" if single else ", ".join(f"{count} {kind}" for kind, count in dumps.most_common()),
        f"{sum(shares) / len(shares):.0%}" if shares else "-", wrong,
    )  # fmt: skip


def _kind(dump: str) -> str:
    return "none" if not dump else "print" if dump.startswith("print") else "different"


def first_line(row: Row) -> str:
    """What was wrong in a line; of a comparison the first difference, of a failed statement the server's words."""
    lines = [line.strip() for line in row.said.splitlines() if line.strip()]
    if not lines:
        return ""
    introduces = lines[0].endswith(("What is left:", "leaves:", "again:", "after down and up:"))
    return f"{lines[0]} {lines[1]}" if introduces and len(lines) > 1 else lines[0]


def line(row: Row) -> str:
    """A case while it runs."""
    return f"{row.code} {row.dump or '-'} {row.case.shown} {first_line(row)[:160]}"


def plain(rows: Sequence[Row]) -> str:
    def laid(texts: Sequence[str]) -> str:
        return "  ".join(
            textwrap.shorten(text, width, placeholder="…").ljust(width)
            for text, width in zip(texts, WIDTHS, strict=True)
        ).rstrip()

    return "\n".join([laid(COLUMNS), *(laid(one) for one in _by_file(rows))])


def markdown(rows: Sequence[Row]) -> str:
    lines = (COLUMNS, ("---",) * len(COLUMNS), *_by_file(rows))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in one)} |" for one in lines)


def _by_file(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    by_file = sorted(rows, key=lambda row: row.case.file)
    return [cells(list(group)) for _, group in groupby(by_file, key=lambda row: row.case.file)]


def total(rows: Sequence[Row]) -> str:
    codes = Counter(row.code for row in rows)
    dumps = Counter(_kind(row.dump) if row.dump != EXACT else EXACT for row in rows)
    said = ", ".join(f"{count} with exit code {code}" for code, count in sorted(codes.items()))
    return f"{len(rows)} cases: {said}; pg_dump's text: " + ", ".join(f"{n} {kind}" for kind, n in dumps.most_common())
