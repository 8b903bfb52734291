"""What a history changes about PostgreSQL's own objects, in no dump; queries as `not_dumped` has them."""

from __future__ import annotations

from tasklib.postgres.archive import Key
from tasklib.postgres.client import FIRST, Connection, sql


def _without(column: str) -> str:
    """A row without one of its columns, which is usually NULL: taking it out of every row would take five times as
    long.
    """
    return f"(CASE WHEN {column} IS NULL THEN r ELSE jsonb_populate_record(r, '{{\"{column}\": null}}') END)"


OF_A_SCHEMA = "PRIVILEGES OF A SCHEMA"
# Rows of PostgreSQL's own objects. Privileges on them the dump knows (not on languages that are no extensions).
BUILT_IN = {
    "pg_proc": _without("proacl"),
    "pg_opclass": "r",
    "pg_opfamily": "r",
    "pg_am": "r",
    "pg_cast": "r",
    "pg_language": _without("lanacl"),
    "pg_ts_config": "r",
    "pg_ts_dict": "r",
    "pg_collation": "r",  # REFRESH VERSION writes one anew that may stay the same
    "pg_conversion": "r",
}  # fmt: skip
# What only UPDATE changes, or a statement that is not for them: a row that is as the server was made with need not be
# read.
TOUCHED = "age(r.xmin) < (SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'template0')"
SELDOM = {
    "pg_aggregate": "aggfnoid", "pg_amop": "oid", "pg_amproc": "oid", "pg_constraint": "oid", "pg_operator": "oid",
    "pg_range": "rngtypid", "pg_rewrite": "oid", "pg_ts_parser": "oid", "pg_ts_template": "oid",
}  # fmt: skip
OF_INFORMATION_SCHEMA = "to_regnamespace('information_schema')"  # which may be gone
CHANGED = (
    *(
        (
            "BUILT-IN OBJECTS",
            f"SELECT '', '{catalog}', concat_ws(' ', count(*), md5(string_agg(r::text, ' ' ORDER BY r::text)"
            f" FILTER (WHERE {TOUCHED}))) FROM {catalog} r WHERE {oid} < {FIRST}",
        )
        for catalog, oid in SELDOM.items()
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', 'pg_class', md5(string_agg(concat_ws(' ', oid, relname, relnamespace, relowner, relkind,"
        f" reloptions, relrowsecurity, relforcerowsecurity, relreplident), ' ' ORDER BY oid)) FROM pg_class"
        f" WHERE oid < {FIRST}",
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', 'pg_type', md5(string_agg(concat_ws(' ', oid, typname, typnamespace, typowner, typlen, typbyval,"
        " typcategory, typispreferred, typisdefined, typdelim, typelem, typinput, typoutput, typreceive,"
        " typsend, typmodin, typmodout, typanalyze, typalign, typstorage, typnotnull, typbasetype, typtypmod,"
        f" typcollation, typdefault), ' ' ORDER BY oid)) FROM pg_type WHERE oid < {FIRST}",
    ),
    *(
        (
            # Of other objects the dump has them.
            "BUILT-IN OBJECTS",
            f"SELECT '', 'privileges in information_schema, {catalog}', md5(string_agg(concat(r.oid, {acl}), ' '"
            f" ORDER BY r.oid)) FROM {catalog} r WHERE r.oid < {FIRST} AND {place} = {OF_INFORMATION_SCHEMA}",
        )
        for catalog, acl, place in (
            ("pg_namespace", "nspacl", "r.oid"), ("pg_class", "relacl", "relnamespace"),
            ("pg_type", "typacl", "typnamespace"), ("pg_proc", "proacl", "pronamespace"),
        )
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', 'pg_attribute in information_schema', md5(string_agg(concat_ws(' ', attrelid, attnum, attname,"
        " atttypid, attnotnull, atthasdef, attstattarget, attoptions, attacl), ' ' ORDER BY attrelid, attnum))"
        " FROM pg_attribute"
        f" JOIN pg_class c ON c.oid = attrelid WHERE attrelid < {FIRST} AND relnamespace = {OF_INFORMATION_SCHEMA}",
    ),
    *(
        (
            "BUILT-IN OBJECTS",
            f"SELECT '', '{catalog}', md5(string_agg({row}::text, ' ' ORDER BY oid)) FROM {catalog} r"
            f" WHERE oid < {FIRST}",
        )
        for catalog, row in BUILT_IN.items()
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', 'pg_ts_config_map', md5(string_agg(r::text, ' ' ORDER BY r::text)) FROM pg_ts_config_map r"
        f" WHERE mapcfg < {FIRST} AND mapdict < {FIRST}"
        " UNION ALL SELECT '', format('pg_ts_config_map %s %s %s', mapcfg::regconfig, maptokentype, mapseqno),"
        f" mapdict::regdictionary::text FROM pg_ts_config_map WHERE mapcfg < {FIRST} AND mapdict >= {FIRST}",
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', 'comments', md5(string_agg(r::text, ' ' ORDER BY classoid, objoid, objsubid)) FROM pg_description r"
        # The comment on the schema public is a usual thing to change, and in the dump.
        f" WHERE objoid < {FIRST} AND NOT (classoid = 'pg_namespace'::regclass AND objoid = 2200)"
        " AND classoid NOT IN ('pg_extension'::regclass, 'pg_largeobject'::regclass)",
    ),
    *(
        (
            # What is added to a family of PostgreSQL's own is in no dump; what comes with a class is in the class's.
            "BUILT-IN OBJECTS",
            f"SELECT '', pg_describe_object('{catalog}'::regclass, o.oid, 0), 'there' FROM {catalog} o WHERE"
            f" o.oid >= {FIRST} AND o.{family} < {FIRST} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE"
            f" d.classid = '{catalog}'::regclass AND d.objid = o.oid AND (d.deptype = 'e' OR d.deptype = 'i'"
            " AND d.refclassid = 'pg_opclass'::regclass))",
        )
        for catalog, family in (("pg_amop", "amopfamily"), ("pg_amproc", "amprocfamily"))
    ),
    *(
        (
            # What hangs on a relation of PostgreSQL's own, of whatever schema: the dump has it nowhere.
            "BUILT-IN OBJECTS",
            f"SELECT '', pg_describe_object('{catalog}'::regclass, o.oid, 0), 'there' FROM {catalog} o"
            f" WHERE o.oid >= {FIRST} AND o.{relation} < {FIRST} AND o.{relation} <> 0"
            + (" AND NOT o.tgisinternal" if catalog == "pg_trigger" else ""),
        )
        for catalog, relation in (
            ("pg_rewrite", "ev_class"), ("pg_constraint", "conrelid"), ("pg_policy", "polrelid"),
            ("pg_trigger", "tgrelid"), ("pg_statistic_ext", "stxrelid"), ("pg_attrdef", "adrelid"),
        )
    ),
    (
        "BUILT-IN OBJECTS",
        "SELECT '', concat('parent of ', inhrelid::regclass), inhparent::regclass::text FROM pg_inherits"
        f" WHERE inhparent < {FIRST} OR inhrelid < {FIRST}",
    ),
    (
        "LANGUAGE PRIVILEGE",
        "SELECT '', lanname || ' ' || coalesce(nullif(acl.grantee::regrole::text, '-'), 'PUBLIC'),"
        " acl.is_grantable::text FROM pg_language l, aclexplode(coalesce(lanacl, acldefault('l', lanowner))) acl"
        " WHERE NOT l.lanispl AND acl.grantee <> l.lanowner",
    ),
    *(
        (
            "OBJECT IN A SCHEMA OF POSTGRESQL",
            f"SELECT o.schema, o.identity, o.type FROM {catalog} r,"
            f" LATERAL pg_identify_object('{catalog}'::regclass, r.oid, 0) o"
            f" WHERE r.oid >= {FIRST} AND o.schema IN ('pg_catalog', 'information_schema') AND r.{column} < {FIRST}"
            f" AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = '{catalog}'::regclass AND d.objid = r.oid"
            " AND d.deptype = 'e')",
        )
        for catalog, column in (
            ("pg_class", "relnamespace"), ("pg_proc", "pronamespace"), ("pg_operator", "oprnamespace"),
            ("pg_type", "typnamespace"), ("pg_ts_config", "cfgnamespace"), ("pg_collation", "collnamespace"),
        )
    ),
)  # fmt: skip


def rows(connection: Connection) -> dict[Key, str]:
    """How many rows the tables of information_schema have, and how many of these are not as the server was made."""
    tables = f"SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = {OF_INFORMATION_SCHEMA}"
    tables += " AND has_table_privilege(oid, 'SELECT')"  # who may not read them cannot change them
    text = f"SELECT format('%s, %s new', count(*), count(*) FILTER (WHERE {TOUCHED})) FROM {{}} r"
    return {
        ("BUILT-IN OBJECTS", "", f"rows of {name}"): str(
            connection.value(sql.SQL(text).format(sql.Identifier("information_schema", name)))
        )
        for (name,) in connection.rows(tables)
    }
