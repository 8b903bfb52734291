"""Privileges, owners, comments, security labels."""

from __future__ import annotations

from tests.random import routines, values
from tests.random.world import World

Named = list[tuple[str, str]]


def objects(w: World) -> Named:
    """(word, name) of what has an owner, can be renamed, moved and dropped."""
    found: Named = []
    for word, kinds in (
        ("TABLE", "rp"),
        ("VIEW", "v"),
        ("MATERIALIZED VIEW", "m"),
        ("SEQUENCE", "S"),
        ("FOREIGN TABLE", "f"),
    ):
        found += [(word, one) for one in w.relations(kinds)]
    found += [("TYPE", one) for one in values.types_made(w)]
    for word, kind in (("FUNCTION", "f"), ("PROCEDURE", "p"), ("AGGREGATE", "a")):
        found += [(word, one) for one in routines.routines(w, f"prokind = '{kind}'")]
    for word, catalog, prefix in (
        ("COLLATION", "pg_collation", "coll"), ("CONVERSION", "pg_conversion", "con"), ("STATISTICS", "pg_statistic_ext", "stx"),
        ("TEXT SEARCH CONFIGURATION", "pg_ts_config", "cfg"), ("TEXT SEARCH DICTIONARY", "pg_ts_dict", "dict"),
        ("TEXT SEARCH TEMPLATE", "pg_ts_template", "tmpl"), ("TEXT SEARCH PARSER", "pg_ts_parser", "prs"),
    ):  # fmt: skip
        found += [(word, one) for one in w.named(catalog, prefix)]
    for word, catalog, prefix in (("OPERATOR CLASS", "pg_opclass", "opc"), ("OPERATOR FAMILY", "pg_opfamily", "opf")):
        found += [(word, f"{one} USING btree") for one in w.named(catalog, prefix)]
    return found


def without_schema(w: World) -> Named:
    """(word, name) of what is in no schema."""
    found: Named = []
    for word, catalog, prefix in (
        ("FOREIGN DATA WRAPPER", "pg_foreign_data_wrapper", "fdw"), ("SERVER", "pg_foreign_server", "srv"),
        ("EVENT TRIGGER", "pg_event_trigger", "evt"), ("PUBLICATION", "pg_publication", "pub"),
        ("LANGUAGE", "pg_language", "lan"),
    ):  # fmt: skip
        found += [(word, one) for one in w.texts(f"SELECT quote_ident({prefix}name) FROM {catalog} WHERE oid >= 16384")]
    schemas = w.texts("SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'")
    return found + [("SCHEMA", one) for one in schemas]


def comment(w: World) -> str:
    word, name = w.one([*objects(w), *without_schema(w)])
    return f"COMMENT ON {word} {name} IS {text(w)}"


def comment_on_part(w: World) -> str:
    if w.chance(3):
        table = w.relation("rp")
        names = w.of_relation(table, "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = {}")
        return f"COMMENT ON CONSTRAINT {w.one(names)} ON {table} IS {text(w)}"
    if w.chance(3):
        return f"COMMENT ON INDEX {w.relation('iI')} IS {text(w)}"
    relation = w.relation("rpvmfc")
    return f"COMMENT ON COLUMN {relation}.{w.column(relation)} IS {text(w)}"


def on_what_came_along(w: World) -> str:
    """A comment or privilege on what the server made with a type or relation."""
    functions = w.texts(
        "SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
        " AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass WHERE p.oid >= 16384"
    )
    word, name = w.one([("FUNCTION", one) for one in functions] or [("TYPE", one) for one in w.relations("rpvmf")])
    return w.one((f"COMMENT ON {word} {name} IS {text(w)}", f"GRANT ALL ON {word} {name} TO {w.role()}",
                  f"REVOKE ALL ON {word} {name} FROM PUBLIC", f"ALTER {word} {name} OWNER TO {w.role()}"))  # fmt: skip


def text(w: World) -> str:
    return w.one(
        ("'words'", "'it''s 50% :x'", r"E'two\nlines'", "NULL", "''", r"E'back\\slash'", '\'"""\'', "'%(a)s {b}'")
    )


def owner(w: World) -> str:
    word, name = w.one([*objects(w), *without_schema(w)])
    if w.known("ALTER SCHEMA public OWNER") and (word, name) == ("SCHEMA", "public"):
        w.avoid("ALTER SCHEMA public OWNER")
    others = [] if w.known("pg_database_owner") else ["pg_database_owner"]
    return f"ALTER {word} {name} OWNER TO {w.one((w.role(), w.role(), 'CURRENT_USER', *others))}"


