"""The top of the file: what it is, the rows that it puts into each table, and the guard of downgrade()."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasklib.history.revisions import REPLACED
from tasklib.render import pycode
from tasklib.render.pycode import Items, Node, string

GUARD = r'''

def refuse_to_lose_rows():
    """Stop before anything is dropped where a table holds more rows than upgrade() made."""
    asked = context.get_x_argument(as_dictionary=True).get("squash_downgrade")
    if "drop" in (asked, os.environ.get("ALEMBIC_SQUASH_DOWNGRADE")):
        return
    if context.is_offline_mode():
        return
{row_security}    for table, count in ROWS.items():
        # Reads one row more than upgrade() made and stops: cheap on tables of any size.
        query = f"SELECT 1 FROM ONLY {table} OFFSET {count} LIMIT 1".replace(":", "\\:")
        if op.get_bind().execute(sa.text(query)).first():
            raise RuntimeError(
                f"{table} holds rows that this migration did not insert, and its downgrade "
                "drops every table. To drop them all the same: -x squash_downgrade=drop, "
                "or ALEMBIC_SQUASH_DOWNGRADE=drop in the environment."
            )
'''
ROW_SECURITY = """    # Where a policy would hide rows from us, this is an error.
    op.execute("SET LOCAL row_security = off")
"""

REFUSE_TABLES = r'''

def refuse_tables_that_are_there():
    """Stop before anything is made in a database that has these tables already, and no revision."""
    if context.is_offline_mode():
        return
    for table in ROWS:
        here = "" if "." in table else " AND n.nspname = current_schema()"
        query = (
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            f"WHERE c.oid = to_regclass(:name){here}"
        )
        if op.get_bind().execute(sa.text(query), {"name": table}).first():
            raise RuntimeError(
                f"{table} is there already, and no revision says which migrations made it. "
                f"Where the database was at {revision}: stamp {revision}. "
                "Where it was behind: alembic-squash catchup --url URL. "
                "Where it is new: leave out what made the table; this migration does."
            )
'''

ROWS = r'''

def rows(table, *values):
    """A table and its rows for bulk_insert, from lists in the order of its columns."""
    names = [column.name for column in table.columns]
    return table, [{name: row[n] for n, name in enumerate(names)} for row in values]
'''

LOAD_ROWS = r'''

def load_rows(table, suffix):
    """Insert the rows of a file beside this one, a few at a time.

    Its first line names the columns and their types; each other one is a row.
    """
    path = Path(__file__).with_suffix(suffix)
    count = 0
    with path.open(encoding="utf-8") as lines:
        types = json.loads(lines.readline())
        names = ['"{}"'.format(name.replace('"', '""')) for name in types]
        values = [f"CAST(r ->> {n} AS {kind})" for n, kind in enumerate(types.values())]
        insert = (
            f"INSERT INTO {table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {', '.join(values)} FROM pg_catalog.jsonb_array_elements("
        )
        for batch in iter(lambda: lines.readlines(65536), []):
            count += len(batch)
            # As JSON has them, nothing takes these for a quote, a format or a parameter.
            rows = ",".join(batch).replace("'", "\\u0027").replace("%", "\\u0025")
            rows = rows.replace(":", "\\u003a")
            op.execute(sa.DDL(insert.replace("%", "%%") + f"'[{rows}]') AS r"))
    if count != ROWS[table]:
        raise RuntimeError(f"{path} holds {count} rows; {ROWS[table]} were expected.")
'''

PERCENT_SIGNS = r'''

def leave_percent_signs():
    """Double none in --sql, where no driver formats statements."""
    if context.is_offline_mode():
        dialect = op.get_context().dialect
        named = type(dialect)(paramstyle="named")
        dialect.identifier_preparer = dialect.preparer(named)
'''

DATABASE_TYPE = r'''

class DatabaseType(sa.types.UserDefinedType):
    """A type by PostgreSQL's own name; its values are text in PostgreSQL's own form."""

    cache_ok = True

    def __init__(self, name):
        self.name = name

    def get_col_spec(self, **kw):
        return self.name

    def bind_expression(self, bindvalue):
        return sa.cast(sa.type_coerce(bindvalue, sa.Text()), self)

    def literal_processor(self, dialect):
        return in_quotes


def in_quotes(value):
    """A literal for --sql, where backslashes, tabs and such do not always stay so."""
    if value is None:
        return "NULL"
    codes = {"'": "''", "!": "!!", "\\": "!005C", "\t": "!0009", "\r": "!000D"}
    if not set("\\\t\r") & set(value):
        return "'" + value.replace("'", "''") + "'"
    return "U&'" + "".join(codes.get(char, char) for char in value) + "' UESCAPE '!'"
'''


@dataclass(frozen=True)
class Head:
    """What the top of the file says. ``gone`` is how many migrations it replaces, ``first`` the oldest one's id,
    ``replaces`` all ids, also those that such a migration replaced before; ``commit`` still has them; ``made`` says
    what it was made from; ``created`` is the old file's own line; ``header`` are comment lines before all that.
    ``engines`` is the argument of upgrade() by which a file for several databases tells them; ``arguments`` are what
    env.py gives to the functions of one for one database.
    """

    revision: str
    message: str
    gone: int
    first: str
    replaces: Sequence[str]
    commit: str
    made: Sequence[str]
    created: str
    header: Sequence[str]
    labels: tuple[str, ...]
    engines: str | None = None
    arguments: str = ""

    def lines(self, rows: Mapping[str, Mapping[str, int]], used: Collection[str]) -> list[str]:
        """``rows`` holds, by bind, how many rows the file puts into each table; ``used`` is as `Source` has it."""
        of_engine = self.engines is not None
        where = " in each database" if of_engine else ""
        lines = [
            *self.header,
            f'"""{_docstring(self.message or f"base {self.revision}")}',
            "",
            f"The base of this history: replaces {self.gone} migrations, {self.first} to {self.revision}.",
            f"Originals: git commit {self.commit}",
            *map(_docstring, self.made),
            "",
            *replaces(self.replaces),
            "",
            f"Revision ID: {self.revision}",
            "Revises:",
            *([self.created] if self.created else []),
            '"""',
            "",
            *(["import json"] if "load_rows" in used else []),
            "import os",
            *(["from pathlib import Path"] if "load_rows" in used else []),
            "",
            "import sqlalchemy as sa",
            "from alembic import context, op",
            *(["from sqlalchemy.dialects import postgresql"] if "postgresql" in used else []),
            "",
            f"revision = {string(self.revision)}",
            "down_revision = None",
            *pycode.render(_labels(self.labels), 0, "branch_labels = "),
            # What its ancestors depended on went with them.
            "depends_on = None",
            "",
            f"# Every table that upgrade() makes{where}, and how many rows it puts there.",
            *pycode.render(_counts(rows) if of_engine else _dictionary(*rows.values()), 0, "ROWS = "),
        ]
        if "DatabaseType" in used:
            lines += DATABASE_TYPE.rstrip("\n").split("\n")
        if "rows" in used:
            lines += ROWS.rstrip("\n").split("\n")
        if "load_rows" in used:
            lines += (_of_engines(LOAD_ROWS) if of_engine else LOAD_ROWS).rstrip("\n").split("\n")
        if "percent signs" in used:
            lines += PERCENT_SIGNS.rstrip("\n").split("\n")
        if of_engine or any(rows.values()):
            lines += (_of_engines(REFUSE_TABLES) if of_engine else REFUSE_TABLES).rstrip("\n").split("\n")
        security = ROW_SECURITY if "row security" in used else ""
        guard = (_of_engines(GUARD) if of_engine else GUARD).replace("{row_security}", security)
        return [*lines, *guard.rstrip("\n").split("\n"), "", ""]


