"""Row traps made real: rows that a squash loses, changes, or puts back in an order that the database does not take.

Each history ends in kept migrations that need the rows to be there, with the same values: they fail, or change nothing,
where one is missing. pg_dump's text of two databases that these tests make is compared as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tasklib import postgres
from tasklib.server import Server
from tests.conftest import MakePlain
from tests.project import Plain, Project, Step, query
from tests.traps import assert_dumps_agree, assert_laid_out, ddl, squash


def needs(message: str, *conditions: str) -> Step:
    """A migration that fails unless each condition is true."""
    checks = "".join(
        f"IF ({one}) IS NOT TRUE THEN RAISE EXCEPTION '%', {postgres.literal(one)}; END IF; " for one in conditions
    )
    return ddl(message, f"DO $do$ BEGIN {checks}END $do$")


# --- values ------------------------------------------------------------------------------------------------------

TEXTS = (
    "", " ", "it's", 'say "x"', "back\\slash", "ends in \\", ":name ::cast :1", "%s %(x)s %% 100%", "two\nlines", "\ttab",
    "cr\r\nlf", "Grüße 😀 漢字", "line\u2028separator", "bell\x07", '"""', "'''", "\\u0027 \\n", "{curly} {0}", "$$body$$", "NULL",
    "--comment /* */", "[1, null]",
)  # fmt: skip

# column: type, values (SQL; each list is filled up with NULL)
VALUES: dict[str, tuple[str, tuple[str, ...]]] = {
    "j": ("json", ("'{\"b\": 1,  \"a\": [1.10, \"it''s :x %s\"]}'", "'null'", "'\"\"'")),
    "jb": ("jsonb", ("'{\"b\": 1.10, \"a\": [1e2, \"q\\\"\\\\ :x 100%\", null]}'", "'null'", "'[]'", "'\"text\"'")),
    "b": ("bytea", ("'\\x00ff275c25'", "''")),
    "ia": ("integer[]", ("'{1,NULL,-3}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'")),
    "ta": ("text[]", ("ARRAY['a,b', 'it''s', 'q\"', '\\', '', 'NULL', ':x', '%s', NULL]",)),
    "r": ("int4range", ("'[1,5)'", "'empty'", "'(,)'")),
    "tr": ("tstzrange", ("'[2024-01-01 00:00+00,2024-06-01 12:00+02)'",)),
    "n": ("numeric", ("'NaN'", "1.10", "'12345678901234567890123456789.000000000100'", "-0.5")),
    "n2": ("numeric(10,3)", ("1.1", "'NaN'")),
    "f8": ("double precision", ("'NaN'", "'Infinity'", "'-Infinity'", "0.1::float8 + 0.2", "'-0'", "1e300")),
    "f4": ("real", ("1.1", "'Infinity'")),
    "d": ("date", ("'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-02-03'")),
    "ts": ("timestamp", ("'2024-01-02 03:04:05.123456'", "'infinity'")),
    "tz": ("timestamptz", ("'2024-01-02 03:04:05.1+05:30'", "'-infinity'", "'1890-01-01 00:00+00'")),
    "t": ("time", ("'24:00:00'", "'12:34:56.7'")),
    "ttz": ("timetz", ("'12:34:56+05:30'",)),
    "iv": ("interval", ("'-1 day +02:03:04.5'", "'1 year -3 months'")),
    "u": ("uuid", ("'00000000-0000-4000-8000-0000000000ab'",)),
    "e": ("mood", ("'it''s :x'", "'50%'")),
    "ea": ("mood[]", ("ARRAY['it''s :x', NULL, '50%']::mood[]",)),
    "ip": ("inet", ("'10.0.0.1/8'", "'::1'")),
    "c": ("cidr", ("'10.0.0.0/8'",)),
    "m": ("macaddr", ("'08:00:2b:01:02:03'",)),
    "bits": ("bit(3)", ("B'101'",)),
    "vb": ("bit varying", ("B''", "B'0110'")),
    "mo": ("money", ("1234.5", "-0.01")),
    "ch": ("char(5)", ("'ab'", "''")),
    "vc": ("varchar(10)", ("'ten chars!'", "''")),
    "bo": ("boolean", ("true", "false")),
    "dm": ("code", ("'DE'",)),
    "co": ("pair", ("ROW(1, 'a,\"b')", "ROW(NULL, '')")),
    "x": ("point", ("'(1.5,-2)'",)),
    "tv": ("tsvector", ("'fat:2 ''it''''s'':1A'",)),
    "rc": ("regclass", ("'values_of_all_types'",)),
    "i8": ("bigint", ("9223372036854775807", "-9223372036854775808")),
    "i2": ("smallint", ("-32768",)),
    "nm": ("name", ("'a name'",)),
    "never": ("timestamptz", ()),
}  # fmt: skip


def filled() -> list[str]:
    """INSERTs of all values: each column's first values in the first rows, NULL after them."""
    count = max(len(values) for _, values in VALUES.values())
    rows = [
        ", ".join(values[at] if at < len(values) else "NULL" for _, values in VALUES.values())
        for at in range(count + 1)
    ]
    return [f"INSERT INTO values_of_all_types ({', '.join(VALUES)}) VALUES ({row})" for row in rows]


