"""Tables with parents: columns in an order that INHERITS cannot say, and constraints whose names the server makes up.

Both are learnt by trying: the usual forms first, and these where the catalogs then say something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasklib.errors import Failed, Refused
from tasklib.judge.tables import Table
from tasklib.postgres import client, sqltext
from tasklib.postgres.archive import Entry
from tasklib.render import column_order
from tasklib.render.column_order import TableKey
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source

# Marks of `Source.ddl`: a table whose columns come one by one; "table made wanted" and "table constraint", names as SQL
# has them.
COLUMNS, RENAMED, VALIDATED = "COLUMNS", "RENAMED CONSTRAINT", "VALIDATED CONSTRAINT"
CHANGED = "CHANGED COLUMN"  # a mark with JSON: table, column, and what ALTER COLUMN must say
RENAMED_AFTER = ("TABLE ATTACH", "FK CONSTRAINT", "TRIGGER")
REASON = "DDL: this order of columns came about by changes of tables that inherit"

INHERITS = re.compile(r"\s*INHERITS \([^()]*\)")
OPTIONS = re.compile(r"\s*\bWITH \(([^()]*)\)\s*$")


@dataclass(frozen=True)
class _Family:
    """Tables that hang together by inheritance, parents first; their entries; the steps in which they come about: a
    table (declaring table, None) or a column (declaring table, column).
    """

    tables: tuple[Table, ...]
    entries: tuple[Entry, ...]
    steps: tuple[tuple[TableKey, str | None], ...]


def items(source: Source) -> tuple[list[Item], set[TableKey], set[int]]:
    """An item for each family with a table whose columns come one by one; these tables, and the dump ids covered."""
    made: list[Item] = []
    covered: set[int] = set()
    done: set[TableKey] = set()
    for kind, schema, name in sorted(source.ddl):
        if kind == COLUMNS and ("FOREIGN TABLE", schema, name) in source.by_key:
            raise _foreign(name)
        # A table that migrations made an extension's has no entry.
        if kind == COLUMNS and ("TABLE", schema, name) in source.by_key and (schema, name) not in done:
            if (alone := _made_before_it_inherited(source, source.model.tables[(schema, name)])) is not None:
                done.add((schema, name))
                covered.add(source.by_key[("TABLE", schema, name)].dump_id)
                made.append(alone)
                continue
            family = _family(source, (schema, name))
            done |= {(table.schema, table.name) for table in family.tables}
            covered |= {entry.dump_id for entry in family.entries}
            made.append(_item(source, family))
    return made, done, covered


def renames(source: Source) -> Iterator[Item]:
    """Constraints of children and triggers that keep another name than the server gives; one item, since one may wait
    for others.
    """
    left = [(key[1], *_words(key[2])) for key in sorted(source.ddl) if key[0] == RENAMED]
    texts: list[str] = []
    while left:
        # One whose new name is still another one's old name waits for that; in a circle one steps aside first.
        taken = {(schema, table, made) for schema, table, made, _ in left}
        one = next((o for o in left if (o[0], o[1], o[3]) not in taken), None)
        if one is None:
            schema, table, made, wanted = left.pop(0)
            aside = f'"{(sqltext.unquoted(made) or made)[:50]} for now"'
            left.append((schema, table, aside, wanted))
            wanted = aside
        else:
            left.remove(one)
            schema, table, made, wanted = one
        texts.append(f"ALTER TABLE {_shown(source, schema, table)} RENAME CONSTRAINT {made} TO {wanted}")
    if texts:
        needs = frozenset(entry.dump_id for entry in source.entries if entry.kind in RENAMED_AFTER)
        up = execute_all(texts, "DDL: other names than what they belong to gives them")
        yield Item((RENAMED, "", ""), "foreign keys", frozenset({RENAMED}), needs, tuple(up))


def changes(source: Source) -> Iterator[Item]:
    """Columns of children that are not as their parent's: nullable by what the tables are, else as it was learnt."""
    wanted: dict[tuple[str, str, str], list[str]] = {}
    for (schema, name), parents in source.model.parents.items():
        there = [source.model.tables[one] for one in parents if one in source.model.tables]  # no foreign ones
        strict = {column.name for parent in there for column in parent.columns if not column.nullable}
        for one in source.model.tables[(schema, name)].columns:
            if one.nullable and one.name in strict:
                quoted = source.model.quoted(name), source.model.quoted(one.name)
                wanted.setdefault((schema, *quoted), []).append("DROP NOT NULL")
    for key in sorted(source.ddl):
        if key[0] == CHANGED:
            table, column, clauses = json.loads(key[2])
            known = wanted.setdefault((key[1], table, column), [])
            known += [clause for clause in clauses if clause not in known]
    for (schema, table, column), clauses in sorted(wanted.items()):
        shown = _shown(source, schema, table)
        texts = [f"ALTER TABLE ONLY {shown} ALTER COLUMN {column} {clause}" for clause in clauses]
        needs = frozenset[object]({("table", schema, sqltext.unquoted(table) or table)})
        yield Item((CHANGED, schema, f"{table} {column}"), "tables", frozenset(), needs,
                   tuple(execute_all(texts, "DDL: not as in its parent")))  # fmt: skip


