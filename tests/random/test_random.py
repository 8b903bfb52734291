"""A few random histories, the same ones each time; `nox -s nightly` runs others by the thousand."""

from __future__ import annotations

from pathlib import Path

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
