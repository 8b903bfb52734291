"""Tables with parents: columns in an order that INHERITS cannot say, and constraints whose names the server makes up.

Both are learnt by trying: the usual forms first, and these where the catalogs then say something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasklib import postgres, pycode, sqltext
from tasklib.archive import Entry
from tasklib.errors import Failed
from tasklib.pycode import Call, string
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source
from tasklib.tables import Table

# Marks of `Source.ddl`: a table whose columns come one by one; "table made wanted" and "table constraint", names as SQL
# has them.
COLUMNS, RENAMED, VALIDATED = "COLUMNS", "RENAMED CONSTRAINT", "VALIDATED CONSTRAINT"
CHANGED = "CHANGED COLUMN"  # a mark with JSON: table, column, and what ALTER COLUMN must say
REASON = "DDL: this order of columns came about by changes of tables that inherit"

INHERITS = re.compile(r"\s*INHERITS \([^()]*\)")

TableKey = tuple[str, str]


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
        if kind == COLUMNS and (schema, name) in source.model.tables and (schema, name) not in done:
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
    """Constraints of children that keep another name than the server gives; one item, since one may wait for others."""
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
        needs = frozenset(entry.dump_id for entry in source.entries if entry.kind in ("TABLE ATTACH", "FK CONSTRAINT"))
        up = execute_all(texts, "DDL: the names that these had before they became parts of their parents'")
        yield Item((RENAMED, "", ""), "foreign keys", frozenset({RENAMED}), needs, tuple(up))


def changes(source: Source) -> Iterator[Item]:
    """Columns of children that are not as their parent's: nullable by what the tables are, else as it was learnt."""
    wanted: dict[tuple[str, str, str], list[str]] = {}
    for (schema, name), parents in source.model.parents.items():
        strict = {c.name for parent in parents for c in source.model.tables[parent].columns if not c.nullable}
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
    parents = [source.model.tables[parent].shown for parent in source.model.parents[key]]
    inherit = [f"ALTER TABLE {table.shown} INHERIT {parent}" for parent in parents]
    # What the parent says as well is not in the dump.
    strict = [
        f"ALTER TABLE {table.shown} ALTER COLUMN {source.model.quoted(column.name)} SET NOT NULL"
        for column in table.columns
        if not column.nullable
    ]
    kwargs = source.within(table.schema, table.name)
    up = execute_all(
        [
            source.plain(entry.key, sqltext.as_typed(text, readable=False))
            for text in (create, *rest, *strict, *inherit)
        ],
        REASON,
    )
    down = pycode.render(Call("op.drop_table", [string(table.name)], kwargs), 4)
    return Item(entry.key, "tables", frozenset({entry.dump_id, ("table", *key)}), frozenset(entry.depends_on),
                tuple(up), tuple(down))  # fmt: skip


def _whole(definition: str, table: Table) -> str:
    """A column's definition with what it generates, which the dump leaves to the parent."""
    name = next(iter(sqltext.tokens(definition)))
    column = next((c for c in table.columns if name in (c.name, postgres.identifier(c.name))), None)
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
    while left:
        key = next(k for k in left if not set(source.model.parents.get(k, ())) & set(left))
        left.remove(key)
        tables.append(source.model.tables[key])
    entries = tuple(source.by_key[("TABLE", table.schema, table.name)] for table in tables)
    return _Family(tuple(tables), entries, _Order(source.model.parents, tables).found())


class _Order:
    """A search for steps after which each table has its columns in its order.

    A table may be made before its parents have all of theirs, and gets the others with them; or later, with what they
    then have.
    """

    LIMIT = 20_000  # steps that are tried

    def __init__(self, parents: Mapping[TableKey, Sequence[TableKey]], tables: Sequence[Table]) -> None:
        self.tables = {(t.schema, t.name): t for t in tables}
        self.wanted = {key: [column.name for column in table.columns] for key, table in self.tables.items()}
        self.parents = {key: [one for one in parents.get(key, ()) if one in self.tables] for key in self.tables}
        self.children = {key: [c for c in self.tables if key in self.parents[c]] for key in self.tables}
        self.tried = 0
        self.seen: set[tuple[object, ...]] = set()

    def found(self) -> tuple[tuple[TableKey, str | None], ...]:
        own = [(key, column.name) for key, table in self.tables.items() for column in table.columns if column.own]
        steps = self._search({}, own)
        if steps is None:
            names = ", ".join(table.shown for table in self.tables.values())
            raise Failed(f"No order of additions gives the tables {names} their columns as they are.",
                         "this is a gap of this program: please report these tables")  # fmt: skip
        return tuple(steps)

    def _search(
        self, there: dict[TableKey, list[str]], left: list[tuple[TableKey, str]]
    ) -> list[tuple[TableKey, str | None]] | None:
        self.tried += 1
        state = (tuple(sorted((key, len(names)) for key, names in there.items())), tuple(left))
        if state in self.seen or self.tried > self.LIMIT:
            return None
        self.seen.add(state)
        if not left and len(there) == len(self.tables):
            return []
        for step, after in self._next(there, left):
            rest = self._search(after, [one for one in left if one != step])
            if rest is not None:
                return [step, *rest]
        return None

    def _next(
        self, there: dict[TableKey, list[str]], left: Sequence[tuple[TableKey, str]]
    ) -> Iterator[tuple[tuple[TableKey, str | None], dict[TableKey, list[str]]]]:
        """The steps that put nothing where it does not belong, and what is there after each."""
        for key in self.tables:
            if key not in there and all(parent in there for parent in self.parents[key]):
                columns = list(dict.fromkeys(name for parent in self.parents[key] for name in there[parent]))
                # A column of its own as well must be its own first.
                merged = any((key, name) in left for name in columns)
                if columns == self.wanted[key][: len(columns)] and not merged:
                    yield (key, None), {**there, key: columns}
        for key, name in left:
            if key in there and not self._declares_below(key, name, there, left):
                after = {one: list(names) for one, names in there.items()}
                self._add(key, name, after)
                if all(names == self.wanted[one][: len(names)] for one, names in after.items()):
                    yield (key, name), after

    def _declares_below(
        self, key: TableKey, name: str, there: Mapping[TableKey, list[str]], left: Sequence[tuple[TableKey, str]]
    ) -> bool:
        """Whether a child has the column of its own as well: it must have it before it gets it from here."""
        return any((c, name) in left or self._declares_below(c, name, there, left) for c in self.children[key])

    def _add(self, key: TableKey, name: str, there: dict[TableKey, list[str]]) -> None:
        there[key] += [] if name in there[key] else [name]
        for child in self.children[key]:
            if child in there:
                self._add(child, name, there)


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
                definitions[(key, sqltext.unquoted(words[0]) or words[0])] = part
        create[key] = f"{head.strip()} (){tail}"
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
        kwargs = source.within(table.schema, table.name)
        down += pycode.render(Call("op.drop_table", [string(table.name)], kwargs), 4)
    ids = {entry.dump_id for entry in family.entries}
    provides = ids | {("table", table.schema, table.name) for table in family.tables}
    needs = {one for entry in family.entries for one in entry.depends_on} - ids
    return Item(family.entries[0].key, "tables", frozenset[object](provides), frozenset[object](needs),
                tuple(up), tuple(down))  # fmt: skip