def validations(source: Source) -> Iterator[Item]:
    """Constraints that are valid here, and not yet in all that a parent has below it."""
    for key in sorted(source.ddl):
        if key[0] == VALIDATED:
            table, name = (token for token in sqltext.tokens(key[2]) if token.strip())
            text = f"ALTER TABLE {_shown(source, key[1], table)} VALIDATE CONSTRAINT {name}"
            checks = (entry.dump_id for entry in source.entries if entry.kind in ("CHECK CONSTRAINT", "FK CONSTRAINT"))
            needs = frozenset[object](checks) | {("rows", *rows) for rows in source.with_rows}
            reason = "DDL: validated here, and not in its parent"
            yield Item(key, "foreign keys", frozenset(), needs, tuple(execute_all([text], reason)))


def _shown(source: Source, schema: str, table: str) -> str:
    """A table that is named as in SQL, with its schema where that is needed."""
    return source.model.without_public(f"{source.model.quoted(schema)}.{table}")


def _made_before_it_inherited(source: Source, table: Table) -> Item | None:
    """A table with all columns of its own, which has parents only since: None where that is not so, or others inherit
    from it.
    """
    key = (table.schema, table.name)
    if not all(column.own for column in table.columns) or any(key in all_ for all_ in source.model.parents.values()):
        return None
    entry = source.by_key[("TABLE", table.schema, table.name)]
    first, *rest = sqltext.statements(entry.ddl)
    parts = sqltext.parenthesized(first)
    assert parts is not None, first
    inside = ",\n    ".join(_whole(part, table) for part in sqltext.split(parts[1]))
    create = f"{parts[0]}(\n    {inside}\n){INHERITS.sub('', parts[2])}"
    quoted = source.model.quoted
    parents = [_shown(source, schema, quoted(name)) for schema, name in source.model.parents[key]]
    inherit = [f"ALTER TABLE {table.shown} INHERIT {parent}" for parent in parents]
    # What the parent says as well is not in the dump.
    strict = [
        f"ALTER TABLE {table.shown} ALTER COLUMN {source.model.quoted(column.name)} SET NOT NULL"
        for column in table.columns
        if not column.nullable
    ]
    up = execute_all(
        [
            source.plain(entry.key, sqltext.as_typed(text, readable=False))
            for text in (create, *rest, *strict, *inherit)
        ],
        REASON,
    )
    down = source.drop_table(table.schema, table.name)
    return Item(entry.key, "tables", frozenset({entry.dump_id, ("table", *key)}), frozenset(entry.depends_on),
                tuple(up), tuple(down))  # fmt: skip


