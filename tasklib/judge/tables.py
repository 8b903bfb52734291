"""What an ordinary table is made of, from the catalogs: what the operations of a migration need to say it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence as Sequence_  # a sequence of the database has the plain name here
from dataclasses import dataclass, field, replace

from tasklib.judge import catalog
from tasklib.postgres import client, sqltext
from tasklib.postgres.client import FIRST, Connection
from tasklib.postgres.sqltext import as_typed


@dataclass(frozen=True)
class Column:
    """``type`` is format_type's text, ``enum`` the (schema, name) of its type where that is an enum, ``array`` its
    number of dimensions' brackets. ``identity`` is "", "a" (always) or "d" (by default); ``generated`` an expression;
    ``own``: the table has it by itself, not (only) from a parent; ``type_default``: its type has a default.
    """

    name: str
    type: str
    type_schema: str
    type_name: str
    type_kind: str
    array: bool
    modifier: int
    nullable: bool
    default: str | None
    identity: str
    generated: bool
    collation: str | None
    comment: str | None = None
    own: bool = True
    type_default: bool = False


@dataclass(frozen=True)
class Constraint:
    """``kind`` is pg_constraint's contype: p, u, c, f, x, and from PostgreSQL 18 on n (NOT NULL). Actions and match are
    its letters. ``number`` is its place in the order in which all constraints were made.
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...]
    deferrable: bool
    deferred: bool
    validated: bool
    no_inherit: bool
    expression: str | None
    target_schema: str
    target_table: str
    target_columns: tuple[str, ...]
    on_update: str
    on_delete: str
    match: str
    number: int = 0


@dataclass(frozen=True)
class Sequence:
    """A sequence with its options; ``owner`` is (schema, table, column) of the column that owns it, or None."""

    schema: str
    name: str
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    owner: tuple[str, str, str] | None
    identity: bool


@dataclass(frozen=True)
class Table:
    """``plain``: neither inherited (but for a partition), nor typed, foreign, nor with options of its own.
    ``partition_by`` is how it is partitioned, "RANGE (day)", or None.

    ``shown`` is the name as SQL has it: quoted where it must be, with its schema where that is not public. Of an
    extension's table for rows of its users, ``extension`` is whose it is, and the condition of those rows.
    """

    schema: str
    name: str
    shown: str
    unlogged: bool
    partition_by: str | None
    plain: bool
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    comment: str | None = None
    extension: tuple[str, str] | None = None


@dataclass(frozen=True)
class Definition:
    """What an index or view is, as the dump prints it and as people would rather read it; ``of``: an index's table."""

    dumped: str = ""
    pretty: str = ""
    of: str = ""

    def prettier(self, ddl: str) -> str:
        """The dump's text with the one in place of the other."""
        return ddl.replace(self.dumped, self.pretty, 1) if self.dumped else ddl


@dataclass(frozen=True)
class Extension:
    """``default`` is the version that the server installs by itself; ``own_comment``: nobody gave it another one."""

    schema: str
    version: str
    default: str
    own_comment: bool


@dataclass(frozen=True)
class Model:
    """All by (schema, name): tables, sequences, labels of enums, views (also materialized ones), indexes.

    ``moved`` are functions that come with types: (schema, name) as the server makes them, arguments, and as they are;
    ``languages`` are by name the CREATE LANGUAGE of those that are no extension's;
    ``hidden`` are the names that need their schema, such as those that pg_catalog has, which is searched before public;
    ``parents`` are those of tables that inherit and are no partitions; ``extensions`` are by name; ``keywords`` are the
    words that SQL takes as a name only between quotes.
    """

    tables: Mapping[tuple[str, str], Table]
    sequences: Mapping[tuple[str, str], Sequence]
    enums: Mapping[tuple[str, str], tuple[str, ...]]
    views: Mapping[tuple[str, str], Definition]
    indexes: Mapping[tuple[str, str], Definition]
    parents: Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
    extensions: Mapping[str, Extension]
    keywords: frozenset[str]
    hidden: frozenset[str] = frozenset()
    languages: Mapping[str, str] = field(default_factory=dict)
    moved: Sequence_[tuple[tuple[str, str], str, tuple[str, str]]] = ()

    def needs_schema(self, schema: str, name: str) -> bool:
        """Whether a name means something else, or nothing, without its schema."""
        return schema != "public" or name in self.hidden

    def without_public(self, text: str) -> str:
        """SQL without the schema public where its names are found without it."""
        return sqltext.without_schema(text, "public", self.hidden)

    def quoted(self, name: str) -> str:
        """A name as SQL has it: between quotes where it must be."""
        plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in self.keywords
        return name if plain else client.identifier(name)


COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod),
       tn.nspname, coalesce(e.typname, t.typname), coalesce(e.typtype, t.typtype), e.oid IS NOT NULL,
       a.atttypmod, NOT a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid, true), a.attidentity, a.attgenerated <> '',
       CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(n.nspname) || '.' || quote_ident(co.collname)
            FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
       col_description(a.attrelid, a.attnum), a.attislocal, t.typdefault IS NOT NULL
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
JOIN pg_namespace tn ON tn.oid = coalesce(e.typnamespace, t.typnamespace)
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
"""

CONSTRAINTS = """
SELECT c.conrelid, c.conname, c.contype, pg_get_constraintdef(c.oid),
       ARRAY(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.o)::text[],
       c.condeferrable, c.condeferred, c.convalidated, c.connoinherit,
       CASE WHEN c.contype = 'c' THEN pg_get_expr(c.conbin, c.conrelid, true) END,
       coalesce(fn.nspname, ''), coalesce(f.relname, ''),
       ARRAY(SELECT a.attname FROM unnest(c.confkey) WITH ORDINALITY k(n, o)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.o)::text[],
       c.confupdtype, c.confdeltype, c.confmatchtype, row_number() OVER (ORDER BY c.oid)
FROM pg_constraint c LEFT JOIN pg_class f ON f.oid = c.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE c.conrelid <> 0 AND c.contype IN ('p', 'u', 'c', 'f', 'x', 'n')
-- a foreign key that a parent brings, or that is for one partition of what it refers to
AND NOT (c.contype = 'f' AND c.conparentid <> 0) ORDER BY c.conrelid, c.contype, c.conname
"""

# Schemas whose names may mean something else, or nothing, without them: public too where the history gives its database
# a search path, which counts from the next connection on.
HIDDEN = """
WITH hidden AS (SELECT oid FROM pg_namespace WHERE nspname = 'pg_catalog' OR nspname = 'public' AND EXISTS (
    SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS one
    WHERE d.datname = current_database() AND one LIKE 'search_path=%'))"""
TABLES = (
    HIDDEN
    + """
SELECT c.oid, n.nspname, c.relname,
       CASE WHEN n.nspname <> 'public' OR EXISTS (SELECT 1 FROM pg_class b WHERE b.relname = c.relname
                 AND b.relnamespace IN (SELECT oid FROM hidden)) THEN quote_ident(n.nspname) || '.' ELSE '' END
       || quote_ident(c.relname),
       c.relpersistence = 'u', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
       c.reloftype = 0 AND c.reloptions IS NULL
       AND (c.relispartition OR NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid))
       AND (c.relam = 0 OR EXISTS (SELECT 1 FROM pg_am WHERE pg_am.oid = c.relam
                                   AND amname = current_setting('default_table_access_method'))),
       obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 2, 3
"""
)

SEQUENCES = """
SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
       s.seqcycle, tn.nspname, tc.relname, a.attname, coalesce(d.deptype = 'i', false)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
     AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class tc ON tc.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = tc.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid ORDER BY 1, 2
"""

ENUMS = """
SELECT n.nspname, t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace GROUP BY 1, 2
"""


# Semicolons end only a view's text.
VIEWS = """
SELECT n.nspname, c.relname, rtrim(pg_get_viewdef(c.oid), ';'), rtrim(pg_get_viewdef(c.oid, true), ';')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

INDEXES = """
SELECT n.nspname, c.relname, pg_get_indexdef(c.oid), pg_get_indexdef(c.oid, 0, true), t.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relkind IN ('i', 'I') AND n.nspname !~ '^pg_'
"""

PARENTS = f"""
SELECT n.nspname, c.relname, pn.nspname, p.relname FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.relkind = 'r' AND NOT c.relispartition AND c.oid >= {FIRST} ORDER BY i.inhrelid, i.inhseqno
"""

# Those of a multirange type (from PostgreSQL 14 on) are called after it, and are where the range type is.
MOVED = """
SELECT tn.nspname, t.typname, pg_get_function_identity_arguments(p.oid), n.nspname, p.proname
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_type t ON t.oid = p.prorettype
LEFT JOIN pg_range r ON (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid LEFT JOIN pg_type rt ON rt.oid = r.rngtypid
JOIN pg_namespace tn ON tn.oid = coalesce(rt.typnamespace, t.typnamespace)
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i'
AND (tn.nspname, t.typname) <> (n.nspname, p.proname) AND n.nspname !~ '^pg_' ORDER BY 4, 5, 3
"""

