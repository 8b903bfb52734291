"""The server that --server names, instead of one of our own."""

from __future__ import annotations

from tasklib.errors import Failed, Refused
from tasklib.postgres import client
from tasklib.postgres.client import Address


def refuse_unusable(url: str) -> Address:
    """The server that --server names; `Refused` where it, its user or our pg_dump would not do."""
    address = client.parse_url(url, "--server")
    try:
        with client.connect(address) as connection:
            may = connection.value("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
            major = connection.major()
    except Failed as error:
        raise Refused(
            error.text,
            "start it or correct the URL (the password is not kept between commands: give --server again, "
            "or set PGPASSWORD); without --server a throwaway server is used",
        ) from None
    if not may:
        raise Refused(f"The user {address.user} may not create databases on {address.masked()}.",
                      f"ALTER ROLE {address.user} CREATEDB, or leave --server out")  # fmt: skip
    client.client_for(major)
    return address
