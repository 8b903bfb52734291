"""Histories that came out wrong once, each with relatives: the base is exact, also as pg_dump prints it.

In the `Laboratory`: statements in place of migrations, a second or two each.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest

from tasklib.errors import Failed, Refused
from tasklib.postgres import client
from tasklib.postgres.server import Server
from tasklib.render import indexes
from tests.support import native
from tests.support.laboratory import Laboratory, Outcome

# What each history makes, statement by statement. The roles `reader`, `writer` and `postgres` are there.
EXACT: dict[str, tuple[str, ...]] = {
    "a parent gets a column after its child has one": (
        "create table asset(id int)",
        "create table printer(pages int) inherits (asset)",
        "alter table asset add column bought date",
        "insert into printer values (1,2,'2020-01-01')",
    ),
    "a table with columns in another order becomes a child": (
        "create table asset(id int)",
        "create table printer(pages int, id int)",
        "alter table printer inherit asset",
        "insert into printer values (1,2)",
    ),
    "two parents, a grandchild, columns of its own and merged ones": (
        "create table a(x int, y text default 'q' not null)",
        "create table b(z int)",
        "create table c(w int, z int) ",
        "alter table c inherit b",
        "create table d(v serial, check (v > 0)) inherits (a, b)",
        "alter table a add column n numeric(5,2) default 1",
        'alter table b add column m text collate "C"',
        "alter table d add column own int",
        "alter table a add constraint pos check (x > 0)",
        "create index on d(v)",
        "insert into d(x,z,v,own) values (1,2,3,4)",
        "create table e() inherits (d)",
        "alter table d add column last int",
    ),
    "a parent drops a column and gets it again": (
        "create table a(id int primary key, name text)",
        "create table b(extra int) inherits (a)",
        "alter table b add primary key (id)",
        "alter table a drop column name",
        "alter table a add column name text",
        "comment on column b.name is 'x'",
        "alter table b alter name set default 'z'",
        "insert into b(id,extra) values (1,2)",
    ),
    "a child from before its parent, a type and a typed table whose attributes moved": (
        "create table a(id int, name text)",
        "create table b(name text, id int, extra int)",
        "insert into b values ('a',1,2)",
        "alter table b inherit a",
        "alter table a add column later int",
        "create view v as select * from b",
        "create type ct as (a int, b text)",
        "alter type ct drop attribute a",
        "alter type ct add attribute a int",
        "create table typed of ct",
    ),
    "inheritance in a schema, taken away and given back": (
        "create schema s",
        "create table s.a(id int)",
        "create table s.b(own int) inherits (s.a)",
        """alter table s.a add column "Odd Name" text""",
        "alter table s.b no inherit s.a",
        "alter table s.b inherit s.a",
    ),
    "a child whose generated column comes first": (
        "create table g1 (a int primary key, b int generated always as (a*2) stored)",
        "create table g2 (b int generated always as (a*2) stored, a int not null)",
        "alter table g2 inherit g1",
    ),
    "a child that brought its constraints along": (
        "create table g1 (a int not null, c int, constraint pos check (c > 0), constraint pos2 check (a in (1,2)))",
        "create table g2 (x varchar check (x in ('a','b')), c int, a int not null, constraint pos check (c > 0), constraint pos2 check (a in (1,2)))",
        "alter table g2 inherit g1",
        "create table g0(x varchar)",
        "alter table g2 inherit g0",
        "alter table g2 alter c set default 4",
        "create index on g2(a)",
        "alter table g2 add primary key (a)",
        "insert into g2 values ('a',1,2)",
    ),
    "a partition that brought its foreign key along": (
        "create table country(id int primary key)",
        "create table visit(country int) partition by list (country)",
        "create table visit_1(country int references country)",
        "alter table visit add foreign key (country) references country",
        "alter table visit attach partition visit_1 for values in (1)",
    ),
    "a foreign key to a partitioned table, renamed when its parts had names": (
        "create table country(id int primary key) partition by range (id)",
        "create table country_1 partition of country for values from (0) to (10)",
        "create table country_2 partition of country for values from (10) to (20)",
        "create table visit(country int references country)",
        "create table country_3(id int not null primary key)",
        "alter table country attach partition country_3 for values from (20) to (30)",
        "insert into country values (1),(11),(21)",
        "insert into visit values (1)",
        "alter table visit rename constraint visit_country_fkey to fk",
    ),
    "constraints and triggers of partitions of partitions": (
        "create table p(a int, b int check (b > 0), constraint odd check (a > 1)) partition by list (a)",
        "create table p1(a int, b int, constraint odd check (a > 1), constraint p_b_check check (b > 0))",
        "alter table p attach partition p1 for values in (3)",
        "create table p2 partition of p for values in (4) partition by list (b)",
        "create table p21 partition of p2 for values in (5)",
        "create table q(a int primary key)",
        "alter table p add foreign key (b) references q",
        "alter table p21 rename constraint p_b_fkey to mine",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger t after insert on p for each row execute function f()",
        "alter table p1 disable trigger t",
    ),
    "partitions with keys and indexes of other names": (
        "create table p(a int primary key, b int) partition by hash (a)",
        "create table p1 partition of p for values with (modulus 2, remainder 0)",
        "create table p2(a int not null, b int, constraint mykey primary key (a))",
        "alter table p attach partition p2 for values with (modulus 2, remainder 1)",
        "create index pb on p(b)",
        "alter index p1_b_idx rename to other",
        "create table other_t(a int references p)",
        "alter table p1 rename constraint p1_pkey to foo",
    ),
    "functions that came later and fit better than the built-in ones that are meant": (
        "create table t (a text default concat('a', 'b'), b int, check (num_nonnulls(b, 3) > 1))",
        "insert into t (b) values (3)",
        "create index on t (num_nonnulls(b, 1)) where num_nonnulls(b, 2) > 0",
        "create materialized view v as select concat(a, 'x'::text) from t",
        "create policy p on t using (num_nonnulls(b, 1) > 0)",
        "create function concat(text, text) returns text immutable language sql as 'select $1'",
        "create function num_nonnulls(int, int) returns int immutable language sql as 'select 7'",
    ),
    "settings of the database by which all prints and is found otherwise": (
        "create schema s",
        r"create table s.t (a text default 'a\b')",
        r"insert into s.t values (E'x\\y'), ('é')",
        "create table t (a int)",
        """do $$ declare one text; begin
            foreach one in array array['search_path = s, public', 'standard_conforming_strings = off',
                'quote_all_identifiers = on', 'client_encoding = latin1', 'datestyle = SQL']
            loop execute format('alter database %I set ', current_database()) || one; end loop;
        end $$""",
    ),
    "rows, indexes and refreshes whose functions read what no dump says they need": (
        "create table known (k int primary key)",
        "create view z as select k from known",
        "create function ok(int) returns bool language sql as 'select exists (select from z where k = $1)'",
        "create function number(int) returns int immutable language sql as 'select (count(*) + $1)::int from z'",
        "create table t (id serial primary key, k int check (ok(k)))",
        "create table u (k int references t, l int check (ok(l)))",
        "insert into known values (7)",
        "insert into t (k) values (7)",
        "insert into u values (1, 7)",
        "create index i on t (number(k)) where number(k) > 1",
        "alter table t add exclude using btree (number(k) with =)",
        "create materialized view m as select number(k) from t",
    ),
    "rules, policies and indexes in the way of a family that goes table by table": (
        "create table t5 (a smallserial, c1 bigint unique)",
        "create table t6 (c2 boolean)",
        "create function f(t6) returns boolean language sql immutable as 'select true'",
        "create table t1 (c5 numeric(10, 2)) inherits (t6, t5)",
        "create rule ru2 as on update to t5 do also delete from t6 where false",
        "create policy po on t5 using (exists (select from t6))",
        "create index on t5 ((c1 = (f(null::t6))::int))",
        "alter table t5 add column g6 boolean generated always as ((a is null)) stored",
    ),
    "options of tables whose columns come one by one": (
        "create table t11 (c6 int, c12 int generated always as (7) stored, c2 text generated always as ('x') stored)"
        " with (user_catalog_table, fillfactor = 50, toast.autovacuum_enabled = off)",
        "create table t8 (c5 int)",
        "create table t9 (c11 bool) inherits (t11, t8) with (user_catalog_table, toast.autovacuum_enabled = off)",
        "alter table t11 add column c13 text",
    ),
    "privileges on the type of a table with a line break in its name": (
        "create table t (a int)",
        "grant all on type t to pg_monitor with grant option",
        'alter table t rename to "new\n;line"',
    ),
    "constraints of triggers with other names than these": (
        "create table t (a int)",
        "create function f() returns trigger language plpgsql as $$ begin return new; end $$",
        "create constraint trigger one after update of a or insert on t from t for each row execute function f()",
        "create constraint trigger two after insert on t deferrable for each row execute function f()",
        'alter table t rename constraint one to "k\n1"',
        "alter trigger two on t rename to one_more",
        "comment on constraint two on t is 'still two'",
    ),
    "casts to text of the history's own": (
        "create type mood as enum ('sad', 'glad')",
        "create function label(mood) returns text immutable language sql as $$ select 'feels ' || enum_out($1) $$",
        "create cast (mood as text) with function label(mood)",
        "create cast (jsonb as text) without function as implicit",
        "create type pair as (a int, b int)",
        "create table t (m mood, j jsonb, p pair, c money, v text)",
        """insert into t values ('sad', '{"a": ":x%s"}', (null, null), 1.5, 'x'), ('glad', '"text"', (1, null), null, null),
            (null, null, null, null, '')""",
        "create materialized view mv as select m, j, p, v from t",
    ),
    "operator classes that no dump says a key needs": (
        "create type w",
        "create function w_in(cstring) returns w language internal immutable strict as 'int4in'",
        "create function w_out(w) returns cstring language internal immutable strict as 'int4out'",
        "create type w (input = w_in, output = w_out, like = int4)",
        """do $$ declare op text[]; begin
            foreach op slice 1 in array array[['lt', '<'], ['le', '<='], ['eq', '='], ['ge', '>='], ['gt', '>']] loop
                execute format('create function w_%s(w, w) returns bool language internal immutable strict'
                    ' as ''int4%s''', op[1], op[1]);
                execute format('create operator %s (leftarg = w, rightarg = w, function = w_%s)', op[2], op[1]);
            end loop;
        end $$""",
        "create function w_cmp(w, w) returns int language internal immutable strict as 'btint4cmp'",
        "create operator class w_ops default for type w using btree as operator 1 <, operator 2 <=, operator 3 =,"
        " operator 4 >=, operator 5 >, function 1 w_cmp(w, w)",
        "create operator class odd for type int using btree as operator 1 <, operator 2 <=, operator 3 =,"
        " operator 4 >=, operator 5 >, function 1 btint4cmp(int, int)",
        "create table t (a w primary key, b w unique, c int, exclude using btree (c odd with =))",
        "insert into t values ('1', '2', 3)",
        "create type ws as range (subtype = w)",
    ),
    "lists of integers beside numbers of another kind": (
        "create table t (a numeric check (a <> all (array[3, 4])), b real check (b = any (array[3, -4])),"
        " c int check (c in (0, -1)), d bigint check (d not in (1, -5000000000)))",
        "create index on t (a) where a = any (array[3, -4])",
        "create view v as select a from t where a <> all (array[3, 4]) and c in (1, -2)",
        "create policy p on t using (a <> all (array[3, 4]))",
    ),
    "rows below a comment with a name of several lines": (
        """create table t ("new\nline" int generated always as identity, "more\r%" int)""",
        """insert into t values (default, 1), (default, 2)""",
        """create type "a\n%" as (i int)""",
        """create table u ("two\n\nlines" "a\n%")""",
        "insert into u values (row(1))",
    ),
    "a foreign table with a compression and a name of several lines": (
        "create foreign data wrapper w",
        "create server s foreign data wrapper w",
        """create foreign table "f\ng" (a text compression pglz) server s""",
    ),
    "comments on a constraint trigger and on its constraint": (
        "create table t (a int)",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        'create constraint trigger "c t" after insert on t deferrable for each row execute function f()',
        """comment on constraint "c t" on t is 'of the constraint'""",
        """comment on trigger "c t" on t is 'of the trigger'""",
    ),
    "a long chain of views": (
        "create table v0 (a int)",
        """do $$ begin for n in 1..600 loop
            execute format('create view v%s as select a from v%s', n, n - 1);
        end loop; end $$""",
    ),
    "several foreign keys between partitioned tables": (
        "create table pk (a int primary key) partition by range (a)",
        "create table pk1 partition of pk for values from (1) to (100) partition by range (a)",
        "create table pk11 partition of pk1 for values from (1) to (50)",
        "create table pk12 partition of pk1 for values from (50) to (100)",
        "create table fk (a int) partition by range (a)",
        "alter table fk add foreign key (a) references pk on update cascade on delete cascade",
        "alter table fk add foreign key (a) references pk on update set null on delete set null",
        "alter table fk add foreign key (a) references pk on update set default on delete set default",
        "alter table fk add foreign key (a) references pk on update restrict on delete restrict",
    ),
    "a materialized view over a view that the dump completes later": (
        "create table a(id int primary key, n text)",
        "insert into a values (1,'x')",
        "create view v as select id, n, count(*) from a group by id",
        "create materialized view m as select * from v",
    ),
    "materialized views over one another": (
        "create table a(id int primary key, n text)",
        "insert into a values (1,'x')",
        "create materialized view z as select * from a",
        "create view v as select id, n, count(*) from z group by id,n",
        "create materialized view b as select * from v",
        "create unique index on b(id)",
        "create materialized view a2 as select * from b",
    ),
    "a serial that became an identity": (
        "create table t(id serial primary key)",
        "alter table t alter id drop default",
        "alter table t alter id add generated by default as identity",
    ),
    "an identity beside the sequence of its time as a serial": (
        "create table t(id serial primary key)",
        "alter sequence t_id_seq owned by none",
        "alter table t alter id drop default",
        "alter table t alter id add generated always as identity",
        "alter sequence t_id_seq owned by t.id",
        "insert into t default values",
    ),
    "a serial that owns a second sequence": (
        "create table t(id serial primary key, n int)",
        "create sequence other owned by t.id start 7",
        "insert into t(n) values (1)",
    ),
    "a column without a default that owns a sequence": (
        "create table t(id int primary key, n int)",
        "create sequence other owned by t.id start 7",
        "insert into t(id,n) values (1,1)",
    ),
    "a rule with several commands": (
        "create table t(a int)",
        "create table l(a int)",
        "create rule r as on insert to t do also (insert into l values (new.a); delete from l where a = 0)",
    ),
    "public given to a role": ("alter schema public owner to reader",),
    "public given to the user who migrates": ("alter schema public owner to current_user",),
    "public dropped and made again": (
        "drop schema public cascade",
        "create schema public",
        "create table alembic_version(version_num varchar(32) constraint alembic_version_pkc primary key)",
        "insert into alembic_version values ('r')",
        "create table t(a int)",
    ),
    "public dropped and made again with what it had": (
        "drop schema public cascade",
        "create schema public",
        "grant all on schema public to public",
        "comment on schema public is 'standard public schema'",
        "create table alembic_version(version_num varchar(32) constraint alembic_version_pkc primary key)",
        "insert into alembic_version values ('r')",
        "create table t(a int)",
    ),
    "public with other privileges and another comment": (
        "revoke create on schema public from public",
        "revoke all on schema public from public",
        "comment on schema public is 'mine'",
        "create table t(a int)",
    ),
    "an extension in an old version": ("create extension pg_trgm version '1.3'",),
    "extensions in a schema, in a version, with a comment": (
        "create schema ext",
        "create extension pg_trgm schema ext version '1.4'",
        "create extension hstore",
        "comment on extension hstore is 'mine'",
        "create table t(a hstore)",
        "create index on t using gist (a)",
    ),
    "an extension that is asked for": ("create extension if not exists pg_trgm",),
    "asked for in a schema of the history's own, and by CASCADE": (
        "create schema ext",
        "create extension if not exists pg_trgm schema ext",
        "create extension hstore",
        "create extension if not exists earthdistance cascade",
        "create table t(a hstore)",
    ),
    "an extension that was updated, and one with a comment of its own": (
        "create extension pg_trgm version '1.3'",
        "alter extension pg_trgm update to '1.5'",
        'create extension if not exists "uuid-ossp"',
        """comment on extension "uuid-ossp" is 'mine'""",
    ),
    "a collation in a schema, on a dozen tables": (
        "create schema shop",
        "create collation shop.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "create table t0(a text collate shop.anycase)",
        "create table t1(a text collate shop.anycase)",
        "create table t2(a text collate shop.anycase)",
        "create table t3(a text collate shop.anycase)",
        "create table t4(a text collate shop.anycase)",
        "create table t5(a text collate shop.anycase)",
        "create table t6(a text collate shop.anycase)",
        "create table t7(a text collate shop.anycase)",
        "create table t8(a text collate shop.anycase)",
        "create table t9(a text collate shop.anycase)",
        "create table t10(a text collate shop.anycase)",
        "create table t11(a text collate shop.anycase)",
    ),
    "collations with odd names on all that can have one": (
        "create schema shop",
        """create collation shop."Any Case" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)""",
        """create table t(a varchar(10) collate shop."Any Case" default 'x', b text collate "C", d text[] collate shop."Any Case")""",
        "insert into t values ('a','b','{c,d}')",
        """create index on t(a collate "C")""",
        'create domain dd as text collate shop."Any Case"',
        """create type cc as (a text collate shop."Any Case")""",
    ),
    "a base type": (
        "create type weight",
        "create function weight_in(cstring) returns weight language internal immutable strict as 'int4in'",
        "create function weight_out(weight) returns cstring language internal immutable strict as 'int4out'",
        "create type weight (input=weight_in, output=weight_out, like=int4)",
        "create table t(w weight)",
    ),
    "a base type with functions, a cast and an operator in a schema": (
        "create schema w",
        "create type w.weight",
        "create function w.weight_in(cstring) returns w.weight language internal immutable strict as 'int4in'",
        "create function w.weight_out(w.weight) returns cstring language internal immutable strict as 'int4out'",
        "create type w.weight (input=w.weight_in, output=w.weight_out, like=int4)",
        "create function w.heavy(w.weight) returns bool language sql as 'select true'",
        "create cast (int as w.weight) without function",
        "create function w.eq(w.weight,w.weight) returns bool language internal immutable strict as 'int4eq'",
        "create operator w.= (leftarg=w.weight, rightarg=w.weight, function=w.eq)",
        "create table t(w w.weight default '1'::w.weight)",
        "insert into t values ('3')",
    ),
    "default privileges taken from the user who migrates": (
        "alter default privileges revoke execute on functions from public",
        "alter default privileges revoke insert on tables from current_user",
    ),
    "default privileges of roles, in schemas, with grant options": (
        "alter default privileges for role writer grant select on tables to public",
        "alter default privileges for role writer revoke all on sequences from writer",
        "create schema s",
        "alter default privileges in schema s grant execute on functions to writer with grant option",
        "alter default privileges grant all on tables to current_user with grant option",
        "alter default privileges revoke usage on types from public",
        "create table t(a int)",
    ),
    "default privileges and what is made late": (
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE f (c json) SERVER s",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader WITH GRANT OPTION",
    ),
    "foreign tables whose columns are compressed, and whose row types are granted": (
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE f (a varchar(40) COMPRESSION pglz OPTIONS (x '1') NOT NULL, \"b %\" text COMPRESSION pglz) SERVER s",
        "ALTER FOREIGN TABLE f ALTER COLUMN a SET STORAGE EXTERNAL",
        "GRANT USAGE ON TYPE f TO reader",
        "REVOKE USAGE ON TYPE f FROM PUBLIC",
    ),
    "a cast that makes every number a text": (
        "CREATE CAST (integer AS text) WITH INOUT AS IMPLICIT",
        "CREATE CAST (bigint AS text) WITH INOUT AS IMPLICIT",
        "CREATE TABLE t (id serial PRIMARY KEY, a int DEFAULT 1 CHECK (a > 0)) PARTITION BY RANGE (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (1) TO (9)",
        "INSERT INTO t (a) VALUES (1), (2)",
    ),
    "an event trigger that logs DDL": (
        "create table log(what text)",
        "create function f() returns event_trigger language plpgsql as $$begin insert into log values (tg_tag); end$$",
        "create event trigger e on ddl_command_end execute function f()",
        "create table x(a int)",
        "grant select on x to public",
    ),
    "an event trigger on what is dropped": (
        "create table log(what text)",
        "create function f() returns event_trigger language plpgsql as $$begin insert into log select object_identity from pg_event_trigger_dropped_objects(); end$$",
        "create event trigger e on sql_drop execute function f()",
        "create table x(a int)",
    ),
    "event triggers, one always enabled, and all sorts of DDL": (
        "create table log(what text)",
        "create function f() returns event_trigger language plpgsql as $$begin insert into log values (tg_tag); end$$",
        "create event trigger e on ddl_command_start execute function f()",
        "comment on event trigger e is 'x'",
        "alter event trigger e enable always",
        "create table x(a int)",
        "comment on table x is 'y'",
        "create view vv as select * from x",
        "create event trigger e2 on table_rewrite execute function f()",
        "create materialized view m as select 1 as a",
    ),
    "lists of constants": (
        "create table t(status varchar check (status in ('a','b')), s2 varchar(3) check (s2 not in ('x','y')), n numeric check (n in (1,2)), i int check (i between 1 and 3), z text check (z in ('q')), check (coalesce(status,'x') = any (array['a','x'])))",
        "create view v as select * from t where status in ('a','b')",
        "create index i on t(i) where status in ('a','b')",
    ),
    "lists of constants in all that holds expressions": (
        "create type en as enum('x','y')",
        r"""create table "T t"("V v" varchar check ("V v" in ('it''s','b\c', 'x, y', ']')), v varchar default 'q', a text check (a in ('p','q')), i int check (i in (1,-2)), e en check (e in ('x','y')), vv varchar check (lower(vv) in ('a','b') and vv || 'x' not in ('q','r')), c char(2) check (c in ('a','b')), g text generated always as (case when i in (1,2) then 'u' else 'v' end) stored, w varchar check (coalesce(w,'z') in ('a','b')), z varchar check (z collate "C" in ('a','b')), mixed varchar check ('x' = any (array[mixed, v])))""",
        "create domain dm as varchar(5) check (value in ('a','b'))",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        """create trigger tr before update on "T t" for each row when (new.v in ('a','b')) execute function f()""",
        """create policy po on "T t" using (v in ('a','b')) with check (v not in ('c','d'))""",
        """create materialized view mv as select v from "T t" where v in ('a','b')""",
        """create rule ru as on delete to "T t" where old.v in ('a','b') do nothing""",
        """create index on "T t" ((v in ('a','b'))) where a in ('a','b')""",
        """create view vw as select v in ('a','b') as q, case v when 'a' then 1 end from "T t" where v = any('{a,b}') and e in ('x','y')""",
        "create function sq(x varchar) returns bool language sql return x in ('a','b')",
        "create statistics st on (v in ('a','b')), i from \"T t\"",
    ),
    "rows of all widths and numbers": (
        "create table t(id serial primary key, a text, b numeric, c timestamp, d jsonb, e bool)",
        """insert into t(a,b,c,d,e) values ('x',1.5,'2020-01-01','{"a":1}',true),('y',null,null,null,false)""",
        "create table w(a text, b text, c text, d text)",
        "insert into w values (repeat('long',20),'x','y',repeat('b',30))",
        "create table big(a int)",
        "insert into big select generate_series(1,201)",
        "create table big2(a int)",
        "insert into big2 select generate_series(1,200)",
    ),
    "a partitioned table with a key and an index": (
        "create table p(id int, d date not null, primary key (id, d)) partition by range (d)",
        "create table p1 partition of p for values from ('2020-01-01') to ('2021-01-01')",
        "create index on p(d)",
        "insert into p values (1,'2020-02-02')",
    ),
    "defaults with casts of their own": (
        "create table t(id int primary key, a character varying default ''::text not null, b varchar(20) default 'x'::text unique)",
        "create index on t(a)",
    ),
    "partitions of partitions with everything on them": (
        "create table p(id serial, d date not null, k int, constraint pk primary key (id, d, k), unique (d, k)) partition by range (d)",
        "create table p1 partition of p for values from ('2020-01-01') to ('2021-01-01')",
        "create table p2 partition of p for values from ('2021-01-01') to ('2022-01-01') partition by list (k)",
        "create table p2a partition of p2 for values in (1)",
        "create table p_default partition of p default",
        "create index on p(k)",
        "create index part on p1(id) where k > 1",
        "create index only_ on only p(d, k desc)",
        "insert into p(d,k) values ('2020-02-02',1),('2021-02-02',1)",
        "create unlogged table u(id serial primary key)",
        "create table r(a int primary key)",
        "insert into r values (1)",
        "alter table p add foreign key (k) references r",
    ),
    "partitioned tables in schemas, with parts made before": (
        "create schema s",
        """create table s.p(a int check (a > 0), b text collate "C", constraint uu unique (a)) partition by list (a)""",
        """create table s.p1(b text collate "C", a int constraint p_a_check check (a > 0))""",
        "alter table s.p1 add constraint zz unique (a)",
        "alter table s.p attach partition s.p1 for values in (1)",
        "create table p2 partition of s.p for values in (2)",
        """create index "I x" on s.p(b)""",
        """comment on index s."I x" is 'c'""",
    ),
    "postgres as a role that the history names": (
        "create table t(a int)",
        "grant select on t to postgres",
        "create policy p on t to postgres",
        "create function f() returns int language sql as 'select 1'",
        "alter function f() owner to postgres",
        "do $$begin execute format('alter role postgres in database %I set work_mem = ''5MB''', current_database()); end$$",
        "alter default privileges for role postgres grant select on tables to public",
        "grant insert on t to current_user",
        "create table o(a int)",
        "alter table o owner to postgres",
    ),
    "rows that hold who migrates": (
        "create table t(id serial, who text default current_user, n int)",
        "insert into t(n) values (1),(2)",
    ),
    "an index whose function relies on the search path": (
        "create extension unaccent",
        "create function f_unaccent(text) returns text language sql immutable as $$select unaccent('unaccent', $1)$$",
        "create table t (a text)",
        "create index on t (f_unaccent(a))",
        "insert into t values ('é')",
    ),
    "a range type": ("create type r as range (subtype = int4)",),
    "a foreign data wrapper validated later": (
        "create foreign data wrapper foo",
        "alter foreign data wrapper foo options (nonexistent 'fdw')",
        "alter foreign data wrapper foo validator postgresql_fdw_validator",
    ),
    "rows older than their storage": (
        "create table t (f1 text)",
        "insert into t select array_agg(md5(g::text))::text || repeat('a', 4000) from generate_series(1, 256) g",
        "alter table t alter column f1 set storage plain",
    ),
    "privileges on PostgreSQL's own objects": (
        "GRANT SELECT ON pg_catalog.pg_authid TO reader",
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO reader",
        "revoke execute on function pg_catalog.lower(text) from public",
    ),
    "a table that takes numbers from another one's serial": (
        "CREATE TABLE t3 (c10 bigserial)",
        "CREATE TABLE p5 (c11 smallint DEFAULT nextval('t3_c10_seq'))",
    ),
    "a domain that takes numbers from a table's serial": (
        "CREATE TABLE t3 (c10 bigserial primary key)",
        "CREATE DOMAIN d AS integer DEFAULT nextval('t3_c10_seq')",
        "create view v as select nextval('t3_c10_seq')",
    ),
    "names that PostgreSQL has as well": (
        "create table public.pg_stats (a int primary key, b int default 3, constraint x check (b > 0))",
        "insert into public.pg_stats values (1)",
        "create table public.pg_attrdef (adrelid oid)",
        "create index on public.pg_stats(b)",
        "create table ref(a int references public.pg_stats)",
        "comment on table public.pg_stats is 'x'",
        "create function public.lower(x int) returns int language sql immutable as 'select x'",
        "create view v as select public.lower(1) as a, lower('X') as b",
        "create type public.text as enum ('a')",
        "create table tt(a public.text default 'a', b pg_catalog.text, c public.text[])",
        "insert into tt values ('a','b','{a}')",
        "create table n(a int default public.lower(3), check (public.lower(a) > 1))",
    ),
    "public as a column, an alias, in strings and operators": (
        """create table t("public" int, a int)""",
        """create view v as select public.a, public."public" from t public""",
        "create function f() returns int language sql begin atomic select count(*)::int from public.t; end",
        "create function g() returns int language sql as $$select public.f()$$",
        "create operator public.=== (leftarg=int, rightarg=int, function=int4eq)",
        "create view w as select 1 operator(public.===) 2 as x",
        'create schema "public.x"',
        """create table "public.x".a(id serial)""",
        """create table b(n int default nextval('"public.x".a_id_seq'))""",
        "create text search configuration english (copy = pg_catalog.english)",
        "create table ts(v tsvector generated always as (to_tsvector('public.english', 'x')) stored)",
        "create collation public.c (locale='C')",
        "create table cc(a text collate c)",
    ),
    "languages by handlers of PostgreSQL's own": (
        "create language l1 handler plpgsql_call_handler",
        "CREATE TRUSTED LANGUAGE la2 HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler validator plpgsql_validator",
    ),
    "hidden keys that hold each other's names": (
        "create table pk (a int primary key, b text) partition by list (a)",
        "create table fk (a int, constraint fkey foreign key (a) references pk (a) on update cascade)",
        "create table pk1 partition of pk for values in (1, 2) partition by list (a)",
        "create table pk2 partition of pk for values in (3)",
        "create table pk3 partition of pk for values in (4)",
        "create table pk11 (b text, a int not null)",
        "alter table pk1 attach partition pk11 for values in (1)",
    ),
    "two equal indexes of a partitioned table": (
        "create table p (a int, b int) partition by range (a)",
        "create index p_idx on p (a)",
        "create table p2 partition of p for values from (10) to (100) partition by range (b)",
        "create table p21 partition of p2 for values from (0) to (100)",
        "create index on only p2 (a)",
        "create index on p (a)",
    ),
    "indexes of partitions in all states": (
        "create table p (a int) partition by range (a)",
        "create table p2 partition of p for values from (100) to (1000) partition by range (a)",
        "create table p21 partition of p2 for values from (100) to (200)",
        "create index on only p2 (a)",
        "create index on p (a)",
        "create table p3 (c int, b int, a int) partition by range (a)",
        "alter table p3 drop column b, drop column c",
        "create table p31 partition of p3 for values from (1000) to (1200)",
        "alter table p attach partition p3 for values from (1000) to (2000)",
    ),
    "a child of a parent and of that parent's child": (
        "create table pp1 (f1 int)",
        "create table cc1 (f2 text, f3 int) inherits (pp1)",
        "alter table pp1 add column a1 int check (a1 > 0)",
        "create table cc2 (f4 float) inherits (pp1, cc1)",
    ),
    "options and a user mapping older than their validator": (
        "create foreign data wrapper foo",
        "alter foreign data wrapper foo options (nonexistent 'fdw')",
        "create server s1 foreign data wrapper foo options (servername 's1')",
        "create user mapping for current_user server s1",
        "alter foreign data wrapper foo validator postgresql_fdw_validator",
    ),
    "what a child must not leave empty because of its parent": (
        "create table a (id int not null, b int)",
        "create table c () inherits (a)",
        "alter table a add column d int not null default 3",
        "create table e(x int, id int not null, b int, d int not null)",
        "alter table e inherit a",
    ),
    "privileges on what extensions and PostgreSQL bring": (
        "GRANT USAGE ON LANGUAGE plpgsql TO reader WITH GRANT OPTION",
        "create extension if not exists postgres_fdw",
        "grant usage on foreign data wrapper postgres_fdw to reader",
        "create extension hstore",
        "revoke execute on function akeys(hstore) from public",
        """create table "T t"(a int, "b c" int)""",
        """grant select on "T t" to reader""",
        """grant update ("b c") on "T t" to reader""",
        """create function "f f"(int) returns int language sql as 'select 1'""",
        """revoke all on function "f f"(int) from public""",
    ),
    "line breaks in names": (
        'CREATE TABLE "new\nline" (c bigserial, "x.y\t" text)',
        'insert into "new\nline" ("x.y\t") values (\'a\')',
        'create sequence "s\n1"',
        'create view "v\n" as select * from "new\nline"',
    ),
    "what belongs to the database's owner": (
        "CREATE SCHEMA s",
        "ALTER SCHEMA s OWNER TO pg_database_owner",
        "create table s.t(a int)",
        "alter table s.t owner to pg_database_owner",
    ),
    "many rows without columns": (
        "CREATE TABLE t ()",
        "INSERT INTO t SELECT FROM generate_series(1, 1100)",
    ),
    "a constraint that is valid in a child alone": (
        "CREATE TABLE a (c int)",
        "CREATE TABLE b () INHERITS (a)",
        "ALTER TABLE a ADD CONSTRAINT k CHECK (c > 0) NOT VALID",
        "ALTER TABLE b VALIDATE CONSTRAINT k",
        "insert into b values (1)",
    ),
    "default privileges that close functions": (
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "CREATE FUNCTION f(integer,integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1",
        "CREATE OPERATOR === (FUNCTION=f,LEFTARG=integer,RIGHTARG=integer)",
        "CREATE FUNCTION g() RETURNS integer LANGUAGE sql RETURN 1 === 2",
        "GRANT EXECUTE ON FUNCTION g() TO PUBLIC",
    ),
    "range types with other names than their functions": (
        "CREATE TYPE public.r3 AS RANGE (SUBTYPE = integer)",
        "ALTER TYPE public.r3 RENAME TO n3",
        "CREATE OPERATOR === (FUNCTION = public.r3, LEFTARG = integer, RIGHTARG = integer)",
        "create schema s",
        """create type "Odd R" as range (subtype = text)""",
        """alter type "Odd R" set schema s""",
        "create table t(r n3 default public.r3(1,2))",
        "insert into t default values",
        """alter type s."Odd R" rename to other""",
    ),
    "a serial key that refers to another one": (
        "create table base(id serial primary key)",
        "create table sub(id serial primary key references base)",
        "create table self(id serial primary key, n int)",
        "alter table self add foreign key (id) references self on delete set default",
        "insert into base values (1)",
        "insert into sub values (1)",
    ),
    "a child that may be empty where its parent may not": (
        "CREATE TABLE a (c text)",
        "CREATE TABLE t6 () INHERITS (a)",
        "ALTER TABLE ONLY a ALTER COLUMN c SET NOT NULL",
        "insert into t6 values (null)",
        "create table n () inherits (t6)",
    ),
    "children with another storage, compression and statistics": (
        "CREATE TABLE a (c text)",
        "CREATE TABLE t6 () INHERITS (a)",
        "ALTER TABLE ONLY a ALTER COLUMN c SET STORAGE EXTERNAL",
        "create table b (c text COMPRESSION pglz)",
        "CREATE TABLE t7 () INHERITS (b)",
        "ALTER TABLE t7 ALTER COLUMN c SET COMPRESSION default",
        "alter table only b alter c set statistics 7",
        "create schema s",
        """create table s."X y"("a b" text)""",
        """create table s."Z z"() inherits (s."X y")""",
        """alter table only s."X y" alter "a b" set storage main""",
    ),
    "a key of a partition as a part of an index": (
        "create table visit (a int not null, b int not null) partition by list (a)",
        "create table visit_1 partition of visit for values in (1)",
        "create unique index visit_key on visit (a, b)",
        "alter table visit_1 add constraint visit_1_pkey primary key using index visit_1_a_b_idx",
    ),
    "a key on the parent alone": (
        "create table visit (a int not null, b int not null) partition by list (a)",
        "create table visit_1 partition of visit for values in (1)",
        "alter table only visit add constraint visit_key primary key (a, b)",
        "create unique index visit_1_pkey on visit_1 (a, b)",
    ),
    "identities of another type than their column": (
        "CREATE UNLOGGED TABLE public.t4 (c11 integer GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 2) PRIMARY KEY, c1 integer)",
        "CREATE TABLE public.t1 (LIKE public.t4 INCLUDING ALL)",
        "create table t2(a smallint generated by default as identity)",
        "alter table t2 alter a type bigint",
        "comment on table t2 is 'x'",
        "comment on column t2.a is 'y'",
        "create table z(a int generated by default as identity)",
        "alter sequence z_a_seq as bigint",
        "insert into t1(c1) values (1)",
    ),
    "a base type given away, and a shell": (
        "CREATE FUNCTION fi8(cstring) RETURNS b9 LANGUAGE internal IMMUTABLE STRICT AS 'textin'",
        "CREATE FUNCTION fo3(b9) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'",
        "CREATE TYPE b9 (INPUT = fi8, OUTPUT = fo3, LIKE = text, COLLATABLE = true)",
        "ALTER TYPE public.b9 OWNER TO reader",
        "create type shelly",
        "create table t(a b9 default 'x')",
    ),
    "operators that others only name": (
        "CREATE EXTENSION hstore VERSION '1.4'",
        "CREATE OPERATOR %%% (FUNCTION = public.hstore_ge, LEFTARG = hstore, RIGHTARG = hstore, COMMUTATOR = ===, HASHES, MERGES)",
        "create schema s",
        "create operator s.<!!> (function = int4lt, leftarg = int, rightarg = int, negator = operator(s.!!>), commutator = operator(s.!!<))",
    ),
    "names of hidden keys in a circle over several levels": (
        "create table pk (id int, j int, primary key (id, j)) partition by list (id)",
        "create table pk0 partition of pk for values in (0)",
        "create table pk1 partition of pk for values in (1) partition by list (j)",
        "create table pk11 partition of pk1 for values in (1)",
        "create table fk (id int, j int, foreign key (id, j) references pk)",
        "alter table pk detach partition pk0",
        "create table pk12 partition of pk1 for values in (2)",
    ),
    "types with percent signs in their names": (
        """create type "50%" as enum ('a%', 'b''')""",
        'create domain "d:%" as int',
        'create table t(id int primary key, x "50%", y "d:%", z "50%"[])',
        "insert into t values (1, 'a%', 3, '{a%}'), (2, 'b''', null, null)",
    ),
    "comments and privileges on what came with another object": (
        "create table r (id int primary key)",
        "create table p (id int primary key, r int references r) partition by list (id)",
        "create table p1 (id int primary key, r int constraint own references r)",
        "alter table p attach partition p1 for values in (1)",
        "comment on constraint own on p1 is 'of a part'",
        "create function f() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger t after insert on p for each row execute function f()",
        "comment on trigger t on p1 is 'of a part'",
        "create table a (id int constraint pos check (id > 0))",
        "create table b () inherits (a)",
        "comment on constraint pos on b is 'of a child'",
        "comment on type b is 'of a row'",
        "comment on type b[] is 'of rows'",
        "create view v as select 1 x",
        """comment on rule "_RETURN" on v is 'the query'""",
        "create schema s",
        'create type s."R r" as range (subtype = int)',
        """comment on function s."R r"(int, int) is 'from two'""",
        "grant usage on type a to reader",
        'alter function s."R r"(int, int, text) owner to writer',
    ),
    "default privileges that a range type's functions had": (
        "alter default privileges revoke execute on functions from public",
        "alter default privileges grant execute on functions to reader",
        "create type r as range (subtype = int)",
    ),
    "a key by the older of two on the same columns": (
        "create table a (x int primary key) with (user_catalog_table = true)",
        "alter table a add unique (x)",
        "alter table a add foreign key (x) references a (x)",
        "create table b (x int, y int)",
        "alter table b add constraint z unique (x, y)",
        "alter table b add constraint y unique (y, x)",
        "create table of_b (x int, y int, foreign key (x, y) references b (x, y))",
        "create table c (x int)",
        "alter table c add constraint z_c unique (x)",
        "alter table c add primary key (x)",
        "create table of_c (x int references c (x))",
        "create table d (x int)",
        "create unique index i on d (x)",
        "insert into d values (1)",
        "alter table d add constraint z_d unique (x)",
        "create table of_d (x int references d (x))",
        "insert into of_d values (1)",
    ),
    "foreign tables that inherit and are inherited from": (
        "create foreign data wrapper w",
        "create server s foreign data wrapper w",
        "create table a (x int not null)",
        "create foreign table f (y int) inherits (a) server s",
        "create table b (z int) inherits (f)",
    ),
    "lists that are not what IN would make of them": (
        "create table t (c1 bigint check (c1 <> all (array[3, 4])), v varchar check (v in ('a','b'))) with (fillfactor = 70)",
        "create table u (c1 bigint check (c1 <> all (array[3, 4])))",
    ),
}

# Not exact by nature, and refused with the reason: history, what the message says, what the hint says.
REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "a stale materialized view": (
        ("create table a (id int)", "insert into a values (1)", "create materialized view m as select 1 v, 1 q, id from a",
         "update a set id = 2"),
        "these materialized views are stale: m, filled by r.py",
        'add op.execute("REFRESH MATERIALIZED VIEW m") to the end of upgrade()',
    ),
    "a text that holds who migrates": (
        ("create table t (who text)", "insert into t values ('by ' || current_user)"),
        "ROWS t would hold the name of the database user who runs the migrations",
        "leave the table's rows out with --data",
    ),
    "a comment that holds who migrates": (
        ("create table t (id int)", "do $$begin execute format('comment on table t is %L', current_user); end$$"),
        "TABLE t would hold the name of the database user",
        "take it out of the migration",
    ),
    "an operator in a family of PostgreSQL's": (
        ("create function lt(text, int4) returns bool language sql immutable as $$select $1::int < $2$$",
         "create operator <<< (leftarg = text, rightarg = int4, function = lt)",
         "alter operator family integer_ops using btree add operator 1 <<< (text, int4)"),
        "operator 1 (text, integer) of operator family integer_ops",
        "take that out of the old migrations",
    ),
    "a large object": (
        ("create table t (i int)", "select lo_from_bytea(4711, 'abc')"),
        "it makes large objects",
        "take that out of the old migrations",
    ),
    "a table in PostgreSQL's own schema": (
        ("set allow_system_table_mods = on; create table pg_catalog.odd (id serial primary key)", "create table t (i int)"),
        "it makes objects in PostgreSQL's own schemas: index pg_catalog.odd_pkey, sequence pg_catalog.odd_id_seq",
        "take that out of the old migrations",
    ),
    "foreign keys by two indexes on the same columns": (
        ("create table t(a int)", "alter table t add constraint z unique (a)", "alter table t add primary key (a)",
         "create table u(x int, y int, foreign key (x) references t(a), foreign key (y) references t)"),
        "it has two indexes on the columns that a foreign key refers to",
        "take that out of the old migrations",
    ),
    "an operator that one which is gone had named": (
        ("create function f(bool, bool) returns bool language sql as 'select $1'",
         "create operator === (leftarg = bool, rightarg = bool, function = f, negator = !==)",
         "drop operator === (bool, bool)"),
        "it leaves an operator that one which is gone had only named",
        "take that out of the old migrations",
    ),
    "a foreign table that became a child": (
        ("create foreign data wrapper w", "create server s foreign data wrapper w", "create table a (x int)",
         "create foreign table g (y int, x int) server s", "alter foreign table g inherit a"),
        "The foreign table g and what it inherits from have columns in an order",
        "make it anew in the old migrations",
    ),
    "a replica identity of an index that is gone": (
        ("create table t (a int not null unique)", "alter table t replica identity using index t_a_key",
         "alter table t drop constraint t_a_key"),
        "it leaves a table whose replica identity is an index that is gone",
        "take that out of the old migrations",
    ),
    "options of a TOAST table that nothing needs any more": (
        ("create table t (a int, c text) with (toast.autovacuum_enabled = false, fillfactor = 70)",
         "alter table t drop column c"),
        "it leaves options of a TOAST table that no column needs any more",
        "take that out of the old migrations",
    ),
    "a view of a column that is gone": (
        ("create table t (a int, b int)",
         "create function f() returns setof t language plpgsql as 'begin return query select * from t; end'",
         "create view v as select x.* from f() x",
         "delete from pg_depend where objid = (select oid from pg_rewrite where ev_class = 'v'::regclass)"
         " and refobjsubid = 2",
         "alter table t drop column b"),
        "it leaves a view of a column that is gone (it edited pg_depend): view v",
        "take that out of the old migrations",
    ),
    "rows that an index lets nobody else read": (
        ("create function only_owner(int) returns int language plpgsql immutable as $$begin"
         " assert current_user = 'reader', format('called by %s', $1); return $1; end$$",
         "create table t (a int)",
         "alter table t owner to reader",
         "create index on t (a) where only_owner(a) > only_owner(10)"),
        "The rows of t cannot be read: called by 10",
        "change what raises there",
    ),
    "a stored column that its function would no longer give": (
        ("create function f(int) returns int immutable language sql as 'select $1'",
         "create table t (a int, g int generated always as (f(a)) stored)",
         "insert into t values (1)",
         "create or replace function f(int) returns int immutable language sql as 'select $1 + 1'"),
        "changed  ROWS public.t\n    -(1,1)\n    +(1,2)",
        "mend it at the end of upgrade() in r's file",
    ),
    "rows that their check would no longer take": (
        ("create function ok(int) returns bool immutable language sql as 'select true'",
         "create table t (a int check (ok(a)))",
         "insert into t values (1)",
         "create or replace function ok(int) returns bool immutable language sql as 'select false'"),
        'ROWS public.t: new row for relation "t" violates check constraint "t_a_check"',
        "mend it at the end of upgrade() in r's file",
    ),
    "rows that came while their foreign key was switched off": (
        ("create table t (a int primary key, b int references t)",
         "alter table t disable trigger all",
         "insert into t values (1, 99)",
         "alter table t enable trigger all"),
        'FK CONSTRAINT public.t t_b_fkey: insert or update on table "t" violates foreign key constraint "t_b_fkey"',
        "mend it at the end of upgrade() in r's file",
    ),
    "a view that PostgreSQL prints as it does not read it": (
        ("create view v as with recursive r(n) as (values (1) union all select n + 1 from r where n < 5)"
         " cycle n set c to 'Y' default 'N' using p select n, c from r",),
        'VIEW public.v: syntax error at or near "::"',
        "mend it at the end of upgrade() in r's file",
    ),
    "an extension without one of its functions": (
        ("create extension hstore", "alter extension hstore drop function hstore(text, text)"),
        'function "hstore" already exists with same argument types',
        "mend it at the end of upgrade() in r's file",
    ),
    "an extension with a table more": (
        ("create extension hstore", "create table t (a int)", "alter extension hstore add table t",
         "insert into t values (1)"),
        "changed  EXTENSION MEMBERS hstore",
        "mend it at the end of upgrade() in r's file",
    ),
    "a materialized view that numbers rows in no certain order": (
        ("create table t (a int, b int)",
         "insert into t values (2, 0), (1, 0)",
         "create materialized view v as select a, row_number() over (order by b) from t"),
        "The queries of these materialized views give other rows in a new database with the same tables: v.",
        "say in their ORDER BY",
    ),
    "an index that is invalid for good": (
        ("create table p (a int, c text) partition by range (a)",
         "create table q partition of p for values from (10) to (100)",
         "create index p_c on only p (c)",
         "alter table p detach partition q"),
        "it leaves an invalid index",
        "take that out of the old migrations",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def laboratory(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = Laboratory(server, tmp_path_factory.mktemp("laboratory"))
    roles = {"reader": "", "writer": "", "postgres": "SUPERUSER"}
    with client.connect(made.bench.address()) as connection, connection.usual_path():
        there = {name for (name,) in connection.rows("SELECT rolname FROM pg_roles")}
    client.create_roles(made.bench.address(), {name: words for name, words in roles.items() if name not in there})
    yield made
    made.close()


def assert_exact(outcome: Outcome) -> None:
    assert outcome.exact, outcome.said
    assert outcome.verdict is not None and outcome.verdict.reprinted == ()
    left, right = (dump.splitlines() for dump in outcome.dumps)
    assert left == right, "\n".join(difflib.unified_diff(left, right, lineterm="", n=0))


@pytest.mark.parametrize("name", EXACT)
def test_the_base_is_exact_to_the_letter(laboratory: Laboratory, name: str) -> None:
    assert_exact(laboratory.squash(EXACT[name]))


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_base_can_say_is_refused_with_the_reason(laboratory: Laboratory, name: str) -> None:
    statements, text, hint = REFUSED[name]
    error = laboratory.squash(statements).error
    assert isinstance(error, Refused)
    assert text in error.text
    assert hint in error.hint


def test_a_list_of_constants_reads_as_it_was_typed(laboratory: Laboratory) -> None:
    text = laboratory.squash(EXACT["lists of constants"]).text
    for words in ("status IN ('a', 'b')", "s2 NOT IN ('x', 'y')", "status IN ('a', 'b')"):
        assert words in text
    assert "postgresql_where=sa.text(\"status IN ('a', 'b')\")" in text
    assert text.count("ARRAY[") == 2  # of numerics, and of one whose left side is more than a name


def test_partitioned_tables_and_their_indexes_are_operations(laboratory: Laboratory) -> None:
    upgrade = native.read(laboratory.squash(EXACT["partitions of partitions with everything on them"]).text)
    ddl = [" ".join(text.split()) for text in upgrade.executed]
    # What operations have no word for: sequences, attaching, an index of the whole alone.
    rest = [text for text in ddl if "p_id_seq" not in text and "ATTACH PARTITION" not in text]
    assert rest == ["CREATE INDEX only_ ON ONLY p USING btree (d, k DESC)"]


def test_what_was_asked_for_stays_after_the_downgrade(laboratory: Laboratory) -> None:
    text = laboratory.squash(("create extension if not exists pg_trgm", "create extension hstore")).text
    assert 'op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")' in text
    assert 'op.execute("CREATE EXTENSION hstore")' in text
    assert "COMMENT ON EXTENSION" not in text
    assert [line.strip() for line in text.partition("def downgrade")[2].splitlines() if "EXTENSION" in line] == [
        'op.execute("DROP EXTENSION hstore")'
    ]


def test_a_version_is_written_where_the_history_names_it(laboratory: Laboratory) -> None:
    with client.connect(laboratory.bench.address()) as connection, connection.usual_path():
        default = connection.value("SELECT default_version FROM pg_available_extensions WHERE name = 'hstore'")
    for ending, version in (("", f" VERSION '{default}'"), ("; alter extension hstore update", "")):
        text = laboratory.squash((f"create extension hstore version '{default}'{ending}",)).text
        assert f'op.execute("CREATE EXTENSION hstore{version}")' in text


def test_rows_take_a_line_each_or_a_data_file(laboratory: Laboratory) -> None:
    text = laboratory.squash(EXACT["rows of all widths and numbers"]).text
    assert '            [1, "x", "1.5", "2020-01-01 00:00:00", \'{"a": 1}\', True],' in text
    assert text.count('"a": "longlong') == 1  # a row that is wider has its columns beside it
    assert 'load_rows("big", ".big.jsonl")' in text and 'load_rows("big2"' not in text


def test_all_operations_that_fail_are_learnt_in_one_run(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each index is broken on purpose: one run finds the first, one all others, the third is right."""
    right, runs = indexes.create_index, list[str]()
    run = laboratory.run
    monkeypatch.setattr(indexes, "create_index", lambda source, entry: ['    op.execute("no SQL at all")'])

    def counted(role: str, text: str, target: str = "r") -> None:
        runs.append(role)
        run(role, text, target)

    monkeypatch.setattr(laboratory, "run", counted)
    tables = [f"create table t{n} (a int)" for n in range(12)]
    outcome = laboratory.squash([*tables, *(f"create index on t{n} (a)" for n in range(12))])
    monkeypatch.setattr(indexes, "create_index", right)
    assert_exact(outcome)
    assert runs.count("candidate") == 3
    assert outcome.text.count("CREATE INDEX") == 12


def test_an_object_that_nothing_helps_is_named(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laboratory, "make", lambda role, statements: None)
    laboratory.bench.create("reference")
    with client.connect(laboratory.bench.address("reference")) as connection, connection.usual_path():
        connection.run("CREATE TABLE alembic_version (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY);"
                       "INSERT INTO alembic_version VALUES ('r');"
                       "CREATE SCHEMA s; CREATE TABLE s.t (i int)")  # fmt: skip
    monkeypatch.setattr("tasklib.render.execute._execute", lambda text: ['    op.execute("broken")'])
    error = laboratory.base_of_reference().error
    assert isinstance(error, Failed)
    assert "please report SCHEMA s, as said above" in error.hint
