"""Views, materialized views, rules."""

from __future__ import annotations

from tests.random import values
from tests.random.world import World


def query(w: World) -> str:
    """A SELECT over what is there."""
    relation = w.relation("rpvmf")
    columns = w.columns(relation)
    names = [name for name, _ in columns]
    first = w.one(names)
    listed = ", ".join(names)
    forms = [
        f"SELECT * FROM {relation}", f"SELECT {first} AS x FROM {relation} WHERE {values.condition(w, relation)}",
        f"SELECT count(*) AS n, {first} FROM {relation} GROUP BY {first}", f"SELECT {listed} FROM {relation} AS r",
        f"SELECT r.*, row_number() OVER (ORDER BY r.{first}) AS n FROM {relation} r",
        f"WITH w AS (SELECT {first} AS x FROM {relation}) SELECT x, 'it''s %s :b'::text AS y FROM w",
        f"SELECT a.{first} AS p, b.{first} AS q FROM {relation} a LEFT JOIN {relation} b USING ({first})",
        f"SELECT {first} FROM {relation} UNION ALL SELECT NULL", f"TABLE {relation}",
        f"SELECT r AS whole FROM {relation} r", f"SELECT {first}::text AS t FROM {relation} ORDER BY 1 LIMIT 3",
        f"SELECT CASE WHEN {first} IS NULL THEN 1 ELSE 2 END AS c FROM {relation}",
        "SELECT 1 AS one, 'x'::text AS two", "VALUES (1, 'a'), (2, NULL)",
    ]  # fmt: skip
    return w.one(forms)


def create_view(w: World) -> str:
    options = w.maybe(
        f" WITH ({w.one(('security_barrier = true', 'security_invoker = true', 'check_option = local'))})", 6
    )
    end = w.maybe(w.one((" WITH CHECK OPTION", " WITH LOCAL CHECK OPTION")), 8)
    return f"CREATE {w.maybe('OR REPLACE ', 5)}VIEW {w.new('v')}{options} AS {query(w)}{end}"


def create_recursive(w: World) -> str:
    name = w.new("v")
    own = name.split(".", 1)[-1] if not name.startswith('"') else name
    return f"CREATE RECURSIVE VIEW {name} (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM {own} WHERE n < 5"


def create_materialized(w: World) -> str:
    options = w.maybe(" WITH (fillfactor = 70)", 8)
    return f"CREATE MATERIALIZED VIEW {w.new('m')}{options} AS {query(w)}{w.maybe(' WITH NO DATA', 4)}"


def change_view(w: World) -> str:
    view = w.relation("v")
    name, type_ = w.one(w.columns(view))
    return w.one((f"ALTER VIEW {view} ALTER COLUMN {name} SET DEFAULT {values.default(w, type_)}",
                  f"ALTER VIEW {view} ALTER COLUMN {name} DROP DEFAULT", f"ALTER VIEW {view} SET (security_barrier)",
                  f"ALTER VIEW {view} RENAME COLUMN {name} TO {w.name('c')}", f"ALTER VIEW {view} RESET (security_barrier)",
                  f"CREATE OR REPLACE VIEW {view} AS {query(w)}"))  # fmt: skip


def change_materialized(w: World) -> str:
    view = w.relation("m")
    name = w.column(view)
    return w.one((f"REFRESH MATERIALIZED VIEW {view}", f"REFRESH MATERIALIZED VIEW {view} WITH NO DATA",
                  f"ALTER MATERIALIZED VIEW {view} ALTER COLUMN {name} SET STATISTICS 7",
                  f"ALTER MATERIALIZED VIEW {view} RENAME COLUMN {name} TO {w.name('c')}",
                  f"ALTER MATERIALIZED VIEW {view} SET (fillfactor = 90)",
                  f"ALTER MATERIALIZED VIEW {view} ALTER COLUMN {name} SET STORAGE PLAIN"))  # fmt: skip


def create_rule(w: World) -> str:
    relation = w.relation("rpv")
    event = w.one(("INSERT", "UPDATE", "DELETE"))
    where = w.maybe(" WHERE 1 = 1", 4)
    other = w.relation("rp")
    name = w.column(other)
    actions = [
        "NOTHING",
        f"DELETE FROM {other} WHERE false",
        f"NOTIFY {w.name('ch')}",
        f"INSERT INTO {other} ({name}) VALUES (DEFAULT)",
    ]
    if not w.known("rules with several commands"):
        actions.append(f"(DELETE FROM {other} WHERE false; NOTIFY x)")
    also = w.one(("ALSO", "INSTEAD"))
    return f"CREATE {w.maybe('OR REPLACE ', 4)}RULE {w.name('ru')} AS ON {event} TO {relation}{where} DO {also} {w.one(actions)}"


def change_rule(w: World) -> str:
    relation = w.relation("rpv")
    rules = w.of_relation(
        relation, "SELECT quote_ident(rulename) FROM pg_rewrite WHERE ev_class = {} AND rulename <> '_RETURN'"
    )
    rule = w.one(rules)
    return w.one((f"ALTER RULE {rule} ON {relation} RENAME TO {w.name('ru')}", f"DROP RULE {rule} ON {relation}",
                  f"ALTER TABLE {relation} {w.one(('DISABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'))} RULE {rule}",
                  f"COMMENT ON RULE {rule} ON {relation} IS 'a rule'"))  # fmt: skip


OPERATIONS = (
    *((6, create_view), (1, create_recursive), (3, create_materialized), (3, change_view), (3, change_materialized)),
    *((3, create_rule), (1, change_rule)),
)
