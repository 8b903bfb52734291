"""PostgreSQL's types and defaults in SQLAlchemy's words, generic ones where they compile to the same DDL. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasklib.judge.tables import Column
from tasklib.postgres import sqltext
from tasklib.render.pycode import Call, Node, string

GENERIC = {
    "integer": "sa.Integer()",
    "bigint": "sa.BigInteger()",
    "smallint": "sa.SmallInteger()",
    "boolean": "sa.Boolean()",
    "text": "sa.Text()",
    "date": "sa.Date()",
    "bytea": "sa.LargeBinary()",
    "json": "sa.JSON()",
    "double precision": "sa.Float()",
    "real": "sa.REAL()",
    "character varying": "sa.String()",
    "numeric": "sa.Numeric()",
    "timestamp without time zone": "sa.DateTime()",
    "timestamp with time zone": "sa.DateTime(timezone=True)",
    "time without time zone": "sa.Time()",
    "time with time zone": "sa.Time(timezone=True)",
    "interval": "sa.Interval()",
}
# Each has been in sqlalchemy.dialects.postgresql since 1.3.
DIALECT = [
    "jsonb",
    "uuid",
    "inet",
    "cidr",
    "macaddr",
    "tsvector",
    "money",
    "oid",
    "int4range",
    "int8range",
    "numrange",
    "daterange",
    "tsrange",
    "tstzrange",
    "regclass",
]
# Values of these are written as Python's own literals; all others as PostgreSQL's text, cast by the server.
INTEGERS = ("integer", "bigint", "smallint")
STRINGS = ("text", "character varying")


@dataclass(frozen=True)
class Types:
    """How column types are written in one file: ``enums`` maps (schema, name) to the variable that holds the type.

    ``used`` collects what the file must import or define: "postgresql", "DatabaseType", variables of enums;
    ``sqlalchemy`` is the version of the project's own.
    """

    enums: Mapping[tuple[str, str], str]
    used: set[str]
    sqlalchemy: tuple[int, ...]

    def of(self, column: Column) -> Node:
        """The type expression of a column."""
        text = column.type
        if column.array and text.endswith("[]"):
            self.used.add("postgresql")
            return Call("postgresql.ARRAY", [self._scalar(text[:-2], column)])
        return self._scalar(text, column)

    def of_value(self, column: Column, values: Sequence[object]) -> Node:
        """The type with which a column's values are inserted."""
        base = re.sub(r"\(.*?\)", "", column.type)
        # In --sql Alembic makes spaces of tabs, SQLAlchemy before 2.0 doubles backslashes and has no word for NULL, and
        # a carriage return may be taken for the end of a line.
        tricky = any(isinstance(value, str) and re.search(r"[\\\t\r]", value) for value in values)
        tricky = tricky or (None in values and self.sqlalchemy < (2, 0))
        if base in (*INTEGERS, *STRINGS, "boolean") and not tricky:
            return GENERIC[base]
        if base == "character" and not tricky:
            return "sa.String()"
        # The generic type would take more for a number than PostgreSQL does, and less: NaN, infinity.
        plain = all(value is None or re.fullmatch(r"-?\d+(\.\d+)?", str(value)) for value in values)
        if ((base == "numeric" and plain) or (column.type_kind == "e" and not column.array)) and not tricky:
            return self._scalar(column.type, column)
        self.used.add("DatabaseType")
        # Money prints by the locale, so its values are numbers.
        return Call("DatabaseType", [string("numeric" if column.type == "money" else column.type)])

    def _scalar(self, text: str, column: Column) -> Node:
        if column.type_kind == "e" and (column.type_schema, column.type_name) in self.enums:
            variable = self.enums[(column.type_schema, column.type_name)]
            self.used.add(variable)
            return variable
        if text in GENERIC:
            return GENERIC[text]
        if text in DIALECT:
            self.used.add("postgresql")
            return f"postgresql.{text.upper()}()"
        bits = re.fullmatch(r"bit( varying)?(?:\((\d+)\))?", text)
        if bits:
            self.used.add("postgresql")
            length = [f"length={bits.group(2)}"] if bits.group(2) else []
            return Call("postgresql.BIT", [*length, *(["varying=True"] if bits.group(1) else [])])
        match = re.fullmatch(r"([a-z ]+?)\((\d+)(?:,(\d+))?\)( with(?:out)? time zone)?", text)
        if match:
            base, first, second, zone = match.groups()
            if base == "character varying":
                return f"sa.String(length={first})"
            if base == "character":
                return f"sa.CHAR(length={first})"
            if base == "numeric":
                return f"sa.Numeric(precision={first}, scale={second or 0})"
            if base in ("timestamp", "time"):
                self.used.add("postgresql")
                zoned = "timezone=True, " if zone == " with time zone" else ""
                return f"postgresql.{base.upper()}({zoned}precision={first})"
        self.used.add("DatabaseType")
        return Call("DatabaseType", [string(text)])


def expression(sql: str) -> Node:
    """SQL as an expression: sa.text, or sa.literal_column where colons would be taken for parameters."""
    text = sqltext.for_text(sql)
    return Call("sa.literal_column", [string(sql)]) if text is None else Call("sa.text", [string(text)])


def server_default(default: str, column: Column) -> Node:
    """A column's default as people write it: a plain string where the column's type says the rest."""
    if re.fullmatch(r"'-\d+'::integer", default):
        return expression(default.split("'")[1])
    if re.fullmatch(r"nextval\('(?:[^']|'')*'::regclass\)", default):
        return expression(default.replace("'::regclass)", "')"))
    plain = re.fullmatch(r"'((?:[^']|'')*)'::([\w\". ]+(?:\[\])?)", default)
    # Without length, precision and scale, which a literal's cast has not.
    bare = re.sub(r"\([\d,]+\)", "", column.type)
    if plain and (
        plain.group(2) == bare
        or (bare == "character" and plain.group(2) == "bpchar")
        or (column.type_kind == "e" and not column.array)
    ):  # fmt: skip
        return string(plain.group(1).replace("''", "'"))
    return expression(default)
