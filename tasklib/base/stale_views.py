"""Materialized views whose rows are not what their query gives: no new database can be given the rows of a query as it
once was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import nullcontext, suppress

from tasklib.errors import Failed, Refused
from tasklib.judge.objects import Difference
from tasklib.postgres import client
from tasklib.postgres.client import Address, Connection, sql

Name = tuple[str, str]  # schema and view

# Rows of one side that the other one has in another number or not at all.
DIFFERENT = """
SELECT count(*) FROM (SELECT ROW(v.*)::text AS row, count(*) AS n FROM {view} v GROUP BY 1) AS here
FULL JOIN (SELECT ROW(q.*)::text AS row, count(*) AS n FROM ({query}) q GROUP BY 1) AS there USING (row, n)
WHERE here.row IS NULL OR there.row IS NULL
"""


def views(address: Address, populated: Collection[Name], volatile: Collection[Name]) -> list[Name]:
    """The stale ones; of those that are ``volatile`` (a time, a random value in them) nobody could say."""
    with client.connect(address, read_only=True) as connection:
        return [view for view in populated if view not in volatile and _is_stale(connection, view)]


def _is_stale(connection: Connection, view: Name) -> bool:
    connection.run("RESET ROLE")
    named = client.identifier(view[1], view[0])
    definition = connection.value("SELECT pg_get_viewdef(%s::regclass)", [named])
    query = sql.SQL(str(definition).rstrip("; \n"))
    other = sql.SQL(DIFFERENT).format(view=sql.Identifier(*view), query=query)
    # Whoever filled it last: who migrates, or its owner, in whose eyes current_user and row security are others.
    owner = connection.value("SELECT relowner::regrole FROM pg_class WHERE oid = %s::regclass", [named])
    differs = False
    for role in ("RESET ROLE", f"SET ROLE {owner}"):
        # The names in the query are qualified; functions in it may rely on the usual path, or on none.
        for path in (nullcontext, connection.usual_path):
            # A query that needs what only a refresh has fails; the comparison shows what comes out.
            with suppress(Failed), path():
                connection.run(f"{role}; SET row_security = on")
                differs = bool(connection.value(other))
                if not differs:
                    return False
    return differs


def refuse(found: Collection[Name], sources: Mapping[str, str], revision: str) -> None:
    """`Refused` where there are stale views, with the migration that filled each one last, as far as the ``sources``
    (path → text, oldest first) name it.
    """
    if not found:
        return
    said = "; ".join(
        f"{shown(view)}, filled by {last}" if (last := next(_naming(view, sources), None)) else shown(view)
        for view in sorted(found)
    )
    refreshes = "; ".join(f'op.execute("REFRESH MATERIALIZED VIEW {shown(view)}")' for view in sorted(found))
    raise Refused(
        f"At {revision} these materialized views are stale: {said}. A refresh would give them other rows, and a new "
        "database could only be given those.",
        f"add {refreshes} to the end of upgrade() in {revision}'s file, in a commit of its own (it goes with the "
        "squash; databases out there are refreshed or not, as before)",
    )


def refuse_uncertain(populated: Collection[Name], found: Collection[Difference]) -> None:
    """`Refused` where rows of materialized views are all that differs: on the same tables their queries give others."""
    views = {one.key[1:] for one in found if one.kind == "ROWS"} & {*populated}
    if views and len(views) == len(found):
        raise Refused(
            f"The queries of these materialized views give other rows in a new database with the same tables: "
            f"{', '.join(map(shown, sorted(views)))}. They depend on the order in which rows lie there.",
            "say in their ORDER BY, also within aggregates and windows, an order that leaves nothing open: in a "
            "migration before R, or at the end of R's own in a commit of its own",
        )


def shown(view: Name) -> str:
    return view[1] if view[0] == "public" else ".".join(view)


def _naming(view: Name, sources: Mapping[str, str]) -> Iterator[str]:
    """The paths of the migrations that name a view, the latest first."""
    for path in reversed(list(sources)):
        if re.search(rf"\b{re.escape(view[1])}\b", sources[path]):
            yield path
