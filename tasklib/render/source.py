"""What the file is made from."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tasklib.judge.disabled_triggers import Switch
from tasklib.judge.roles import Made
from tasklib.judge.tables import Model, Table
from tasklib.postgres import client, sqltext, version_table
from tasklib.postgres.archive import Entry, Key
from tasklib.project.extension_sql import Written
from tasklib.render import pycode
from tasklib.render.columns import Types
from tasklib.render.execute import execute_all
from tasklib.render.pycode import Call, Node, string


@dataclass(frozen=True)
class Rows:
    """How many rows a table has; they themselves, or the suffix of the data file that holds them."""

    table: Table
    count: int
    rows: tuple[tuple[object, ...], ...] = ()
    suffix: str | None = None


# Kinds whose entries are on something else, or not dropped as such.
NOT_DROPPED = frozenset(
    ["ACL", "COMMENT", "DEFAULT", "EXTENSION", "INDEX ATTACH", "OWNER", "POLICY", "ROW SECURITY", "RULE",
     "SEQUENCE OWNED BY", "TABLE ATTACH", "TRIGGER"]
)  # fmt: skip


# Words of SQL that SQLAlchemy does not know for such.
UNQUOTED = frozenset(["collation", "concurrently", "lateral", "tablesample"])
# The rule that is a view's query.
COMPLETED = " _RETURN"
FROM_TEXT = re.compile(r"CAST \((?:text|character varying|character) AS ")


def completes_a_view(entry: Entry) -> bool:
    """Whether an entry is a view once more: in a circle the dump makes one without its query first."""
    return entry.kind == "RULE" and entry.tag.endswith(COMPLETED)


def casts_text(entries: Iterable[Entry]) -> bool:
    """Whether a history has casts of its own from text, which a value that is text would go through."""
    return any(entry.kind == "CAST" and FROM_TEXT.match(entry.tag) for entry in entries)


def shape(index: str) -> tuple[str, ...]:
    """What an index is made on, and how, by its DDL: two that differ in this are never taken for one another.

    The server compares more, but neither options nor the direction of keys.
    """
    before, keys, _ = sqltext.parenthesized(index) or (index, "", "")
    words = [word for word in sqltext.tokens(before) if word.strip() and word != "ONLY"]
    # A key is followed by its collation, operator class and direction.
    return (words[1], *words[words.index("ON") :], *(sqltext.split(key, " ")[0] for key in sqltext.split(keys)))


def index_name(entry: Entry) -> str:
    """The name of the index that an entry, its own or a constraint's, makes."""
    return sqltext.altered(entry.ddl)[2] if entry.kind == "CONSTRAINT" else entry.tag


