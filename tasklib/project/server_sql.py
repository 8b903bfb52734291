"""What migrations do beyond their database, by the SQL in their strings: roles, and what else belongs to the server.

A first look before anything is run; what is hidden from it shows when the migrations run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasklib.project.sources import Read, strings

# A setting of a role in one database belongs to that.
ROLES = re.compile(
    r"\b(?:CREATE|ALTER|DROP)\s+(?:ROLE|USER|GROUP)\b(?!\s+MAPPING)(?!\s+(?:\"[^\"]+\"|\w+)\s+IN\s+DATABASE\b)(?:\s+(?:IF\s+EXISTS\s+)?(\"[^\"]+\"|\w+))?",
    re.IGNORECASE,
)
# At the beginning of a statement: "create database tables" is what people write in their messages.
OTHERS = re.compile(
    r"(?:^|;)\s*((?:CREATE|ALTER|DROP)\s+TABLESPACE|ALTER\s+SYSTEM|(?:CREATE|DROP)\s+DATABASE|"
    r"(?:CREATE|ALTER|DROP)\s+SUBSCRIPTION)\s|\b(pg_create_(?:logical|physical)_replication_slot)\s*\(",
    re.IGNORECASE,
)


def of_roles(sources: Mapping[str, str]) -> list[Read]:
    """SQL in strings that makes or changes roles, which belong to the server; with the role where it is in the text."""
    return [
        Read(" ".join(match.group(0).split()), path, line)
        for path, line, text in strings(sources)
        for match in ROLES.finditer(text)
    ]


def naming(sources: Mapping[str, str], role: str) -> list[Read]:
    """SQL in strings that names a role where only a role can stand."""
    named = re.compile(
        rf'\b(?:TO|FROM|ROLE|FOR|USER|AUTHORIZATION|IN\s+DATABASE)\s+(?:[\w"]+\s*,\s*)*(?:"{re.escape(role)}"|{re.escape(role)}\b)',
        re.IGNORECASE,
    )
    return [
        Read(" ".join(match.group(0).split()), path, line)
        for path, line, text in strings(sources)
        for match in named.finditer(text)
    ]


def server_wide(sources: Mapping[str, str]) -> list[Read]:
    """SQL in strings that makes or changes what belongs to the server, or to several, and is no role."""
    return [
        Read(" ".join((match.group(1) or match.group(2)).split()), path, line)
        for path, line, text in strings(sources)
        for match in OTHERS.finditer(text)
    ]
