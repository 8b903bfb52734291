"""Extensions that a server or a database lacks: how an error shows it, and the hint how to get one. Pure."""

from __future__ import annotations

import re

# What of the usual extensions a database without one says that it lacks.
GIVES = {
    "pg_trgm": r"g(in|ist)_trgm_ops|function (word_)?similarity\(",
    "uuid-ossp": r"uuid_generate_v\d",
    "pgcrypto": r"function (gen_random_bytes|gen_salt|crypt|digest|hmac)\(",
    "btree_gist": r'has no default operator class for access method "gist"',
    "btree_gin": r'has no default operator class for access method "gin"',
    "postgis": r'type "(public\.)?(geometry|geography)"|function st_\w+\(',
    **{name: rf'type "(public\.)?{name}"' for name in ("citext", "hstore", "ltree", "vector")},
    "unaccent": r"function (public\.)?unaccent\(",
}


def not_on_server(error: str) -> str:
    """The extension that a server said it does not have, or ""."""
    found = re.search(r'extension "([^"]+)" is not available|extension control file "[^"]*/([^/"]+)\.control"', error)
    return (found.group(1) or found.group(2)) if found else ""


def how_to_get(*extensions: str) -> str:
    """The hint for extensions that a server lacks."""
    them = "it" if len(extensions) == 1 else "them"
    packages = " or ".join(["postgresql-contrib", *(f"postgresql-NN-{one}" for one in extensions)])
    return f"install {them} (Debian: {packages}), or name a server that has {them}: --server URL"


def not_in_database(error: str) -> str:
    """The extension whose type, function or operator class a database lacks, by what the server said, or ""."""
    return next((name for name, words in GIVES.items() if re.search(words, error)), "")
