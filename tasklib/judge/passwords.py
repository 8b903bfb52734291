"""Passwords of roles: the server keeps each with a salt of its own, so that the same one looks different in each run.

Two are known to be the same where the migrations hold the text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence

from tasklib.project.sources import strings

LIMIT = 200  # each costs milliseconds for each role
LONGEST = 200  # characters: what is longer is a statement or a text
SCRAM = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+")


def written(sources: Iterable[str]) -> tuple[str, ...]:
    """What may be a password in migrations that speak of one: their strings and what these hold in quotes.

    The likely ones come first, always in the same order; no more than `LIMIT`.
    """
    likely: dict[str, None] = {}
    others: dict[str, None] = {}
    for source in sources:
        if not re.search("password", source, re.IGNORECASE):
            continue
        for _, _, text in strings({"": source}):
            for before, quoted in re.findall(r"(?i)(password\s+)?E?'((?:[^']|'')*)'", text):
                (likely if before else others)[quoted.replace("''", "'")] = None
            others[text] = None
    fitting = (text for text in {**likely, **others} if 0 < len(text) <= LONGEST and "\n" not in text)
    return tuple(text for text, _ in zip(fitting, range(LIMIT), strict=False))


def number_of(verifier: str, texts: Sequence[str]) -> int:
    """Which of the texts a verifier was made from, counted from 1; 0 where it is none of them, or no SCRAM verifier.

    As RFC 5802 and 7677 have it. It is the number that is shown, never the text.
    """
    found = SCRAM.fullmatch(verifier)
    if found is None:
        return 0
    rounds, salt, stored = int(found[1]), base64.b64decode(found[2]), base64.b64decode(found[3])
    for number, text in enumerate(texts, 1):
        prepared = unicodedata.normalize("NFKC", text).encode()
        salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, rounds)
        if hmac.compare_digest(hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(), stored):
            return number
    return 0
