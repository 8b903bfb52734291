"""Rows as Python literals: integers, booleans and strings are themselves, all else is PostgreSQL's own text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasklib.judge.tables import Column, Table
from tasklib.postgres.client import Connection, sql
from tasklib.render import columns
from tasklib.render.pycode import string


def carried(table: Table) -> tuple[Column, ...]:
    """The columns whose values an INSERT gives: all but those that the server computes."""
    return tuple(column for column in table.columns if not column.generated)


def read(connection: Connection, table: Table) -> Iterator[tuple[object, ...]]:
    """A table's rows (of an extension's, those that are not its own) in the order of its primary key, else of their
    text: the same rows give the same order.

    Integers and booleans come as such, everything else as text, None for NULL.
    """
    picked = carried(table)
    if not picked:
        yield from connection.stream(sql.SQL("SELECT FROM ONLY {}").format(sql.Identifier(table.schema, table.name)))
        return
    fields = [sql.SQL(_text_of(column)).format(sql.Identifier(column.name)) for column in picked]
    key: Sequence[str] = next((c.columns for c in table.constraints if c.kind == "p"), ())
    order = [sql.Identifier(name) for name in key]
    whole = sql.SQL('ROW({})::text COLLATE "C"').format(sql.SQL(", ").join(sql.Identifier(c.name) for c in picked))
    where = sql.SQL(table.extension[1] if table.extension else "")
    statement = sql.SQL("SELECT {} FROM ONLY {} {} ORDER BY {}").format(
        sql.SQL(", ").join(fields), sql.Identifier(table.schema, table.name), where, sql.SQL(", ").join([*order, whole])
    )
    yield from connection.stream(statement)


def _text_of(column: Column) -> str:
    if is_native(column):
        return "{}"
    # The history may have a cast to text of its own, and a row of NULLs is none.
    value = "{0}::numeric" if column.type == "money" else "{0}"
    return f"CASE WHEN pg_catalog.num_nulls({{0}}) = 0 THEN pg_catalog.format('%s', {value}) END"


def types(table: Table) -> dict[str, str]:
    """The carried columns, each with the type that its values' text is of."""
    return {column.name: value_type(column) for column in carried(table)}


def value_type(column: Column) -> str:
    """The type of a column's values; that of money is a number, since money prints by the locale."""
    return "numeric" if column.type == "money" else column.type


def is_native(column: Column) -> bool:
    """Whether a value is a Python integer or boolean."""
    return column.type in columns.INTEGERS or column.type == "boolean"


def literal(value: object, *, as_text: bool) -> str:
    """One value as Python source; ``as_text``: integers and booleans, too, as PostgreSQL's text."""
    if isinstance(value, bool) and as_text:
        return string(str(value).lower())
    if value is None or (isinstance(value, (bool, int)) and not as_text):
        return repr(value)
    return string(str(value))