@dataclass
class Source:
    """A reference to render.

    ``ddl`` names the objects that must be the server's DDL; ``sqlalchemy`` is the version of the project's own;
    ``migrator`` is the user who ran the migrations; ``several``: the file is for other databases too; ``laid`` are
    objects that are there before the first migration, and stay; ``people`` are the names of the throwaway server's
    users that rows may hold, with what to say instead; ``extensions`` are those that the history's own words name;
    ``used`` collects what the file must import or define, see `Types`.
    """

    entries: Sequence[Entry]
    model: Model
    rows: Sequence[Rows]
    positions: Mapping[tuple[str, str], tuple[int, bool]]
    populated: Sequence[tuple[str, str]]
    version_tables: Sequence[tuple[str, str]]
    sqlalchemy: tuple[int, ...]
    ddl: frozenset[Key] = frozenset()
    facts: Mapping[Key, str] = field(default_factory=dict)
    migrator: str = ""
    switched: Sequence[Switch] = ()
    roles: Made | None = None
    keeps_passwords: bool = False
    several: bool = False
    laid: frozenset[Key] = frozenset()
    extensions: Written = field(default_factory=Written)
    people: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = set(keyword.kwlist) | {"op", "sa", "postgresql", "context", "os", "json", "load_rows", "rows"}
        self.enum_names: dict[tuple[str, str], str] = {}
        for schema, name in sorted(self.model.enums):
            wanted = re.sub(r"\W", "_", name.lower()).strip("_") or "enum"
            wanted = f"_{wanted}" if wanted[0].isdigit() else wanted
            while wanted in names:
                wanted += "_"
            names.add(wanted)
            self.enum_names[(schema, name)] = wanted
        self.types = Types(self.enum_names, self.used, self.sqlalchemy)
        self.with_rows = {(one.table.schema, one.table.name) for one in self.rows}
        self.by_key = {entry.key: entry for entry in self.entries}
        if any("FORCE ROW LEVEL SECURITY" in entry.ddl for entry in self.entries):
            self.used.add("row security")

    @cached_property
    def by_id(self) -> dict[int, Entry]:
        """The entries by their dump ids."""
        return {entry.dump_id: entry for entry in self.entries}

    @cached_property
    def casts_text(self) -> bool:
        """Whether a value that is text would go through a cast of the history's own."""
        return casts_text(self.entries)

    def below(self, entry: Entry) -> Iterator[Entry]:
        """All that an object depends on, directly or not."""
        left, seen = list(entry.depends_on), set[int]()
        while left:
            one = self.by_id.get(left.pop())
            if one is not None and one.dump_id not in seen:
                seen.add(one.dump_id)
                left += one.depends_on
                if (later := self._completing.get((one.schema, one.tag))) is not None:
                    left.append(later.dump_id)
                yield one

    @cached_property
    def _completing(self) -> dict[tuple[str, str], Entry]:
        """What makes a view once more, by the view."""
        return {(e.schema, e.tag.removesuffix(COMPLETED)): e for e in self.entries if completes_a_view(e)}

    @cached_property
    def attached(self) -> dict[int, tuple[int, int]]:
        """Each ALTER INDEX … ATTACH with the two indexes, or the constraints that make them: (whole, part)."""
        makers: dict[tuple[str, str], list[int]] = {}
        for entry in self.entries:
            if entry.kind in ("INDEX", "CONSTRAINT"):
                makers.setdefault((entry.schema, index_name(entry)), []).append(entry.dump_id)
        found = {}
        for attach in self.entries:
            if attach.kind == "INDEX ATTACH":
                part = next(one for one in makers[(attach.schema, attach.tag)] if one in attach.depends_on)
                ids = (one for one in attach.depends_on if one != part and one in self.by_id)
                whole = next(one for one in ids if self.by_id[one].kind in ("INDEX", "CONSTRAINT"))
                found[attach.dump_id] = (whole, part)
        return found

    @cached_property
    def comments(self) -> dict[tuple[str, str], list[tuple[str, Entry]]]:
        """By table, the comments on it ("") and its columns."""
        found: dict[tuple[str, str], list[tuple[str, Entry]]] = {}
        for entry in self.entries:
            about = sqltext.commented(entry.ddl) if entry.kind == "COMMENT" else ()
            if about[:1] in (("TABLE",), ("COLUMN",)):
                found.setdefault((about[1], about[2]), []).append(("".join(about[3:4]), entry))
        return found

    @cached_property
    def defaults_and_constraints(self) -> dict[tuple[str, str], list[tuple[str, Entry]]]:
        """By table, the entries of their own that its defaults (named by the column) and constraints have."""
        kinds = ("DEFAULT", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT")
        found: dict[tuple[str, str], list[tuple[str, Entry]]] = {}
        for entry in self.entries:
            if entry.kind in kinds and (about := sqltext.altered(entry.ddl)):
                found.setdefault((about[0], about[1]), []).append((about[2], entry))
        return found

    @cached_property
    def wholes(self) -> frozenset[int]:
        """The indexes, or constraints that make them, which others are attached to."""
        return frozenset(whole for whole, _ in self.attached.values())

    @cached_property
    def alike(self) -> frozenset[tuple[str, str]]:
        """The indexes (schema, name) that the server may take another one of the same table for."""
        shapes = {key: shape(index.dumped) for key, index in self.model.indexes.items()}
        number = Counter(shapes.values())
        return frozenset(key for key, one in shapes.items() if number[one] > 1)

    @cached_property
    def made(self) -> set[tuple[str, str]]:
        """The names (schema, name, plain and quoted) of what this file makes and downgrade() drops."""
        objects = [e for e in self.entries if e.kind not in NOT_DROPPED]
        return {(e.schema, form) for e in objects for form in (e.tag, client.identifier(e.tag))}

    def within(self, schema: str, name: str, argument: str = "schema") -> dict[str, Node]:
        """The argument of an operation that says in which schema its table is, where that must be said."""
        return {argument: string(schema)} if self.model.needs_schema(schema, name) else {}

    def drop_table(self, schema: str, name: str) -> list[str]:
        """The lines that drop a table."""
        if {schema, name} & UNQUOTED:
            dropped = f"DROP TABLE {self.model.quoted(schema)}.{self.model.quoted(name)}"
            return execute_all([dropped], "DDL: a name that SQLAlchemy does not quote")
        return pycode.render(Call("op.drop_table", [string(name)], self.within(schema, name)), 4)

    def plain(self, key: Key, text: str) -> str:
        """An object's DDL without the schema that is searched anyhow, unless it must be the server's own text."""
        return text if key in self.ddl else self.model.without_public(text)

    def row_counts(self) -> dict[str, int]:
        """Every table that the file makes, as SQL names it, and how many rows the file puts there."""
        carried = {(one.table.schema, one.table.name): one.count for one in self.rows}
        ours = version_table.written_out(self.version_tables)
        return {
            table.shown: carried.get(key, 0)
            for key, table in sorted(self.model.tables.items())
            if key not in ours and table.partition_by is None and ("TABLE", *key) in self.by_key
        }
