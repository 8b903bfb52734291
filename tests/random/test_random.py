"""A few random histories, the same ones each time; `nox -s nightly` runs others by the thousand."""

from __future__ import annotations

from pathlib import Path

from tasklib.postgres.server import Server
from tests.random.hunt import Hunt
from tests.random.trial import Trials

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