def _whole(definition: str, table: Table) -> str:
    """A column's definition with what it generates, which the dump leaves to the parent."""
    name = next(iter(sqltext.tokens(definition)))
    column = next((c for c in table.columns if name in (c.name, client.identifier(c.name))), None)
    if column is None or not column.generated or "GENERATED" in definition:
        return definition
    return f"{definition} GENERATED ALWAYS AS ({column.default}) STORED"


def _words(text: str) -> tuple[str, str, str]:
    words = [token for token in sqltext.tokens(text) if token.strip()]
    if len(words) != 3:
        raise Failed(f"The names {text} cannot be told apart.")
    return words[0], words[1], words[2]


def _family(source: Source, start: TableKey) -> _Family:
    found = {start}
    while more := {
        other
        for table, parents in source.model.parents.items()
        for other in (table, *parents)
        if other not in found and not found.isdisjoint({table, *parents})
    }:
        found |= more
    tables: list[Table] = []
    left = sorted(found)
    if foreign := next((name for schema, name in left if (schema, name) not in source.model.tables), None):
        raise _foreign(foreign)
    while left:
        key = next(k for k in left if not set(source.model.parents.get(k, ())) & set(left))
        left.remove(key)
        tables.append(source.model.tables[key])
    entries = tuple(source.by_key[("TABLE", table.schema, table.name)] for table in tables)
    return _Family(tuple(tables), entries, column_order.Order(source.model.parents, tables).found())


def _foreign(name: str) -> Refused:
    return Refused(
        f"The foreign table {name} and what it inherits from have columns in an order that came about by changes: "
        "neither a dump nor CREATE FOREIGN TABLE … INHERITS can say it.",
        "make it anew in the old migrations, in a commit of its own, or choose an R before it",
    )


def _item(source: Source, family: _Family) -> Item:
    create: dict[TableKey, str] = {}
    definitions: dict[tuple[TableKey, str], str] = {}
    constraints: list[str] = []
    after: list[str] = []
    for table, entry in zip(family.tables, family.entries, strict=True):
        first, *rest = sqltext.statements(entry.ddl)
        parts = sqltext.parenthesized(first)
        assert parts is not None, first
        key = (table.schema, table.name)
        head, inside, tail = parts  # a parent's name may hold anything, but hardly ever parentheses
        for part in sqltext.split(inside):
            words = [token for token in sqltext.tokens(part) if token.strip()]
            if words[0] == "CONSTRAINT":
                constraints.append(f"ALTER TABLE {table.shown} ADD {part}")
            else:
                definitions[(key, sqltext.unquoted(words[0]) or words[0])] = _whole(part, table)
        create[key] = f"{head.strip()} (){OPTIONS.sub('', tail)}"
        if options := OPTIONS.search(tail):
            # Without columns there is no TOAST table that takes them, and a catalog of users may not be rewritten.
            after.append(f"ALTER TABLE {table.shown} SET ({options[1]})")
        after += rest
    named = {(table.schema, table.name): table.shown for table in family.tables}
    steps = [
        create[key] if name is None else f"ALTER TABLE {named[key]} ADD COLUMN {definitions[(key, name)]}"
        for key, name in family.steps
    ]
    up = execute_all(
        [
            source.model.without_public(sqltext.as_typed(text, readable=False))
            for text in (*steps, *constraints, *after)
        ],
        REASON,
    )
    down: list[str] = []
    for table in reversed(family.tables):
        down += source.drop_table(table.schema, table.name)
    ids = {entry.dump_id for entry in family.entries}
    provides = ids | {("table", table.schema, table.name) for table in family.tables}
    needs = {one for entry in family.entries for one in entry.depends_on} - ids
    return Item(family.entries[0].key, "tables", frozenset[object](provides), frozenset[object](needs),
                tuple(up), tuple(down))  # fmt: skip
