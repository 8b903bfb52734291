"""Extensions: plainly or only where they are missing, as the history makes them; in their version, where it is another
than the server's default or the history names it.
"""

from __future__ import annotations

from tasklib.postgres import client
from tasklib.postgres.archive import Entry
from tasklib.render.execute import execute_all
from tasklib.render.items import PUBLIC, Item
from tasklib.render.source import Source

REASON = "DDL: Alembic has no operation for extensions"


def item(source: Source, entry: Entry) -> Item:
    known = source.model.extensions[entry.tag]
    asks = entry.tag in asked(source)
    words = ["CREATE EXTENSION", *(["IF NOT EXISTS"] if asks else []), source.model.quoted(entry.tag)]
    words += [f"WITH SCHEMA {source.model.quoted(known.schema)}"] if known.schema != PUBLIC else []
    versioned = known.version != known.default or entry.tag in source.extensions.pinned
    words += [f"VERSION {client.literal(known.version)}"] if versioned else []
    # One that was asked for may be somebody else's, as far as it is in no schema of ours.
    stays = asks and ("SCHEMA", "", known.schema) not in source.by_key
    down = [] if stays else execute_all([f"DROP EXTENSION {source.model.quoted(entry.tag)}"], "")
    return Item(entry.key, "extensions", frozenset({entry.dump_id}), frozenset(entry.depends_on),
                tuple(execute_all([" ".join(words)], REASON)), tuple(down))  # fmt: skip


def asked(source: Source) -> set[str]:
    """Extensions that the base makes where they are missing: those that the history does not make plainly, and what
    they need.
    """
    entries = {entry.dump_id: entry for entry in source.entries if entry.kind == "EXTENSION"}
    left = [entry for entry in entries.values() if entry.tag not in source.extensions.plain]
    found: set[str] = set()
    while left:
        entry = left.pop()
        found.add(entry.tag)
        left += [entries[one] for one in entry.depends_on if one in entries and entries[one].tag not in found]
    return found


def is_own_comment(source: Source, entry: Entry) -> bool:
    """Whether a comment is the one with which its extension comes."""
    about = entry.tag.removeprefix("EXTENSION ")
    return entry.kind == "COMMENT" and any(
        about in (name, client.identifier(name)) and known.own_comment
        for name, known in source.model.extensions.items()
    )
