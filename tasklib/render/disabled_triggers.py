"""Constraints that are switched off: before the rows where that can be, since these may not satisfy them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasklib.judge.disabled_triggers import Switch
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source


def item(source: Source, switch: Switch, inline: Mapping[tuple[str, str], Sequence[str]]) -> Item:
    """``inline`` names the foreign keys that stand in their table's create_table."""
    kinds = ("FK CONSTRAINT", "CONSTRAINT")
    entries = [source.by_key.get((kind, c[0], f"{c[1]} {c[2]}")) for c in switch.constraints for kind in kinds]
    needs: set[object] = {entry.dump_id for entry in entries if entry is not None}
    needs |= {("table", schema, table) for schema, table, _ in switch.constraints}
    needs.add(("table", switch.schema, switch.table))
    early = all(name in inline.get((schema, table), ()) for schema, table, name in switch.constraints)
    provides = frozenset[object]({("switched", switch.schema, switch.table)} if early else set())
    reason = "DDL: Alembic has no operation for a constraint's own triggers"
    key = ("CONSTRAINT TRIGGERS", switch.schema, f"{switch.table} {switch.mode}")
    return Item(key, "tables" if early else "triggers and rules", provides, frozenset(needs),
                tuple(execute_all([switch.statement()], reason)))  # fmt: skip