def grant(w: World) -> str:
    word, name = w.one([*objects(w), *without_schema(w)])
    role = w.one((w.role(), w.role(), "PUBLIC"))
    verbs = {"TABLE": "SELECT, INSERT, UPDATE, TRUNCATE, TRIGGER, REFERENCES, DELETE", "SEQUENCE": "USAGE, UPDATE, SELECT",
             "SCHEMA": "USAGE, CREATE"}.get(word, "ALL").split(", ")  # fmt: skip
    listed = ", ".join(w.some([*verbs, "ALL"] if w.chance(6) else verbs, 2))
    word = {"VIEW": "TABLE", "MATERIALIZED VIEW": "TABLE", "FOREIGN TABLE": "TABLE", "SERVER": "FOREIGN SERVER",
            "AGGREGATE": "FUNCTION"}.get(word, word)  # fmt: skip
    if word == "TABLE" and w.chance(3):
        listed = f"{w.one(('SELECT', 'UPDATE', 'INSERT', 'REFERENCES'))} ({w.column(name)})"
    if w.chance(3):
        return f"REVOKE {listed} ON {word} {name} FROM {w.one((role, 'CURRENT_USER', 'PUBLIC'))}"
    option = w.maybe(" WITH GRANT OPTION", 5) if role != "PUBLIC" else ""
    return f"GRANT {listed} ON {word} {name} TO {role}{option}"


def grant_all(w: World) -> str:
    word = w.one(("TABLES", "SEQUENCES", "FUNCTIONS", "ROUTINES"))
    return w.one((f"GRANT ALL ON ALL {word} IN SCHEMA {w.schema()} TO {w.role()}",
                  f"REVOKE ALL ON ALL {word} IN SCHEMA {w.schema()} FROM {w.one((w.role(), 'PUBLIC', 'CURRENT_USER'))}"))  # fmt: skip


def grant_on(w: World) -> str:
    """A privilege that was given on by who got it."""
    table, verb = w.relation("rv"), w.one(("SELECT", "INSERT", "UPDATE"))
    w.run(f"GRANT {verb} ON {table} TO random_reader WITH GRANT OPTION")
    return f'SET LOCAL ROLE random_reader; GRANT {verb} ON {table} TO "Random Writer"'


def made_by_another(w: World) -> str:
    """What another role made, in a schema where it may."""
    schema, role = w.schema(), w.role()
    w.run(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}")
    make = w.one((f"TABLE {schema}.{w.name('t')} (a serial PRIMARY KEY, b text)", f"VIEW {schema}.{w.name('v')} AS SELECT 1 AS x",
                  f"SEQUENCE {schema}.{w.name('q')}", f"TYPE {schema}.{w.name('e')} AS ENUM ('a')",
                  f"FUNCTION {schema}.{w.name('f')}() RETURNS integer LANGUAGE sql RETURN 1"))  # fmt: skip
    return f"SET LOCAL ROLE {role}; CREATE {make}"


def default_privileges(w: World) -> str:
    w.avoid("default privileges")
    verb = w.one(("SELECT ON TABLES", "ALL ON TABLES", "USAGE ON SEQUENCES", "EXECUTE ON FUNCTIONS", "USAGE ON TYPES",
                  "ALL ON SCHEMAS"))  # fmt: skip
    where = w.maybe(f" FOR ROLE {w.role()}", 3) + w.maybe(f" IN SCHEMA {w.schema()}", 3)
    change = w.one((f"GRANT {verb} TO {w.role()}", f"GRANT {verb} TO {w.role()} WITH GRANT OPTION",
                    f"REVOKE {verb} FROM {w.one(('PUBLIC', 'CURRENT_USER', w.role()))}"))  # fmt: skip
    return f"ALTER DEFAULT PRIVILEGES{where} {change}"


def grant_built_in(w: World) -> str:
    if w.known("privileges on PostgreSQL's own objects"):
        return w.one(("REVOKE CREATE ON SCHEMA public FROM PUBLIC", f"GRANT SELECT ON alembic_version TO {w.role()}",
                      "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT CREATE ON SCHEMA public TO PUBLIC"))  # fmt: skip
    if not w.known("privileges on languages") and w.chance(3):
        return w.one((f"GRANT USAGE ON LANGUAGE plpgsql TO {w.role()} WITH GRANT OPTION",
                      "REVOKE USAGE ON LANGUAGE sql FROM PUBLIC"))  # fmt: skip
    return w.one((f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO {w.role()}",
                  f"GRANT SELECT ON pg_catalog.pg_authid TO {w.role()}", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
                  "REVOKE EXECUTE ON FUNCTION pg_catalog.lower(text) FROM PUBLIC",
                  "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                  "GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE USAGE ON TYPE pg_catalog.int4 FROM PUBLIC", f"GRANT SELECT ON alembic_version TO {w.role()}"))  # fmt: skip


OPERATIONS = (
    *(
        (5, comment),
        (3, comment_on_part),
        (2, on_what_came_along),
        (4, owner),
        (5, grant),
        (1, grant_all),
        (1, grant_on),
        (1, made_by_another),
        (1, default_privileges),
    ),
    (1, grant_built_in),
)
