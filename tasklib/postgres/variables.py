"""libpq's variables in the user's shell: where the project's database is, and how safely a server of the user's is
reached. Connections of our own go nowhere by them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

# libpq's variables by which the user's own servers are reached safely, with its options (libpq-envars.html).
SAFELY = {
    "PGPASSFILE": "passfile", "PGREQUIREPEER": "requirepeer", "PGREQUIREAUTH": "require_auth",
    "PGCHANNELBINDING": "channel_binding", "PGSSLMODE": "sslmode", "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey", "PGSSLCERTMODE": "sslcertmode", "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCRL": "sslcrl", "PGSSLCRLDIR": "sslcrldir", "PGSSLSNI": "sslsni",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version", "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGGSSENCMODE": "gssencmode", "PGKRBSRVNAME": "krbsrvname", "PGGSSLIB": "gsslib",
    "PGGSSDELEGATION": "gssdelegation",
}  # fmt: skip


def clean_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment (or the given one) without libpq's variables: an inherited PGHOST must not lead elsewhere."""
    given = os.environ if inherited is None else inherited
    return {name: value for name, value in given.items() if not re.fullmatch(r"PG[A-Z]+", name)}


def inherited() -> tuple[tuple[str, str], ...]:
    """What the user's variables say of how safely the user's own servers are reached, as options of libpq."""
    return tuple((option, os.environ[name]) for name, option in SAFELY.items() if os.environ.get(name))


def hide() -> None:
    """Take the user's variables from the libpq in this process, which would go elsewhere by them: it asks C for them.
    `os.environ` has them still, for us and for all that we start.
    """
    for name in os.environ.keys() - clean_environment().keys() - {"PGSERVICEFILE", "PGSYSCONFDIR"}:
        os.unsetenv(name)
