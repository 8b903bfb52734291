"""What pg_dump does not print, from the catalogs: queries for (kind, schema, name, value), one value for each name."""

from __future__ import annotations

from tasklib.judge import bindings, built_in, implicit, members
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.postgres.client import FIRST, Connection


def _role(oid: str) -> str:
    """A role's name in SQL; of the user who connects, whose name is another one elsewhere, the word for it."""
    return f"coalesce(nullif(quote_ident(pg_get_userbyid({oid})), quote_ident(current_user)), 'CURRENT_USER')"


OF_INDEXES_AND_KEYS = (
    (
        "INVALID INDEX",
        "SELECT n.nspname, c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive",
    ),
    (
        # A constraint's own triggers: DISABLE TRIGGER ALL switches a foreign key off.
        "CONSTRAINT TRIGGER",
        "SELECT n.nspname, concat_ws(' ', quote_ident(c.relname), quote_ident(con.conname), t.tgfoid::regproc,"
        " 'of ' || nullif(con.conrelid, c.oid)::regclass::text), t.tgenabled FROM pg_trigger t"
        " JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_constraint con ON con.oid = t.tgconstraint WHERE t.tgisinternal AND t.tgenabled <> 'O'",
    ),
    (
        # A key refers to columns; of two indexes on them it goes by the older one, and keeps that from being dropped.
        "INDEX OF A FOREIGN KEY",
        "SELECT n.nspname, c.relname, json_agg(DISTINCT jsonb_build_array(used.relname, twin.relname))::text"
        " FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_index i ON i.indrelid = c.oid AND i.indexrelid <> k.conindid JOIN pg_class used"
        " ON used.oid = k.conindid JOIN pg_class twin ON twin.oid = i.indexrelid"
        " WHERE k.contype = 'f' AND k.conparentid = 0 AND i.indisunique AND i.indimmediate AND i.indpred IS NULL"
        " AND i.indnkeyatts = array_length(k.confkey, 1) AND k.confkey <@ i.indkey[0:i.indnkeyatts - 1] GROUP BY 1, 2",
    ),
    (
        # The dump says it with the index.
        "REPLICA IDENTITY",
        "SELECT n.nspname, c.relname, 'an index that is gone' FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relreplident = 'i' AND NOT EXISTS"
        " (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)",
    ),
    (
        "MATERIALIZED VIEW STATE",
        "SELECT n.nspname, c.relname, c.relispopulated::text FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'",
    ),
    (
        # The dump says them with the table's, which has such a table only where its columns need one.
        "TOAST OPTIONS",
        "SELECT n.nspname, c.relname, array_to_string(t.reloptions, ', ') FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = c.reltoastrelid"
        " WHERE t.reloptions IS NOT NULL",
    ),
    (
        # The dump is made without them, so that it can be restored where they are not.
        "TABLESPACE",
        "SELECT n.nspname, c.relname, t.spcname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE t.spcname <> 'pg_global'",
    ),
)  # fmt: skip

OF_SEQUENCES = (
    (
        # The dump says nothing of it: an identity of its column's type is usual (not after CREATE TABLE … LIKE).
        "TYPE OF AN IDENTITY",
        "SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL) FROM pg_sequence s"
        " JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_depend d ON d.classid = 'pg_class'::regclass"
        " AND d.objid = c.oid AND d.deptype = 'i' AND d.refobjsubid > 0 JOIN pg_attribute a ON a.attrelid = d.refobjid"
        " AND a.attnum = d.refobjsubid WHERE a.atttypid <> s.seqtypid",
    ),
)

# Of the database itself, whose name is another one each time. The name of its owner stands as OWNER.
OF_THE_DATABASE = (
    (
        "DATABASE SETTING",
        "SELECT '', coalesce(r.rolname || ' ', '') || split_part(entry, '=', 1), entry FROM pg_db_role_setting s"
        " JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,"
        " unnest(s.setconfig) entry"
        f" WHERE d.datname = current_database() AND split_part(entry, '=', 1) <> '{client.MARKER}'",
    ),
    (
        "DATABASE COMMENT",
        "SELECT '', 'database', shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE datname = current_database()"
        " AND shobj_description(oid, 'pg_database') IS NOT NULL"
        f" AND shobj_description(oid, 'pg_database') NOT LIKE '{client.MARKER}=%'",
    ),
    (
        "DATABASE PRIVILEGE",
        # The owner's own grants, and those that others handed on.
        "SELECT '', concat(CASE acl.grantee WHEN 0 THEN 'PUBLIC' WHEN d.datdba THEN 'OWNER'"
        " ELSE acl.grantee::regrole::text END, ' ', acl.privilege_type,"
        " CASE WHEN acl.grantor <> d.datdba THEN concat(' by ', acl.grantor::regrole) END), acl.is_grantable::text"
        " FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl"
        " WHERE d.datname = current_database()",
    ),
    (
        "DATABASE PROPERTY",
        "SELECT '', name, value FROM pg_database d, LATERAL (VALUES"
        " ('connection limit', format('%s', d.datconnlimit), '-1'),"  # a cast to text may be the history's own
        " ('is template', d.datistemplate::text, 'false'),"
        " ('owner', pg_get_userbyid(d.datdba), current_user)) AS property (name, value, usual)"
        " WHERE d.datname = current_database() AND value <> usual",
    ),
)  # fmt: skip

