"""Functions, procedures, aggregates, operators, operator classes and families, conversions, languages, transforms."""

from __future__ import annotations

from tests.random import values
from tests.random.world import World

OPTIONS = ("IMMUTABLE", "STABLE", "STRICT", "SECURITY DEFINER", "LEAKPROOF", "COST 5", "PARALLEL SAFE",
           "SET search_path = pg_catalog, public", "SET work_mem = '1MB'", "PARALLEL RESTRICTED")  # fmt: skip


def create_function(w: World) -> str:
    """A function in one of its many forms."""
    name, type_ = w.new("f"), values.type_(w)
    options = " ".join(w.some(OPTIONS, 3)) if w.chance(3) else ""
    argument = w.one(("", f"a {values.type_(w)}", f"a integer, b {values.type_(w)} DEFAULT NULL", "VARIADIC a text[]",
                      f"INOUT a {type_}", "a anyelement", f"{w.name('arg')} integer DEFAULT 1", "integer, integer"))  # fmt: skip
    result = "" if argument.startswith("INOUT") else f"RETURNS {type_}"
    forms = [
        f"{result} LANGUAGE sql {options} AS $$SELECT NULL::{type_}$$",
        f"{result} LANGUAGE plpgsql {options} AS $body$ BEGIN -- it's 50%% :x\n  RETURN NULL; END $body$",
        f"{result} LANGUAGE sql {options} RETURN NULL::{type_}",
    ]
    if not argument.startswith("INOUT"):
        forms += [
            f"RETURNS SETOF {type_} LANGUAGE sql ROWS 7 {options} AS 'SELECT NULL::{type_} WHERE false'",
            f"RETURNS TABLE (x integer, {w.name('y')} text) LANGUAGE sql {options} AS $$SELECT 1, '%s'$$",
        ]
        if relations := w.relations("rpvmf"):
            relation = w.one(relations)
            forms += [
                f"RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM {relation}; END",
                f"RETURNS SETOF {relation} LANGUAGE sql {options} AS $$SELECT * FROM {relation}$$",
                f"RETURNS bigint LANGUAGE sql {options} AS $$SELECT count(*) FROM {relation}$$",
            ]
    return f"CREATE {w.maybe('OR REPLACE ', 4)}FUNCTION {name}({argument}) {w.one(forms)}"


def create_binary_function(w: World) -> str:
    """What operators, aggregates and the like are made of."""
    type_ = w.one(("integer", "text", *values.types_made(w)))
    result = w.one((type_, "boolean", "integer"))
    return (
        f"CREATE FUNCTION {w.new('f')}({type_}, {type_}) RETURNS {result} LANGUAGE sql IMMUTABLE RETURN NULL::{result}"
    )


def create_predicate(w: World) -> str:
    """A function for CHECK, indexes, policies; one that reads a table as well."""
    name, type_ = w.new("f"), w.one(("integer", "text", "integer", *values.types_made(w)))
    bodies = [
        "LANGUAGE sql IMMUTABLE AS $$SELECT $1 IS NULL OR $1::text <> 'zz'$$",
        "LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN a::text IS DISTINCT FROM 'q:q'; END$$",
        "LANGUAGE sql IMMUTABLE RETURN a IS NULL OR a::text <> '%s'",
    ]
    if relations := w.relations("rp"):
        relation = w.one(relations)
        bodies += [
            f"LANGUAGE sql STABLE AS $$SELECT count(*) >= 0 FROM {relation}$$",
            f"LANGUAGE plpgsql STABLE AS $$BEGIN RETURN EXISTS (SELECT 1 FROM {relation}) OR true; END$$",
            f"LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) >= 0 FROM {relation}; END",
        ]
    return f"CREATE FUNCTION {name}(a {type_}) RETURNS boolean {w.one(bodies)}"


def create_procedure(w: World) -> str:
    argument = w.one(("", "a integer", "INOUT a text", "OUT b integer"))
    body = w.one(("LANGUAGE plpgsql AS $$BEGIN NULL; END$$", "LANGUAGE sql AS $$SELECT 1$$", "BEGIN ATOMIC END"))
    return f"CREATE PROCEDURE {w.new('pr')}({argument}) {body}"


def routines(w: World, condition: str) -> list[str]:
    return w.texts(
        "SELECT format('%I.%I(%s)', n.nspname, o.proname, pg_get_function_identity_arguments(o.oid)) FROM pg_proc o"
        " JOIN pg_namespace n ON n.oid = o.pronamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        f" AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = o.oid AND d.deptype IN ('e', 'i')) AND {condition}"
    )


def change_routine(w: World) -> str:
    routine = w.one(routines(w, "prokind IN ('f', 'p')"))
    change = w.one((w.one(OPTIONS), "RESET ALL", "CALLED ON NULL INPUT", "VOLATILE", "SECURITY INVOKER",
                    "DEPENDS ON EXTENSION plpgsql"))  # fmt: skip
    return f"ALTER ROUTINE {routine} {change}"


