"""Types of columns, values, defaults and conditions for what is there."""

from __future__ import annotations

from tasklib.postgres import client
from tests.random import words
from tests.random.world import World


def types_made(w: World) -> list[str]:
    """Types that the history made."""
    return w.named("pg_type", "typ", "o.typtype IN ('b', 'c', 'd', 'e', 'r', 'm') AND o.typisdefined"
                   " AND o.typelem = 0 AND o.typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind <> 'c')")  # fmt: skip


def type_(w: World) -> str:
    """Any type."""
    kind = w.number(1, 6)
    if kind == 1 and (made := types_made(w)):
        if w.chance(8) and (rows := w.relations("rv")):
            made = rows
        return w.one(made) + w.maybe("[]", 5)
    if kind == 2 and (there := of_extensions(w)):
        return w.one(there)
    return w.one(words.COMMON if kind < 5 else words.TYPES)


def of_extensions(w: World) -> list[str]:
    """Types of extensions that are there."""
    return w.texts("SELECT format_type(oid, NULL) FROM pg_type WHERE typname IN ('hstore', 'citext', 'ltree')")


def collations(w: World) -> list[str]:
    return ['"C"', '"POSIX"', '"en-x-icu"', *w.named("pg_collation", "coll")]


def column_type(w: World) -> str:
    """A type for a new column, with a collation at times."""
    text = type_(w)
    if text.startswith(("text", "character varying")) and w.chance(5):
        return f"{text} COLLATE {w.one(collations(w))}"
    return text


def value(w: World, type_: str, depth: int = 0) -> str:
    """A value of a type, NULL where none is known."""
    base = str(w.connection.value(
        "SELECT coalesce((WITH RECURSIVE up AS (SELECT to_regtype(%s)::oid AS oid UNION ALL"
        " SELECT t.typbasetype FROM up JOIN pg_type t ON t.oid = up.oid WHERE t.typtype = 'd')"
        " SELECT format_type(min(up.oid::bigint)::oid, NULL) FROM up JOIN pg_type t ON t.oid = up.oid"
        " WHERE t.typtype <> 'd'), %s)", [type_, type_]))  # fmt: skip
    fitting = words.VALUES.get(type_) or words.VALUES.get(base) or words.VALUES.get(base.split(".")[-1].strip('"'))
    if fitting:
        return w.one(fitting)
    parts = w.connection.rows(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute JOIN pg_type t ON typrelid = attrelid WHERE attnum > 0"
        " AND NOT attisdropped AND t.oid = to_regtype(%s) ORDER BY attnum", [base])  # fmt: skip
    if parts and depth < 2:
        return f"ROW({', '.join(value(w, str(part[0]), depth + 1) for part in parts)})::{base}"
    labels = w.texts(f"SELECT quote_literal(enumlabel) FROM pg_enum WHERE enumtypid = {client.literal(base)}::regtype")
    if labels:
        return w.one(labels)
    return w.one(("NULL", "'{}'", "'(,)'", "'(1,2)'", "'[1,2)'", "'a'", "1"))


def default(w: World, type_: str) -> str:
    """An expression for a default."""
    choice = w.number(1, 5)
    if choice == 1 and type_ in ("integer", "bigint", "smallint") and (found := sequences(w)):
        return f"nextval({client.literal(w.one(found))})"
    if choice == 2 and (calls := functions(w, type_)):
        return w.one(calls)
    if choice <= 3 and type_ in words.EXPRESSIONS:
        return w.one(words.EXPRESSIONS[type_])
    return value(w, type_)


def sequences(w: World) -> list[str]:
    """Sequences that a default may name."""
    if w.known("a serial's sequence in another default"):
        return w.named("pg_class", "rel", "o.relkind = 'S' AND NOT EXISTS (SELECT 1 FROM pg_depend d"
                       " WHERE d.objid = o.oid AND d.deptype = 'a')")  # fmt: skip
    return w.relations("S")


def functions(w: World, type_: str) -> list[str]:
    """Calls of the history's own functions that give this type."""
    found = w.connection.rows(
        "SELECT format('%%I.%%I(%%s)', n.nspname, o.proname, (SELECT string_agg('NULL::' || format_type(a, NULL), ', ')"
        " FROM unnest(o.proargtypes) a)) FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace"
        " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND o.prokind = 'f' AND NOT o.proretset"
        " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')"
        " AND o.prorettype = %s::regtype", [type_])  # fmt: skip
    return sorted(str(row[0]) for row in found)


def predicates(w: World, name: str, type_: str) -> list[str]:
    """Calls of the history's own functions that say yes or no to a value of this type."""
    found = w.connection.rows(
        "SELECT format('%%I.%%I(%%s)', n.nspname, o.proname, %s) FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace"
        " WHERE n.nspname !~ '^pg_|^information_schema$' AND o.prokind = 'f' AND o.pronargs = 1 AND NOT o.proretset"
        " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')"
        " AND o.prorettype = 'boolean'::regtype AND o.proargtypes[0] = to_regtype(%s)", [name, type_])  # fmt: skip
    return sorted(str(row[0]) for row in found)


def condition(w: World, relation: str) -> str:
    """A condition on a row."""
    name, type_ = w.one(w.columns(relation))
    return condition_on(w, name, type_)


def condition_on(w: World, name: str, type_: str) -> str:
    """A condition on a column."""
    choice = w.number(1, 7)
    if choice == 7 and (calls := predicates(w, name, type_)):
        return w.one(calls)
    if choice == 1:
        return f"{name} IS NOT NULL"
    if choice == 2:
        return f"{name} IS NULL OR {name} IS NOT NULL"
    if type_ in ("integer", "bigint", "smallint", "numeric", "numeric(10,2)", "real", "double precision"):
        wide = [f"{name} > -5", f"{name} BETWEEN -9 AND 1e9", f"NOT ({name} = 17)", f"{name} <> ALL (ARRAY[3, 4])",
                f"CASE WHEN {name} > 0 THEN true ELSE {name} IS DISTINCT FROM -77 END", f"abs({name}) >= 0"]  # fmt: skip
        if not w.known("CHECK … IN"):
            wide += [f"{name} NOT IN (91, 92)", f"{name} IN (0, 1, -1, 7)"]
        return w.one(wide)
    if type_.startswith(("text", "character")):
        texts = [f"{name} <> 'zz%'", f"length({name}) < 1000", f"{name} NOT LIKE 'q%'", f"{name} ~ '^.*$' OR true",
                 f"lower({name}) <> 'a:b'", f"{name} = ANY (ARRAY['a', 'b']) OR true", f"char_length({name}) >= 0"]  # fmt: skip
        if not w.known("CHECK … IN"):
            texts += [f"{name} IN ('a', '', 'it''s')", f"{name} NOT IN ('x', 'y')"]
        return w.one(texts)
    if type_ == "boolean":
        return w.one((name, f"NOT {name}", f"{name} IS NOT UNKNOWN", f"{name} = true"))
    if type_.startswith(("date", "timestamp")):
        return w.one((f"{name} > '1900-01-01'", f"{name} < 'infinity' OR true", f"{name} >= '0001-01-01 BC'"))
    return f"({name})::text <> 'x'"
