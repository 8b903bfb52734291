"""A few random histories, the same ones each time; `nox -s nightly` runs others by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasklib.postgres.server import Server
from tests.random.hunt import Hunt
from tests.random.trial import Trials, failure, replay

HISTORIES, SEED = 8, 1


def test_a_squash_of_random_histories_is_exact(server: Server, tmp_path: Path) -> None:
    laboratory = Trials(server, tmp_path, token="5eedf00d")
    hunt = Hunt(laboratory)
    try:
        hunt.go(HISTORIES, SEED)
    finally:
        laboratory.close()
    assert not hunt.found, "\n\n".join(found.shown() for found in hunt.found)
    assert hunt.runs == HISTORIES and hunt.statements > 10 * HISTORIES


def test_the_second_judge_knows_columns_by_name_where_one_before_them_is_gone(server: Server, tmp_path: Path) -> None:
    """What it compares are rows of catalogs, where a column's number stays its own."""
    statements = [
        "CREATE TABLE parents (id integer PRIMARY KEY)",
        "CREATE TABLE children (gone integer, parent integer, other integer)",
        "ALTER TABLE children DROP COLUMN gone",
        "ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents ON DELETE SET NULL (parent)",
        "CREATE PUBLICATION seen FOR TABLE children (parent, other)",
    ]
    laboratory = Trials(server, tmp_path, token="5eedf00d")
    try:
        taken = replay(laboratory, statements)
        found = failure(laboratory, taken)
    finally:
        laboratory.close()
    assert taken == statements and found is None, (taken, found)


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
    "numbers whose text is the history's own": [
        "CREATE TABLE numbers (c integer)",
        "CREATE FUNCTION other(integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'Y'$$",
        "CREATE CAST (integer AS text) WITH FUNCTION other(integer)",
        "INSERT INTO numbers VALUES (1)",
    ],
}


@pytest.mark.parametrize("what", USED)
def test_what_no_dump_says_that_something_needs_it_is_there_in_time(server: Server, tmp_path: Path, what: str) -> None:
    laboratory = Trials(server, tmp_path, token="5eedf00d")
    try:
        taken = replay(laboratory, USED[what])
        found = failure(laboratory, taken)
    finally:
        laboratory.close()
    assert taken == USED[what] and found is None, (taken, found)
