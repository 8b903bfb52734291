"""What the expressions of objects are bound to: functions, operators and classes. They print the same whichever of
several of one name is meant, and one that came later may fit better.
"""

from __future__ import annotations

import re

from tasklib.postgres import sqltext
from tasklib.postgres.archive import Key
from tasklib.postgres.client import FIRST

KIND = "BOUND TO"
TARGETS = ", ".join(
    f"'{one}'::regclass"
    for one in ("pg_proc", "pg_operator", "pg_opclass", "pg_opfamily", "pg_collation", "pg_ts_config", "pg_ts_dict")
)
CONVERSIONS = "CONVERSIONS IN"
# Where expressions are kept, by catalog.
EXPRESSIONS = {
    "pg_rewrite": "ev_qual, ev_action", "pg_attrdef": "adbin", "pg_constraint": "conbin",
    "pg_policy": "polqual, polwithcheck", "pg_trigger": "tgqual", "pg_type": "typdefaultbin",
    "pg_proc": "proargdefaults, to_jsonb(r) ->> 'prosqlbody'",
    "pg_statistic_ext": "to_jsonb(r) ->> 'stxexprs'",
}  # fmt: skip
OF_INDEXES = "SELECT 'pg_class'::regclass, indexrelid, concat(indexprs, indpred) FROM pg_index"
OF_EXPRESSIONS = (
    (
        # A cast without a function is no dependency: that a text is one by it, and not by input and output, shows in
        # the expression alone. The casts of the history's own stand below.
        CONVERSIONS,
        "WITH casts AS (SELECT string_agg(pg_describe_object(c.tableoid, c.oid, 0), E'\n' ORDER BY c.oid) AS made"
        f" FROM pg_cast c WHERE c.oid >= {FIRST} AND castfunc = 0 AND NOT EXISTS (SELECT FROM pg_depend d"
        " WHERE (d.classid, d.objid, d.deptype) = (c.tableoid, c.oid, 'e')) HAVING count(*) > 0)"
        " SELECT '', user_, concat_ws(' ', relabelled, 'by relabelling,', converted, 'by input and output') || E'\n'"
        " || made FROM casts, LATERAL (SELECT pg_describe_object(e.class, e.oid, 0) AS user_,"
        " (length(text) - length(replace(text, '{RELABELTYPE ', ''))) / 13 AS relabelled,"
        " (length(text) - length(replace(text, '{COERCEVIAIO ', ''))) / 13 AS converted FROM ("
        + " UNION ALL ".join(
            [
                OF_INDEXES,
                *(
                    f"SELECT r.tableoid, r.oid, concat({text}) FROM {catalog} r WHERE r.oid >= {FIRST}"
                    for catalog, text in EXPRESSIONS.items()
                ),
            ]
        )
        + f") AS e (class, oid, text) WHERE e.oid >= {FIRST} AND text ~ '{{(RELABELTYPE|COERCEVIAIO) ') AS used",
    ),
    (
        KIND,
        # An extension's members are its own, and so are their rules and defaults.
        "WITH theirs AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' UNION SELECT d.classid, d.objid"
        " FROM pg_depend d JOIN pg_depend m ON (d.refclassid, d.refobjid) = (m.classid, m.objid) AND m.deptype = 'e'"
        " WHERE d.deptype IN ('a', 'i'))"
        " SELECT '', user_, string_agg(used, E'\n' ORDER BY used) FROM (SELECT DISTINCT"
        " pg_describe_object(classid, objid, 0) AS user_, pg_describe_object(refclassid, refobjid, 0) AS used"
        f" FROM pg_depend d WHERE objid >= {FIRST} AND deptype = 'n' AND refclassid IN ({TARGETS})"
        " AND NOT EXISTS (SELECT FROM theirs t WHERE (t.classid, t.objid) = (d.classid, d.objid))) AS d"
        # Its name has a number that is another one in each database; it belongs to a foreign key.
        " WHERE user_ !~ '^trigger \"?RI_ConstraintTrigger_' GROUP BY user_",
    ),
)

# PostgreSQL's description → the kinds of entry in a dump that it may be.
DESCRIBED = tuple(
    (re.compile(pattern, re.DOTALL), kinds)
    for pattern, kinds in (
        (r"rule _RETURN on view (?P<whole>.+)", ("VIEW",)),
        (r"rule _RETURN on materialized view (?P<whole>.+)", ("MATERIALIZED VIEW",)),
        (r"rule (?P<part>.+?) on (?:\w+ )?(?:table|view) (?P<whole>.+)", ("RULE",)),
        (r"default value for column (?P<part>.+?) of (?:\w+ )?table (?P<whole>.+)", ("DEFAULT",)),
        (r"constraint (?P<part>.+?) on (?:\w+ )?table (?P<whole>.+)", ("CHECK CONSTRAINT",)),
        (r"policy (?P<part>.+?) on table (?P<whole>.+)", ("POLICY",)),
        (r"trigger (?P<part>.+?) on (?:\w+ )?(?:table|view) (?P<whole>.+)", ("TRIGGER",)),
        (r"function (?P<whole>[^(]+)(?P<arguments>\(.*\))", ("FUNCTION", "PROCEDURE", "AGGREGATE")),
        (r"index (?P<whole>.+)", ("INDEX",)),
        (r"type (?P<whole>.+)", ("DOMAIN",)),
        (r"statistics object (?P<whole>.+)", ("STATISTICS",)),
        (r"cast from (?P<whole>.+)", ("CAST",)),
    )
)
IN_A_TABLE = ("DEFAULT", "CHECK CONSTRAINT")  # unless a circle puts them outside


def keys(described: str) -> list[Key]:
    """The entries of a dump that an object which PostgreSQL describes may be in."""
    for pattern, kinds in DESCRIBED:
        if kinds == ("CAST",) and pattern.fullmatch(described):
            return [("CAST", "", described.replace("cast from ", "CAST (").replace(" to ", " AS ") + ")")]
        if (found := pattern.fullmatch(described)) is not None:
            schema, name = ("", *(sqltext.unquoted(one) or one for one in sqltext.split(found["whole"], ".")))[-2:]
            more = found.groupdict()
            tail = more.get("arguments", "").replace(",", ", ")  # as pg_dump writes them
            if "part" in more:
                tail = f" {sqltext.unquoted(more['part']) or more['part']}"
            of_table = [("TABLE", schema, name)] if kinds[0] in IN_A_TABLE else []
            return [*((kind, schema, f"{name}{tail}") for kind in kinds), *of_table]
    return []
