"""What the server makes up by itself, from the catalogs: the dump says what it belongs to (a parent, a type, a view)
and leaves the rest to that. Queries as `silent` has them.
"""

from __future__ import annotations

from tasklib.postgres.client import FIRST

# Without expressions, whose print is not always the same.
OF_CHILDREN = (
    (
        # Also of relations without a parent: the order in which people see the columns, and INSERT without names.
        "COLUMNS",
        "SELECT n.nspname, c.relname, coalesce(string_agg(quote_ident(a.attname)"
        " || CASE WHEN NOT a.attislocal THEN ' inherited' WHEN a.attinhcount > 0 THEN ' inherited, and its own' ELSE ''"
        " END || CASE WHEN a.attinhcount > 1 THEN ' from ' || format('%s', a.attinhcount) ELSE '' END, E'\\n'"
        " ORDER BY a.attnum), '')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND n.nspname !~ '^pg_'"
        # An extension's are what its members are.
        " AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d"
        " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') GROUP BY 1, 2",
    ),
    (
        # A child takes these over from its parent where the dump makes it after the parent has them. In SQL's words.
        "COLUMN OF A CHILD",
        "SELECT n.nspname, quote_ident(c.relname) || ' ' || quote_ident(a.attname), concat_ws(E'\\n',"
        " CASE WHEN a.attnotnull THEN 'SET NOT NULL' ELSE 'DROP NOT NULL' END, 'SET STORAGE ' || CASE a.attstorage"
        " WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END,"
        " 'SET COMPRESSION ' || CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' WHEN ''"
        " THEN 'default' END, 'SET STATISTICS ' || format('%s', coalesce(a.attstattarget, -1)),"
        # Those that are PostgreSQL's own count its versions of a column, and differ in each database (15.20).
        " 'SET (' || (SELECT string_agg(o, ', ' ORDER BY i) FROM unnest(a.attoptions) WITH ORDINALITY AS u (o, i)"
        " WHERE o !~ '^pg_') || ')') FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount > 0",
    ),
    (
        # The parent by its place below the constraint that somebody made: names between are the server's own.
        "CONSTRAINT OF A CHILD",
        "WITH RECURSIVE k (oid, place) AS (SELECT oid, conrelid::regclass::text || ' ' || quote_ident(conname)"
        " FROM pg_constraint WHERE conparentid = 0 AND conrelid <> 0 UNION ALL SELECT c.oid,"
        " concat_ws(' ', place || ',', c.conrelid::regclass, 'to ' || nullif(c.confrelid, 0)::regclass::text)"
        " FROM pg_constraint c JOIN k ON k.oid = c.conparentid)"
        " SELECT n.nspname, quote_ident(r.relname) || ' ' || quote_ident(c.conname), concat_ws(' ', c.contype,"
        " CASE WHEN c.conislocal THEN 'local' END, 'inherited ' || format('%s', c.coninhcount),"
        " CASE WHEN NOT c.convalidated THEN 'not valid' END, CASE WHEN c.conparentid <> 0 THEN 'of ' || place END)"
        " FROM pg_constraint c JOIN k USING (oid) JOIN pg_class r ON r.oid = c.conrelid"
        " JOIN pg_namespace n ON n.oid = r.relnamespace WHERE c.conparentid <> 0 OR c.coninhcount > 0",
    ),
    (
        # Range types come with functions, which keep their names and schema when the type gets another.
        "FUNCTION OF A TYPE",
        "SELECT n.nspname, quote_ident(p.proname) || ' ' || pg_get_function_identity_arguments(p.oid),"
        " 'of ' || d.refobjid::regtype::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " JOIN pg_depend d"
        " ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_type'::regclass"
        f" AND d.deptype = 'i' WHERE p.oid >= {FIRST}",
    ),
    (
        # It has the trigger's name, until either gets another one.
        "CONSTRAINT OF A TRIGGER",
        "SELECT n.nspname, quote_ident(c.relname) || ' ' || quote_ident(k.conname), 'of ' || quote_ident(t.tgname)"
        " FROM pg_constraint k JOIN pg_trigger t ON t.tgconstraint = k.oid JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 't'",
    ),
    (
        # Before PostgreSQL 13 a trigger knows no parent.
        "TRIGGER OF A CHILD",
        "SELECT n.nspname, quote_ident(c.relname) || ' ' || quote_ident(t.tgname), t.tgenabled FROM pg_trigger t"
        " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE NOT t.tgisinternal AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') <> '0'",
    ),
)  # fmt: skip

