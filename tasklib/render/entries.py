"""Everything that has no room of its own: the server's DDL, and how to take it away again."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from tasklib.judge import database_properties
from tasklib.judge.tables import Definition
from tasklib.postgres import client, sqltext
from tasklib.postgres.archive import Entry, Key
from tasklib.render import constraints, partitions, privileges, pycode, sequences
from tasklib.render.execute import execute_all
from tasklib.render.items import KIND_GROUP, LAST, PUBLIC, Item
from tasklib.render.pycode import Call, Node, string
from tasklib.render.source import Source, completes_a_view

# Gone with the table, view or schema that they belong to.
NO_DROP = {
    "DEFAULT", "SEQUENCE OWNED BY", "TABLE ATTACH", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "INDEX ATTACH",
    "TRIGGER", "RULE", "STATISTICS", "POLICY", "ROW SECURITY", "ACL", "COMMENT",
}  # fmt: skip
COMPRESSION = re.compile(
    r'ALTER FOREIGN TABLE ONLY .+ ALTER COLUMN (?P<column>"(?:[^"]|"")+"|\w+) SET COMPRESSION (?P<method>\w+)',
    re.DOTALL,  # names may have line breaks
)
VALIDATOR = re.compile(
    r"(?P<create>CREATE FOREIGN DATA WRAPPER (?P<name>\"(?:[^\"]|\"\")+\"|\w+)(?: HANDLER \S+)?) "
    r"(?P<validator>VALIDATOR [^\s;]+)"
)
# Gone with their table, and in the way of what else they need.
EARLY = {"RULE", "POLICY", "TRIGGER", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "DEFAULT", "STATISTICS"}
# Kinds with expressions in them that the server prints, and may not read back as they were.
PRINTED = ("CHECK CONSTRAINT", "DEFAULT", "DOMAIN", "POLICY", "RULE", "STATISTICS", "TABLE", "TRIGGER")
SESSION = "SETTING OF THE SESSION"
# Why an object is in op.execute. All other kinds: Alembic has no operation for them.
REASONS = {
    "TABLE": "DDL: operations cannot say this table exactly",
    "INDEX": "DDL: operations cannot say this index exactly",
    "CONSTRAINT": "DDL: operations cannot say this constraint exactly",
    "FK CONSTRAINT": "DDL: operations cannot say this foreign key exactly",
    "DEFAULT": "DDL: a default that needs what comes after its table",
    "SEQUENCE": "DDL: this sequence does not come with a SERIAL column",
    "SEQUENCE OWNED BY": "DDL: Alembic has no operation for a sequence's owner",
    "OWNER": "DDL: Alembic has no operation for owners",
    "ACL": "DDL: Alembic has no operation for privileges",
    "DEFAULT ACL": "DDL: Alembic has no operation for privileges",
    "ROW SECURITY": "DDL: Alembic has no operation for row security",
    "TABLE ATTACH": "DDL: Alembic has no operation for partitions",
    "INDEX ATTACH": "DDL: Alembic has no operation for partitions",
    "CHECK CONSTRAINT": "DDL: operations cannot say this check exactly",
}


def item(source: Source, entry: Entry) -> Item:
    """An item for any entry: an index or enum in the field's words, else the server's DDL."""
    group = KIND_GROUP.get(entry.kind, LAST)
    needs: set[object] = set(entry.depends_on)
    provides: set[object] = {entry.dump_id}
    up: list[str] | None = None
    if entry.kind == "TABLE":
        provides.add(("table", entry.schema, entry.tag))
    sequence = source.model.sequences.get((entry.schema, entry.tag)) if entry.kind.startswith("SEQUENCE") else None
    if sequence is not None and sequence.owner is not None:
        table = source.by_key.get(("TABLE", *sequence.owner[:2]))
        if entry.kind == "SEQUENCE OWNED BY" or sequence.identity:
            needs.add(("table", *sequence.owner[:2]))
        elif table is not None:
            # The dump puts the table first and its default last; here the default stands in the table.
            needs.discard(table.dump_id)
    if entry.kind == "INDEX":
        up = partitions.create_index(source, entry)
        parts, wholes = partitions.order(source, entry)
        needs = (needs | parts if up is not None else needs) - wholes
    if entry.kind == "TYPE" and (entry.schema, entry.tag) in source.model.enums:
        up = _enum(source, entry)
    if entry.kind == "DOMAIN" and re.search(r"DEFAULT|CHECK", entry.ddl):
        # Its expressions may use a cast of the history's own, which no dump says.
        needs |= {one.dump_id for one in source.entries if one.kind == "CAST" and entry not in source.below(one)}
    if entry.kind == "USER MAPPING":
        # The dump names no dependency of it, and relies on its own order.
        needs |= {other.dump_id for other in source.entries if other.kind == "SERVER"}
    if entry.kind == "TRIGGER" or entry.kind == "RULE":
        # Rows must not set off what was not there when they came to be.
        needs |= {("rows", *key) for key in source.with_rows}
    if entry.kind in ("FK CONSTRAINT", "CONSTRAINT", "CHECK CONSTRAINT"):
        needs |= {("rows", *key) for key in source.with_rows}
    if up is None:
        up = _execute(source, entry, *_ddl(source, entry))
    down = _down(source, entry) if up else []
    # The index of a whole goes with its table: a key of a part may be one of its parts.
    drops = entry.kind in EARLY and up and entry.dump_id not in source.wholes
    early = sqltext.statements(entry.drop) if drops else []
    index = source.model.indexes.get((entry.schema, entry.tag), Definition()) if entry.kind == "INDEX" else Definition()
    return Item(
        *(entry.key, group, frozenset(provides), frozenset(needs), tuple(up), tuple(down)),
        index.of,
        tuple(_execute(source, entry, early)),
        unchecked=group == "functions",
    )


def _execute(source: Source, entry: Entry, texts: Sequence[str], reason: str = "") -> list[str]:
    return execute_all([source.plain(entry.key, text.rstrip().rstrip(";")) for text in texts], reason)


def pathless(key: Key) -> Key:
    """The mark of an object whose DDL must be read as the server prints it, with an empty search path: a function of
    the same name there may fit better than the built-in one that is meant.
    """
    kind, schema, name = key
    return ("WITHOUT A PATH", schema, f"{kind} {name}")


def _without_a_path(text: str) -> str:
    """A statement that is run with an empty search path; afterwards the path is what it was, whoever had set it."""
    tag = next(tag for n in itertools.count() if (tag := f"$ddl{n or ''}$") not in text)
    return (
        f"DO $path$\nDECLARE path text := current_setting('search_path');\nBEGIN\n    SET LOCAL search_path = '';\n"
        f"    EXECUTE {tag}{text}{tag};\n    PERFORM set_config('search_path', path, true);\nEND\n$path$"
    )


def _ddl(source: Source, entry: Entry) -> tuple[list[str], str]:
    """The server's own statements as people would rather read them, and why they are no operation."""
    reason = REASONS.get(entry.kind, f"DDL: Alembic has no operation for {_plural(entry.kind.lower())}")
    if completes_a_view(entry):
        reason = "DDL: the view once more, now that what it needs is there"
    is_function = entry.kind in ("FUNCTION", "PROCEDURE")
    texts = [entry.ddl] if is_function else sqltext.statements(entry.ddl)
    if is_function and next(iter(sqltext.tokens(entry.tag))) in source.extensions.functions:
        texts[0] = texts[0].replace("CREATE ", "CREATE OR REPLACE ", 1)
    if entry.kind == "SCHEMA" and entry.tag in source.extensions.schemas:
        texts[0] = texts[0].replace("CREATE SCHEMA ", "CREATE SCHEMA IF NOT EXISTS ", 1)
    if entry.kind == "SEQUENCE":
        sequence = source.model.sequences.get((entry.schema, entry.tag))
        short = sequences.create(source, sequence, entry.ddl.strip()) if sequence else None
        texts = [short] if short else texts
        if ("TYPE OF AN IDENTITY", entry.schema, entry.tag) in source.facts and sequence:
            quoted = f"{source.model.quoted(entry.schema)}.{source.model.quoted(entry.tag)}"
            # With its bounds, which would go with the type.
            bounds = f"MINVALUE {sequence.minimum} MAXVALUE {sequence.maximum}"
            texts.append(f"ALTER SEQUENCE {quoted} AS {sequence.type} {bounds}")
    if entry.kind == "PROCEDURAL LANGUAGE" and "HANDLER" not in entry.ddl and entry.tag in source.model.languages:
        # Without one it would be an extension's.
        texts[0] = source.model.languages[entry.tag]
    if entry.kind == "FOREIGN TABLE":
        texts = _with_compression(texts)
    if entry.kind == "FOREIGN DATA WRAPPER" and VALIDATOR.match(entry.ddl):
        texts[0] = VALIDATOR.sub(r"\g<create>", texts[0])
    # A table that no operation makes has its checks in it.
    table = source.model.tables.get((entry.schema, entry.tag)) if entry.kind == "TABLE" else None
    names = [one.name for one in table.constraints if one.kind == "c"] if table is not None else []
    raw = any(constraints.is_as_printed(source, entry.schema, entry.tag, name) for name in names)
    if pathless(entry.key) in source.ddl:
        return [
            _without_a_path(text.rstrip().rstrip(";")) for text in texts
        ], "DDL: with the path that it is printed for"
    if raw or entry.key in source.ddl:
        return texts, reason
    # A body in quotes is as somebody typed it.
    if not re.search(r"\n    AS ", entry.ddl) if is_function else entry.kind in PRINTED:
        texts = [sqltext.as_typed(text, readable=entry.kind != "TABLE") for text in texts]
    if entry.kind.endswith("VIEW"):
        texts = [source.model.views.get((entry.schema, entry.tag), Definition()).prettier(text) for text in texts]
    return texts, reason


