"""Foreign data: wrappers, servers, user mappings, foreign tables. And publications."""

from __future__ import annotations

from tests.random import tables, values
from tests.random.world import World


def wrappers(w: World) -> list[str]:
    return w.texts("SELECT quote_ident(fdwname) FROM pg_foreign_data_wrapper")


def servers(w: World) -> list[str]:
    return w.texts("SELECT quote_ident(srvname) FROM pg_foreign_server")


def create_wrapper(w: World) -> str:
    return f"CREATE FOREIGN DATA WRAPPER {w.name('fw')}{w.maybe(' OPTIONS (debug $$true$$)', 2).replace('$$', chr(39))}"


def create_server(w: World) -> str:
    if not wrappers(w):
        w.run(create_wrapper(w))
    kind = w.maybe(" TYPE 'kind' VERSION '1.0'", 3)
    options = w.maybe(" OPTIONS (host 'it''s %s', dbname ':x')", 2)
    return f"CREATE SERVER {w.name('sv')}{kind} FOREIGN DATA WRAPPER {w.one(wrappers(w))}{options}"


def create_mapping(w: World) -> str:
    user = w.one((w.role(), "PUBLIC", "CURRENT_USER"))
    return f"CREATE USER MAPPING FOR {user} SERVER {w.one(servers(w))}{w.maybe(' OPTIONS (user $u$)', 2).replace('$', chr(39))}"


def create_foreign_table(w: World) -> str:
    if not servers(w):
        w.run(create_server(w))
    columns = [
        f"{w.name('c')} {values.type_(w)}{w.maybe(' OPTIONS (x $1$)', 5).replace('$', chr(39))}"
        for _ in range(w.number(1, 2))
    ]
    columns += [tables.column(w)]
    options = w.maybe(" OPTIONS (table_name 'it''s', y '%')", 2)
    return f"CREATE FOREIGN TABLE {w.new('ft')} ({', '.join(columns)}) SERVER {w.one(servers(w))}{options}"


def change_foreign(w: World) -> str:
    table = w.relation("f")
    server = w.one(servers(w))
    return w.one((f"ALTER FOREIGN TABLE {table} OPTIONS (ADD z 'z')", f"ALTER SERVER {server} OPTIONS (ADD z '1')",
                  f"ALTER FOREIGN TABLE {table} ALTER COLUMN {w.column(table)} OPTIONS (ADD w 'w')",
                  f"ALTER SERVER {server} VERSION '2'", f"DROP SERVER {server} CASCADE",
                  f"ALTER SERVER {server} RENAME TO {w.name('sv')}", f"DROP FOREIGN TABLE {table}",
                  f"COMMENT ON SERVER {server} IS 'a server'"))  # fmt: skip


def create_publication(w: World) -> str:
    name = w.name("pu")
    options = w.maybe(f" WITH (publish = '{w.one(('insert', 'insert, delete', ''))}')", 4)
    options = options or w.maybe(" WITH (publish_via_partition_root)", 6)
    choice = w.number(1, 4)
    if choice == 1:
        return f"CREATE PUBLICATION {name} FOR ALL TABLES{options}"
    if choice == 2:
        return f"CREATE PUBLICATION {name} FOR TABLES IN SCHEMA {w.schema()}{options}"
    table = w.relation("rp")
    columns = w.maybe(f" ({w.column(table)})", 4)
    where = w.maybe(f" WHERE ({values.condition(w, table)})", 4)
    return f"CREATE PUBLICATION {name} FOR TABLE {w.maybe('ONLY ', 6)}{table}{columns}{where}{options}"


def change_publication(w: World) -> str:
    name = w.one(w.texts("SELECT quote_ident(pubname) FROM pg_publication"))
    table = w.relation("rp")
    change = w.one((f"ADD TABLE {table}", f"SET TABLE {table} WHERE ({values.condition(w, table)})", f"DROP TABLE {table}",
                    "SET (publish = 'update')", f"ADD TABLES IN SCHEMA {w.schema()}", f"RENAME TO {w.name('pu')}",
                    f"OWNER TO {w.role()}"))  # fmt: skip
    return w.one((f"ALTER PUBLICATION {name} {change}", f"ALTER PUBLICATION {name} {change}", f"DROP PUBLICATION {name}",
                  f"COMMENT ON PUBLICATION {name} IS 'a publication'"))  # fmt: skip


OPERATIONS = (
    *((1, create_wrapper), (1, create_server), (1, create_mapping), (3, create_foreign_table), (2, change_foreign)),
    *((2, create_publication), (1, change_publication)),
)
