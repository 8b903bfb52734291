"""Tables that operations can make, with all that stands in their create_table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasklib.judge.tables import Column, Table
from tasklib.postgres import sqltext
from tasklib.postgres.archive import Entry, Key
from tasklib.render import columns, constraints, foreign_keys, pycode, sequences
from tasklib.render.execute import execute_all
from tasklib.render.items import PUBLIC, Item
from tasklib.render.pycode import Call, Node, string
from tasklib.render.source import Source

OPTIONS = "DDL: options of the table that operations do not have"


def item(source: Source, table: Table, inline: Sequence[str]) -> tuple[Item, set[int]]:
    """The item of a table that operations can make, and the dump ids of all entries that it covers.

    ``inline`` names the foreign keys that stand in it.
    """
    entry = source.by_key[("TABLE", table.schema, table.name)]
    own = source.defaults_and_constraints.get((table.schema, table.name), [])
    serial = sequences.serial_column(source, table)
    absorbed, needs = {entry.dump_id}, set[object](entry.depends_on)
    later: set[str] = set()  # columns whose defaults need the table
    for name, other in own:
        if other.kind == "DEFAULT":
            if _comes_later(source, other, entry):
                later.add(name)
                continue
            absorbed.add(other.dump_id)
            needs |= set(other.depends_on)
    of_columns: list[Key] = []
    if serial is not None:
        of_columns += [(kind, table.schema, serial[1].name) for kind in ("SEQUENCE", "SEQUENCE OWNED BY")]
    comments = _comments(source, table)
    absorbed |= set(comments.values())
    args: list[Node] = [string(table.name)]
    for column in (replace(c, default=None) if c.name in later else c for c in table.columns):
        # Where it is none that sa.Identity says, the dump's own entry for it stands: ALTER TABLE … ADD GENERATED.
        identity = sequences.identity(source, table, column)
        if identity is not None and (sequence := sequences.owned_by(source, table, column)) is not None:
            of_columns.append(("SEQUENCE", sequence.schema, sequence.name))
        is_serial = serial is not None and serial[0].name == column.name
        primary = constraints.primary_key(source, table)
        refers = any(column.name in c.columns for c in table.constraints if c.kind == "f" and c.name in inline)
        args.append(_column(source, column, primary, is_serial, identity, column.name in comments, refers))
    absorbed |= {source.by_key[key].dump_id for key in of_columns if key in source.by_key}
    marks: list[str] = []
    for constraint in sorted(table.constraints, key=lambda c: ("pucf".find(c.kind), c.name)):
        node = constraints.inline(source, table, constraint) or foreign_keys.inline(table, constraint, inline)
        if node is None:
            continue
        args.append(node)
        if constraint.kind == "f":
            needs.add(("table", constraint.target_schema, constraint.target_table))
        for name, one in own:
            if name == constraint.name and one.kind != "DEFAULT":
                absorbed.add(one.dump_id)
                # A replica identity or CLUSTER mark comes after the constraint in its entry.
                marks += execute_all([source.plain(one.key, text) for text in sqltext.statements(one.ddl)[1:]], "")
    kwargs = source.within(table.schema, table.name)
    how: dict[str, Node] = {"prefixes": pycode.strings(["UNLOGGED"])} if table.unlogged else {}
    if table.partition_by is not None:
        how["postgresql_partition_by"] = string(table.partition_by)
    about = {"comment": string(table.comment)} if "" in comments and table.comment is not None else {}
    up = pycode.render(Call("op.create_table", args, {**kwargs, **how, **about}), 4)
    up += _after(source, table)
    options = [source.plain(entry.key, text) for text in sqltext.statements(entry.ddl)[1:]]
    if (table.schema, table.name) not in source.with_rows:
        up += execute_all(options, OPTIONS)
    up += marks
    down = source.drop_table(table.schema, table.name)
    provides = frozenset({*absorbed, ("table", table.schema, table.name)})
    return Item(entry.key, "tables", provides, frozenset(needs - absorbed), tuple(up), tuple(down)), absorbed


def _comes_later(source: Source, default: Entry, table: Entry) -> bool:
    """Whether a default calls what needs its table."""
    called = (source.by_id[one] for one in default.depends_on if one in source.by_id)
    return any(one.kind == "FUNCTION" and table in source.below(one) for one in called)


def options(source: Source, table: Table) -> Iterator[Item]:
    """Options of a table with rows, which may be older and not fit into them."""
    key = (table.schema, table.name)
    entry = source.by_key[("TABLE", table.schema, table.name)]
    texts = [source.plain(entry.key, text) for text in sqltext.statements(entry.ddl)[1:]]
    if texts and key in source.with_rows:
        yield Item(("TABLE OPTIONS", *key), "constraints", frozenset(), frozenset({("rows", *key), entry.dump_id}),
                   tuple(execute_all(texts, OPTIONS)))  # fmt: skip


def _comments(source: Source, table: Table) -> dict[str, int]:
    """Which of a table's comments create_table says: column (the table's own: "") → the dump id of its entry."""
    of_table = source.comments.get((table.schema, table.name), [])
    return {column: entry.dump_id for column, entry in of_table if entry.key not in source.ddl}


def _after(source: Source, table: Table) -> list[str]:
    """What must follow create_table at once: names of NOT NULL constraints, and checks that operations cannot say."""
    lines: list[str] = []
    for constraint in table.constraints:
        made = f"{table.name}_{constraint.columns[0]}_not_null" if constraint.kind == "n" else ""
        if made and constraint.name != made:
            old, new = source.model.quoted(made), source.model.quoted(constraint.name)
            ddl = f"ALTER TABLE {table.shown} RENAME CONSTRAINT {old} TO {new}"
            lines += execute_all([ddl], "DDL: this NOT NULL kept its name when its table or column was renamed")
    for check in table.constraints:
        if check.kind == "c" and check.validated and constraints.inline(source, table, check) is None:
            ddl = f"ALTER TABLE {table.shown} ADD CONSTRAINT {source.model.quoted(check.name)} {check.definition}"
            lines += execute_all([ddl], "DDL: operations cannot say this check exactly")
    return lines


def _column(
    source: Source, column: Column, key: Sequence[str], is_serial: bool, identity: Node | None,
    with_comment: bool, refers: bool,
) -> Node:  # fmt: skip
    args: list[Node] = [string(column.name), _type(source, column)]
    kwargs: dict[str, Node] = {}
    if column.generated and column.default is not None:
        args.append(Call("sa.Computed", [constraints.condition(column.default)], {"persisted": "True"}))
    elif identity is not None:
        args.append(identity)
    elif column.default is not None and not is_serial:
        kwargs["server_default"] = columns.server_default(column.default, column)
    # SQLAlchemy makes a lone integer key without a default a SERIAL, unless told otherwise.
    alone = list(key) == [column.name] and column.type in columns.INTEGERS and column.default is None
    if alone and not is_serial and identity is None:
        kwargs["autoincrement"] = "False"
    # And no SERIAL of one that refers to another column.
    if is_serial and refers:
        kwargs["autoincrement"] = "True"
    kwargs["nullable"] = str(column.nullable)
    if with_comment and column.comment is not None:
        kwargs["comment"] = string(column.comment)
    return Call("sa.Column", args, kwargs)


def _type(source: Source, column: Column) -> Node:
    node = source.types.of(column)
    if column.collation is None:
        return node
    schema, name = sqltext.split(column.collation, ".")
    collation = {"collation": string(sqltext.unquoted(name) or name)}
    # SQLAlchemy takes a collation's name for one word.
    if (
        schema in ("pg_catalog", PUBLIC)
        and isinstance(node, str)
        and node.startswith(("sa.String(", "sa.Text(", "sa.CHAR("))
    ):
        kind, inner = node[:-1].split("(", 1)
        return Call(kind, [inner] if inner else [], collation)
    source.used.add("DatabaseType")
    return Call("DatabaseType", [string(f"{column.type} COLLATE {column.collation}")])