def _with_compression(texts: Sequence[str]) -> list[str]:
    """The statements for a foreign table, whose columns can be given a compression only where they are made; pg_dump
    writes it as a change, which PostgreSQL refuses.
    """
    create, *others = texts
    left = []
    for text in others:
        found = COMPRESSION.fullmatch(text.strip().rstrip(";"))
        if found is None:
            left.append(text)
            continue
        ends = r"$|,$| OPTIONS \(| COLLATE | DEFAULT | NOT NULL| GENERATED "
        column = rf"(?m)^(    {re.escape(found.group('column'))} .+?)(?={ends})"
        said = f" COMPRESSION {found.group('method')}"
        create = re.sub(column, lambda match, said=said: match.group(1) + said, create, count=1)  # type: ignore[misc]
    return [create, *left]


def _down(source: Source, entry: Entry) -> list[str]:
    """What takes an object away again, or gives back what it took."""
    if entry.tag == f"SCHEMA {PUBLIC}" and entry.kind == "COMMENT":
        # The schema stays, with the comment that PostgreSQL gives it.
        return execute_all([f"COMMENT ON SCHEMA {PUBLIC} IS 'standard public schema'"], "")
    if entry.kind == "COMMENT" and _of_a_schema_that_stays(source, entry):
        return execute_all([f"COMMENT ON SCHEMA {source.model.quoted(entry.tag.removeprefix('SCHEMA '))} IS NULL"], "")
    if entry.kind == "DEFAULT ACL" or (entry.kind == "ACL" and privileges.are_on_what_stays(source, entry)):
        return _execute(source, entry, privileges.taken_back(sqltext.statements(entry.ddl)))
    if entry.kind == "TABLE":
        return source.drop_table(entry.schema, entry.tag)
    if entry.drop and entry.kind not in NO_DROP and not _goes_with_another(source, entry):
        return _execute(source, entry, sqltext.statements(_dropped(source, entry)))
    return []


