"""Constraints and indexes."""

from __future__ import annotations

from tests.random import values
from tests.random.world import World

DEFERRED = ("", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED")


def add_check(w: World) -> str:
    table = w.relation("rpf")
    named = w.maybe(f"CONSTRAINT {w.name('ck')} ", 2)
    end = w.maybe(" NO INHERIT", 6) + w.maybe(" NOT VALID", 4)
    return f"ALTER TABLE {table} ADD {named}CHECK ({values.condition(w, table)}){end}"


def add_key(w: World) -> str:
    table = w.relation("rp")
    named = w.maybe(f"CONSTRAINT {w.name('k')} ", 2)
    columns = [name for name, _ in w.some(w.columns(table), 2)]
    word = w.one(("PRIMARY KEY", "UNIQUE", "UNIQUE", "UNIQUE NULLS NOT DISTINCT"))
    end = w.maybe(f" INCLUDE ({w.column(table)})", 6) + w.maybe(" WITH (fillfactor = 60)", 8) + w.one(DEFERRED)
    return f"ALTER TABLE {table} ADD {named}{word} ({', '.join(columns)}){end}"


def add_key_by_index(w: World) -> str:
    table = w.relation("r")
    indexes = w.of_relation(table, "SELECT quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                            " WHERE i.indrelid = {} AND indisunique AND NOT EXISTS (SELECT 1 FROM pg_constraint"
        " WHERE conindid = c.oid AND contype IN ('p', 'u', 'x'))")  # fmt: skip
    word = w.one(("PRIMARY KEY", "UNIQUE"))
    return f"ALTER TABLE {table} ADD CONSTRAINT {w.name('k')} {word} USING INDEX {w.one(indexes)}{w.one(DEFERRED)}"


def add_exclusion(w: World) -> str:
    table = w.relation("r")
    name, type_ = w.one(w.columns(table))
    operator = "&&" if "range" in type_ or type_ in ("box", "inet", "circle") else "="
    method = "gist" if operator == "&&" else w.one(("btree", "gist", "hash"))
    where = w.maybe(f" WHERE ({values.condition(w, table)})", 4)
    return (f"ALTER TABLE {table} ADD CONSTRAINT {w.name('x')} EXCLUDE USING {method} ({name} WITH {operator})"
            f"{where}{w.one(DEFERRED)}")  # fmt: skip


def add_foreign_key(w: World) -> str:
    keys = w.connection.rows(
        "SELECT c.conrelid::regclass::text, array_to_string(ARRAY(SELECT quote_ident(attname) FROM unnest(c.conkey)"
        " WITH ORDINALITY AS k (n, i) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = n ORDER BY i), ', '),"
        " ARRAY(SELECT atttypid::regtype::text FROM unnest(c.conkey) WITH ORDINALITY AS k (n, i) JOIN pg_attribute a"
        " ON a.attrelid = c.conrelid AND a.attnum = n ORDER BY i)"
        " FROM pg_constraint c WHERE c.contype IN ('p', 'u') AND c.conrelid >= 16384"
        " AND c.conrelid::regclass::text <> 'alembic_version'"
        " ORDER BY 1, 2"
    )
    target, names, types = w.one(keys)
    table = w.relation("rp")
    columns = []
    for type_ in types:
        fitting = [name for name, of in w.columns(table) if of.split("(")[0] == type_.split("(")[0]]
        columns.append(w.one(fitting or [w.column(table)]))
    named = w.maybe(f"CONSTRAINT {w.name('fk')} ", 2)
    end = w.maybe(" MATCH FULL", 6)
    end += w.one(("", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE RESTRICT", " ON DELETE SET DEFAULT",
                  f" ON DELETE SET NULL ({columns[0]})"))  # fmt: skip
    end += w.maybe(" ON UPDATE CASCADE", 4) + w.one(DEFERRED) + w.maybe(" NOT VALID", 6)
    listed = w.one((f" ({names})", f" ({names})", ""))
    return f"ALTER TABLE {table} ADD {named}FOREIGN KEY ({', '.join(columns)}) REFERENCES {target}{listed}{end}"


def change_constraint(w: World) -> str:
    table = w.relation("rpf")
    constraints = w.of_relation(table, "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = {}")
    name = w.one(constraints)
    change = w.one((f"DROP CONSTRAINT {name}{w.maybe(' CASCADE')}", f"RENAME CONSTRAINT {name} TO {w.name('k')}",
                    f"VALIDATE CONSTRAINT {name}", f"ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED",
                    f"ALTER CONSTRAINT {name} NOT DEFERRABLE"))  # fmt: skip
    return f"ALTER TABLE {table} {change}"


def create_index(w: World) -> str:
    table = w.relation("rpm")
    method = w.one(("btree", "btree", "btree", "hash", "gin", "gist", "brin", "spgist", "bloom"))
    parts = [part(w, name, type_, method) for name, type_ in w.some(w.columns(table), 3 if method == "btree" else 1)]
    text = f"CREATE {w.maybe('UNIQUE ', 4) if method == 'btree' else ''}INDEX {w.maybe(w.name('i') + ' ', 2)}ON "
    text += f"{w.maybe('ONLY ', 8)}{table} USING {method} ({', '.join(parts)})"
    if method == "btree":
        text += w.maybe(f" INCLUDE ({w.column(table)})", 6) + w.maybe(" NULLS NOT DISTINCT", 10)
    options = {"btree": "fillfactor = 50", "gin": "fastupdate = off", "brin": "pages_per_range = 8", "gist": "buffering = on",
               "hash": "fillfactor = 50", "spgist": "fillfactor = 50", "bloom": "length = 32"}  # fmt: skip
    text += w.maybe(f" WITH ({options[method]})", 6)
    return text + w.maybe(f" WHERE {values.condition(w, table)}", 4)


def part(w: World, name: str, type_: str, method: str) -> str:
    """A column or an expression of an index."""
    expressions = [name, name, name]
    if type_.startswith(("text", "character")):
        expressions += [f"lower({name})", f"({name} || 'x:y')", f'{name} COLLATE "C"', f"{name} text_pattern_ops",
                        f"to_tsvector('english', {name})", f"{name} gin_trgm_ops", f"md5({name})"]  # fmt: skip
    if type_ in ("integer", "bigint", "numeric(10,2)"):
        expressions += [f"({name} + 1)", f"abs({name})"]
    if type_ == "jsonb":
        expressions += [f"({name} ->> 'a')", f"{name} jsonb_path_ops", f"({name} -> 'b')"]
    text = w.one(expressions)
    if method == "btree":
        text += w.one(("", "", "", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"))
    return text


def change_index(w: World) -> str:
    index = w.relation("iI")
    choice = w.number(1, 6)
    if choice == 1:
        return f"DROP INDEX {index}{w.maybe(' CASCADE')}"
    if choice == 2:
        return f"ALTER INDEX {index} RENAME TO {w.name('i')}"
    if choice == 3:
        return f"ALTER INDEX {index} ALTER COLUMN 1 SET STATISTICS {w.number(0, 200)}"
    if choice == 4:
        parent = w.relation("I")
        return f"ALTER INDEX {parent} ATTACH PARTITION {index}"
    return f"ALTER INDEX {index} {w.one(('SET (fillfactor = 80)', 'RESET (fillfactor)'))}"


def create_statistics(w: World) -> str:
    table = w.relation("rpm")
    columns = [name for name, _ in w.some(w.columns(table), 3)]
    kinds = w.maybe(f" ({', '.join(w.some(('ndistinct', 'dependencies', 'mcv'), 2))})", 2)
    parts = w.one((", ".join(columns), f"({columns[0]} IS NULL)", f"{columns[0]}, ({columns[-1]} IS NULL)"))
    return f"CREATE STATISTICS {w.new('st')}{kinds if ',' in parts else ''} ON {parts} FROM {table}"


def change_statistics(w: World) -> str:
    name = w.one(w.named("pg_statistic_ext", "stx"))
    return w.one((f"ALTER STATISTICS {name} SET STATISTICS {w.number(0, 300)}", f"DROP STATISTICS {name}",
                  f"ALTER STATISTICS {name} RENAME TO {w.name('st')}"))  # fmt: skip


OPERATIONS = (
    *((4, add_check), (4, add_key), (2, add_key_by_index), (2, add_exclusion), (6, add_foreign_key)),
    *((4, change_constraint), (6, create_index), (3, change_index), (2, create_statistics), (1, change_statistics)),
)
