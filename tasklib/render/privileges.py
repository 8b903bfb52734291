"""Privileges on what stays when all else is dropped: how to take them away again."""

from __future__ import annotations

from collections.abc import Iterable

from tasklib.postgres import sqltext, version_table
from tasklib.postgres.archive import Entry
from tasklib.render.source import Source

AS_ANOTHER = "SET SESSION AUTHORIZATION "
AS_BEFORE = "RESET SESSION AUTHORIZATION"


def are_on_what_stays(source: Source, entry: Entry) -> bool:
    """Whether privileges are on what is there before upgrade() and after downgrade(): anything that is not made here,
    such as what PostgreSQL or an extension brings.
    """
    words = entry.tag.split(" ")
    names = {" ".join(words[at:]) for at in range(1, len(words))}
    if entry.tag.startswith("COLUMN "):
        names |= {name.split(".")[0] for name in names}
    return not any((entry.schema, name) in source.made for name in names) or _are_on_a_version_table(source, entry)


def _are_on_a_version_table(source: Source, entry: Entry) -> bool:
    names = {name for schema, name in version_table.written_out(source.version_tables) if schema == entry.schema}
    return any(entry.tag == f"TABLE {name}" or entry.tag.startswith(f"COLUMN {name}.") for name in names)


def taken_back(statements: Iterable[str]) -> list[str]:
    """The statements that undo these, the last one first; each as the one who had granted it, if that was another."""
    found: list[list[str]] = []
    who = ""
    for text in statements:
        if text.startswith(AS_ANOTHER):
            who = text
        elif text == AS_BEFORE:
            who = ""
        else:
            found.append([who, _revoked(text), AS_BEFORE] if who else [_revoked(text)])
    return [text for block in reversed(found) for text in block]


def _revoked(grant: str) -> str:
    """The statement that takes a privilege or a default one back, or gives back what one took."""
    # The words of SQL are in capitals, and none of them is a name without quotes.
    tokens = list(sqltext.tokens(grant.removesuffix(" WITH GRANT OPTION")))
    words = {"REVOKE": "GRANT", "FROM": "TO"} if "REVOKE" in tokens else {"GRANT": "REVOKE", "TO": "FROM"}
    return "".join(words.get(token, token) for token in tokens)
