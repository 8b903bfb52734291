"""A few random histories, the same ones each time; `nox -s nightly` runs others by the thousand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasklib.postgres.server import Server
from tests.random.hunt import Hunt
from tests.random.trial import Failure, Trials, failure, prepare, replay
from tests.random.world import ROLES

HISTORIES, SEED = 8, 1


@pytest.fixture
def laboratory(server: Server, tmp_path: Path) -> Iterator[Trials]:
    made = Trials(server, tmp_path, token="5eedf00d")
    yield made
    made.close()


def tried(laboratory: Trials, history: list[str]) -> Failure | None:
    """What is wrong with the squash of a history that the server takes whole."""
    assert replay(laboratory, history) == history
    return failure(laboratory, history)


def test_a_squash_of_random_histories_is_exact(laboratory: Trials) -> None:
    hunt = Hunt(laboratory)
    hunt.go(HISTORIES, SEED)
    assert not hunt.found, "\n\n".join(found.shown() for found in hunt.found)
    assert hunt.runs == HISTORIES and hunt.statements > 10 * HISTORIES


def test_the_second_judge_knows_columns_by_name_where_one_before_them_is_gone(laboratory: Trials) -> None:
    """What it compares are rows of catalogs, where a column's number stays its own."""
    statements = [
        "CREATE TABLE parents (id integer PRIMARY KEY)",
        "CREATE TABLE children (gone integer, parent integer, other integer)",
        "ALTER TABLE children DROP COLUMN gone",
        "ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents ON DELETE SET NULL (parent)",
        "CREATE PUBLICATION seen FOR TABLE children (parent, other)",
    ]
    found = tried(laboratory, statements)
    assert found is None, found