def create_aggregate(w: World) -> str:
    found = w.connection.rows(
        "SELECT format('%I.%I', n.nspname, proname), format_type(proargtypes[0], NULL) FROM pg_proc p"
        " JOIN pg_namespace n ON n.oid = pronamespace WHERE n.nspname !~ '^pg_|^information_' AND pronargs = 2"
        " AND prorettype = proargtypes[0] AND proargtypes[0] = proargtypes[1] AND prokind = 'f' ORDER BY 1, 2")  # fmt: skip
    function, type_ = w.one([*found, ("int4larger", "integer"), ("text_larger", "text")])
    end = w.maybe(f", INITCOND = {values.value(w, type_)}", 3) + w.maybe(", PARALLEL = safe", 5)
    if w.chance(6):
        return f"CREATE AGGREGATE {w.new('ag')}(float8 ORDER BY integer) (SFUNC = int4larger, STYPE = integer)"
    if w.chance(4):
        end += f", MSFUNC = {function}, MINVFUNC = {function}, MSTYPE = {type_}"
    return f"CREATE AGGREGATE {w.new('ag')}({type_}) (SFUNC = {function}, STYPE = {type_}{end})"


def create_operator(w: World) -> str:
    found = w.connection.rows(
        "SELECT format('%I.%I', n.nspname, proname), format_type(proargtypes[0], NULL), prorettype::regtype::text"
        " FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE n.nspname !~ '^pg_|^information_'"
        " AND pronargs = 2 AND prokind = 'f' AND proargtypes[0] = proargtypes[1] ORDER BY 1, 2")  # fmt: skip
    function, type_, result = w.one(found)
    symbol = w.one(("===", "<#>", "@@@", "%%%", "~~>", "!=#"))
    schema = w.maybe(f"{w.schema()}.", 3)
    end = ""
    if result == "boolean":
        end = w.one(
            ("", ", RESTRICT = eqsel, JOIN = eqjoinsel", ", NEGATOR = <!!>", ", COMMUTATOR = ===, HASHES, MERGES")
        )
    return f"CREATE OPERATOR {schema}{symbol} (FUNCTION = {function}, LEFTARG = {type_}, RIGHTARG = {type_}{end})"


def operator(w: World) -> str:
    return w.one(w.texts(
        "SELECT format('%I.%s (%s, %s)', n.nspname, oprname, CASE oprleft WHEN 0 THEN 'NONE' ELSE"
        " format_type(oprleft, NULL) END, format_type(oprright, NULL)) FROM pg_operator o JOIN pg_namespace n"
        " ON n.oid = oprnamespace WHERE n.nspname !~ '^pg_' AND oprcode <> 0 AND NOT EXISTS (SELECT 1 FROM pg_depend d"
        " WHERE d.objid = o.oid AND d.deptype = 'e')"))  # fmt: skip


def change_operator(w: World) -> str:
    name = operator(w)
    return w.one((f"ALTER OPERATOR {name} SET (RESTRICT = NONE, JOIN = NONE)", f"DROP OPERATOR {name} CASCADE",
                  f"ALTER OPERATOR {name} SET SCHEMA {w.schema()}", f"ALTER OPERATOR {name} OWNER TO {w.role()}",
                  f"COMMENT ON OPERATOR {name} IS 'an operator'"))  # fmt: skip


def create_operator_class(w: World) -> str:
    type_ = w.one(("integer", "text"))
    stem = {"integer": "btint4cmp", "text": "bttextcmp"}[type_]
    family = w.maybe(f" FAMILY {w.one([*w.named('pg_opfamily', 'opf'), 'of1'])}", 3)
    operators = ", ".join(f"OPERATOR {number} {sign}" for number, sign in enumerate(("<", "<=", "=", ">=", ">"), 1))
    return (f"CREATE OPERATOR CLASS {w.new('oc')} FOR TYPE {type_} USING btree{family} AS {operators},"
            f" FUNCTION 1 {stem}({type_}, {type_})")  # fmt: skip


def create_operator_family(w: World) -> str:
    if w.chance(2):
        return (f"ALTER OPERATOR FAMILY {w.one(w.named('pg_opfamily', 'opf'))} USING btree ADD OPERATOR 1 < (int4, int8),"
                " OPERATOR 3 = (int4, int8), FUNCTION 1 (int4, int8) btint48cmp(int4, int8)")  # fmt: skip
    return f"CREATE OPERATOR FAMILY {w.new('of')} USING {w.one(('btree', 'hash', 'gist'))}"


def create_conversion(w: World) -> str:
    return f"CREATE {w.maybe('DEFAULT ', 2)}CONVERSION {w.new('cv')} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"


def create_language(w: World) -> str:
    if not w.known("languages") and w.chance(3):
        return f"CREATE TRUSTED LANGUAGE {w.name('la')} HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler"
    return w.one((f"CREATE ACCESS METHOD {w.name('am')} TYPE INDEX HANDLER bthandler",
                  f"CREATE ACCESS METHOD {w.name('am')} TYPE TABLE HANDLER heap_tableam_handler"))  # fmt: skip


OPERATIONS = (
    *(
        (6, create_function),
        (3, create_predicate),
        (3, create_binary_function),
        (2, create_procedure),
        (2, change_routine),
    ),
    *((2, create_aggregate), (2, create_operator), (1, change_operator), (1, create_operator_class)),
    *((1, create_operator_family), (1, create_conversion), (1, create_language)),
)
