"""The reference in a migration's words: native operations where they say it, the server's own DDL where they do not.

Every object is an `Item` with the lines that make it and those that drop it. Items are ordered by what they need, and
among free ones by group, so that the file reads from schemas down to privileges.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasklib import columns, postgres, pycode, sqltext, values
from tasklib.archive import Entry
from tasklib.columns import Types
from tasklib.pycode import Call, Items, Node, string
from tasklib.tables import Column, Constraint, Model, Table
from tasklib.tables import Sequence as PgSequence

Key = tuple[str, str, str]
PUBLIC = "public"

# Group → the comment above it. The order is that of the file.
GROUPS = (
    "schemas", "extensions", "types", "sequences", "functions", "tables", "rows", "sequence positions", "constraints",
    "indexes", "foreign keys", "views", "triggers and rules", "statistics", "row security", "privileges", "comments",
    "everything else",
)  # fmt: skip
KIND_GROUP = {
    "SCHEMA": "schemas", "EXTENSION": "extensions",
    "TYPE": "types", "DOMAIN": "types", "SHELL TYPE": "types", "COLLATION": "types",
    "SEQUENCE": "sequences", "SEQUENCE OWNED BY": "tables", "TABLE": "tables", "TABLE ATTACH": "tables",
    "FOREIGN TABLE": "tables", "DEFAULT": "tables",
    "FUNCTION": "functions", "PROCEDURE": "functions", "AGGREGATE": "functions",
    "CONSTRAINT": "constraints", "CHECK CONSTRAINT": "constraints", "INDEX": "indexes", "INDEX ATTACH": "indexes",
    "FK CONSTRAINT": "foreign keys", "VIEW": "views", "MATERIALIZED VIEW": "views",
    "TRIGGER": "triggers and rules", "RULE": "triggers and rules", "EVENT TRIGGER": "triggers and rules",
    "STATISTICS": "statistics", "POLICY": "row security", "ROW SECURITY": "row security",
    "ACL": "privileges", "DEFAULT ACL": "privileges", "COMMENT": "comments",
}  # fmt: skip
# Gone with the table, view or schema that they belong to.
NO_DROP = {
    "DEFAULT", "SEQUENCE OWNED BY", "TABLE ATTACH", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "INDEX ATTACH",
    "TRIGGER", "RULE", "STATISTICS", "POLICY", "ROW SECURITY", "ACL", "COMMENT",
}  # fmt: skip
ACTIONS = {"a": None, "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
# Why an object is in op.execute. All other kinds: Alembic has no operation for them.
REASONS = {
    "TABLE": "DDL: operations cannot say this table exactly",
    "INDEX": "DDL: operations cannot say this index exactly",
    "CONSTRAINT": "DDL: operations cannot say this constraint exactly",
    "FK CONSTRAINT": "DDL: operations cannot say this foreign key exactly",
    "DEFAULT": "DDL: a default that needs what comes after its table",
    "SEQUENCE": "DDL: this sequence does not come with a SERIAL column",
    "SEQUENCE OWNED BY": "DDL: Alembic has no operation for a sequence's owner",
    "ACL": "DDL: Alembic has no operation for privileges",
    "DEFAULT ACL": "DDL: Alembic has no operation for privileges",
}


@dataclass(frozen=True)
class Item:
    """One object of the file: its group and name (for the order), what it provides and needs (dump ids and words)."""

    key: Key
    group: str
    provides: frozenset[object]
    needs: frozenset[object]
    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    # How to drop what goes with its table, for where something that it needs is dropped before that table.
    early: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, str, str, str]:
        return (GROUPS.index(self.group), self.key[1] if self.key[1] != PUBLIC else "", self.key[2], self.key[0])


@dataclass(frozen=True)
class Rows:
    """Rows of one table as they go into the file."""

    table: Table
    rows: tuple[tuple[object, ...], ...]


@dataclass
class Writer:
    """Renders a reference. ``ddl`` names the objects that must be the server's DDL; ``sqlalchemy`` is the project's."""

    entries: Sequence[Entry]
    model: Model
    rows: Sequence[Rows]
    positions: Mapping[tuple[str, str], tuple[int, bool]]
    populated: Sequence[tuple[str, str]]
    version_tables: Sequence[tuple[str, str]]
    sqlalchemy: tuple[int, ...]
    ddl: frozenset[Key] = frozenset()
    facts: Mapping[Key, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = set(keyword.kwlist) | {"op", "sa", "postgresql", "upgrade", "downgrade", "context", "os", "revision"}
        self.enum_names: dict[tuple[str, str], str] = {}
        for schema, name in sorted(self.model.enums):
            wanted = re.sub(r"\W", "_", name.lower()).strip("_") or "enum"
            wanted = f"_{wanted}" if wanted[0].isdigit() else wanted
            while wanted in names:
                wanted += "_"
            names.add(wanted)
            self.enum_names[(schema, name)] = wanted
        self.types = Types(self.enum_names, self.used)
        self.with_rows = {(one.table.schema, one.table.name) for one in self.rows}
        self.by_key = {entry.key: entry for entry in self.entries}

    # --- items ---------------------------------------------------------------------------------------------------

    def items(self) -> list[Item]:
        """All items in the order of the file."""
        ours = {(schema or PUBLIC, name) for schema, name in self.version_tables}
        entries = [e for e in self.entries if not _of_version_table(e, ours)]
        taken: set[int] = set()
        found: list[Item] = []
        late: list[tuple[Table, Constraint, Entry]] = []
        native = {key: table for key, table in self.model.tables.items() if key not in ours and self._is_native(table)}
        plan = _inline_foreign_keys(native, self.with_rows, self._foreign_key_is_native, self._has_key_from_the_start)
        for key, table in sorted(native.items()):
            item, absorbed = self._table(table, entries, plan[key])
            found.append(item)
            taken |= absorbed
        for entry in entries:
            if entry.dump_id in taken:
                continue
            constraint = self._foreign_key_of(entry, native)
            unique = self._unique_of(entry, native)
            if constraint is not None:
                late.append((native[constraint[0]], constraint[1], entry))
            elif unique is not None:
                found.append(self._unique(*unique, entry))
            else:
                found.append(self._entry(entry))
        found += [self._foreign_key(table, constraint, entry) for table, constraint, entry in late]
        found += [self._rows_item(one, plan) for one in self.rows]
        found += [item for key in sorted(ours & self.model.tables.keys()) for item in self._wider_version(*key)]
        found += self._database()
        found += self._positions(ours)
        found += [self._refresh(schema, name) for schema, name in self.populated]
        return _with_early_drops(_ordered(_without_missing_needs(found)))

    def _is_native(self, table: Table) -> bool:
        key = ("TABLE", table.schema, table.name)
        # From PostgreSQL 18 on NOT NULL is a constraint, and may be one that operations have no word for.
        odd = any(c.kind == "n" and (c.no_inherit or not c.validated) for c in table.constraints)
        return table.plain and not odd and key in self.by_key and key not in self.ddl

    def _table(self, table: Table, entries: Sequence[Entry], inline: Sequence[str]) -> tuple[Item, set[int]]:
        """The item of a table that operations can make, and the dump ids of all entries that it covers."""
        entry = self.by_key[("TABLE", table.schema, table.name)]
        absorbed = {entry.dump_id}
        needs: set[object] = set(entry.depends_on)
        serial = self._serial_column(table)
        comment: str | None = None
        comments: set[str] = set()
        for other in entries:
            if other.schema != table.schema:
                continue
            if other.kind == "DEFAULT" and other.tag in {f"{table.name} {c.name}" for c in table.columns}:
                absorbed.add(other.dump_id)
                needs |= set(other.depends_on)
            if serial and (
                (other.kind == "SEQUENCE" and other.tag == serial[1].name)
                or (other.kind == "SEQUENCE OWNED BY" and other.tag == serial[1].name)
            ):
                absorbed.add(other.dump_id)
            if other.kind == "COMMENT" and other.key not in self.ddl:
                about = sqltext.commented(other.ddl)
                if about[:3] == ("TABLE", table.schema, table.name):
                    absorbed.add(other.dump_id)
                    comment = table.comment
                elif about[:3] == ("COLUMN", table.schema, table.name):
                    absorbed.add(other.dump_id)
                    comments.add(about[3])
        key_columns = self._primary_key(table)
        args: list[Node] = [string(table.name)]
        extra: list[str] = []
        for column in table.columns:
            identity = self._identity(table, column)
            if column.identity and identity is None:
                # The dump has it as an entry of its own, ALTER TABLE … ADD GENERATED.
                pass
            elif column.identity:
                sequence = self._owned_sequence(table, column)
                absorbed |= {
                    e.dump_id for e in entries if sequence and e.key == ("SEQUENCE", sequence.schema, sequence.name)
                }
            args.append(self._column(column, key_columns, serial[0].name if serial else None, identity, comments))
        for constraint in sorted(table.constraints, key=lambda c: ("pucf".find(c.kind), c.name)):
            node = self._inline(table, constraint, inline)
            if node is None:
                continue
            args.append(node)
            tag = f"{table.name} {constraint.name}"
            same = [e for e in entries if e.schema == table.schema and e.tag == tag and e.kind in (
                "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT")]  # fmt: skip
            absorbed |= {e.dump_id for e in same}
            if constraint.kind == "f":
                needs.add(("table", constraint.target_schema, constraint.target_table))
            for one in same:
                # A replica identity or CLUSTER mark comes after the constraint in its entry.
                extra += _execute_all(sqltext.statements(one.ddl)[1:], "")
        checks = [
            c for c in table.constraints if c.kind == "c" and c.validated and self._inline(table, c, inline) is None
        ]
        kwargs: dict[str, Node] = {} if table.schema == PUBLIC else {"schema": string(table.schema)}
        commented = {} if comment is None else {"comment": string(comment)}
        up = pycode.render(Call("op.create_table", args, {**kwargs, **commented}), 4)
        renamed = [c for c in table.constraints if c.kind == "n" and c.name != f"{table.name}_{c.columns[0]}_not_null"]
        for constraint in renamed:
            made = postgres.identifier(f"{table.name}_{constraint.columns[0]}_not_null")
            ddl = f"ALTER TABLE {_name(table)} RENAME CONSTRAINT {made} TO {postgres.identifier(constraint.name)}"
            up += _execute_all([ddl], "DDL: this NOT NULL kept its name when its table or column was renamed")
        for check in checks:
            ddl = f"ALTER TABLE {_name(table)} ADD CONSTRAINT {postgres.identifier(check.name)} {check.definition}"
            up += _execute_all([ddl], "DDL: operations cannot say this check exactly")
        up += (
            _execute_all(sqltext.statements(entry.ddl)[1:], "DDL: options of the table that operations do not have")
            + extra
        )
        down = pycode.render(Call("op.drop_table", [string(table.name)], kwargs), 4)
        needs -= absorbed
        provides = frozenset({*absorbed, ("table", table.schema, table.name)})
        return Item(entry.key, "tables", provides, frozenset(needs), tuple(up), tuple(down)), absorbed

    def _column(
        self, column: Column, key: Sequence[str], serial: str | None, identity: Node | None, comments: Container[str]
    ) -> Node:
        args: list[Node] = [string(column.name), self._type(column)]
        kwargs: dict[str, Node] = {}
        is_serial = column.name == serial
        if column.generated and column.default is not None:
            args.append(Call("sa.Computed", [_condition(column.default)], {"persisted": "True"}))
        elif identity is not None:
            args.append(identity)
        elif column.default is not None and not is_serial:
            kwargs["server_default"] = columns.server_default(column.default, column)
        # SQLAlchemy makes a lone integer key without a default a SERIAL, unless told otherwise.
        would_be_serial = (
            list(key) == [column.name] and column.type in columns.INTEGERS and column.default is None
            and (identity is None or bool(column.identity))
        )  # fmt: skip
        if would_be_serial and not is_serial and identity is None:
            kwargs["autoincrement"] = "False"
        kwargs["nullable"] = str(column.nullable)
        if column.name in comments and column.comment is not None:
            kwargs["comment"] = string(column.comment)
        return Call("sa.Column", args, kwargs)

    def _type(self, column: Column) -> Node:
        node = self.types.of(column)
        if column.collation is None:
            return node
        name = sqltext.split(column.collation, ".")[-1]
        collation = {"collation": string(sqltext.unquoted(name) or name)}
        if isinstance(node, str) and node.startswith(("sa.String(", "sa.Text(", "sa.CHAR(")):
            kind, inner = node[:-1].split("(", 1)
            return Call(kind, [inner] if inner else [], collation)
        self.used.add("DatabaseType")
        return Call("DatabaseType", [string(f"{column.type} COLLATE {column.collation}")])

    def _primary_key(self, table: Table) -> Sequence[str]:
        return next((c.columns for c in table.constraints if c.kind == "p" and self._key_is_native(table, c)), ())

    def _key_is_native(self, table: Table, constraint: Constraint) -> bool:
        plain = re.fullmatch(
            r"(PRIMARY KEY|UNIQUE) \([^()]*\)( DEFERRABLE( INITIALLY DEFERRED)?)?", constraint.definition
        )
        return plain is not None and ("CONSTRAINT", table.schema, f"{table.name} {constraint.name}") not in self.ddl

    def _repeats_a_key(self, table: Table, constraint: Constraint) -> bool:
        """Whether another key has the same columns: CREATE TABLE would make one index for both, losing this one."""
        keys = [c for c in table.constraints if c.kind in "pu" and sorted(c.columns) == sorted(constraint.columns)]
        return min(keys, key=lambda c: (c.kind, c.name)).name != constraint.name

    def _unique(self, table: Table, constraint: Constraint, entry: Entry) -> Item:
        """A unique constraint that stands outside of its create_table."""
        args: list[Node] = [
            Call("op.f", [string(constraint.name)]),
            string(table.name),
            pycode.strings(constraint.columns),
        ]
        kwargs: dict[str, Node] = {} if table.schema == PUBLIC else {"schema": string(table.schema)}
        up = pycode.render(Call("op.create_unique_constraint", args, {**kwargs, **_timing(constraint)}), 4)
        up += _execute_all(sqltext.statements(entry.ddl)[1:], "DDL: marks of the index that operations do not have")
        needs = frozenset({*entry.depends_on, ("rows", table.schema, table.name)})
        return Item(entry.key, "constraints", frozenset({entry.dump_id}), needs, tuple(up))

    def _unique_of(self, entry: Entry, native: Mapping[tuple[str, str], Table]) -> tuple[Table, Constraint] | None:
        if entry.kind != "CONSTRAINT":
            return None
        for (schema, name), table in native.items():
            for constraint in table.constraints if schema == entry.schema else ():
                if entry.tag == f"{name} {constraint.name}" and constraint.kind == "u":
                    return (table, constraint) if self._key_is_native(table, constraint) else None
        return None

    def _serial_column(self, table: Table) -> tuple[Column, PgSequence] | None:
        """The key column that SQLAlchemy makes a SERIAL with exactly the sequence that it has, or None."""
        key = self._primary_key(table)
        if len(key) != 1:
            return None
        column = next(c for c in table.columns if c.name == key[0])
        sequence = self._owned_sequence(table, column)
        if sequence is None or column.identity or column.type not in columns.INTEGERS or column.nullable:
            return None
        if ("SEQUENCE", sequence.schema, sequence.name) in self.ddl:
            return None
        as_serial = _default_options(sequence, column.type) and sequence.name == f"{table.name}_{column.name}_seq"
        default = f"nextval('{_regclass(sequence.schema, sequence.name)}'::regclass)"
        return (
            (column, sequence) if as_serial and column.default == default and sequence.schema == table.schema else None
        )

    def _owned_sequence(self, table: Table, column: Column) -> PgSequence | None:
        owner = (table.schema, table.name, column.name)
        return next((s for s in self.model.sequences.values() if s.owner == owner), None)

    def _identity(self, table: Table, column: Column) -> Node | None:
        """sa.Identity(…) where the project's SQLAlchemy has it (1.4) and it says all options, else None."""
        sequence = self._owned_sequence(table, column) if column.identity else None
        if sequence is None or self.sqlalchemy < (1, 4) or ("SEQUENCE", sequence.schema, sequence.name) in self.ddl:
            return None
        if sequence.name != f"{table.name}_{column.name}_seq" or sequence.schema != table.schema:
            return None
        kwargs: dict[str, Node] = {"always": "True"} if column.identity == "a" else {}
        lowest, highest = _bounds(sequence)
        if sequence.start != (lowest if sequence.increment > 0 else highest) or sequence.minimum != lowest:
            kwargs["start"] = str(sequence.start)
        if sequence.increment != 1:
            kwargs["increment"] = str(sequence.increment)
        if sequence.minimum != lowest:
            kwargs["minvalue"] = str(sequence.minimum)
        if sequence.maximum != highest:
            kwargs["maxvalue"] = str(sequence.maximum)
        if sequence.cycle:
            kwargs["cycle"] = "True"
        if sequence.cache != 1:
            kwargs["cache"] = str(sequence.cache)
        return Call("sa.Identity", [], kwargs)

    def _inline(self, table: Table, constraint: Constraint, foreign_keys: Sequence[str]) -> Node | None:
        """The constraint as an argument of create_table, or None where it comes later or as DDL."""
        name: dict[str, Node] = {"name": Call("op.f", [string(constraint.name)])}
        listed = [string(column) for column in constraint.columns]
        if constraint.kind in "pu" and self._key_is_native(table, constraint):
            if constraint.kind == "u" and self._repeats_a_key(table, constraint):
                return None
            kwargs = {**name, **_timing(constraint)}
            return Call("sa.PrimaryKeyConstraint" if constraint.kind == "p" else "sa.UniqueConstraint", listed, kwargs)
        # The table's own entry holds the check, so a difference there has no key of its own.
        as_ddl = ("CHECK", table.schema, f"{table.name} {constraint.name}") in self.ddl
        if constraint.kind == "c" and constraint.validated and not constraint.no_inherit and not as_ddl:
            return Call("sa.CheckConstraint", [_condition(constraint.expression or "")], name)
        if constraint.kind == "f" and constraint.name in foreign_keys:
            targets = [string(_dotted(constraint, column)) for column in constraint.target_columns]
            return Call("sa.ForeignKeyConstraint", [Items(listed), Items(targets)], {**name, **_actions(constraint)})
        return None

    def _foreign_key_is_native(self, table: Table, constraint: Constraint) -> bool:
        if not constraint.validated or ("FK CONSTRAINT", table.schema, f"{table.name} {constraint.name}") in self.ddl:
            return False
        # ON DELETE SET NULL (column) has a list that operations have no word for.
        odd = re.search(r"SET (NULL|DEFAULT) \(|NOT ENFORCED|PERIOD", constraint.definition)
        dotted = any("." in name for name in (constraint.target_table, *constraint.target_columns))
        return odd is None and not dotted

    def _has_key_from_the_start(self, target: Table, columns: Sequence[str]) -> bool:
        """Whether the key that a foreign key refers to comes in the target's create_table."""
        return any(
            c.kind in "pu" and sorted(c.columns) == sorted(columns) and self._key_is_native(target, c)
            for c in target.constraints
        )

    def _foreign_key_of(
        self, entry: Entry, native: Mapping[tuple[str, str], Table]
    ) -> tuple[tuple[str, str], Constraint] | None:
        if entry.kind != "FK CONSTRAINT":
            return None
        for key, table in native.items():
            for constraint in table.constraints:
                if entry.schema == key[0] and entry.tag == f"{key[1]} {constraint.name}" and constraint.kind == "f":
                    return (key, constraint) if self._foreign_key_is_native(table, constraint) else None
        return None

    def _foreign_key(self, table: Table, constraint: Constraint, entry: Entry) -> Item:
        args: list[Node] = [
            Call("op.f", [string(constraint.name)]), string(table.name), string(constraint.target_table),
            pycode.strings(constraint.columns), pycode.strings(constraint.target_columns),
        ]  # fmt: skip
        kwargs = dict(_actions(constraint))
        if table.schema != PUBLIC:
            kwargs["source_schema"] = string(table.schema)
        if constraint.target_schema != PUBLIC:
            kwargs["referent_schema"] = string(constraint.target_schema)
        up = pycode.render(Call("op.create_foreign_key", args, kwargs), 4)
        drop: list[Node] = [Call("op.f", [string(constraint.name)]), string(table.name)]
        where: dict[str, Node] = {"type_": string("foreignkey")}
        if table.schema != PUBLIC:
            where["schema"] = string(table.schema)
        down = pycode.render(Call("op.drop_constraint", drop, where), 4)
        target = (constraint.target_schema, constraint.target_table)
        needs = {*entry.depends_on, ("table", *target), ("rows", *target), ("rows", table.schema, table.name)}
        return Item(entry.key, "foreign keys", frozenset({entry.dump_id}), frozenset(needs), tuple(up), tuple(down))

    def _entry(self, entry: Entry) -> Item:
        """An item for any entry: an index or enum in the field's words, else the server's DDL."""
        group = KIND_GROUP.get(entry.kind, "everything else")
        needs: set[object] = set(entry.depends_on)
        provides: set[object] = {entry.dump_id}
        up: list[str] | None = None
        if entry.kind == "TABLE":
            provides.add(("table", entry.schema, entry.tag))
        sequence = self.model.sequences.get((entry.schema, entry.tag)) if entry.kind.startswith("SEQUENCE") else None
        if sequence is not None and sequence.owner is not None:
            table = self.by_key.get(("TABLE", *sequence.owner[:2]))
            if entry.kind == "SEQUENCE OWNED BY" or sequence.identity:
                needs.add(("table", *sequence.owner[:2]))
            elif table is not None:
                # The dump puts the table first and its default last; here the default stands in the table.
                needs.discard(table.dump_id)
        if entry.kind == "INDEX" and entry.key not in self.ddl:
            up = self._index(entry)
        if entry.kind == "TYPE" and (entry.schema, entry.tag) in self.model.enums:
            up = self._enum(entry)
        if entry.kind == "USER MAPPING":
            # The dump names no dependency of it, and relies on its own order.
            needs |= {other.dump_id for other in self.entries if other.kind == "SERVER"}
        if entry.kind == "TRIGGER" or entry.kind == "RULE":
            # Rows must not set off what was not there when they came to be.
            needs |= {("rows", *key) for key in self.with_rows}
        if entry.kind in ("FK CONSTRAINT", "CONSTRAINT", "CHECK CONSTRAINT"):
            needs |= {("rows", *key) for key in self.with_rows}
        if up is None:
            reason = REASONS.get(entry.kind, f"DDL: Alembic has no operation for {_plural(entry.kind.lower())}")
            texts = [entry.ddl] if entry.kind in ("FUNCTION", "PROCEDURE") else sqltext.statements(entry.ddl)
            if entry.kind == "EXTENSION":
                # Its objects go where the extension is installed; a database may have it already.
                texts = [text.replace("CREATE EXTENSION IF NOT EXISTS", "CREATE EXTENSION") for text in texts]
            if entry.kind == "SCHEMA" and entry.tag == PUBLIC:
                texts = []
            up = _execute_all([text.rstrip().rstrip(";") for text in texts], reason)
            if group == "functions":
                up = ["    # a body may name what comes later",
                      '    op.execute("SET LOCAL check_function_bodies = false")',
                      *up, '    op.execute("RESET check_function_bodies")']  # fmt: skip
        down: list[str] = []
        early: list[str] = []
        if entry.drop and entry.kind in ("RULE", "POLICY", "TRIGGER", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX") and up:
            early = _execute_all(sqltext.statements(entry.drop), "")
        if entry.tag == f"SCHEMA {PUBLIC}" and entry.kind == "COMMENT":
            # The schema stays, with the comment that PostgreSQL gives it.
            down = _execute_all([f"COMMENT ON SCHEMA {PUBLIC} IS 'standard public schema'"], "")
        elif entry.tag == f"SCHEMA {PUBLIC}" and entry.kind == "ACL":
            back = [_revoked(f" {text}").strip() for text in reversed(sqltext.statements(entry.ddl))]
            down = _execute_all(back, "")
        elif entry.kind == "DEFAULT ACL":
            down = _execute_all([_revoked(text) for text in sqltext.statements(entry.ddl)], "")
        elif entry.kind == "TABLE":
            kwargs: dict[str, Node] = {} if entry.schema == PUBLIC else {"schema": string(entry.schema)}
            down = pycode.render(Call("op.drop_table", [string(entry.tag)], kwargs), 4)
        elif entry.drop and entry.kind not in NO_DROP and not self._goes_with_table(entry) and up:
            down = _execute_all(sqltext.statements(entry.drop), "")
        return Item(entry.key, group, frozenset(provides), frozenset(needs), tuple(up), tuple(down), tuple(early))

    def _goes_with_table(self, entry: Entry) -> bool:
        if entry.kind == "SEQUENCE":
            sequence = self.model.sequences.get((entry.schema, entry.tag))
            return sequence is not None and sequence.owner is not None
        return False

    def _enum(self, entry: Entry) -> list[str]:
        schema, name = entry.schema, entry.tag
        labels = self.model.enums[(schema, name)]
        listed = ", ".join(postgres.literal(label) for label in labels)
        # pg_dump knows which names are words of SQL and quotes them.
        shown = entry.ddl.strip().removeprefix("CREATE TYPE ").split(" AS ENUM")[0].removeprefix(f"{PUBLIC}.")
        create = f"CREATE TYPE {shown} AS ENUM ({listed})"
        kwargs: dict[str, Node] = {"name": string(name)}
        if schema != PUBLIC:
            kwargs["schema"] = string(schema)
        kwargs["create_type"] = "False"
        variable = Call("postgresql.ENUM", [string(label) for label in labels], kwargs)
        lines = _execute_all([create], "DDL: made once, whichever tables use it")
        if not any(
            (c.type_schema, c.type_name) == (schema, name) for t in self.model.tables.values() for c in t.columns
        ):
            return lines
        self.used.add("postgresql")
        return lines + pycode.render(variable, 4, f"{self.enum_names[(schema, name)]} = ")

    def _index(self, entry: Entry) -> list[str] | None:
        """op.create_index(…) for an index whose definition it can say, else None."""
        first, *rest = sqltext.statements(entry.ddl)
        head = re.match(
            r"CREATE (UNIQUE )?INDEX (?P<name>\"(?:[^\"]|\"\")+\"|\w+) ON (?P<table>.+?) USING (?P<method>\w+) ", first
        )
        keys = sqltext.parenthesized(first[head.end() :]) if head else None
        if head is None or keys is None or keys[0].strip():
            return None
        parts = sqltext.split(head.group("table"), ".")
        names = [sqltext.unquoted(part.strip()) for part in parts]
        if len(names) != 2 or None in names:
            return None
        if (names[0], names[1]) not in self.model.tables and (
            ("MATERIALIZED VIEW", str(names[0]), str(names[1])) not in self.by_key
        ):
            return None
        after = keys[2].strip()
        kwargs: dict[str, Node] = {} if names[0] == PUBLIC else {"schema": string(str(names[0]))}
        kwargs["unique"] = "True" if head.group(1) else "False"
        if head.group("method") != "btree":
            kwargs["postgresql_using"] = string(head.group("method"))
        include = re.match(r"INCLUDE ", after)
        if include:
            inner = sqltext.parenthesized(after)
            if inner is None or self.sqlalchemy < (1, 4):
                return None
            named = [sqltext.unquoted(one) for one in sqltext.split(inner[1])]
            kwargs["postgresql_include"] = pycode.strings([str(one) for one in named])
            after = inner[2].strip()
        options = re.match(r"WITH \(", after)
        if options:
            inner = sqltext.parenthesized(after)
            pairs = [one.split("=", 1) for one in sqltext.split(inner[1])] if inner else []
            if inner is None or any(len(pair) != 2 for pair in pairs):
                return None
            kwargs["postgresql_with"] = Items(
                [(string(name.strip()), string(value.strip().strip("'"))) for name, value in pairs], "{}"
            )
            after = inner[2].strip()
        if after.startswith("WHERE "):
            kwargs["postgresql_where"] = columns.expression(sqltext.bare(after[6:]))
            after = ""
        if after:
            return None
        fields: list[Node] = []
        for part in sqltext.split(keys[1]):
            column = sqltext.unquoted(part)
            text = sqltext.for_text(part)
            if column is None and text is None:
                return None
            fields.append(string(column) if column is not None else Call("sa.text", [string(text or "")]))
        name = sqltext.unquoted(head.group("name")) or head.group("name")
        call = Call("op.create_index", [Call("op.f", [string(name)]), string(str(names[1])), Items(fields)], kwargs)
        return pycode.render(call, 4) + _execute_all(rest, "DDL: marks of the index that operations do not have")

    def _rows_item(self, one: Rows, plan: Mapping[tuple[str, str], Sequence[str]]) -> Item:
        table = one.table
        picked = values.carried(table)
        key = ("ROWS", table.schema, table.name)
        needs: set[object] = {("table", table.schema, table.name)}
        inline = plan.get((table.schema, table.name), ())
        needs |= {
            ("rows", c.target_schema, c.target_table) for c in table.constraints if c.kind == "f" and c.name in inline
        }
        # Drivers and SQLAlchemy make parameters of columns' names, and do not agree on which characters they bear.
        odd = [column.name for column in picked if not re.fullmatch(r"\w[\w ]*", column.name)]
        if any(column.identity == "a" for column in picked) or not picked or odd:
            up = self._insert_statements(table, picked, one.rows, odd)
        else:
            kwargs: dict[str, Node] = {} if table.schema == PUBLIC else {"schema": string(table.schema)}
            fields = [Call("sa.column", [string(c.name), self.types.of_value(c)]) for c in picked]
            listed = Items([values.row(picked, row) for row in one.rows])
            # Exploded by hand: the formatters split a list of rows one row a line wherever it has two.
            up = [
                "    op.bulk_insert(",
                *pycode.render(Call("sa.table", [string(table.name), *fields], kwargs), 8, "", ","),
                "        [",
                *[line for node in listed.nodes for line in pycode.render(_node(node), 12, "", ",")],
                "        ],",
                "    )",
            ]
        return Item(key, "rows", frozenset({("rows", table.schema, table.name)}), frozenset(needs), tuple(up))

    def _insert_statements(
        self, table: Table, picked: Sequence[Column], rows: Sequence[tuple[object, ...]], odd: Sequence[str]
    ) -> list[str]:
        target = _name(table)
        if not picked:
            return _execute_all([f"INSERT INTO {target} DEFAULT VALUES"] * len(rows), "DDL: rows without columns")
        names = ", ".join(postgres.identifier(c.name) for c in picked)
        texts = []
        for row in rows:
            listed = ", ".join(_sql_literal(value, c) for value, c in zip(row, picked, strict=True))
            # Also right where no column is an identity.
            texts.append(f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE VALUES ({listed})")
        always = any(column.identity == "a" for column in picked)
        why = "the key is GENERATED ALWAYS, which bulk_insert cannot override" if always else (
            f"the column {odd[0]!r} has a name that not every driver takes as a parameter")  # fmt: skip
        return _execute_all(texts, f"DDL: {why}")

    def _wider_version(self, schema: str, name: str) -> Iterator[Item]:
        """Alembic makes its table before the first migration runs, with a column of 32 characters."""
        column = next((c for c in self.model.tables[(schema, name)].columns if c.name == "version_num"), None)
        if column is None or column.type == "character varying(32)":
            return
        kwargs: dict[str, Node] = {"type_": self.types.of(column)}
        if schema != PUBLIC:
            kwargs["schema"] = string(schema)
        up = pycode.render(Call("op.alter_column", [string(name), string("version_num")], kwargs), 4)
        yield Item(("TABLE", schema, name), "tables", frozenset(), frozenset(), tuple(up))

    def _database(self) -> Iterator[Item]:
        """Settings and comment of the database, whatever its name is."""
        for key, value in sorted(self.facts.items()):
            if key[0] == "DATABASE SETTING" and " " not in key[2]:
                name = ".".join(postgres.identifier(part) for part in key[2].split("."))
                setting = postgres.setting_value(key[2], value.partition("=")[2])
                up, down = f"SET {name} = {setting}", f"RESET {name}"
                words = ("ALTER DATABASE %I ", "DDL: Alembic has no operation for a database's settings")
            elif key[0] == "DATABASE COMMENT":
                up, down = f"IS {postgres.literal(value)}", "IS NULL"
                words = ("COMMENT ON DATABASE %I ", "DDL: Alembic has no operation for a database's comment")
            else:
                continue
            texts = [
                "DO $do$BEGIN EXECUTE format("
                + postgres.literal(words[0] + text.replace("%", "%%")) + ", current_database()); END$do$"
                for text in (up, down)
            ]  # fmt: skip
            yield Item(key, "everything else", frozenset(), frozenset(), tuple(_execute_all(texts[:1], words[1])),
                       tuple(_execute_all(texts[1:], "")))  # fmt: skip

    def _positions(self, ours: set[tuple[str, str]]) -> Iterator[Item]:
        for (schema, name), (last, called) in sorted(self.positions.items()):
            sequence = self.model.sequences.get((schema, name))
            if sequence is None or (last == sequence.start and not called):
                continue
            text = f"SELECT setval('{_regclass(schema, name)}', {last}, {str(called).lower()})"
            entry = self.by_key.get(("SEQUENCE", schema, name))
            needs: set[object] = {("rows", *key) for key in self.with_rows}
            needs |= {entry.dump_id} if entry else set()
            if sequence.owner:
                needs.add(("table", *sequence.owner[:2]))
            yield Item(("SEQUENCE SET", schema, name), "sequence positions", frozenset(), frozenset(needs),
                       tuple(_execute_all([text], "DDL: where the old migrations left the sequence")))  # fmt: skip

    def _refresh(self, schema: str, name: str) -> Item:
        entry = self.by_key[("MATERIALIZED VIEW", schema, name)]
        later = {
            e.dump_id
            for e in self.entries
            if entry.dump_id in e.depends_on and e.kind in ("INDEX", "MATERIALIZED VIEW")
        }
        needs: set[object] = {entry.dump_id, *later, *(("rows", *key) for key in self.with_rows)}
        text = f"REFRESH MATERIALIZED VIEW {postgres.identifier(name, schema)}"
        return Item(("REFRESH", schema, name), "views", frozenset({("fresh", schema, name)}), frozenset(needs),
                    tuple(_execute_all([text], "DDL: the old migrations had filled it")))  # fmt: skip


def _plural(word: str) -> str:
    return word if word.endswith("s") else f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _node(node: Node | tuple[str, Node]) -> Node:
    assert not isinstance(node, tuple)
    return node


def _of_version_table(entry: Entry, ours: set[tuple[str, str]]) -> bool:
    for schema, name in ours:
        # Comments and privileges on it are the migrations' own.
        made = entry.schema == schema and entry.kind in ("TABLE", "CONSTRAINT", "INDEX")
        if made and entry.tag.split(" ")[0] == name:
            return True
    return False


def _inline_foreign_keys(
    tables: Mapping[tuple[str, str], Table],
    with_rows: set[tuple[str, str]],
    native: Callable[[Table, Constraint], bool],
    has_key: Callable[[Table, Sequence[str]], bool],
) -> dict[tuple[str, str], list[str]]:
    """The foreign keys that stand in their table's create_table: all but those of circles, of rows that refer to rows
    of the same table, and of keys that come later themselves. Those come after all tables and rows.
    """
    result: dict[tuple[str, str], list[str]] = {key: [] for key in tables}
    made: set[tuple[str, str]] = set()
    left = sorted(tables)
    while left:

        def open_targets(key: tuple[str, str]) -> set[tuple[str, str]]:
            keys = {
                (c.target_schema, c.target_table)
                for c in tables[key].constraints
                if c.kind == "f" and native(tables[key], c)
            }
            return {target for target in keys if target in tables and target not in made and target != key}

        # Where all that is left hangs together in circles, the one with the fewest open ends begins.
        key = min(left, key=lambda k: (len(open_targets(k)), k))
        for constraint in tables[key].constraints:
            if constraint.kind != "f" or not native(tables[key], constraint):
                continue
            target = (constraint.target_schema, constraint.target_table)
            to_itself = target == key and key not in with_rows
            there = to_itself or (target in made and target in tables)
            if there and has_key(tables[target], constraint.target_columns):
                result[key].append(constraint.name)
        made.add(key)
        left.remove(key)
    return result


def _without_missing_needs(items: Sequence[Item]) -> list[Item]:
    """Needs that no item provides (an extension's members, the public schema) are no needs."""
    provided = {one for item in items for one in item.provides}
    return [
        replace(item, needs=(item.needs & provided) - item.provides) for item in items
    ]  # fmt: skip


def _with_early_drops(items: Sequence[Item]) -> list[Item]:
    """A rule, policy, trigger or constraint goes with its table, but stands in the way of what it needs beside that."""
    at = {one: number for number, item in enumerate(items) for one in item.provides}
    result = []
    for item in items:
        if item.early:
            places = {at[one] for one in item.needs if items[at[one]].down}
            relations = {n for n in places if items[n].key[0].endswith(("TABLE", "VIEW"))}
            named = {n for n in relations if item.key[2].startswith(f"{items[n].key[2]} ")}
            own = named or relations
            if len(own) != 1 or max(places) > max(own):
                item = replace(item, down=item.early)
        result.append(item)
    return result


def _ordered(items: Sequence[Item]) -> list[Item]:
    """By group, and in a group by need and then by name.

    An item that needs one of a later group (a function that returns a table's rows) moves down into that group, so that
    each group stands once.
    """
    maker = {one: item for item in items for one in item.provides}
    level: dict[Key, int] = {}

    def level_of(item: Item, on_the_way: frozenset[Key]) -> int:
        if item.key not in level:
            needed = [maker[one] for one in item.needs if maker[one].key not in on_the_way]
            below = [level_of(one, on_the_way | {item.key}) for one in needed]
            level[item.key] = max([GROUPS.index(item.group), *below])
        return level[item.key]

    left = sorted(items, key=lambda item: (level_of(item, frozenset()), item.rank))
    provided: set[object] = set()
    done: list[Item] = []
    while left:
        # pg_dump has broken every circle that the server knows; ours can only be between rows.
        free = next((item for item in left if item.needs <= provided), left[0])
        left.remove(free)
        provided |= free.provides
        done.append(replace(free, group=GROUPS[level[free.key]]))
    return done


def _default_options(sequence: PgSequence, type_: str) -> bool:
    lowest, highest = _bounds(sequence)
    return (
        sequence.type == type_ and sequence.start == 1 and sequence.increment == 1 and sequence.minimum == lowest
        and sequence.maximum == highest and sequence.cache == 1 and not sequence.cycle
    )  # fmt: skip


def _bounds(sequence: PgSequence) -> tuple[int, int]:
    bits = {"smallint": 15, "integer": 31, "bigint": 63}[sequence.type]
    return (1, 2**bits - 1) if sequence.increment > 0 else (-(2**bits), -1)


def _regclass(schema: str, name: str) -> str:
    """A name as regclass prints it: quoted only where it must be; doubled quotes, since it stands in a string."""
    words = [w if re.fullmatch(r"[a-z_][a-z0-9_]*", w) else postgres.identifier(w) for w in (schema, name)]
    return ".".join(words).replace("'", "''")


def _name(table: Table) -> str:
    return postgres.identifier(table.name, table.schema)


def _dotted(constraint: Constraint, column: str) -> str:
    schema = "" if constraint.target_schema == PUBLIC else f"{constraint.target_schema}."
    return f"{schema}{constraint.target_table}.{column}"


def _timing(constraint: Constraint) -> dict[str, Node]:
    """When a deferrable constraint is checked."""
    found: dict[str, Node] = {"deferrable": "True"} if constraint.deferrable else {}
    return {**found, "initially": string("DEFERRED")} if constraint.deferred else found


def _actions(constraint: Constraint) -> dict[str, Node]:
    found: dict[str, Node] = {}
    if on_update := ACTIONS[constraint.on_update]:
        found["onupdate"] = string(on_update)
    if on_delete := ACTIONS[constraint.on_delete]:
        found["ondelete"] = string(on_delete)
    found |= _timing(constraint)
    if constraint.match == "f":
        found["match"] = string("FULL")
    return found


def _condition(sql: str) -> Node:
    """An expression for a CheckConstraint or Computed, which take a plain string where it is one to sa.text as well."""
    text = sqltext.bare(sql)
    plain = sqltext.for_text(text)
    return columns.expression(text) if plain is None else string(plain)


def _sql_literal(value: object, column: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f"{postgres.literal(str(value))}::{column.type}"


def _revoked(grant: str) -> str:
    """The statement that takes a default privilege back, or gives back what one took."""
    if " REVOKE " in grant:
        return grant.replace(" REVOKE ", " GRANT ").replace(" FROM ", " TO ")
    return grant.replace(" WITH GRANT OPTION", "").replace(" GRANT ", " REVOKE ").replace(" TO ", " FROM ")


def _execute_all(texts: Sequence[str], reason: str) -> list[str]:
    """One op.execute for each statement, below a comment that says why it is one."""
    lines = [f"    # {reason}"] if reason and texts else []
    for text in texts:
        if not text.strip():
            continue
        plain = sqltext.for_text(text)
        if plain is not None and plain == text:
            lines += pycode.render(Call("op.execute", [pycode.block(text)]), 4)
        else:
            # A colon would be a parameter to text(); sa.DDL takes the statement as it is, but for percent signs.
            inner = Call("sa.DDL", [pycode.block(text.replace("%", "%%"))])
            lines += pycode.render(Call("op.execute", [inner]), 4)
    return lines
