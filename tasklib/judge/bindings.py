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
OF_EXPRESSIONS = (
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
    )
)
IN_A_TABLE = ("DEFAULT", "CHECK CONSTRAINT")  # unless a circle puts them outside


def keys(described: str) -> list[Key]:
    """The entries of a dump that an object which PostgreSQL describes may be in."""
    for pattern, kinds in DESCRIBED:
        if (found := pattern.fullmatch(described)) is not None:
            schema, name = ("", *(sqltext.unquoted(one) or one for one in sqltext.split(found["whole"], ".")))[-2:]
            more = found.groupdict()
            tail = more.get("arguments", "").replace(",", ", ")  # as pg_dump writes them
            if "part" in more:
                tail = f" {sqltext.unquoted(more['part']) or more['part']}"
            of_table = [("TABLE", schema, name)] if kinds[0] in IN_A_TABLE else []
            return [*((kind, schema, f"{name}{tail}") for kind in kinds), *of_table]
    return []
