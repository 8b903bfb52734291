"""A real server that stands for somebody's database: its own log shows whether anything came to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasklib.postgres import client
from tasklib.postgres import server as servers
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server


@dataclass(frozen=True)
class Decoy:
    """The server, and the database `live` on it, in use."""

    server: Server
    address: Address

    def url(self, scheme: str = "postgresql+psycopg2") -> str:
        return self.address.url(scheme)

    @property
    def target(self) -> str:
        """What the program calls the database."""
        return f"localhost:{self.server.port}/live"

    def visits(self) -> list[str]:
        """The lines of the server's log that tell of a connection to `live`, or of anybody who tried."""
        return [
            line
            for line in self.server.log.read_text(errors="replace").splitlines()
            if "connection received" in line or "database=live" in line
        ]


@contextmanager
def decoy() -> Iterator[Decoy]:
    """A decoy to which nothing may have come over the block."""
    made = servers.start(str(Path.cwd()), owner_pid=os.getpid())
    try:
        address = Address(made.host, made.port, made.user, made.password, "live")
        with client.connect(address.at("postgres")) as connection:
            connection.run("CREATE DATABASE live")
        with client.connect(address) as connection, connection.usual_path():
            connection.run("CREATE TABLE people (name text)")
        found = Decoy(made, address)
        before = found.visits()
        yield found
        assert found.visits() == before
    finally:
        servers.stop(made.home)
