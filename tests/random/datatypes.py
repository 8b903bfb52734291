"""Enums, domains, composite, range and base types, collations, casts."""

from __future__ import annotations

from tasklib.postgres import client
from tests.random import values, words
from tests.random.world import World


def labels(w: World) -> list[str]:
    return [f"'{one}'" for one in w.some(("a", "B", "c c", "it''s", "%", ":x", "ü", "d"), 4)]


def create_enum(w: World) -> str:
    return f"CREATE TYPE {w.new('e')} AS ENUM ({', '.join(labels(w)) if w.chance(8) is False else ''})"


def enum(w: World) -> str:
    return w.one(w.named("pg_type", "typ", "o.typtype = 'e'"))


def change_enum(w: World) -> str:
    name = enum(w)
    old = w.texts(f"SELECT quote_literal(enumlabel) FROM pg_enum WHERE enumtypid = {client.literal(name)}::regtype")
    if w.chance(4):
        return f"ALTER TYPE {name} RENAME VALUE {w.one(old)} TO 'new{w.number(1, 3)}'"
    where = w.one(("", f" BEFORE {w.one(old)}", f" AFTER {w.one(old)}")) if old else ""
    return f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS 'added{w.number(1, 5)}'{where}"


def create_domain(w: World) -> str:
    type_ = values.type_(w)
    text = f"CREATE DOMAIN {w.new('d')} AS {type_}"
    if type_.startswith(("text", "character varying")):
        text += w.maybe(' COLLATE "C"', 3)
    text += w.maybe(f" DEFAULT {values.default(w, type_)}")
    for _ in range(w.number(0, 2)):
        named = w.maybe(f"CONSTRAINT {w.name('dc')} ", 2)
        text += f" {named}CHECK ({values.condition_on(w, 'VALUE', type_)})"
    return text + w.maybe(" NOT NULL", 5)


def change_domain(w: World) -> str:
    name = w.one(w.named("pg_type", "typ", "o.typtype = 'd'"))
    type_ = str(w.connection.value(f"SELECT format_type(typbasetype, typtypmod) FROM pg_type"
                                   f" WHERE oid = {client.literal(name)}::regtype"))  # fmt: skip
    old = w.texts(f"SELECT quote_ident(conname) FROM pg_constraint WHERE contypid = {client.literal(name)}::regtype")
    changes = [
        f"ADD CONSTRAINT {w.name('dc')} CHECK ({values.condition_on(w, 'VALUE', type_)}){w.maybe(' NOT VALID', 3)}",
        f"SET DEFAULT {values.default(w, type_)}", "DROP DEFAULT", "SET NOT NULL", "DROP NOT NULL",
    ]  # fmt: skip
    if old:
        changes += [f"VALIDATE CONSTRAINT {w.one(old)}", f"DROP CONSTRAINT {w.one(old)}",
                    f"RENAME CONSTRAINT {w.one(old)} TO {w.name('dc')}"]  # fmt: skip
    return f"ALTER DOMAIN {name} {w.one(changes)}"


def create_composite(w: World) -> str:
    columns = ", ".join(f"{w.name('a')} {values.column_type(w)}" for _ in range(w.number(0, 3)))
    return f"CREATE TYPE {w.new('c')} AS ({columns})"


def change_composite(w: World) -> str:
    name = w.relation("c")
    column = w.one([*w.columns(name), ("a1", "integer")])[0]
    change = w.one((f"ADD ATTRIBUTE {w.name('a')} {values.type_(w)}", f"DROP ATTRIBUTE {column}",
                    f"ALTER ATTRIBUTE {column} TYPE {values.type_(w)} CASCADE",
                    f"RENAME ATTRIBUTE {column} TO {w.name('a')} CASCADE"))  # fmt: skip
    return f"ALTER TYPE {name} {change}"


def create_range(w: World) -> str:
    subtype = w.one(("integer", "text", "numeric", "timestamp", "double precision", "inet", *values.types_made(w)))
    text = f"CREATE TYPE {w.new('r')} AS RANGE (SUBTYPE = {subtype}"
    text += w.maybe(', COLLATION = "C"') if subtype == "text" else ""
    text += w.maybe(", SUBTYPE_DIFF = float8mi") if subtype == "double precision" else ""
    return text + w.maybe(f", MULTIRANGE_TYPE_NAME = {w.name('mr')}", 3) + ")"


def create_base(w: World) -> str:
    """A type of its own over the functions of text: shell, functions, type."""
    w.avoid("base types")
    name = w.name("b")
    w.run(f"CREATE TYPE {name}")
    if w.chance(4):
        return f"COMMENT ON TYPE {name} IS 'a shell'"
    into, out = w.name("fi"), w.name("fo")
    w.run(f"CREATE FUNCTION {into}(cstring) RETURNS {name} LANGUAGE internal IMMUTABLE STRICT AS 'textin'")
    w.run(f"CREATE FUNCTION {out}({name}) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'")
    options = w.maybe(", COLLATABLE = true", 3)
    return f"CREATE TYPE {name} (INPUT = {into}, OUTPUT = {out}, LIKE = text{options})"


def create_collation(w: World) -> str:
    how = w.one(('FROM "C"', 'FROM "POSIX"', 'FROM "en-x-icu"', 'FROM "und-x-icu"',
                 "(PROVIDER = icu, LOCALE = 'de-u-co-phonebk')",
                 "(PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false)", "(LOCALE = 'C')",
                 "(LC_COLLATE = 'C', LC_CTYPE = 'POSIX')"))  # fmt: skip
    return f"CREATE COLLATION {w.new('co')} {how}"


def create_cast(w: World) -> str:
    source = w.one((*values.types_made(w), *words.COMMON))
    target = w.one((*values.types_made(w), "bytea", "text", "integer"))
    how = w.one(("WITH INOUT", "WITHOUT FUNCTION"))
    found = w.texts(
        "SELECT format('%I.%I(%s)', n.nspname, o.proname, pg_get_function_identity_arguments(o.oid)) FROM pg_proc o"
        f" JOIN pg_namespace n ON n.oid = o.pronamespace WHERE o.pronargs = 1 AND n.nspname !~ '^pg_|^information_'"
        f" AND o.prorettype = {client.literal(target)}::regtype"
    )
    how = f"WITH FUNCTION {w.one(found)}" if found and w.chance(2) else how
    return f"CREATE CAST ({source} AS {target}) {how}{w.one(('', ' AS ASSIGNMENT', ' AS IMPLICIT'))}"


OPERATIONS = (
    *((4, create_enum), (3, change_enum), (3, create_domain), (2, change_domain), (2, create_composite)),
    *((2, change_composite), (2, create_range), (1, create_base), (2, create_collation), (1, create_cast)),
)