def validator(source: Source, entry: Entry) -> Iterator[Item]:
    """The validator of a foreign data wrapper, after all options that may be older and that it might not take."""
    found = VALIDATOR.match(entry.ddl)
    if found is not None:
        kinds = ("SERVER", "USER MAPPING", "FOREIGN TABLE")
        needs = {one.dump_id for one in source.entries if one.kind in kinds} | {entry.dump_id}
        text = source.plain(entry.key, f"ALTER FOREIGN DATA WRAPPER {found.group('name')} {found.group('validator')}")
        up = execute_all([text], "DDL: after the options that are older than it")
        yield Item(("VALIDATOR", "", entry.tag), LAST, frozenset(), frozenset(needs), tuple(up))


def _of_a_schema_that_stays(source: Source, entry: Entry) -> bool:
    return entry.tag.startswith("SCHEMA ") and ("SCHEMA", "", entry.tag.removeprefix("SCHEMA ")) in source.laid


def _goes_with_another(source: Source, entry: Entry) -> bool:
    return _goes_with_table(source, entry) or _goes_with_type(source, entry)


def _goes_with_type(source: Source, entry: Entry) -> bool:
    """Whether a function is dropped with the base or range type that it is for, as DROP TYPE … CASCADE does."""
    needed = (source.by_id[one].kind for one in entry.depends_on if one in source.by_id)
    return entry.kind == "FUNCTION" and "SHELL TYPE" in needed


def _dropped(source: Source, entry: Entry) -> str:
    """The statement that drops an object. Of a range type the dump leaves out that its own functions need it."""
    if entry.kind == "TYPE" and ("SHELL TYPE", entry.schema, entry.tag) in source.by_key:
        return f"{entry.drop.strip().removesuffix(';').removesuffix(' CASCADE')} CASCADE"
    return entry.drop


def _goes_with_table(source: Source, entry: Entry) -> bool:
    if entry.kind == "SEQUENCE":
        sequence = source.model.sequences.get((entry.schema, entry.tag))
        return sequence is not None and sequence.owner is not None
    return False


def _enum(source: Source, entry: Entry) -> list[str]:
    schema, name = entry.schema, entry.tag
    labels = source.model.enums[(schema, name)]
    listed = ", ".join(client.literal(label) for label in labels)
    # pg_dump knows which names are words of SQL and quotes them.
    shown = entry.ddl.strip().removeprefix("CREATE TYPE ").split(" AS ENUM")[0]
    create = source.plain(entry.key, f"CREATE TYPE {shown} AS ENUM ({listed})")
    lines = execute_all([create], "DDL: made once, whichever tables use it")
    variable = source.enum_names[(schema, name)]
    if variable not in source.used:
        return lines
    source.used.add("postgresql")
    kwargs: dict[str, Node] = {"name": string(name), **source.within(schema, name)}
    # Its labels are needed by nobody: the type is there.
    return lines + pycode.render(Call("postgresql.ENUM", [], {**kwargs, "create_type": "False"}), 4, f"{variable} = ")


