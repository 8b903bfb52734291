"""The readers of suites on little texts, and a case from its script to its row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tasklib.postgres.server import Server
from tests.suites import golang, perl, psql, python, table, trial, txtar
from tests.suites.case import Case, Piece


def sql(pieces: list[Piece] | tuple[Piece, ...]) -> list[str]:
    return [piece.sql for piece in pieces]


def test_a_statement_ends_where_psql_ends_it() -> None:
    text = """
        SELECT ';' /* ; /* nested ; */ */; -- ;
        CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);
        CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
        DO $body$ BEGIN PERFORM 1; END $body$;
        SELECT 'x' AS name \\gset
        \\echo :name; \\
        SELECT E'\\'; $1;'"""
    assert sql(psql.pieces(text)) == [
        "SELECT ';'",
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "DO $body$ BEGIN PERFORM 1; END $body$",
        "SELECT 'x' AS name",
        "SELECT E'\\'; $1;'",
    ]


def test_the_data_of_copy_is_no_sql() -> None:
    found = psql.pieces("COPY t FROM stdin;\nit's; 1\nb\t2\n\\.\nSELECT 1;")
    assert found == [Piece("COPY t FROM stdin", "it's; 1\nb\t2\n"), Piece("SELECT 1")]


def test_a_go_test_gives_old_new_and_migrated() -> None:
    text = """
        var cases = []acceptanceTestCase{
            {
                name: "add a column", // "a comment"
                oldSchemaDDL: []string{`CREATE TABLE t ();`, "CREATE TABLE \\"u\\" ();"},
                newSchemaDDL: []string{`CREATE TABLE t (a int);`},
                expectedHazardTypes: []diff.Hazard{"hazard"},
                expectedPlanDDL: []string{"ALTER TABLE t ADD a int"},
            },
            {name: "nothing", oldSchemaDDL: nil, newSchemaDDL: []string{"CREATE TABLE v ()"}},
        }"""
    assert [(case.name, sql(case.pieces)) for case in golang.acceptance("x_test.go", text)] == [
        ("add a column (old)", ["CREATE TABLE t ()", 'CREATE TABLE "u" ()']),
        ("add a column (new)", ["CREATE TABLE t (a int)"]),
        ("add a column (migrated)", ["CREATE TABLE t ()", 'CREATE TABLE "u" ()', "ALTER TABLE t ADD a int"]),
        ("nothing (new)", ["CREATE TABLE v ()"]),
    ]


def test_perl_strings_are_joined_and_put_in_order() -> None:
    text = (
        "\t'second' => {\n\t\tcreate_order => 2,\n\t\tcreate_sql => 'INSERT INTO t '\n\t\t  . 'VALUES (\\'a\\');',\n"
        "\t\tlike => { x => 1, },\n\t},\n"
        "\t'first' => {\n\t\tcreate_order => 1,\n\t\tcreate_sql   => \"CREATE TABLE t (a text)\",\n\t},\n"
        "\t'other' => {\n\t\tdatabase => 'other',\n\t\tcreate_sql => q(SELECT f(1)),\n\t},\n"
        "\t'none' => {\n\t\tregexp => qr/x/,\n\t},\n"
    )
    assert [(case.name, sql(case.pieces)) for case in perl.cases("x.pl", text)] == [
        ("", ["CREATE TABLE t (a text)", "INSERT INTO t VALUES ('a')"]),
        ("other", ["SELECT f(1)"]),
    ]


def test_python_tests_take_what_stands_at_the_top() -> None:
    text = (
        'TABLE = "CREATE TABLE t ()"\n'
        'VIEW = PGView(schema="public", signature="v", definition="select 1")\n'
        'def test_a() -> None:\n    run(text("  alter table t add a int"))\n    run("no statement")\n'
    )
    (case,) = python.cases("x.py", text)
    assert (case.name, sql(case.pieces)) == (
        "test_a",
        ["CREATE TABLE t ()", 'CREATE VIEW public."v" AS select 1', "alter table t add a int"],
    )


def test_sections_of_a_script_that_are_sql_are_cases() -> None:
    script = "apply 1.hcl\nexecsql 'COMMENT ON TABLE t IS ''x'''\n\n"
    text = script + "-- 1.hcl --\ntable t {}\n-- 1.sql --\nCREATE TABLE t ();\n"
    (case,) = txtar.cases("x.txtar", text)
    assert (case.name, sql(case.pieces)) == ("1.sql", ["CREATE TABLE t ()", "COMMENT ON TABLE t IS 'x'"])


@pytest.fixture
def tried(tmp_path: Path, server: Server) -> trial.Row:
    text = """
        CREATE ROLE nobody_else;
        BEGIN;
        CREATE TABLE t (id integer PRIMARY KEY, note text);
        CREATE TABLE t (id integer);
        COPY nowhere FROM STDIN;
        COPY t FROM STDIN;
1\tone
\\.
        COMMIT;
        CREATE TEMPORARY TABLE gone ();
        INSERT INTO early VALUES (1);
        GRANT SELECT ON t TO a_reader_of_suites;
    """
    case = Case("x.sql", "", tuple(psql.pieces(text)), (("early", Piece("CREATE TABLE early (a integer)")),))
    try:
        return trial.tried(case, server, tmp_path, "5u17e7e57")
    finally:
        trial.drop_roles(server, ["a_reader_of_suites"])


def test_a_case_is_replayed_and_squashed(tried: trial.Row) -> None:
    assert (tried.code, tried.dump, tried.said) == (0, "equal", "")
    assert tried.left_out == Counter(
        {"transaction": 2, "of the server": 1, "temporary": 1, "DuplicateTable": 1, "UndefinedTable": 1}
    )
    assert sql(tried.kept)[2:] == [
        "CREATE TABLE early (a integer)",
        "INSERT INTO early VALUES (1)",
        "GRANT SELECT ON t TO a_reader_of_suites",
    ]
    assert "x.sql" in table.plain([tried]) and "| x.sql | 1 | 5 | 6 (" in table.markdown([tried])
