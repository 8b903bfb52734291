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
# Debian's packages of extensions that have another name than these.
PACKAGES = {
    "vector": "pgvector",
    **dict.fromkeys(("postgis", "postgis_raster", "postgis_topology", "postgis_sfcgal"), "postgis-3"),
    **dict.fromkeys(("postgis_tiger_geocoder", "address_standardizer"), "postgis-3"),
    "pg_cron": "cron",
    "pg_partman": "partman",
    "pg_repack": "repack",
}
# What comes with PostgreSQL's own sources.
CONTRIB = """
adminpack amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance file_fdw
fuzzystrmatch hstore insert_username intagg intarray isn lo ltree moddatetime pageinspect pg_buffercache pg_freespacemap
pg_prewarm pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks pgstattuple
postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent uuid-ossp xml2
"""


def not_on_server(error: str) -> str:
    """The extension that a server said it does not have, or ""."""
    found = re.search(r'extension "([^"]+)" is not available|extension control file "[^"]*/([^/"]+)\.control"', error)
    return (found.group(1) or found.group(2)) if found else ""


def how_to_get(*extensions: str) -> str:
    """The hint for extensions that a server lacks."""
    them = "it" if len(extensions) == 1 else "them"
    packages = ", ".join(dict.fromkeys(_package(one) for one in extensions))
    return f"install {them} (Debian: {packages}), or name a server that has {them}: --server URL"


def _package(extension: str) -> str:
    """Debian's package; NN is the server's major version."""
    if extension in CONTRIB.split():
        return "postgresql-contrib"
    language = re.fullmatch(r"pl(perl|python3|tcl)u?|(?:hstore|jsonb|ltree|bool)_pl(perl|python3)u?", extension)
    if language:
        return f"postgresql-pl{language[1] or language[2]}-NN"
    return f"postgresql-NN-{PACKAGES.get(extension, extension.replace('_', '-'))}"


def not_in_database(error: str) -> str:
    """The extension whose type, function or operator class a database lacks, by what the server said, or ""."""
    return next((name for name, words in GIVES.items() if re.search(words, error)), "")