USED = {
    "a cast in a default": [
        "CREATE CAST (text AS uuid) WITH INOUT AS IMPLICIT",
        "CREATE TABLE casts (a uuid DEFAULT '00000000-0000-0000-0000-000000000000'::text)",
    ],
    "a cast in the body of a function": [
        "CREATE FUNCTION truth(smallint) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$SELECT $1 <> 0::smallint$$",
        "CREATE CAST (smallint AS boolean) WITH FUNCTION truth(smallint) AS IMPLICIT",
        "CREATE FUNCTION asks(smallint) RETURNS integer LANGUAGE sql RETURN CASE WHEN $1 THEN 1 END",
    ],
    "a configuration in a function that is inlined": [
        "CREATE TEXT SEARCH CONFIGURATION simpler (COPY = english)",
        "CREATE FUNCTION words(text) RETURNS tsvector IMMUTABLE LANGUAGE sql AS"
        " $$SELECT to_tsvector('public.simpler', $1)$$",
        "CREATE TABLE texts (a text, v tsvector GENERATED ALWAYS AS (words(a)) STORED)",
        "INSERT INTO texts VALUES ('some words')",
    ],
    "rows in a check of what they refer to": [
        "CREATE TABLE targets (id integer PRIMARY KEY, n integer)",
        "CREATE TABLE users (id integer REFERENCES targets)",
        "CREATE FUNCTION used(integer) RETURNS boolean LANGUAGE sql AS"
        " 'SELECT $1 = 0 OR EXISTS (SELECT FROM public.users WHERE id = $1)'",
        "INSERT INTO targets VALUES (1, 0)",
        "INSERT INTO users VALUES (1)",
        "UPDATE targets SET n = 1",
        "ALTER TABLE targets ADD CHECK (used(n))",
    ],
    "functions that fit better and came later": [
        "CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'any'$$",
        "CREATE TABLE tt (x integer, y text DEFAULT f(1))",
        "CREATE VIEW v AS SELECT f(x) FROM tt",
        "CREATE FUNCTION g(integer) RETURNS text LANGUAGE sql RETURN f($1)",
        "CREATE FUNCTION sf(anyelement, anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
        "CREATE AGGREGATE ag(integer) (SFUNC = sf, STYPE = integer)",
        "CREATE FUNCTION f(integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'integer'$$",
        "CREATE FUNCTION sf(integer, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $2'",
        "CREATE VIEW w AS SELECT f(x) FROM tt",
    ],
    "a cast that came later": [
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE TABLE tt (x text, y mood DEFAULT ('a'::text)::mood)",
        "INSERT INTO tt VALUES ('a')",
        "CREATE VIEW v AS SELECT x::mood FROM tt",
        "CREATE FUNCTION to_mood(text) RETURNS mood LANGUAGE sql AS $$SELECT 'b'::mood$$",
        "CREATE CAST (text AS mood) WITH FUNCTION to_mood(text)",
    ],
    "an operator of the history's own that came later": [
        "CREATE TYPE pair AS (a integer)",
        "CREATE TABLE tt (p pair, q pair, CHECK (CASE p WHEN q THEN true ELSE false END))",
        "INSERT INTO tt VALUES (ROW(1), ROW(1))",
        "CREATE VIEW v AS SELECT NULLIF(p, q) AS z, p IS DISTINCT FROM q AS d FROM tt",
        "CREATE FUNCTION same(pair, pair) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same)",
    ],
    "a cast in domains": [
        "CREATE TYPE mood AS ENUM ('a', 'b')",
        "CREATE FUNCTION to_mood(text) RETURNS mood IMMUTABLE LANGUAGE sql AS $$SELECT 'b'::public.mood$$",
        "CREATE CAST (text AS mood) WITH FUNCTION to_mood(text)",
        "CREATE DOMAIN dm AS mood DEFAULT ('a'::text)::mood",
        "CREATE DOMAIN dt AS text CHECK (VALUE::mood = 'b')",
    ],
    "a default that reads its own table": [
        "CREATE TABLE tt (a integer, b text)",
        "CREATE FUNCTION following() RETURNS integer LANGUAGE sql RETURN (SELECT max(a) + 1 FROM tt)",
        "ALTER TABLE tt ALTER a SET DEFAULT following()",
        "INSERT INTO tt VALUES (1, 'x')",
    ],
    "casts from text, and rows": [
        "CREATE TABLE tt (id integer, x date, y point)",
        "INSERT INTO tt SELECT g, date '2020-01-01' + g, point(g, g) FROM generate_series(1, 201) g",
        "CREATE FUNCTION to_date(text) RETURNS date IMMUTABLE LANGUAGE sql AS $$SELECT date '1999-01-01'$$",
        "CREATE CAST (text AS date) WITH FUNCTION to_date(text)",
    ],
    "functions named as those that rows and sequences come by": [
        "CREATE TABLE tt (id serial PRIMARY KEY)",
        "INSERT INTO tt SELECT FROM generate_series(1, 201)",
        "CREATE FUNCTION setval(text, integer, boolean DEFAULT true) RETURNS bigint LANGUAGE sql AS 'SELECT 5::bigint'",
        "CREATE FUNCTION jsonb_array_elements(text) RETURNS SETOF jsonb LANGUAGE sql AS $$SELECT '[1]'::jsonb$$",
    ],
    "a generated column that came down to a child which was made anew": [
        "CREATE TABLE ta (x integer NOT NULL DEFAULT 1, CHECK (x > 0))",
        "CREATE TABLE tb (x integer DEFAULT 2, y text)",
        "CREATE TABLE tc (x integer DEFAULT 3, z integer) INHERITS (ta, tb)",
        "CREATE TABLE td () INHERITS (tc)",
        "ALTER TABLE ta ADD w integer GENERATED ALWAYS AS (x * 2) STORED",
        "ALTER TABLE td NO INHERIT tc",
        "ALTER TABLE td INHERIT tc",
    ],
    "sequences that tables own across": [
        "CREATE TABLE ta (id serial)",
        "CREATE TABLE tb (id serial)",
        "ALTER SEQUENCE ta_id_seq OWNED BY tb.id",
        "ALTER SEQUENCE tb_id_seq OWNED BY ta.id",
        "CREATE SEQUENCE s",
        "CREATE FUNCTION next_of_s() RETURNS bigint LANGUAGE sql RETURN nextval('s')",
        "CREATE TABLE tt (id bigint DEFAULT next_of_s() PRIMARY KEY)",
        "ALTER SEQUENCE s OWNED BY tt.id",
        "INSERT INTO tt DEFAULT VALUES",
    ],
    "a cast without a function that came later": [
        "CREATE TABLE tt (b bytea, c text DEFAULT '\\x41'::bytea::text, CHECK (b::text <> 'x'))",
        "INSERT INTO tt VALUES ('abc')",
        "CREATE INDEX by_text ON tt ((b::text))",
        "CREATE VIEW v AS SELECT b::text AS u FROM tt",
        "CREATE CAST (bytea AS text) WITHOUT FUNCTION",
    ],
    "casts to text that may be unsaid": [
        "CREATE CAST (oid AS text) WITH INOUT AS IMPLICIT",
        "CREATE CAST (timestamp with time zone AS text) WITH INOUT AS IMPLICIT",
        "CREATE TABLE tt (a oid)",
    ],
    "privileges that were handed on": [
        "DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO pg_monitor WITH GRANT OPTION', current_database());"
        " SET SESSION AUTHORIZATION pg_monitor;"
        " EXECUTE format('GRANT CREATE ON DATABASE %I TO pg_checkpoint WITH GRANT OPTION', current_database());"
        " SET SESSION AUTHORIZATION pg_checkpoint;"
        " EXECUTE format('GRANT CREATE ON DATABASE %I TO pg_database_owner', current_database());"
        " RESET SESSION AUTHORIZATION;"
        " EXECUTE format('GRANT CREATE ON DATABASE %I TO pg_checkpoint', current_database()); END$$",
        "CREATE TYPE span AS RANGE (SUBTYPE = integer)",
        "REVOKE ALL ON FUNCTION span(integer, integer) FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION span(integer, integer) TO pg_monitor WITH GRANT OPTION",
        "SET SESSION AUTHORIZATION pg_monitor",
        "GRANT EXECUTE ON FUNCTION span(integer, integer) TO pg_checkpoint",
        "RESET SESSION AUTHORIZATION",
    ],
    "columns whose names a driver may take for one": [
        'CREATE TABLE tt ("a b" text, a_b text, "collation" text)',
        "INSERT INTO tt VALUES ('x', 'y', 'z')",
        'CREATE SCHEMA "lateral"',
        'CREATE TABLE "lateral"."tablesample" (a integer)',
        'INSERT INTO "lateral"."tablesample" VALUES (1)',
    ],
    "two keys of one name that are switched off": [
        "CREATE TABLE targets (id integer PRIMARY KEY)",
        "CREATE TABLE ta (x integer CONSTRAINT fk REFERENCES targets)",
        "CREATE TABLE tb (x integer CONSTRAINT fk REFERENCES targets)",
        "ALTER TABLE targets DISABLE TRIGGER ALL",
    ],
    "functions that fit better than those that this program calls": [
        "CREATE FUNCTION concat(text, anyarray) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$",
        "CREATE FUNCTION concat(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$",
        "CREATE FUNCTION format(text, oid, timestamptz) RETURNS text LANGUAGE sql AS $$SELECT clock_timestamp()::text$$",
        "CREATE TABLE tt (a integer)",
        "DO $$BEGIN EXECUTE pg_catalog.format('GRANT CREATE ON DATABASE %I TO pg_monitor', current_database()); END$$",
    ],
    "a check that comes down to a table which has it by LIKE": [
        "CREATE TABLE ta (x bigint CONSTRAINT k CHECK (x <> ALL (ARRAY[3, 4])))",
        "CREATE TABLE tb (LIKE ta INCLUDING ALL)",
        "ALTER TABLE tb INHERIT ta",
    ],
    "statistics on a function that reads their table": [
        "CREATE TABLE tt (a integer, b integer)",
        "CREATE FUNCTION most(integer) RETURNS integer IMMUTABLE LANGUAGE sql RETURN (SELECT max(a) FROM tt)",
        "CREATE STATISTICS st ON (most(a)), b FROM tt",
    ],
    "numbers whose text is the history's own": [
        "CREATE TABLE numbers (c integer)",
        "CREATE FUNCTION other(integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'Y'$$",
        "CREATE CAST (integer AS text) WITH FUNCTION other(integer)",
        "INSERT INTO numbers VALUES (1)",
    ],
    "names that begin as a dump's words for the database": [
        'CREATE SCHEMA "DATABASE x"',
        "COMMENT ON SCHEMA \"DATABASE x\" IS 'of schemas'",
        'CREATE PUBLICATION "DATABASE x"',
        'CREATE FOREIGN DATA WRAPPER "DATABASE x"',
        'CREATE SERVER "DATABASE x" FOREIGN DATA WRAPPER "DATABASE x"',
        'GRANT USAGE ON FOREIGN SERVER "DATABASE x" TO pg_monitor',
        'CREATE ACCESS METHOD "DATABASE x" TYPE TABLE HANDLER heap_tableam_handler',
        "CREATE FUNCTION happens() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        'CREATE EVENT TRIGGER "DATABASE x" ON ddl_command_end EXECUTE FUNCTION happens()',
        "DO $$BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'its own');"
        " EXECUTE format('GRANT CREATE ON DATABASE %I TO pg_monitor', current_database()); END$$",
    ],
    "privileges that were handed on, of what stays": [
        "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO pg_monitor WITH GRANT OPTION",
        "GRANT USAGE ON LANGUAGE plpgsql TO pg_monitor WITH GRANT OPTION",
        "GRANT USAGE ON SCHEMA public TO pg_monitor WITH GRANT OPTION",
        "GRANT SELECT ON alembic_version TO pg_monitor WITH GRANT OPTION",
        "SET SESSION AUTHORIZATION pg_monitor",
        "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO pg_checkpoint",
        "GRANT USAGE ON LANGUAGE plpgsql TO pg_checkpoint",
        "GRANT USAGE ON SCHEMA public TO pg_checkpoint",
        "GRANT SELECT ON alembic_version TO pg_checkpoint WITH GRANT OPTION",
        "SET SESSION AUTHORIZATION pg_checkpoint",
        "GRANT SELECT ON alembic_version TO pg_database_owner",
        "RESET SESSION AUTHORIZATION",
        "GRANT UPDATE (version_num) ON alembic_version TO pg_monitor WITH GRANT OPTION",
        "SET SESSION AUTHORIZATION pg_monitor",
        "GRANT UPDATE (version_num) ON alembic_version TO pg_checkpoint",
        "RESET SESSION AUTHORIZATION",
    ],
    "default privileges in a schema whose name has words of theirs": [
        'CREATE SCHEMA "in TO out"',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "in TO out" GRANT SELECT ON TABLES TO pg_monitor WITH GRANT OPTION',
        'CREATE SCHEMA "a GRANT REVOKE b FROM c"',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "a GRANT REVOKE b FROM c" GRANT USAGE ON SEQUENCES TO pg_monitor',
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ],
    "no value in columns whose types have defaults": [
        "CREATE TYPE lucky",
        "CREATE FUNCTION lucky_in(cstring) RETURNS lucky LANGUAGE internal IMMUTABLE STRICT AS 'int4in'",
        "CREATE FUNCTION lucky_out(lucky) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'",
        "CREATE TYPE lucky (INPUT = lucky_in, OUTPUT = lucky_out, LIKE = integer, DEFAULT = '7')",
        "CREATE DOMAIN luckier AS lucky DEFAULT '8'::lucky",
        "CREATE TABLE tt (a lucky, b luckier, c lucky[], d integer)",
        "INSERT INTO tt VALUES (NULL, NULL, NULL, 1)",
        "CREATE TABLE whole (a lucky, b integer) PARTITION BY LIST (b)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)",
        "INSERT INTO whole VALUES (NULL, 1)",
    ],
    "a range type with functions of its own": [
        "CREATE TYPE span",
        "CREATE FUNCTION canon(span) RETURNS span LANGUAGE internal IMMUTABLE STRICT AS 'int4range_canonical'",
        "CREATE FUNCTION apart(integer, integer) RETURNS float8 LANGUAGE internal IMMUTABLE STRICT AS"
        " 'int4range_subdiff'",
        "CREATE TYPE span AS RANGE (SUBTYPE = integer, CANONICAL = canon, SUBTYPE_DIFF = apart)",
        "CREATE TABLE tt (a span)",
        "INSERT INTO tt VALUES ('[1,2]')",
        "CREATE FUNCTION uses(span) RETURNS integer LANGUAGE sql AS 'SELECT lower($1)'",
    ],
    "a range type that somebody else made": [
        "GRANT CREATE ON SCHEMA public TO pg_monitor",
        "SET ROLE pg_monitor",
        "CREATE TYPE span AS RANGE (SUBTYPE = integer)",
        "RESET ROLE",
        "CREATE TYPE other AS RANGE (SUBTYPE = bigint)",
        "ALTER TYPE other OWNER TO pg_monitor",
    ],
    "tables and their parts that a dump calls alike": [
        'CREATE TABLE "a b" (c serial PRIMARY KEY, y integer, CONSTRAINT d UNIQUE (y))',
        'CREATE TABLE a ("b c" serial, y integer, CONSTRAINT "b d" UNIQUE ("b c"),'
        ' CONSTRAINT "b e" EXCLUDE (y WITH =), CONSTRAINT "b f" CHECK (y > 3)) WITH (fillfactor = 50)',
        'ALTER TABLE "a b" ADD CONSTRAINT e FOREIGN KEY (y) REFERENCES a ("b c")',
        'ALTER TABLE "a b" ADD CONSTRAINT f CHECK (y > 2) NOT VALID',
        "CREATE FUNCTION highest() RETURNS integer LANGUAGE sql RETURN (SELECT max(y) FROM a)",
        'ALTER TABLE a ADD "b g" integer DEFAULT highest()',
        'ALTER TABLE "a b" ADD g integer DEFAULT 5',
    ],
    "tables and indexes that begin as Alembic's own table": [
        'CREATE TABLE "alembic_version x" (a integer PRIMARY KEY)',
        'INSERT INTO "alembic_version x" VALUES (1)',
        "CREATE TABLE tt (a integer)",
        'CREATE INDEX "alembic_version y" ON tt (a)',
    ],
    "one of two indexes that the server may take for a partition's": [
        "CREATE TABLE whole (a integer, b text) PARTITION BY LIST (a)",
        "CREATE TABLE part (a integer, b text)",
        "CREATE INDEX foo ON part (a)",
        "CREATE INDEX bar ON part (a) WITH (fillfactor = 60)",
        "CREATE INDEX first ON whole (a)",
        'CREATE INDEX "foo ON b" ON part (lower(b), a) WHERE a > 0',
        'CREATE INDEX "bar ON b" ON part (lower(b) DESC, a) WHERE a > 0',
        "CREATE INDEX second ON whole (lower(b), a) WHERE a > 0",
        "CREATE UNIQUE INDEX once ON part (b, a)",
        "ALTER TABLE part ADD CONSTRAINT also UNIQUE (b, a)",
        "CREATE UNIQUE INDEX third ON whole (b, a)",
        "ALTER TABLE whole ATTACH PARTITION part FOR VALUES IN (1)",
    ],
    "one of two such indexes, two partitions down": [
        "CREATE TABLE whole (a integer) PARTITION BY LIST (a)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES IN (1, 2) PARTITION BY LIST (a)",
        "CREATE TABLE leaf (a integer)",
        "CREATE INDEX foo ON leaf (a)",
        "CREATE INDEX bar ON leaf (a DESC)",
        "CREATE INDEX of_part ON part (a)",
        "ALTER TABLE part ATTACH PARTITION leaf FOR VALUES IN (1)",
        "CREATE INDEX of_whole ON whole (a)",
    ],
}


