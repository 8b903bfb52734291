"""Constraints whose own triggers were switched off (DISABLE TRIGGER ALL) or to another mode, which no dump prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasklib.postgres import client
from tasklib.postgres.client import Connection

# pg_trigger's letters.
MODES = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}

TRIGGERS = """
SELECT n.nspname, c.relname, c.relkind = 'p', t.tgenabled, t.tgisinternal,
       coalesce(cn.nspname, ''), coalesce(cc.relname, ''), coalesce(con.conname, ''), t.tgfoid::regproc::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint con ON con.oid = t.tgconstraint AND t.tgisinternal
LEFT JOIN pg_class cc ON cc.oid = con.conrelid LEFT JOIN pg_namespace cn ON cn.oid = cc.relnamespace
WHERE t.tgrelid IN (SELECT o.tgrelid FROM pg_trigger o JOIN pg_constraint oc ON oc.oid = o.tgconstraint
                    WHERE o.tgisinternal AND o.tgenabled <> 'O')
ORDER BY 1, 2, 4, 6, 7, 8, 9
"""


LOOP = """DO $do$
DECLARE
    one name;
BEGIN
    FOR one IN SELECT t.tgname FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint
        WHERE t.tgrelid = {table} AND (c.conrelid, c.conname, t.tgfoid) IN (
            {listed})
    LOOP
        EXECUTE format({each}, one);
    END LOOP;
END
$do$"""


@dataclass(frozen=True)
class Switch:
    """Triggers of one table in one mode. ``of`` lists their constraints (schema, table, name) with the function.

    ``all_of_them``: the table has no other trigger, of any kind.
    """

    schema: str
    table: str
    partitioned: bool
    mode: str
    of: tuple[tuple[str, str, str, str], ...]
    all_of_them: bool

    @property
    def constraints(self) -> list[tuple[str, str, str]]:
        return sorted({(schema, table, name) for schema, table, name, _ in self.of})

    def statement(self) -> str:
        """SQL that switches these triggers, whose names are other ones in each database."""
        only = "ONLY " if self.partitioned else ""
        alter = f"ALTER TABLE {only}{client.identifier(self.table, self.schema)} {MODES[self.mode]} TRIGGER"
        if self.all_of_them and self.mode == "D":
            return f"{alter} ALL"
        listed = ",\n            ".join(
            f"({_regclass(schema, table)}, {client.literal(name)}, {client.literal(function)}::regproc)"
            for schema, table, name, function in self.of
        )
        each = client.literal(alter.replace("%", "%%") + " %I")
        return LOOP.format(table=_regclass(self.schema, self.table), listed=listed, each=each)


def switches(connection: Connection) -> tuple[Switch, ...]:
    """Every switch that is not as the constraints were made."""
    tables: dict[tuple[str, str, bool], list[tuple[str, bool, tuple[str, str, str, str]]]] = {}
    for schema, table, partitioned, mode, internal, *of in connection.rows(TRIGGERS):
        tables.setdefault((schema, table, partitioned), []).append((mode, internal, (of[0], of[1], of[2], of[3])))
    found: list[Switch] = []
    for key, triggers in tables.items():
        modes = {mode for mode, internal, _ in triggers if mode != "O" and internal}
        found += [
            Switch(*key, mode, _of(triggers, mode), all(t[0] == mode and t[1] for t in triggers))
            for mode in sorted(modes)
        ]
    return tuple(found)


def _of(
    triggers: Sequence[tuple[str, bool, tuple[str, str, str, str]]], mode: str
) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(of for found, internal, of in triggers if internal and found == mode and of[2])


def _regclass(schema: str, table: str) -> str:
    return f"{client.literal(client.identifier(table, schema))}::regclass"
