"""What extensions bring, as it is now: a dump makes an extension with one statement, and what was changed in it
afterwards is lost. One query, as `not_dumped` has them.
"""

from __future__ import annotations

from tasklib.postgres.client import FIRST

_COLUMNS = (
    "(SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull,"
    " ARRAY(SELECT o FROM unnest(attoptions) o WHERE o !~ '^pg_'), attfdwoptions, attstorage,"
    " to_jsonb(a) ->> 'attstattarget', (SELECT collname FROM pg_collation c WHERE c.oid = attcollation)), ', '"
    " ORDER BY attnum) FROM pg_attribute a WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped)"
)
# Catalog → the column of its owner, and what a row says that only oids or trees in it say.
_CATALOGS = {
    "pg_am": ("", "NULL"),
    "pg_amop": ("", "amopopr::regoperator"),
    "pg_amproc": ("", "NULL"),
    "pg_attrdef": ("", "pg_get_expr(adbin, adrelid)"),
    "pg_cast": ("", "castfunc::regprocedure"),
    "pg_class": (
        "relowner",
        f"concat_ws(' ', {_COLUMNS}, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid)"
        " WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(r.oid) END)",
    ),
    "pg_collation": ("collowner", "NULL"),
    "pg_constraint": ("", "pg_get_constraintdef(r.oid)"),
    "pg_conversion": ("conowner", "NULL"),
    "pg_event_trigger": ("evtowner", "evtfoid::regproc"),
    "pg_foreign_data_wrapper": ("fdwowner", "concat_ws(' ', fdwhandler::regproc, fdwvalidator::regproc)"),
    "pg_foreign_server": ("srvowner", "NULL"),
    "pg_language": (
        "lanowner", "concat_ws(' ', lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc)"
    ),
    "pg_opclass": ("opcowner", "opckeytype::regtype"),
    "pg_operator": ("oprowner", "concat_ws(' ', oprcom::regoperator, oprnegate::regoperator)"),
    "pg_opfamily": ("opfowner", "NULL"),
    "pg_policy": (
        "", "concat_ws(' ', polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
    ),
    "pg_proc": (
        "proowner",
        "CASE prokind WHEN 'a' THEN (SELECT concat_ws(' ', a, aggtranstype::regtype, aggmtranstype::regtype,"
        " aggsortop::regoperator) FROM (SELECT to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype,aggsortop}'::text[]"
        " AS a, aggtranstype, aggmtranstype, aggsortop FROM pg_aggregate a WHERE aggfnoid = r.oid) AS a)"
        " ELSE pg_get_functiondef(r.oid) END",
    ),
    "pg_rewrite": ("", "pg_get_ruledef(r.oid)"),
    "pg_statistic_ext": ("stxowner", "pg_get_statisticsobjdef(r.oid)"),
    "pg_trigger": ("", "pg_get_triggerdef(r.oid)"),
    "pg_ts_config": (
        "cfgowner", "(SELECT string_agg(concat_ws(' ', maptokentype, mapseqno, mapdict::regdictionary), ', '"
        " ORDER BY maptokentype, mapseqno) FROM pg_ts_config_map WHERE mapcfg = r.oid)",
    ),
    "pg_ts_dict": ("dictowner", "(SELECT tmplname FROM pg_ts_template t WHERE t.oid = dicttemplate)"),
    "pg_type": ("typowner", "concat_ws(' ', typbasetype::regtype, typelem::regtype)"),
}  # fmt: skip
# Columns that are another number in each database, are said by their names, or are in the dump. In pg_class nearly all
# else counts rows and pages.
_LEFT_OUT = "format_type(atttypid, NULL) IN ('oid', 'oid[]', 'oidvector', 'xid', 'pg_node_tree', 'aclitem[]')"
_LEFT_OUT_OF = {
    "pg_class": "attname !~ '^(relname|relkind|relpersistence|reloptions|relrowsecurity|relforcerowsecurity"
    "|relreplident)$'",
}
# Rows whose names are numbers, which nobody made.
_NOT = {
    "pg_class": " AND relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace",
    "pg_trigger": " AND NOT tgisinternal",
}


def _rows(catalog: str, owner: str, says: str) -> str:
    """(class, oid, text) of what a database's extensions may have in one catalog."""
    plain = (
        "to_jsonb(r) - ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid ="
        f" '{catalog}'::regclass AND attnum > 0 AND {_LEFT_OUT_OF.get(catalog, _LEFT_OUT)})"
    )
    who = f"nullif(pg_get_userbyid({owner}), current_user)" if owner else "NULL"
    return (
        f"SELECT '{catalog}'::regclass, r.oid, concat_ws(' ', {who}, {plain}, {says})"
        # An array, so that nothing is said of a database's other objects.
        f" FROM {catalog} r WHERE r.oid = ANY (ARRAY(SELECT objid FROM member WHERE classid ="
        f" '{catalog}'::regclass AND objid >= {FIRST})){_NOT.get(catalog, '')}"
    )


# With what came to them afterwards or goes with them: a rule of a view, a constraint of a domain, an operator in a
# family.
MEMBERS = (
    "EXTENSION MEMBERS",
    "WITH RECURSIVE member (extension, classid, objid) AS ("
    "SELECT refobjid, classid, objid FROM pg_depend"
    " WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'"
    " UNION SELECT m.extension, d.classid, d.objid FROM member m JOIN pg_depend d ON d.refclassid = m.classid"
    " AND d.refobjid = m.objid AND d.deptype IN ('a', 'i') AND d.classid <> 'pg_extension'::regclass),"
    f" body (classid, objid, body) AS ({' UNION ALL '.join(_rows(name, *more) for name, more in _CATALOGS.items())}),"
    # Together by a group and not by a join: how many members there are the planner cannot know.
    " one AS (SELECT min(extension) AS extension, classid, objid, min(body) AS body FROM"
    " (SELECT extension::bigint, classid, objid, NULL AS body FROM member UNION ALL SELECT NULL, * FROM body) AS b"
    " GROUP BY classid, objid HAVING count(extension) > 0)"
    " SELECT '', e.extname, md5(string_agg(concat_ws(' ', said, body, comments), ' ' ORDER BY said, body))"
    " FROM one JOIN pg_extension e ON e.oid = one.extension,"
    " LATERAL (SELECT pg_describe_object(classid, objid, 0) AS said) AS s, LATERAL (SELECT string_agg(concat_ws(' ',"
    " objsubid, description), ' ' ORDER BY objsubid) AS comments FROM pg_description d"
    " WHERE d.classoid = one.classid AND d.objoid = one.objid) AS c"
    # A language's functions are there in every database, and are compared with PostgreSQL's own.
    f" WHERE body IS NOT NULL OR objid < {FIRST} GROUP BY e.extname",
)