OF_EXTENSIONS = (
    (
        "EXTENSION VERSION",
        "SELECT '', extname, extversion || coalesce(' of ' || nullif(pg_get_userbyid(extowner), current_user), '')"
        f" FROM pg_extension WHERE oid >= {FIRST}"
        f" UNION ALL SELECT '', extname, extversion FROM pg_extension WHERE oid < {FIRST}",
    ),
    members.MEMBERS,
    (
        "EXTENSION COMMENT",
        "SELECT '', extname, obj_description(oid, 'pg_extension') FROM pg_extension"
        f" WHERE oid < {FIRST} AND obj_description(oid, 'pg_extension') IS NOT NULL",
    ),
)  # fmt: skip


OF_OTHER_THINGS = (
    (
        # Of an operator that another one only names, as its commutator or negator.
        "SHELL OPERATOR",
        "SELECT n.nspname, o.oprname || ' (' || concat_ws(', ', nullif(o.oprleft, 0)::regtype::text,"
        " nullif(o.oprright, 0)::regtype::text) || ')', 'named and not made' FROM pg_operator o"
        " JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oprcode = 0",
    ),
    (
        # The dump leaves out the functions of a language that are PostgreSQL's own.
        "LANGUAGE",
        "SELECT '', lanname, concat_ws(' ', CASE WHEN lanpltrusted THEN 'trusted' END, lanplcallfoid::regproc,"
        " laninline::regproc, lanvalidator::regproc)"
        f" FROM pg_language WHERE lanispl AND oid >= {FIRST}",
    ),
    (
        # Every database comes with them, so that no dump makes them nor misses them. From PostgreSQL 15 on public
        # belongs to a role that stands for the database's owner, before that to whoever made the server.
        "SCHEMA OF EVERY DATABASE",
        "SELECT '', nspname, CASE WHEN nspname = 'information_schema' OR nspowner = usual THEN 'as made' ELSE"
        " concat('of ', " + _role("nspowner") + ", ' instead of ', " + _role("usual") + ") END FROM pg_namespace,"
        " LATERAL (SELECT CASE WHEN current_setting('server_version_num')::int >= 150000"
        " THEN to_regrole('pg_database_owner')::oid ELSE 10 END) AS u (usual)"
        " WHERE nspname IN ('public', 'information_schema')",
    ),
    (
        # The dump says how they differ from what the server was made with: of public, also where it has another name.
        built_in.OF_A_SCHEMA,
        "SELECT '', nspname, concat_ws(E';\\n', 'REVOKE ALL ON ' || o || ' FROM PUBLIC', (SELECT string_agg(concat("
        " CASE WHEN grantor <> nspowner THEN concat('SET SESSION AUTHORIZATION ', grantor::regrole, E';\\n') END,"
        " 'GRANT ', privilege_type, ' ON ', o, ' TO ',"
        " CASE grantee WHEN 0 THEN 'PUBLIC' ELSE " + _role("grantee") + " END,"
        " CASE WHEN is_grantable AND grantee <> nspowner THEN ' WITH GRANT OPTION' END,"
        " CASE WHEN grantor <> nspowner THEN E';\\nRESET SESSION AUTHORIZATION' END), E';\\n'"
        " ORDER BY grantor <> nspowner, grantor::regrole::text, grantee::regrole::text, privilege_type)"
        " FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner)))))"
        " FROM pg_namespace, LATERAL (SELECT 'SCHEMA ' || quote_ident(nspname)) AS named (o)"
        " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
    ),
    (
        "COLLATION VERSION",
        "SELECT n.nspname, collname, collversion FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace"
        f" WHERE c.oid >= {FIRST} AND collversion IS NOT NULL",
    ),
    (
        # By what they hold, since their oids are other ones each time where nobody chose them.
        "LARGE OBJECT",
        "SELECT '', content || coalesce(' ' || acl, '') || coalesce(' ' || comment, ''), format('%s', count(*))"
        " FROM (SELECT md5(lo_get(m.oid)) || ' of ' || pg_get_userbyid(lomowner) AS content,"
        " (SELECT string_agg(one::text, ',' ORDER BY one::text) FROM unnest(lomacl) one) AS acl,"
        " md5(obj_description(m.oid, 'pg_largeobject')) AS comment FROM pg_largeobject_metadata m) AS o GROUP BY 2",
    ),
)  # fmt: skip

SILENT = (
    *OF_EXTENSIONS,
    *OF_INDEXES_AND_KEYS,
    *OF_SEQUENCES,
    *implicit.OF_CHILDREN,
    *implicit.OF_COMMENTS,
    *implicit.OF_PRIVILEGES,
    *bindings.OF_EXPRESSIONS,
    *OF_THE_DATABASE,
    *built_in.CHANGED,
    *OF_OTHER_THINGS,
)


def facts(connection: Connection) -> dict[Key, str]:
    """What the dump is silent on, by (kind, schema, name)."""
    found = {}
    for kind, query in SILENT:
        for schema, name, value in connection.rows(query):
            found[(kind, str(schema or ""), str(name))] = str(value)
    return {**found, **built_in.rows(connection)}
