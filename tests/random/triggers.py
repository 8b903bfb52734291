"""Triggers and event triggers."""

from __future__ import annotations

from tests.random import values
from tests.random.world import World


def create_trigger_function(w: World) -> str:
    result = "event_trigger" if w.chance(4) else "trigger"
    if result == "trigger" and w.chance(3):
        log = w.relation("r")  # rows of one table make rows of another
        body = f"BEGIN INSERT INTO {log} DEFAULT VALUES; RETURN NEW; END"
        return f"CREATE FUNCTION {w.new('tf')}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
    body = (
        "BEGIN RETURN; END" if result == "event_trigger" else w.one(("BEGIN RETURN NEW; END", "BEGIN RETURN NULL; END"))
    )
    return f"CREATE FUNCTION {w.new('tf')}() RETURNS {result} LANGUAGE plpgsql AS $${body}$$"


def function(w: World, result: str) -> str:
    query = (
        "SELECT format('%I.%I()', n.nspname, proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
        f" WHERE n.nspname !~ '^pg_' AND prorettype = '{result}'::regtype AND NOT EXISTS (SELECT 1 FROM pg_depend d"
        " WHERE d.objid = p.oid AND d.deptype = 'e')"
    )
    if not w.texts(query):
        body = "BEGIN RETURN; END" if result == "event_trigger" else "BEGIN RETURN NEW; END"
        w.run(f"CREATE FUNCTION {w.new('tf')}() RETURNS {result} LANGUAGE plpgsql AS $${body}$$")
    return w.one(w.texts(query))


def create_trigger(w: World) -> str:
    table = w.relation("rpvf")
    call = function(w, "trigger")[:-2] + w.one(("()", "()", "('it''s', '50%', ':x')"))
    name = w.name("tr")
    events = " OR ".join(w.some(("INSERT", "UPDATE", "DELETE", f"UPDATE OF {w.column(table)}"), 2))
    choice = w.number(1, 6)
    if choice == 1:
        when = w.one(("", " DEFERRABLE INITIALLY DEFERRED", f" FROM {w.relation('r')}"))
        return f"CREATE CONSTRAINT TRIGGER {name} AFTER {events} ON {table}{when} FOR EACH ROW EXECUTE FUNCTION {call}"
    if choice == 2:
        return (f"CREATE TRIGGER {name} AFTER UPDATE ON {table} REFERENCING NEW TABLE AS nt OLD TABLE AS ot"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {call}")  # fmt: skip
    if choice == 3:
        return f"CREATE TRIGGER {name} {w.one(('BEFORE', 'AFTER'))} TRUNCATE ON {table} EXECUTE FUNCTION {call}"
    when = w.maybe(f" WHEN (NEW.{w.column(table)} IS NOT NULL)", 4) if events == "INSERT" else ""
    time = w.one(("BEFORE", "AFTER", "AFTER", "INSTEAD OF"))
    return (f"CREATE {w.maybe('OR REPLACE ', 6)}TRIGGER {name} {time} {events} ON {table}"
            f" FOR EACH {w.one(('ROW', 'STATEMENT'))}{when} EXECUTE FUNCTION {call}")  # fmt: skip


def change_trigger(w: World) -> str:
    table = w.relation("rpvf")
    triggers = w.of_relation(
        table, "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = {} AND NOT tgisinternal"
    )
    trigger = w.one([*triggers, "USER", "ALL"])
    switch = f"ALTER TABLE {table} {w.one(('DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'))} TRIGGER {trigger}"
    if trigger in ("USER", "ALL"):
        return switch
    return w.one((switch, switch, f"DROP TRIGGER {trigger} ON {table}", f"COMMENT ON TRIGGER {trigger} ON {table} IS 'a'",
                  f"ALTER TRIGGER {trigger} ON {table} RENAME TO {w.name('tr')}",
                  f"ALTER TRIGGER {trigger} ON {table} DEPENDS ON EXTENSION plpgsql"))  # fmt: skip


def event_trigger(w: World) -> str:
    w.avoid("event triggers")
    there = w.texts("SELECT quote_ident(evtname) FROM pg_event_trigger")
    if there and w.chance(2):
        name = w.one(there)
        return w.one((f"ALTER EVENT TRIGGER {name} {w.one(('DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'))}",
                      f"ALTER EVENT TRIGGER {name} RENAME TO {w.name('ev')}", f"DROP EVENT TRIGGER {name}",
                      f"COMMENT ON EVENT TRIGGER {name} IS 'an event'"))  # fmt: skip
    when = w.one(("ddl_command_start", "ddl_command_end", "sql_drop", "table_rewrite",
                  "ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')"))  # fmt: skip
    return f"CREATE EVENT TRIGGER {w.name('ev')} ON {when} EXECUTE FUNCTION {function(w, 'event_trigger')}"


def policy(w: World) -> str:
    table = w.relation("rp")
    there = w.of_relation(table, "SELECT quote_ident(polname) FROM pg_policy WHERE polrelid = {}")
    choice = w.number(1, 3)
    if choice == 1:
        word = w.one(("ENABLE", "DISABLE", "FORCE", "NO FORCE"))
        return f"ALTER TABLE {table} {word} ROW LEVEL SECURITY"
    if choice == 2 and there:
        name = w.one(there)
        return w.one((f"ALTER POLICY {name} ON {table} USING ({values.condition(w, table)})", f"DROP POLICY {name} ON {table}",
                      f"ALTER POLICY {name} ON {table} RENAME TO {w.name('po')}",
                      f"ALTER POLICY {name} ON {table} TO {w.role()}",
                      f"COMMENT ON POLICY {name} ON {table} IS 'a policy'"))  # fmt: skip
    event = w.one(("", " FOR ALL", " FOR SELECT", " FOR DELETE"))
    text = f"CREATE POLICY {w.name('po')} ON {table}{w.maybe(' AS RESTRICTIVE', 4)}{event}"
    text += w.maybe(f" TO {w.one((w.role(), 'CURRENT_USER', ', '.join(('random_reader', 'PUBLIC'))))}", 2)
    return f"{text} USING ({values.condition(w, table)})"


OPERATIONS = ((2, create_trigger_function), (5, create_trigger), (3, change_trigger), (1, event_trigger), (4, policy))
