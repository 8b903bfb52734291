"""How migrations make extensions, by the SQL in their strings: plainly, or only where they are not there yet.

No catalog knows that. Where somebody else makes extensions (a DBA, template1) the plain form fails, and what was asked
for may be there before and stay after.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasklib import sqltext
from tasklib.sources import strings

CREATE = re.compile(
    r'\bCREATE\s+EXTENSION\s+(?P<asks>IF\s+NOT\s+EXISTS\s+)?(?P<name>"(?:[^"]|"")+"|\w+)', re.IGNORECASE
)


def _made(sources: Mapping[str, str], *, asking: bool) -> frozenset[str]:
    found = (match for _, _, text in strings(sources) for match in CREATE.finditer(text))
    names = (one.group("name") for one in found if bool(one.group("asks")) == asking)
    return frozenset(sqltext.unquoted(name if name.startswith('"') else name.lower()) or name for name in names)


def plain(sources: Mapping[str, str]) -> frozenset[str]:
    """Extensions that migrations make without asking; all others are asked for, also where no string names them."""
    return _made(sources, asking=False) - asked(sources)


def asked(sources: Mapping[str, str]) -> frozenset[str]:
    """Extensions that migrations make only where they are missing; a downgrade leaves them."""
    return _made(sources, asking=True)