LANGUAGES = """
SELECT lanname, lanpltrusted, concat_ws(' ', 'HANDLER ' || lanplcallfoid::regproc::text,
       'INLINE ' || nullif(laninline, 0)::regproc::text, 'VALIDATOR ' || nullif(lanvalidator, 0)::regproc::text)
FROM pg_language l WHERE lanispl AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_language'::regclass
                                                 AND d.objid = l.oid AND d.deptype = 'e')
"""

NEED_THEIR_SCHEMA = (
    HIDDEN
    + """
SELECT relname FROM pg_class WHERE relnamespace IN (SELECT oid FROM hidden)
UNION SELECT proname FROM pg_proc WHERE pronamespace IN (SELECT oid FROM hidden)
UNION SELECT typname FROM pg_type WHERE typnamespace IN (SELECT oid FROM hidden)
UNION SELECT collname FROM pg_collation WHERE collnamespace IN (SELECT oid FROM hidden)
UNION SELECT cfgname FROM pg_ts_config UNION SELECT dictname FROM pg_ts_dict
UNION SELECT opcname FROM pg_opclass WHERE opcnamespace IN (SELECT oid FROM hidden)
UNION SELECT opfname FROM pg_opfamily WHERE opfnamespace IN (SELECT oid FROM hidden)
UNION SELECT conname FROM pg_conversion WHERE connamespace IN (SELECT oid FROM hidden)
"""
)

EXTENSIONS = """
SELECT e.extname, n.nspname, e.extversion, coalesce(a.default_version, ''),
       obj_description(e.oid, 'pg_extension') IS NOT DISTINCT FROM a.comment
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
LEFT JOIN pg_available_extensions a ON a.name = e.extname
"""


def read_model(connection: Connection) -> Model:
    """Everything that the operations of a migration could say about a database's tables and sequences."""
    hidden = frozenset(str(name) for (name,) in connection.rows(NEED_THEIR_SCHEMA))

    def readable(expression: str) -> str:
        return sqltext.without_schema(as_typed(expression), "public", hidden)

    columns: dict[int, list[Column]] = {}
    for oid, *rest in connection.rows(COLUMNS):
        column = Column(*rest)
        default = None if column.default is None else readable(column.default)
        columns.setdefault(oid, []).append(replace(column, default=default, type=readable(column.type)))
    constraints: dict[int, list[Constraint]] = {}
    for oid, name, kind, definition, of, *rest in connection.rows(CONSTRAINTS):
        (*flags, expression), (schema, table, targets, *actions) = rest[:5], rest[5:]
        flags.append(None if expression is None else readable(expression))
        constraints.setdefault(oid, []).append(
            Constraint(*(name, kind, definition, tuple(of), *flags, schema, table, tuple(targets), *actions))
        )
    theirs = catalog.configured(connection)
    tables = {
        (schema, name): Table(
            *(schema, name, shown, unlogged, partition_by, plain),
            columns=tuple(columns.get(oid, ())), constraints=tuple(constraints.get(oid, ())), comment=comment,
            extension=theirs.get((schema, name)),
        )
        for oid, schema, name, shown, unlogged, partition_by, plain, comment in connection.rows(TABLES)
    }  # fmt: skip
    sequences = {}
    for row in connection.rows(SEQUENCES):
        owner = (row[9], row[10], row[11]) if row[11] is not None else None
        sequences[(row[0], row[1])] = Sequence(*(*row[:9], owner, row[12]))
    enums = {(schema, name): tuple(labels) for schema, name, labels in connection.rows(ENUMS)}
    views, indexes = (
        {
            (schema, name): Definition(dumped, readable(pretty), *of)
            for schema, name, dumped, pretty, *of in connection.rows(query)
        }
        for query in (VIEWS, INDEXES)
    )
    parents: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
    for schema, name, *parent in connection.rows(PARENTS):
        parents[(schema, name)] = (*parents.get((schema, name), ()), (parent[0], parent[1]))
    extensions = {name: Extension(*rest) for name, *rest in connection.rows(EXTENSIONS)}
    keywords = frozenset(
        str(word) for (word,) in connection.rows("SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'")
    )
    languages = {
        str(name): f"CREATE {'TRUSTED ' if trusted else ''}LANGUAGE {client.identifier(name)} {words}"
        for name, trusted, words in connection.rows(LANGUAGES)
    }
    moved = [((of, type_), words, (schema, name)) for of, type_, words, schema, name in connection.rows(MOVED)]
    return Model(tables, sequences, enums, views, indexes, parents, extensions, keywords, hidden, languages, moved)