def replaces(ids: Sequence[str]) -> list[str]:
    """The lines of a docstring that list the ids which a base replaces, as `revisions.replaced` reads them."""
    return textwrap.wrap(f"{REPLACED} {' '.join(ids)}", 88, break_long_words=False, break_on_hyphens=False)


def created(text: str) -> str:
    """The line with which an old migration says when it was made, or nothing."""
    found = re.search(r"""(?m)(?:^|["'])\s*(Create Date: .+?)\s*(?:["']{3}.*)?$""", text)
    return found.group(1) if found else ""


def _of_engines(text: str) -> str:
    """A function for one database as one for any of several, which is told how many rows its tables get."""
    for of_one, of_any in (
        ("def refuse_to_lose_rows():", "def refuse_to_lose_rows(rows):"),
        ("def refuse_tables_that_are_there():", "def refuse_tables_that_are_there(rows):"),
        ("for table in ROWS:", "for table in rows:"),
        ("for table, count in ROWS.items():", "for table, count in rows.items():"),
        ("def load_rows(table, suffix):", "def load_rows(table, suffix, expected):"),
        ("if count != ROWS[table]:", "if count != expected:"),
        ("{ROWS[table]} were expected", "{expected} were expected"),
    ):
        text = text.replace(of_one, of_any)
    return text


def _counts(rows: Mapping[str, Mapping[str, int]]) -> Items:
    return Items([(string(bind), _dictionary(of_bind)) for bind, of_bind in rows.items()], "{}")


def _dictionary(rows: Mapping[str, int]) -> Items:
    pairs: list[Node | tuple[str, Node]] = [(string(name), str(count)) for name, count in rows.items()]
    return Items(pairs, "{}")


def _docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _labels(labels: Sequence[str]) -> str | Items:
    if not labels:
        return "None"
    return string(labels[0]) if len(labels) == 1 else Items([string(label) for label in labels], "()")