@pytest.mark.parametrize("what", USED)
def test_what_no_dump_says_that_something_needs_it_is_there_in_time(laboratory: Trials, what: str) -> None:
    found = tried(laboratory, USED[what])
    assert found is None, found


def test_a_collation_of_postgresqls_own_that_is_written_anew_and_stays_the_same_is_no_change(
    laboratory: Trials,
) -> None:
    statements = ['ALTER COLLATION "en-x-icu" REFRESH VERSION', "CREATE TABLE tt (a text)"]
    taken = replay(laboratory, statements)
    if taken != statements:
        pytest.skip("this PostgreSQL is built without ICU")
    found = failure(laboratory, taken)
    assert found is None, found


def test_a_view_of_an_operator_that_no_dump_would_choose_again_is_refused_in_words(laboratory: Trials) -> None:
    statements = [
        "CREATE FUNCTION op(anyarray, anyarray) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'any'$$",
        "CREATE OPERATOR === (LEFTARG = anyarray, RIGHTARG = anyarray, FUNCTION = op)",
        "CREATE TABLE tt (x integer[])",
        "CREATE VIEW v AS SELECT x === x AS y FROM tt",
        "CREATE FUNCTION op2(integer[], integer[]) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'integer'$$",
        "CREATE OPERATOR === (LEFTARG = integer[], RIGHTARG = integer[], FUNCTION = op2)",
    ]
    found = tried(laboratory, statements)
    assert found is not None and found.kind == "refused", found
    assert "PostgreSQL cannot restore its own dump" in found.evidence
    assert "+operator public.===(integer[],integer[])" in found.evidence