TYPED = (
    ddl(
        "types and tables",
        "CREATE TYPE mood AS ENUM ('it''s :x', '50%')",
        "CREATE DOMAIN code AS varchar(2) DEFAULT 'XX'",
        "CREATE TYPE pair AS (n integer, t text)",
        f"CREATE TABLE values_of_all_types (id serial PRIMARY KEY, {', '.join(f'{n} {t}' for n, (t, _) in VALUES.items())},"
        " twice integer GENERATED ALWAYS AS (id * 2) STORED)",
        "CREATE TABLE texts (id serial PRIMARY KEY, t text, v varchar(40) DEFAULT 'd', n integer DEFAULT 7)",
        "CREATE TABLE by_number (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text)",
        'CREATE TABLE "Odd: 100%" (id serial PRIMARY KEY, "a:b" text, "50%" integer)',
        "CREATE TABLE nothing (id serial PRIMARY KEY, a text, b text)",
        "CREATE TABLE without_columns ()",
        # Somebody's choice for the database, which must not change what the rows are.
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''', current_database());"
        " EXECUTE format('ALTER DATABASE %I SET intervalstyle = ''postgres_verbose''', current_database());"
        " EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database()); END $$",
    ),
    ddl(
        "rows",
        *filled(),
        *(f"INSERT INTO texts (t, v) VALUES ({'E' if chr(92) in one else ''}{literal}, NULL)"
          for one in TEXTS for literal in [postgres.literal(one.replace("\\", "\\\\"))]),
        "INSERT INTO texts VALUES (500, NULL, 'given', NULL), (501, 'explicit', 'd', 7)",
        "SELECT setval('texts_id_seq', 501)",
        "INSERT INTO texts (t) VALUES ('serial')",
        "INSERT INTO by_number OVERRIDING SYSTEM VALUE VALUES (10, 'it''s :x 100%'), (20, E'back\\\\slash'), (30, NULL)",
        'INSERT INTO "Odd: 100%" ("a:b", "50%") VALUES (\':x %s \'\'\', 1), (NULL, 2)',
        "INSERT INTO nothing SELECT FROM generate_series(1, 2)",
        "INSERT INTO without_columns SELECT FROM generate_series(1, 3)",
        "SELECT nextval('nothing_id_seq')",
    ),
    Step("triggers that must not see these rows", sql=[
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.t := upper(NEW.t); RETURN NEW; END'",
        "CREATE TRIGGER shout BEFORE INSERT ON texts FOR EACH ROW EXECUTE PROCEDURE shout()",
    ]),
    needs(
        "the rows are needed",
        "SELECT count(*) = 1 FROM texts WHERE t = ''",
        "SELECT count(*) = 1 FROM texts WHERE t IS NULL AND v = 'given' AND n IS NULL",
        "SELECT count(*) = 1 FROM texts WHERE t = ':name ::cast :1'",
        "SELECT count(*) = 1 FROM texts WHERE t = '%s %(x)s %% 100%'",
        "SELECT count(*) = 1 FROM texts WHERE t = E'two\\nlines' AND id = 9",
        "SELECT count(*) = 1 FROM texts WHERE t = E'back\\\\slash'",
        "SELECT jb->>'b' = '1.10' FROM values_of_all_types WHERE id = 1",
        "SELECT b = '\\x00ff275c25' AND twice = 2 FROM values_of_all_types WHERE id = 1",
        "SELECT f8 = '-Infinity' FROM values_of_all_types WHERE id = 3",
        "SELECT array_lower(ia, 1) = 0 FROM values_of_all_types WHERE id = 4",
        "SELECT mo = '1234.5'::numeric::money FROM values_of_all_types WHERE id = 1",
        "SELECT count(*) = 3 FROM without_columns",
    ),
    ddl(
        "rows are added and changed",
        "INSERT INTO texts (t) VALUES ('later')",
        "INSERT INTO nothing DEFAULT VALUES",
        "UPDATE by_number SET t = t || '!' WHERE id = 20",
        "UPDATE values_of_all_types SET n = n + 1 WHERE e = '50%'",
    ),
)  # fmt: skip


@pytest.mark.e2e
def test_values_of_all_types_come_back_to_the_letter_and_sequences_stand_where_they_stood(
    make_plain: MakePlain, server: Server, tmp_path: Path
) -> None:
    project = make_plain(TYPED)
    old = project.git("rev-parse", "HEAD")
    text = squash(project)
    assert_laid_out(project)
    assert_dumps_agree(project, server, tmp_path, old)
    address = project.address("by_new")
    assert query(address, "SELECT array_agg(id ORDER BY id) FROM texts WHERE id > 400") == [([500, 501, 502, 503],)]
    assert query(address, "SELECT array_agg(t ORDER BY id) FROM texts WHERE id < 400") == [(list(TEXTS),)]
    assert query(address, "SELECT max(id) FROM nothing") == [(4,)]
    assert '"never"' not in text[text.index("def upgrade") :].split("# rows")[1], "NULL in each row needs no words"
    assert text.count("OVERRIDING SYSTEM VALUE") == 2
    # Where env.py does not ask for named parameters, Alembic doubles percent signs in --sql: in everybody's migrations.
    if "paramstyle" in (project.top / "migrations/env.py").read_text():
        offline(project, "by_sql")
        for table in ("values_of_all_types", "texts", "by_number", '"Odd: 100%"', "nothing"):
            assert rows_of(project, "by_sql", table) == rows_of(project, "by_new", table)


def offline(project: Plain, database: str) -> None:
    """Run what `upgrade --sql` prints, by psql's own rules of where a statement ends (here: the server's)."""
    script = project.db("upgrade", "head", "--sql", database=database).out
    with postgres.connect(project.new_database(database)) as connection:
        connection.run(script)


def rows_of(project: Project, database: str, table: str) -> list[tuple[object, ...]]:
    return query(project.address(database), f"SELECT t::text FROM {table} t ORDER BY 1")
