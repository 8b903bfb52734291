"""Schemas, extensions, and the database itself."""

from __future__ import annotations

from tests.random.world import World

EXTENSIONS = ("hstore", "citext", "ltree", "pg_trgm", "btree_gist", "btree_gin", "pgcrypto", "unaccent", "file_fdw",
              "postgres_fdw", "intarray", "uuid-ossp", "cube", "moddatetime", "bloom", "dict_int", "lo")  # fmt: skip
SETTINGS = ("work_mem = '8MB'", "timezone = 'Europe/Vienna'", "datestyle = 'German, DMY'", "statement_timeout = '5min'",
            "search_path = public, s1", "\"app.name\" = 'it''s %s :x'", "standard_conforming_strings = on",
            "intervalstyle = 'sql_standard'", "extra_float_digits = 0", "bytea_output = 'escape'", "xmloption = document",
            "default_toast_compression = 'lz4'", "row_security = on", "lc_monetary = 'C'")  # fmt: skip


def create_schema(w: World) -> str:
    return f"CREATE SCHEMA {w.name('s')}{w.maybe(' AUTHORIZATION ' + w.role(), 5)}"


def create_extension(w: World) -> str:
    name = w.one(EXTENSIONS)
    where = w.maybe(f" SCHEMA {w.schema()}", 3)
    return f'CREATE EXTENSION {w.maybe("IF NOT EXISTS ", 2)}"{name}"{where}{w.maybe(" CASCADE", 4)}'


def change_extension(w: World) -> str:
    name = w.one(w.texts("SELECT quote_ident(extname) FROM pg_extension WHERE extname <> 'plpgsql'"))
    return w.one((f"ALTER EXTENSION {name} SET SCHEMA {w.schema()}", f"DROP EXTENSION {name} CASCADE",
                  f"COMMENT ON EXTENSION {name} IS 'the extension''s %s'"))  # fmt: skip


def old_extension(w: World) -> str:
    version = w.one(("hstore VERSION '1.4'", "citext VERSION '1.4'", "pg_trgm VERSION '1.3'", "intarray VERSION '1.2'"))
    if w.chance(2):
        return f"ALTER EXTENSION {version.split()[0]} UPDATE"
    return f"CREATE EXTENSION {version}"


def set_database(w: World) -> str:
    change = w.one((f"SET {w.one(SETTINGS)}", "RESET ALL", "CONNECTION LIMIT 7", f"OWNER TO {w.role()}"))
    quoted = change.replace("'", "''").replace("%", "%%")
    return f"DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I {quoted}', current_database()); END $do$"


def set_role_in_database(w: World) -> str:
    setting = w.one(SETTINGS).replace("'", "''").replace("%", "%%")
    return ("DO $do$ BEGIN EXECUTE format('ALTER ROLE "
            f"{w.role()} IN DATABASE %I SET {setting}', current_database()); END $do$")  # fmt: skip


def on_database(w: World) -> str:
    change = w.one((f"GRANT {w.one(('CREATE', 'TEMPORARY', 'ALL', 'CONNECT'))} ON DATABASE %I TO {w.role()}",
                    "REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC"))  # fmt: skip
    return f"DO $do$ BEGIN EXECUTE format('{change}', current_database()); END $do$"


OPERATIONS = (
    *((5, create_schema), (3, create_extension), (1, change_extension), (1, old_extension), (1, set_database)),
    *((1, set_role_in_database), (1, on_database)),
)