def refresh(source: Source, schema: str, name: str) -> Item:
    """What fills a materialized view: after all that it reads is as it will be, views that the dump completes later
    (for a circle with a key) and other materialized views too.
    """
    entry = source.by_key[("MATERIALIZED VIEW", schema, name)]
    needs: set[object] = {entry.dump_id, *(("rows", *key) for key in source.with_rows)}
    needs |= {one.dump_id for one in source.entries if one.dump_id in entry.depends_on or completes_a_view(one)}
    needs |= {one.dump_id for one in source.entries if entry.dump_id in one.depends_on and one.kind == "INDEX"}
    populated = {("MATERIALIZED VIEW", *key) for key in source.populated}
    needs |= {("fresh", *one.key[1:]) for one in source.below(entry) if one.key in populated}
    quoted = f"{source.model.quoted(schema)}.{source.model.quoted(name)}"
    text = source.plain(entry.key, f"REFRESH MATERIALIZED VIEW {quoted}")
    return Item(("REFRESH", schema, name), "views", frozenset({("fresh", schema, name)}), frozenset(needs),
                tuple(execute_all([text], "DDL: the old migrations had filled it")))  # fmt: skip


def _plural(word: str) -> str:
    return word if word.endswith("s") else f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def of_the_database(source: Source) -> Iterator[Item]:
    """What belongs to the database, whatever its name is."""
    for change in database_properties.changes(source.facts, source.migrator):
        provides: set[object] = set()
        needs: set[object] = set()
        if change.key[0] == "DATABASE PRIVILEGE":
            who, privilege, by = database_properties.granted(change.key[2])
            needs = {("handed on", by, privilege)}
            provides = {("handed on", who, privilege)} if database_properties.HANDS_ON in change.up else set()
        yield Item(change.key, LAST, frozenset(provides), frozenset(needs),
                   tuple(execute_all([change.up], change.reason)), tuple(execute_all([change.down], "")))  # fmt: skip


def session(source: Source) -> Iterator[Item]:
    """What the session has when all is done, as the old migrations left it to those that came after them."""
    for (kind, _, name), value in sorted(source.facts.items()):
        if kind == SESSION:
            text = f"SELECT pg_catalog.set_config({client.literal(name)}, {client.literal(value)}, false)"
            up = execute_all([text], "DDL: as the old migrations leave it to those that follow in one run")
            yield Item((kind, "", name), "session", frozenset(), frozenset(), tuple(up))


def owner_of_public(source: Source) -> Iterator[Item]:
    """Every database comes with the schema public, so that the dump does not make it and says nothing of its owner."""
    owned = re.fullmatch(r"of (.+) instead of (.+)", source.facts.get(("SCHEMA OF EVERY DATABASE", "", PUBLIC), ""))
    if owned is not None:
        up, down = (execute_all([f"ALTER SCHEMA {PUBLIC} OWNER TO {who}"], reason)
                    for who, reason in zip(owned.groups(), (REASONS["OWNER"], ""), strict=True))  # fmt: skip
        yield Item(("OWNER", "", f"SCHEMA {PUBLIC}"), "owners", frozenset(), frozenset(), tuple(up), tuple(down))


def shell_operators(source: Source) -> Iterator[Item]:
    """Operators that others only name: they come with these, and are in the way when what they are for is dropped."""
    operators = frozenset[object](entry.dump_id for entry in source.entries if entry.kind == "OPERATOR")
    for kind, schema, name in source.facts:
        if kind == "SHELL OPERATOR":
            down = [f"DROP OPERATOR {source.model.quoted(schema)}.{name}"]
            yield Item((kind, schema, name), LAST, frozenset(), operators, (), tuple(execute_all(down, "")))


def wider_version(source: Source, schema: str, name: str) -> Iterator[Item]:
    """Alembic makes its table before the first migration runs, with a column of 32 characters."""
    column = next((c for c in source.model.tables[(schema, name)].columns if c.name == "version_num"), None)
    if column is None or column.type == "character varying(32)" or ("TABLE", schema, name) in source.laid:
        return
    kwargs: dict[str, Node] = {"type_": source.types.of(column)}
    kwargs |= source.within(schema, name)
    up = pycode.render(Call("op.alter_column", [string(name), string("version_num")], kwargs), 4)
    yield Item(("TABLE", schema, name), "tables", frozenset(), frozenset(), tuple(up))
