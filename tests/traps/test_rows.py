"""Row traps made real: rows that a squash loses, changes, or puts back in an order that the database does not take.

Each history ends in kept migrations that need the rows to be there, with the same values: they fail, or change nothing,
where one is missing. pg_dump's text of two databases that these tests make is compared as well.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasklib.history import data_files
from tasklib.postgres import client
from tasklib.postgres.server import Server
from tasklib.project import packaging
from tests.conftest import MakePlain
from tests.support.project import VARIABLE, Plain, Project, Step, query
from tests.support.traps import assert_dumps_agree, assert_laid_out, assert_native, ddl, squash


def needs(message: str, *conditions: str) -> Step:
    """A migration that fails unless each condition is true."""
    checks = "".join(
        f"IF ({one}) IS NOT TRUE THEN RAISE EXCEPTION '%', {client.literal(one)}; END IF; " for one in conditions
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
          for one in TEXTS for literal in [client.literal(one.replace("\\", "\\\\"))]),
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
    text = squash(project, share=0.3)  # 30.8 % on SQLAlchemy 1.3, which has no Identity
    assert_laid_out(project)
    assert_dumps_agree(project, server, tmp_path, old)
    address = project.address("by_new")
    assert query(address, "SELECT array_agg(id ORDER BY id) FROM texts WHERE id > 400") == [([500, 501, 502, 503],)]
    assert query(address, "SELECT array_agg(t ORDER BY id) FROM texts WHERE id < 400") == [(list(TEXTS),)]
    assert query(address, "SELECT max(id) FROM nothing") == [(4,)]
    assert '"never"' not in text[text.index("def upgrade") :].split("# rows")[1], "NULL in each row needs no words"
    assert text[text.index("def upgrade") :].count("OVERRIDING SYSTEM VALUE") == 2
    # Also where env.py does not ask for named parameters, and the driver's own would have percent signs doubled.
    env = project.top / "migrations/env.py"
    env.write_text(
        env.read_text(encoding="utf-8").replace('dialect_opts={"paramstyle": "named"},', ""), encoding="utf-8"
    )
    offline(project, "by_sql")
    for table in ("values_of_all_types", "texts", "by_number", '"Odd: 100%"', "nothing"):
        assert rows_of(project, "by_sql", table) == rows_of(project, "by_new", table)


def offline(project: Plain, database: str, target: str = "head") -> None:
    """Run what `upgrade --sql` prints, by psql's own rules of where a statement ends (here: the server's)."""
    script = project.db("upgrade", target, "--sql", database=database).out
    with client.connect(project.new_database(database)) as connection, connection.usual_path():
        connection.run(script)


def rows_of(project: Project, database: str, table: str) -> list[tuple[object, ...]]:
    return query(project.address(database), f"SELECT t::text FROM {table} t ORDER BY 1")


# --- rows that refer to rows -------------------------------------------------------------------------------------

GRAPH = (
    ddl(
        "tables",
        # Names in an order that is not that of the keys, and every way to hang together.
        "CREATE TABLE z_countries (code char(2) PRIMARY KEY, name text)",
        "CREATE TABLE a_cities (id serial PRIMARY KEY, country char(2) NOT NULL REFERENCES z_countries, name text)",
        "CREATE TABLE folders (id serial PRIMARY KEY, up integer REFERENCES folders, name text UNIQUE)",
        "CREATE TABLE people (id serial PRIMARY KEY, name text, team_id integer)",
        "CREATE TABLE teams (id serial PRIMARY KEY, lead_id integer NOT NULL REFERENCES people, label text)",
        "ALTER TABLE people ADD CONSTRAINT people_team FOREIGN KEY (team_id) REFERENCES teams (id)",
        "CREATE TABLE eggs (id integer PRIMARY KEY, hen integer NOT NULL)",
        "CREATE TABLE hens (id integer PRIMARY KEY, nest integer NOT NULL)",
        "CREATE TABLE nests (id integer PRIMARY KEY, egg integer NOT NULL)",
        "ALTER TABLE eggs ADD FOREIGN KEY (hen) REFERENCES hens DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE hens ADD FOREIGN KEY (nest) REFERENCES nests DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE nests ADD FOREIGN KEY (egg) REFERENCES eggs DEFERRABLE INITIALLY DEFERRED",
        "CREATE TABLE loners (id integer PRIMARY KEY, mate integer NOT NULL REFERENCES loners, CHECK (mate <> id))",
        "CREATE TABLE roles (id serial PRIMARY KEY, name text)",
        # While a check is pending until the commit, PostgreSQL refuses indexes and changes of the table.
        "CREATE TABLE visits (id serial PRIMARY KEY, note text,"
        " country char(2) REFERENCES z_countries DEFERRABLE INITIALLY DEFERRED)",
        "CREATE INDEX visits_note ON visits (note)",
        "CREATE UNIQUE INDEX visits_once ON visits (note) INCLUDE (country)",
        "ALTER TABLE visits REPLICA IDENTITY FULL",
    ),
    Step("seeds", """
        countries = sa.table("z_countries", sa.column("code", sa.String()), sa.column("name", sa.String()))
        op.bulk_insert(countries, [{"code": "DE", "name": "Germany"}, {"code": "FR", "name": "France"}])
        op.execute("INSERT INTO a_cities (country, name) SELECT code, name || ' City' FROM z_countries ORDER BY code")
        op.execute("INSERT INTO folders VALUES (1, NULL, 'root'), (5, 1, 'a'), (2, 5, 'b'), (9, 9, 'own')")
        op.execute("UPDATE folders SET up = 2 WHERE name = 'root'")
        op.execute("SELECT setval('folders_id_seq', 9)")
        op.execute("INSERT INTO people (name) VALUES ('ann'), ('bob')")
        op.execute("INSERT INTO teams (lead_id, label) VALUES (2, 'one')")
        op.execute("UPDATE people SET team_id = 1")
        op.execute("INSERT INTO eggs VALUES (1, 1); INSERT INTO hens VALUES (1, 1); INSERT INTO nests VALUES (1, 1)")
        op.execute("INSERT INTO loners VALUES (2, 1), (1, 2)")
        op.execute("INSERT INTO visits (country, note) VALUES ('DE', 'in May'), ('FR', 'in June')")
        op.execute("INSERT INTO roles (name) VALUES ('admin'), ('guest'), ('gone')")
        op.execute("DELETE FROM roles WHERE name = 'gone'")
        op.execute("UPDATE roles SET name = 'member' WHERE name = 'guest'")
    """),
    Step("a role is looked up", """
        role = op.get_bind().execute(sa.text("SELECT id FROM roles WHERE name = 'member'")).scalar()
        assert role == 2, role
        op.execute("ALTER TABLE people ADD COLUMN role_id integer REFERENCES roles")
        op.execute("UPDATE people SET role_id = %d" % role)
        op.execute("INSERT INTO roles (name) VALUES ('later')")
    """),
    needs(
        "all that hangs together still does",
        "SELECT count(*) = 2 FROM people WHERE role_id = 2 AND team_id = 1",
        "SELECT id = 4 FROM roles WHERE name = 'later'",
        "SELECT up = 2 FROM folders WHERE name = 'root'",
        "SELECT count(*) = 1 FROM eggs JOIN hens ON hens.id = hen JOIN nests ON nests.id = nest AND egg = eggs.id",
        "SELECT min(mate) = 1 FROM loners",
        "SELECT count(*) = 2 FROM a_cities JOIN z_countries ON code = country",
    ),
)  # fmt: skip


@pytest.mark.slow
def test_rows_come_in_the_order_of_their_keys_with_circles_and_rows_that_refer_to_themselves(
    make_plain: MakePlain, server: Server, tmp_path: Path
) -> None:
    project = make_plain(GRAPH)
    old = project.git("rev-parse", "HEAD")
    text = squash(project, share=0.78)
    assert_laid_out(project)
    assert_dumps_agree(project, server, tmp_path, old)
    rows = text.split("# rows")[1]
    assert rows.index('"z_countries"') < rows.index('"a_cities"')
    offline(project, "graph_by_sql", project.ids[1])  # the next one looks a row up, which no --sql can
    assert rows_of(project, "graph_by_sql", "people") == [("(1,ann,1)",), ("(2,bob,1)",)]
    without = project.git("rev-parse", "HEAD")
    # What the first of the kept migrations looks up is gone from the base: its own words, and nothing is merged.
    base = project.file_of(project.ids[1])
    assert base.read_text().count('"member"') == 1
    base.write_text(base.read_text().replace('"member"', '"guest"'), encoding="utf-8")
    project.commit("an edit that loses a row")
    done = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert done.code == 3 and "ROWS public.roles" in done.err and "member" in done.err, done.said
    project.git("reset", "--quiet", "--hard", without)


# --- whether a package would hold the file -----------------------------------------------------------------------

DATA = "app/migrations/versions/1_x.big.jsonl"


@pytest.mark.parametrize(
    ("files", "package"),
    [
        ({}, None),
        ({"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, None),
        ({"setup.py": "setup(packages=['app'])"}, "app"),
        ({"setup.py": "setup(packages=['app'], package_data={'app': ['migrations/versions/*.py']})"}, "app"),
        ({"setup.py": "setup(packages=['app'], package_data={'app': ['migrations/versions/*']})"}, None),
        ({"setup.py": "setup(packages=['app'], package_data={'': ['*.jsonl']})"}, None),
        ({"setup.py": "setup(packages=['app'], include_package_data=True)", "MANIFEST.in": "graft app/migrations"}, None),
        ({"setup.py": "setup()", "MANIFEST.in": "recursive-include app *.html *.py\ninclude README.md"}, "app"),
        ({"setup.py": "setup()", "MANIFEST.in": "recursive-include app *.html *.jsonl"}, None),
        ({"setup.cfg": "[options]\npackages = find:\n[options.packages.find]\ninclude = app*\n"}, "app"),
        ({"setup.cfg": "[options.package_data]\napp = migrations/**/*\n"}, None),
        ({"setup.cfg": "[flake8]\nmax-line-length = 100\n"}, None),
        ({"pyproject.toml": '[build-system]\nbuild-backend = "setuptools.build_meta"\n'}, "app"),
        ({"pyproject.toml": '[build-system]\nrequires = ["setuptools_scm"]\nbuild-backend = "setuptools.build_meta"'}, None),
        ({"pyproject.toml": '[build-system]\nbuild-backend = "hatchling.build"\n'}, None),
    ],
)  # fmt: skip
def test_a_data_file_that_setuptools_would_leave_out_of_a_package_is_known(
    tmp_path: Path, files: dict[str, str], package: str | None
) -> None:
    for name, text in {**files, "app/__init__.py": "", "app/migrations/env.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert packaging.left_out(tmp_path, DATA) == package
    assert packaging.left_out(tmp_path, DATA.removeprefix("app/")) is None


HATCH = "[build-system]\nbuild-backend = 'hatchling.build'\n[tool.hatch.build.targets.wheel]\n"
POETRY = "[build-system]\nbuild-backend = 'poetry.core.masonry.api'\n[tool.poetry]\n"
PDM = "[build-system]\nbuild-backend = 'pdm.backend'\n[tool.pdm.build]\n"


@pytest.mark.parametrize(
    ("name", "text", "left_out"),
    [
        (".dockerignore", "*\n!**/*.py\n!alembic.ini\n", True),
        (".dockerignore", "*\n!app\n", False),
        (".dockerignore", "# data\n**/*.jsonl\n", True),
        (".dockerignore", "*.jsonl\n", False),  # of the top directory only
        ("pyproject.toml", HATCH + "include = ['app/**/*.py']", True),
        ("pyproject.toml", HATCH + "include = ['app/**/*.py']\nartifacts = ['*.jsonl']", False),
        ("pyproject.toml", HATCH + "include = ['/app']", False),
        ("pyproject.toml", HATCH + "packages = ['app']\nexclude = ['*.jsonl']", True),
        ("pyproject.toml", HATCH.replace("hatchling.build", "flit_core.buildapi") + "include = ['app/**/*.py']", False),
        ("pyproject.toml", POETRY + "packages = [{ include = 'app/**/*.py' }]", True),
        ("pyproject.toml", POETRY + "packages = [{ include = 'app' }]", False),
        ("pyproject.toml", POETRY + "packages = [{ include = 'app/**/*.py' }]\ninclude = ['app/**/*.jsonl']", False),
        ("pyproject.toml", POETRY + "exclude = [{ path = 'app/**/*.jsonl', format = 'wheel' }]", True),
        ("pyproject.toml", PDM + "includes = ['app/**/*.py']", True),
        ("pyproject.toml", PDM + "includes = ['app']\nexcludes = ['app/static']", False),
        ("pyproject.toml", "[tool.hatch", False),
    ],
)  # fmt: skip
def test_a_data_file_that_a_pattern_keeps_out_of_a_wheel_or_an_image_is_known(
    tmp_path: Path, name: str, text: str, left_out: bool
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert bool(list(packaging.excluding(tmp_path, DATA))) == left_out


def test_each_table_has_a_data_file_of_its_own_that_names_its_migration() -> None:
    names = data_files.suffixes(
        [("public", "Größe: 100%"), ("shop", "items"), ("public", "shop_items"), ("public", "gr e")]
    )
    assert names == {
        ("public", "Größe: 100%"): ".gr_e_100_.jsonl", ("public", "gr e"): ".gr_e.jsonl",
        ("public", "shop_items"): ".shop_items.jsonl", ("shop", "items"): ".shop_items_2.jsonl",
    }  # fmt: skip
    assert data_files.owner("a/2024.01_x.big.jsonl") == "a/2024.01_x.py"
    assert data_files.owner("a/big.jsonl") is None
    assert data_files.owner("a/1_x.big.json") is None


# --- large tables ------------------------------------------------------------------------------------------------

DAYS = 20_000
CALENDAR = (
    ddl(
        "a calendar",
        "CREATE TABLE calendar (day date PRIMARY KEY, week smallint NOT NULL, holiday boolean, note varchar(40),"
        " before date REFERENCES calendar)",
        "CREATE SCHEMA shop",
        'CREATE TABLE shop."Price List" (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "50%:x" numeric, twice numeric'
        ' GENERATED ALWAYS AS ("50%:x" * 2) STORED, valid daterange, tags text[])',
        "CREATE TABLE bookings (id serial PRIMARY KEY, day date NOT NULL REFERENCES calendar)",
        "CREATE TABLE long (id integer PRIMARY KEY, body text)",
        "CREATE TABLE accounts (id serial PRIMARY KEY, api_token text)",
    ),
    ddl(
        "its days",
        "INSERT INTO calendar SELECT date '2000-01-01' + n, n % 53, n % 7 = 0, CASE n % 4 WHEN 0 THEN 'it''s 100% :x \\ \"q\"'"
        f" WHEN 1 THEN '' WHEN 2 THEN E'two\\nlines\\t' END, CASE WHEN n > 1 THEN date '2000-01-01' + n - 1 END FROM generate_series(1, {DAYS}) n",
        f"UPDATE calendar SET before = date '2000-01-01' + {DAYS} WHERE day = '2000-01-02'",
        'INSERT INTO shop."Price List" ("50%:x", valid, tags) SELECT n / 7.0, daterange(date \'2024-01-01\', NULL),'
        " ARRAY['a:b', NULL, '%'] FROM generate_series(1, 1500) n",
        "INSERT INTO bookings (day) SELECT day FROM calendar ORDER BY day LIMIT 3",
        "INSERT INTO long SELECT n, repeat('0123456789', 1000) FROM generate_series(1, 30) n",
        "INSERT INTO accounts (api_token) VALUES ('abc')",
    ),
    needs(
        "the days are needed",
        f"SELECT count(*) = {DAYS} FROM calendar",
        "SELECT count(*) = 1500 AND max(twice) > 400 FROM shop.\"Price List\" WHERE tags[2] IS NULL",
        f"SELECT count(*) = {DAYS // 4} FROM calendar WHERE note = E'two\\nlines\\t'",
    ),
    ddl("a day more", "INSERT INTO calendar SELECT max(day) + 1, 1, false, NULL, max(day) FROM calendar",
        'INSERT INTO shop."Price List" ("50%:x") VALUES (1)'),
)  # fmt: skip


def test_rows_of_large_tables_are_in_data_files_that_the_migration_loads_from_beside_itself(
    make_plain: MakePlain, server: Server, tmp_path: Path
) -> None:
    project = make_plain(CALENDAR)
    old = project.git("rev-parse", "HEAD")
    done = project.squash("head-2")
    assert done.code == 0, done.said
    # Pointed out although it is the same in each run, and before anything was committed.
    assert "accounts.api_token looks like a credential" in done.err
    assert done.err.index("looks like a credential") < done.err.index("merge\n")
    project.assert_nothing_left()
    assert_laid_out(project)
    assert_native(project.base_file.read_text(encoding="utf-8"), 0.6)  # an identity is SQL before SQLAlchemy 1.4
    base = project.file_of(project.ids[1])
    stem = base.name.removesuffix(".py")
    assert sorted(path.name for path in base.parent.glob("*.jsonl")) == [
        f"{stem}.calendar.jsonl", f"{stem}.long.jsonl", f"{stem}.shop_price_list.jsonl",
    ]  # fmt: skip
    assert len(base.read_text()) < 10_000
    lines = (base.parent / f"{stem}.calendar.jsonl").read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[0])["note"] == "character varying(40)"
    assert json.loads(lines[1]) == ["2000-01-02", 1, False, "", "2054-10-04"]
    assert len(lines) == DAYS + 2 and lines[-1] == ""
    assert [line.split()[0] for line in project.db("history", database="none").out.splitlines()] == [
        project.ids[2], project.ids[1], "<base>"]  # fmt: skip
    assert_dumps_agree(project, server, tmp_path, old)
    offline(project, "large_by_sql")
    for table in ("calendar", 'shop."Price List"', "bookings"):
        assert rows_of(project, "large_by_sql", table) == rows_of(project, "by_new", table)
    # A file that is not whole is said to be so, and nothing is left of it.
    (base.parent / f"{stem}.calendar.jsonl").write_text("\n".join(lines[:-3]) + "\n", encoding="utf-8")
    project.new_database("cut_short")
    failed = project.db("upgrade", "head", database="cut_short", check=False)
    assert failed.code != 0 and f"holds {DAYS - 2} rows; {DAYS} were expected" in failed.err
    assert query(project.address("cut_short"), "SELECT count(*) FROM pg_tables WHERE tablename = 'calendar'") == [(0,)]


SMALL_BUT_MANY = (
    ddl("t", "CREATE TABLE big (id integer PRIMARY KEY, t text)", "CREATE TABLE small (id integer)"),
    ddl(
        "rows", "INSERT INTO big SELECT n, 'row ' || n FROM generate_series(1, 1001) n", "INSERT INTO small VALUES (1)"
    ),
    ddl("later", "UPDATE big SET t = 'changed' WHERE id = 1001", "INSERT INTO small SELECT count(*) FROM big"),
    ddl("last", "INSERT INTO big VALUES (2000, 'last')"),
)


@pytest.mark.slow
def test_a_data_file_that_somebody_has_is_refused_and_one_that_git_ignores_is_committed(
    make_plain: MakePlain,
) -> None:
    project = make_plain(SMALL_BUT_MANY)
    data = project.file_of(project.ids[1]).with_suffix(".big.jsonl")
    data.write_text("somebody's\n", encoding="utf-8")
    head = project.commit("a file of that name")
    done = project.squash("head-2")
    assert done.code == 1 and f"{data.name} is in the way" in done.err, done.said
    project.assert_nothing_left(head)
    assert data.read_text() == "somebody's\n"
    data.unlink()
    project.write(".gitignore", "__pycache__/\n*.jsonl\n")
    project.commit("no such files")
    done = project.squash("head-2")
    assert done.code == 0 and "is left out by .gitignore:2:*.jsonl" in done.err, done.said
    project.assert_nothing_left()
    assert data.exists() and project.git("ls-files", "--error-unmatch", str(data))


@pytest.mark.slow
@pytest.mark.usefixtures("put_back")
def test_data_files_keep_edits_go_with_abort_and_with_the_base_that_is_squashed_again(make_plain: MakePlain) -> None:
    project = make_plain(SMALL_BUT_MANY)
    head = project.git("rev-parse", "HEAD")
    data = project.file_of(project.ids[1]).with_suffix(".big.jsonl")

    def step(*words: str, code: int = 0) -> str:
        done = project.tool(*words)
        assert done.code == code, done.said
        return done.said

    step("checkout", "--rev", "head-2", "--uri-var", VARIABLE)
    for name in ("reinit", "restore", "migrate"):
        step(name)
    written = data.read_text(encoding="utf-8")
    assert written.count("\n") == 1002
    edited = written.replace('"row 7"', '"row seven"')
    data.write_text(edited, encoding="utf-8")
    assert "--force" in step("migrate", code=1)
    step("restore")
    assert data.read_text(encoding="utf-8") == edited
    assert "row seven" in step("verify", code=3)
    step("migrate", "--force")
    assert data.read_text(encoding="utf-8") == written
    step("abort")
    project.assert_nothing_left(head)
    assert not data.exists()

    assert project.squash("head-2").code == 0
    project.assert_nothing_left()
    assert_native(project.base_file.read_text(encoding="utf-8"), 1.0)
    assert data.read_text(encoding="utf-8") == written
    assert project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url).code == 0

    project.add(ddl("more", "ALTER TABLE big ADD COLUMN n integer"), ddl("head", "CREATE TABLE after (id integer)"))
    again = project.squash("head-1")
    assert again.code == 0, again.said
    assert f"migrations/versions/{data.name}" in again.out.split("Data files that go")[1].split("\n\n")[0]
    project.assert_nothing_left()
    new = project.file_of(project.ids[4]).with_suffix(".big.jsonl")
    assert sorted(path.name for path in project.versions.glob("*.jsonl")) == [new.name]
    assert new.read_text(encoding="utf-8").count("\n") == 1003
    verified = project.tool("verify", "--uri-var", VARIABLE, "--server", project.server_url)
    assert verified.code == 0, verified.said
    assert query(project.new_database("twice"), "SELECT 1") == [(1,)]
    project.db("upgrade", "head", database="twice")
    assert query(project.address("twice"), "SELECT count(*), max(t) FROM big") == [(1002, "row 999")]


CHANCE = (
    ddl(
        "values of chance",
        "CREATE TABLE devices (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, seen timestamptz DEFAULT now())",
        "INSERT INTO devices (name) VALUES ('a'), ('b')",
        "CREATE TABLE users (id serial PRIMARY KEY, name text, password_hash text)",
        "INSERT INTO users (name, password_hash) VALUES ('admin', md5(random()::text))",
        "CREATE TABLE readings (id serial PRIMARY KEY, device uuid REFERENCES devices)",
    ),
    ddl("rows of rows", "INSERT INTO readings (device) SELECT id FROM devices ORDER BY name"),
    needs("the devices are needed", "SELECT count(*) = 2 FROM readings JOIN devices ON devices.id = device"),
    ddl("more", "INSERT INTO readings (device) SELECT id FROM devices WHERE name = 'a'"),
)


@pytest.mark.slow
def test_values_of_chance_become_constants_that_are_named_and_so_are_rows_left_out(make_plain: MakePlain) -> None:
    project = make_plain(CHANCE)
    head = project.git("rev-parse", "HEAD")
    done = project.squash("head-2")
    assert done.code == 1 and "users.password_hash" in done.err and "--keep-value" in done.err, done.said
    project.assert_nothing_left(head)
    done = project.squash("head-2", "--data", "devices,readings")
    assert done.code == 0, done.said
    project.assert_nothing_left()
    assert_native(project.base_file.read_text(encoding="utf-8"), 0.71)
    message = project.git("log", "-1", "--format=%B")
    assert "is now always the same value: devices.id, devices.seen, readings.device" in message
    assert "Rows left out, as --data says: users" in message
    ids = []
    for name in ("one", "two"):
        address = project.new_database(name)
        project.db("upgrade", "head", database=name)
        ids.append(query(address, "SELECT id, seen FROM devices ORDER BY name"))
        assert query(address, "SELECT count(*) FROM users") == [(0,)]
        assert query(address, "SELECT count(*) FROM readings JOIN devices ON devices.id = device") == [(3,)]
    assert len(ids[0]) == 2 and ids[0] == ids[1]


@pytest.mark.slow
def test_downgrade_loses_no_row_that_the_base_did_not_insert_unless_somebody_insists_and_counts_no_table(
    make_plain: MakePlain,
) -> None:
    project = make_plain([
        ddl("t", 'CREATE TABLE "a:b 100%" (id serial PRIMARY KEY)', "CREATE TABLE seeds (n integer)",
            "CREATE TABLE guarded (n integer)", "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY"),
        ddl("rows", "INSERT INTO seeds SELECT generate_series(1, 3)"),
        ddl("head", "INSERT INTO seeds VALUES (4)"),
    ])  # fmt: skip
    text = squash(project, "head-1", share=0.8)
    assert "row_security" not in text
    base = project.ids[1]
    address = project.new_database("down")

    def tables() -> int:
        return len(query(address, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'"))

    # The rows that the base put there are no obstacle.
    project.db("upgrade", base, database="down")
    project.db("downgrade", "base", database="down")
    assert tables() == 1
    # One more is, whoever inserted it: here a kept migration.
    project.db("upgrade", "head", database="down")
    refused = project.db("downgrade", "base", database="down", check=False)
    assert refused.code != 0 and "seeds holds rows that this migration did not insert" in refused.err
    assert "-x squash_downgrade=drop" in refused.err and "ALEMBIC_SQUASH_DOWNGRADE=drop" in refused.err
    assert tables() == 4 and query(address, "SELECT count(*) FROM seeds") == [(4,)]
    # It stops at the first row too many of the first table that has one.
    with client.connect(address) as connection, connection.usual_path():
        connection.run('INSERT INTO "a:b 100%" SELECT generate_series(1, 100000); SELECT pg_stat_reset()')
    read = "SELECT sum(seq_tup_read) BETWEEN 1 AND 9 FROM pg_stat_user_tables WHERE relname IN ('a:b 100%', 'seeds')"
    refused = project.db("downgrade", "base", database="down", check=False)
    assert refused.code != 0 and '"a:b 100%" holds rows' in refused.err
    assert query(address, read) == [(True,)]
    # Insisted on in either way.
    project.db("-x", "squash_downgrade=drop", "downgrade", "base", database="down")
    assert tables() == 1
    project.db("upgrade", "head", database="down")
    project.environment["ALEMBIC_SQUASH_DOWNGRADE"] = "drop"
    project.db("downgrade", "base", database="down")
    assert tables() == 1