@pytest.mark.parametrize("what", ["FOREIGN DATA WRAPPER owned", "EVENT TRIGGER owned"])
def test_what_belongs_to_somebody_who_is_no_superuser_any_more_is_refused_in_words(
    laboratory: Trials, what: str
) -> None:
    role = ROLES[0]
    statements = [
        "CREATE FUNCTION happens() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        f"CREATE {what}{' ON ddl_command_end EXECUTE FUNCTION happens()' if what.startswith('EVENT') else ''}",
        f"ALTER ROLE {role} SUPERUSER",
        f"ALTER {what} OWNER TO {role}",
        f"ALTER ROLE {role} NOSUPERUSER",
    ]
    prepare(laboratory)
    found = tried(laboratory, statements)
    assert found is not None and found.kind == "refused", found
    assert "PostgreSQL cannot restore its own dump" in found.evidence
    assert f"OWNER {what}: permission denied" in found.evidence


BUILT_IN = {
    "a rule": "CREATE RULE r AS ON INSERT TO information_schema.tables DO INSTEAD NOTHING",
    "a check": "ALTER TABLE information_schema.sql_features ADD CONSTRAINT c CHECK (true)",
    "a comment on a check": "ALTER TABLE information_schema.sql_parts ADD CONSTRAINT c CHECK (true);"
    " COMMENT ON CONSTRAINT c ON information_schema.sql_parts IS 'ours'",
    "a policy": "CREATE POLICY p ON information_schema.sql_features USING (true)",
    "row security": "ALTER TABLE information_schema.sql_features FORCE ROW LEVEL SECURITY",
    "a replica identity": "ALTER TABLE information_schema.sql_features REPLICA IDENTITY FULL",
    "statistics": "CREATE STATISTICS s ON feature_id, feature_name FROM information_schema.sql_features",
    "a default": "ALTER TABLE information_schema.sql_parts ALTER feature_id SET DEFAULT 'x'",
    "privileges on its schema": "REVOKE ALL ON SCHEMA information_schema FROM PUBLIC",
    "privileges on its tables": "GRANT INSERT ON information_schema.sql_features TO pg_monitor",
    "privileges on a column": "GRANT UPDATE (comments) ON information_schema.sql_features TO pg_monitor",
    "a view": "CREATE OR REPLACE VIEW information_schema.enabled_roles AS"
    " SELECT 'nobody'::information_schema.sql_identifier AS role_name",
    "a view that is gone": "DROP VIEW information_schema.role_udt_grants",
    "rows": "INSERT INTO information_schema.sql_features SELECT * FROM information_schema.sql_features LIMIT 1",
    "a domain": "ALTER DOMAIN information_schema.yes_or_no DROP CONSTRAINT yes_or_no_check",
    "an owner": "ALTER VIEW information_schema.tables OWNER TO pg_monitor",
    "an operator class": "UPDATE pg_opclass SET opcdefault = (opcname = 'jsonb_path_ops') WHERE opcname IN"
    " ('jsonb_ops', 'jsonb_path_ops') AND opcmethod = (SELECT oid FROM pg_am WHERE amname = 'gin')",
    "an operator family": "ALTER OPERATOR FAMILY integer_ops USING hash RENAME TO whole_ops",
    "a type": "ALTER TYPE jsonb SET (STORAGE = external)",
    "an aggregate": "UPDATE pg_aggregate SET agginitval = '1' WHERE aggfnoid = 'count(\"any\")'::regprocedure",
}