# Names in SQL of what no dump prints, by catalog: with a path of "" they come qualified.
UNPRINTED = {
    "pg_constraint": "SELECT oid, 'CONSTRAINT ' || quote_ident(conname) || ' ON ' || conrelid::regclass::text"
    " FROM pg_constraint WHERE conrelid <> 0 AND (NOT conislocal AND contype NOT IN ('p', 'u', 'x') OR contype = 't')",
    "pg_trigger": "SELECT oid, 'TRIGGER ' || quote_ident(tgname) || ' ON ' || tgrelid::regclass::text FROM pg_trigger t"
    " WHERE coalesce(to_jsonb(t) ->> 'tgparentid', '0') <> '0'",
    "pg_rewrite": "SELECT oid, 'RULE ' || quote_ident(rulename) || ' ON ' || ev_class::regclass::text FROM pg_rewrite"
    " WHERE rulename = '_RETURN'",
    "pg_proc": "SELECT p.oid, 'FUNCTION ' || p.oid::regprocedure::text FROM pg_proc p JOIN pg_depend d"
    " ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_type'::regclass"
    " AND d.deptype = 'i'",
    "pg_type": "SELECT t.oid, 'TYPE ' || t.oid::regtype::text FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid"
    " WHERE c.relkind <> 'c' OR typtype = 'm' OR EXISTS (SELECT 1 FROM pg_type e WHERE e.typarray = t.oid)",
}
OF_COMMENTS = tuple(
    (
        "COMMENT",
        f"SELECT '', o.name, d.description FROM pg_description d JOIN ({query}) AS o (oid, name) ON o.oid = d.objoid"
        f" WHERE d.classoid = '{catalog}'::regclass AND d.objoid >= {FIRST}",
    )
    for catalog, query in UNPRINTED.items()
)
# As the statements that give them, and functions to others: what everybody has of functions and types is usual.
OF_PRIVILEGES = tuple(
    (
        "PRIVILEGES ON A PART",
        "SELECT '', o.name, g.texts FROM"
        f" {catalog} r JOIN ({UNPRINTED[catalog]}) AS o (oid, name) USING (oid), LATERAL (SELECT concat_ws(E';\\n',"
        f" CASE WHEN {given} THEN 'ALTER ' || o.name || ' OWNER TO ' || {owner}::regrole::text END,"
        " CASE WHEN NOT bool_or(grantee = 0) THEN 'REVOKE ALL ON ' || o.name || ' FROM PUBLIC' END,"
        f" string_agg(concat(CASE WHEN grantor <> {owner} THEN"
        " concat('SET SESSION AUTHORIZATION ', grantor::regrole, E';\\n') END, 'GRANT ', privilege_type,"
        " ' ON ', o.name, ' TO ', grantee::regrole, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END,"
        f" CASE WHEN grantor <> {owner} THEN E';\\nRESET SESSION AUTHORIZATION' END), E';\\n'"
        f" ORDER BY grantor <> {owner}, grantor::regrole::text, grantee::regrole::text)"
        f" FILTER (WHERE grantee NOT IN (0, {owner})))"
        f" FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner})))) AS g (texts)"
        f" WHERE r.oid >= {FIRST} AND g.texts <> ''",
    )
    for catalog, acl, kind, owner, given in (
        ("pg_proc", "proacl", "f", "proowner", "pg_get_userbyid(proowner) <> current_user"),
        # A row's type is its table's owner's; a multirange is its range's only from PostgreSQL 17 on.
        (
            "pg_type",
            "typacl",
            "T",
            "typowner",
            "typtype = 'm' AND pg_get_userbyid(typowner) <> current_user"
            " AND current_setting('server_version_num')::integer < 170000",
        ),
    )
)
