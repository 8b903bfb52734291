"""A second judge, of another kind than the program's: the rows of the system catalogs themselves, names for oids.

It knows no object classes, only catalogs, and asks `pg_get_catalog_foreign_keys` (PostgreSQL 14) which columns are
oids of what. So it sees what pg_dump is silent about, and what nobody thought of.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tasklib.postgres import client
from tasklib.postgres.client import Connection
from tests.support.laboratory import Laboratory

FIRST = 16384  # PostgreSQL: FirstNormalObjectId
# Of the server, not of one database; privileges, which are printed; statistics; what is told by others.
LEFT_OUT = (
    *("pg_authid", "pg_auth_members", "pg_database", "pg_tablespace", "pg_db_role_setting", "pg_shdepend", "pg_init_privs"),
    *("pg_shdescription", "pg_shseclabel", "pg_subscription", "pg_subscription_rel", "pg_statistic", "pg_default_acl"),
    *("pg_statistic_ext_data", "pg_largeobject", "pg_largeobject_metadata", "pg_description", "pg_parameter_acl"),
)  # fmt: skip
# Physical, or kept for speed, or numbers that differ in each database.
COLUMNS_LEFT_OUT = (
    *("oid", "relfilenode", "relpages", "reltuples", "relallvisible", "relfrozenxid", "relminmxid", "relnatts"),
    *("relhasrules", "relhasindex", "collencoding", "attndims", "typndims", "typdefault", "relhastriggers", "relhassubclass", "relrewrite", "reltoastrelid", "attcacheoff", "atthasmissing"),
    *("attmissingval", "indcheckxmin", "enumsortorder", "attnum", "reltablespace", "objsubid", "refobjsubid"),
    "inhseqno",  # it has gaps where a parent went; the order is in the dump
)  # fmt: skip

# Numbers of columns that are no foreign key in PostgreSQL's own list, with the column that has their relation.
UNLISTED = (("prattrs", "prrelid"), ("confdelsetcols", "conrelid"))
SEPARATOR = "\x00"
# Columns that say which row it is.
NAMING = ("attname", "attrelid", "relname", "conname", "proname", "typname", "tgname", "polname", "collname", "opcname")


def differences(laboratory: Laboratory) -> list[str]:
    """Rows of the catalogs that the reference has and the candidate has not, and the other way."""
    facts = []
    for role in ("reference", "candidate"):
        with client.connect(laboratory.bench.address(role), read_only=True) as connection:
            facts.append(Counter(_rows(connection)))
    left, right = (sorted((one - other).elements()) for one, other in (facts, facts[::-1]))
    if len(left) != len(right):
        return [f"- {one}" for one in left] + [f"+ {one}" for one in right]
    found = []
    for one, other in zip(left, right, strict=True):
        ours, theirs = one.split(SEPARATOR), other.split(SEPARATOR)
        shown = [part for part in ours if part in theirs and part.partition("=")[0] in NAMING]
        found.append(" ".join([ours[0], *shown]))
        found += [f"- {part}" for part in ours if part not in theirs]
        found += [f"+ {part}" for part in theirs if part not in ours]
    return found


def _catalogs(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Catalog → its foreign keys: (columns, catalog that they point to, whether they are arrays)."""
    rows = connection.rows(
        "SELECT fktable::text, fkcols::text[], pktable::text, pkcols::text[], is_array"
        " FROM pg_get_catalog_foreign_keys() ORDER BY 1, 2"
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table, columns, target, _, array in rows:
        name = str(table).removeprefix("pg_catalog.")
        found.setdefault(name, []).append((tuple(columns), str(target).removeprefix("pg_catalog."), array))
    return {name: keys for name, keys in found.items() if name not in LEFT_OUT}


def _rows(connection: Connection) -> Iterator[str]:
    catalogs = _catalogs(connection)
    names = _names(connection)
    columns = _columns(connection)
    for catalog, keys in sorted(catalogs.items()):
        if catalog == "pg_depend":
            continue
        there = connection.rows(
            "SELECT attname, atttypid IN ('pg_node_tree'::regtype, 'aclitem[]'::regtype)"
            " FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass", [f"pg_catalog.{catalog}"])  # fmt: skip
        without = {*COLUMNS_LEFT_OUT, *(str(name) for name, left_out in there if left_out)}
        oids = [str(name) for name, _ in there if name == "oid"]
        oids += [_latest(key[0], array) for key, _, array in keys if len(key) == 1]
        # Thousands of rows are without one of the history's, and would be left out below.
        query = f"SELECT to_jsonb(r) FROM pg_catalog.{catalog} r WHERE greatest({', '.join(oids)}) >= {FIRST}"
        for (row,) in connection.rows(query):
            shown = _row(catalog, row, keys, names, columns, without)
            if shown is not None:
                yield f"{catalog}{SEPARATOR}{shown}"
    yield from _dependencies(connection)
    for about, said in connection.rows(
        "SELECT pg_catalog.pg_describe_object(classoid, objoid, objsubid), description FROM pg_catalog.pg_description"
        f" WHERE objoid >= {FIRST}"
    ):
        yield f"pg_description {about}: {said}"


def _latest(column: str, array: bool) -> str:
    """The oid in a column, or the last one of several."""
    return f"(SELECT max(one) FROM unnest({column}::oid[]) AS one)" if array else f"{column}::oid"


def _row(
    catalog: str,
    row: dict[str, Any],
    keys: list[tuple[Any, ...]],
    names: dict[tuple[str, int], str],
    columns: dict[tuple[int, int], str],
    without: set[str],
) -> str | None:
    """A row with names for oids; None where it is none of the history's."""
    ours = int(row.get("oid", 0)) >= FIRST
    for listed, owner in UNLISTED:
        if row.get(listed):
            row = {**row, listed: [columns[int(row[owner]), one] for one in _numbers(row[listed])]}
    result = {name: value for name, value in row.items() if name not in without}
    if catalog == "pg_attribute":
        if row["attnum"] <= 0 or row["attisdropped"]:
            return None
        if names.get(("pg_index", int(row["attrelid"]))):
            result["attname"] = "of an index"  # the name that its column had when the index was made
            # Nobody can give it these, and a change of the column's goes there if the index is older, and in part.
            del result["attstorage"]
            result.pop("attcompression", None)
        result["at"] = sum(1 for relation, at in columns if relation == int(row["attrelid"]) and 0 < at < row["attnum"])
    if catalog == "pg_constraint" and row["contype"] in "puf":
        del result["connoinherit"]  # of a partition's key it depends on whether the key was made before it was attached
    if catalog == "pg_enum":
        result["at"] = names.get(("pg_enum", int(row["oid"])))
    for key, target, array in keys:
        last = key[-1]
        if len(key) == 2:
            relation = int(row[key[0]] or 0)
            numbers = _numbers(row[last]) if array else [int(row[last] or 0)]
            result[last] = [columns.get((relation, number), str(number)) for number in numbers]
        elif last in result and not array and not re.fullmatch(r"-|\d+", str(row[last] or 0)):
            continue  # a regproc: a name already, which may be in quotes
        elif last in result and row[last] is not None:
            oids = _numbers(row[last]) if array else [0 if row[last] == "-" else int(row[last])]
            ours = ours or any(oid >= FIRST for oid in oids)
            result[last] = [names.get((target, oid), str(oid)) for oid in oids]
            if last == "polroles":
                result[last].sort()  # a set of them
    if not ours:
        return None
    for name, value in result.items():
        if (
            name in ("reloptions", "proconfig", "attoptions", "srvoptions", "fdwoptions", "umoptions", "ftoptions")
            and value
        ):
            result[name] = sorted(one for one in value if not one.startswith("pg_")) or None  # PostgreSQL's own
    text = SEPARATOR.join(f"{name}={value}" for name, value in sorted(result.items()))
    text = re.sub(r"(\w+_ConstraintTrigger(?:_[ac])?_)\d+", r"\1N", text)
    return None if "pg_toast" in text else text


def _numbers(value: Any) -> list[int]:
    """Oids or numbers of columns: an array, or the text of a vector."""
    if value is None:
        return []
    return [int(one) for one in (value.split() if isinstance(value, str) else value)]


def _names(connection: Connection) -> dict[tuple[str, int], str]:
    """(catalog, oid) → name of what the history made."""
    found: dict[tuple[str, int], str] = {}
    catalogs = connection.rows(
        "SELECT DISTINCT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
        " AND a.attname = 'oid' WHERE c.relnamespace = 11 AND c.relkind = 'r' AND c.relname NOT LIKE 'pg_large%'"
    )
    for (catalog,) in catalogs:
        if catalog in LEFT_OUT and catalog != "pg_authid":
            continue
        query = (
            "SELECT oid::bigint, (pg_catalog.pg_identify_object(%s::regclass, oid, 0)).identity"
            f" FROM pg_catalog.{catalog} WHERE oid >= {FIRST}"
        )
        if catalog == "pg_enum":
            query = ("SELECT oid::bigint, rank() OVER (PARTITION BY enumtypid ORDER BY enumsortorder)"
                     f" FROM pg_catalog.pg_enum WHERE oid >= {FIRST} AND %s IS NOT NULL")  # fmt: skip
        if catalog == "pg_authid":
            query = f"SELECT oid::bigint, rolname FROM pg_catalog.pg_authid WHERE oid >= {FIRST} AND %s IS NOT NULL"
        for oid, name in connection.rows(query, [f"pg_catalog.{catalog}"]):
            found[(str(catalog), int(oid))] = str(name)
    for (oid,) in connection.rows(f"SELECT indexrelid::bigint FROM pg_catalog.pg_index WHERE indexrelid >= {FIRST}"):
        found[("pg_index", int(oid))] = "index"
    return found


def _columns(connection: Connection) -> dict[tuple[int, int], str]:
    return {
        (int(relation), int(number)): str(name)
        for relation, number, name in connection.rows(
            "SELECT attrelid::bigint, attnum, attname FROM pg_catalog.pg_attribute WHERE NOT attisdropped AND attnum <> 0"
            f" AND attrelid >= {FIRST}"
        )
    }


def _dependencies(connection: Connection) -> Iterator[str]:
    """What depends on what, also what expressions are bound to, ownership of sequences, DEPENDS ON EXTENSION …"""
    query = (
        "SELECT pg_describe_object(classid, objid, objsubid), deptype, pg_describe_object(refclassid, refobjid, refobjsubid)"
        f" FROM pg_catalog.pg_depend WHERE objid >= {FIRST}"
        # Which type a default of a domain's passes through is no matter: a dump has the default itself.
        " AND NOT (deptype = 'n' AND classid = 'pg_type'::regclass AND refclassid = 'pg_type'::regclass)"
    )
    for one, kind, other in connection.rows(query):
        text = re.sub(r"(\w+_ConstraintTrigger(?:_[ac])?_)\d+", r"\1N", f"pg_depend {one} {kind} {other}")
        # A foreign key's triggers hang on their parents only where they were made before they had any.
        if "pg_toast" not in text and not (kind in "PS" and "trigger RI_" in text):
            yield text