@pytest.mark.parametrize("what", BUILT_IN)
def test_what_is_changed_about_postgresqls_own_objects_is_refused_in_words(laboratory: Trials, what: str) -> None:
    found = tried(laboratory, [BUILT_IN[what]])
    assert found is not None and found.kind == "refused", found
    assert "it changes what PostgreSQL itself brings" in found.evidence, found


# What an extension brings, and what was changed in it.
OF_EXTENSIONS = {
    "a view": ("pg_buffercache", "CREATE RULE r AS ON INSERT TO pg_buffercache DO INSTEAD NOTHING"),
    "options of a view": ("pg_buffercache", "ALTER VIEW pg_buffercache SET (security_barrier)"),
    "a dictionary": ("unaccent", "ALTER TEXT SEARCH DICTIONARY unaccent (rules = 'xsyn_sample')"),
    "a domain": ("cube", "CREATE EXTENSION earthdistance; ALTER DOMAIN earth DROP CONSTRAINT on_surface"),
    "a check more": ("cube", "CREATE EXTENSION earthdistance; ALTER DOMAIN earth ADD CHECK (value IS NOT NULL)"),
    "a comment within": (
        "cube", "CREATE EXTENSION earthdistance; COMMENT ON CONSTRAINT on_surface ON DOMAIN earth IS 'ours'"
    ),
    "an aggregate": (
        "citext", "CREATE OR REPLACE AGGREGATE max(citext) (sfunc = citext_smaller, stype = citext, sortop = <)"
    ),
    "an owner": ("hstore", "ALTER FUNCTION akeys(hstore) OWNER TO pg_monitor"),
    "a type": ("citext", "ALTER TYPE citext SET (storage = external)"),
    "an operator": ("hstore", "ALTER OPERATOR @> (hstore, hstore) SET (restrict = none)"),
    "an operator family": ("pg_trgm", "ALTER OPERATOR FAMILY gist_trgm_ops USING gist DROP OPERATOR 7 (text, text)"),
    "an operator more": ("hstore", "ALTER OPERATOR FAMILY btree_hstore_ops USING btree ADD OPERATOR 1 < (int, int)"),
    "a foreign data wrapper": ("postgres_fdw", "ALTER FOREIGN DATA WRAPPER postgres_fdw NO VALIDATOR"),
    "a cast": ("hstore", "UPDATE pg_cast SET castcontext = 'i' WHERE castsource = 'hstore'::regtype"),
    "a column's collation": (
        "tablefunc", 'ALTER TYPE tablefunc_crosstab_2 ALTER ATTRIBUTE row_name TYPE text COLLATE "C"'
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OF_EXTENSIONS)
def test_what_is_changed_in_what_an_extension_brings_is_refused_in_words(laboratory: Trials, what: str) -> None:
    extension, change = OF_EXTENSIONS[what]
    found = tried(laboratory, [f"CREATE EXTENSION {extension}", change])
    assert found is not None and found.kind == "refused", found
    assert "it changes what an extension brings" in found.evidence, found


def test_what_extensions_bring_is_the_same_beside_what_uses_it(laboratory: Trials) -> None:
    extensions = ("hstore", "citext", "tablefunc", "pg_buffercache", "unaccent", "cube", "earthdistance", "pg_trgm")
    history = [
        *(f"CREATE EXTENSION {one}" for one in extensions),
        "CREATE DOMAIN ours AS hstore CHECK (value IS NOT NULL)",
        "CREATE TABLE t (a hstore, b ours, c citext, d earth)",
        "CREATE INDEX ON t USING gin (a)",
        "CREATE FUNCTION twice(hstore) RETURNS hstore IMMUTABLE LANGUAGE sql AS 'SELECT $1 || $1'",
        "CREATE CAST (citext AS hstore) WITH INOUT",
    ]
    found = tried(laboratory, history)
    assert found is None, found
