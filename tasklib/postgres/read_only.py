"""Door to a database that is not ours: whatever goes through it can only read there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg2.extensions import make_dsn

from tasklib import shell
from tasklib.errors import Failed, Refused
from tasklib.postgres import client
from tasklib.postgres.binaries import Binaries
from tasklib.postgres.client import Address, Connection


@contextmanager
def opened(address: Address, option: str = "--reference") -> Iterator[Connection]:
    """One read-only transaction in the real database, whose snapshot all that is asked and dumped has in common.

    ``option`` is the one that names it, for messages.
    """
    try:
        with client.connect(address, read_only=True) as connection:
            # A pooler may drop what a connection asks for.
            if connection.value("SHOW default_transaction_read_only") != "on":
                raise Refused(
                    f"{address.masked()} does not let a connection be read only (is a pooler before it?).",
                    f"name the server itself with {option}",
                )
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection
    except Failed as error:
        if "cannot be reached" not in error.text:
            raise
        raise Refused(
            error.text.replace("The server", f"The database of {option},", 1).replace(" cannot", ", cannot", 1),
            f"start it or correct the URL (its password is not kept between commands: give {option} again, "
            "or set PGPASSWORD)",
        ) from None


def dump(address: Address, binaries: Binaries, path: Path, *words: str) -> None:
    """A dump of a database that is not ours, in the custom format: pg_dump may only read there.

    Neither owners, tablespaces nor subscriptions (they hold passwords). All of the URL's options reach pg_dump, and so
    do libpq's own files. It waits ten seconds at most for a table that somebody is changing.
    """
    options = {name: value for name, value in address.options if name != "options" and "password" not in name}
    target = make_dsn(host=address.host, port=address.port, user=address.user, dbname=address.database, **options)
    given = dict(address.options).get("options", "")
    files = {name: value for name, value in os.environ.items() if re.match("PGPASSFILE$|PGSSL|PGGSS|PGKRB", name)}
    environment = {
        **client.clean_environment(), **files, **address.environment(), "LC_MESSAGES": "C",
        "PGOPTIONS": f"{given} -c default_transaction_read_only=on".strip(),
    }  # fmt: skip
    argv: list[str | Path] = [
        binaries.bin / "pg_dump", "--format=custom", "--compress=0", "--no-tablespaces", "--no-owner",
        "--no-subscriptions", "--lock-wait-timeout=10000", f"--file={path}", *words, f"--dbname={target}",
    ]  # fmt: skip
    shell.run(argv, cwd=path.parent, env=environment)
