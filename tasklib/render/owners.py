"""Whose the objects are. The user who migrates has another name elsewhere, and what was given away keeps its owner."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tasklib.judge.catalog import OWNED
from tasklib.judge.tables import Model
from tasklib.postgres import client, sqltext
from tasklib.postgres.archive import Entry


@dataclass(frozen=True)
class Users:
    """``migrator`` ran the migrations; ``session`` connected, and is another one where env.py sets a role."""

    migrator: str
    session: str

    def words(self) -> Mapping[str, str]:
        """Names that belong to this server alone → what to say instead."""
        return {self.session: "SESSION_USER", self.migrator: "CURRENT_USER"}


def for_anybody(
    entries: Sequence[Entry],
    model: Model,
    users: Users,
    staying: Collection[tuple[str, str]],
    schemas: Collection[str] = (),
) -> tuple[Entry, ...]:
    """The dump's entries as another server's user can run them, and entries more for owners and access methods.

    ``staying`` are the tables that downgrade() leaves, ``schemas`` the schemas: it gives them back.
    """
    written = [_with_access_method(_with_words(entry, users)) for entry in entries]
    # A shell type becomes a type, which is given away then.
    owned = [entry for entry in entries if entry.kind in OWNED and entry.kind != "SHELL TYPE"]
    given = [entry for entry in owned if _is_given_away(entry, model, users)]
    number = max((entry.dump_id for entry in entries), default=0)
    owners = (
        _owner(
            entry,
            number + n,
            users,
            (entry.kind == "TABLE" and (entry.schema, entry.tag) in staying)
            or (entry.kind == "SCHEMA" and entry.tag in schemas),
        )
        for n, entry in enumerate(given, 1)
    )
    return (*written, *owners)


def _with_words(entry: Entry, users: Users) -> Entry:
    """Privileges, policies and user mappings with the names of this server's users taken out."""
    if entry.kind not in ("ACL", "DEFAULT ACL", "POLICY", "USER MAPPING"):
        return entry
    ddl = _renamed(entry.ddl, users.words())
    return replace(entry, ddl=ddl.replace(" FOR ROLE CURRENT_USER", ""), drop=_renamed(entry.drop, users.words()))


def _renamed(text: str, words: Mapping[str, str]) -> str:
    """SQL in which a role that stands after TO, FROM, FOR or ROLE is named by a word."""
    found = []
    last = ""
    for token in sqltext.tokens(text):
        name = sqltext.unquoted(token) if last in ("TO", "FROM", "FOR", "ROLE", "AUTHORIZATION") else None
        found.append(words.get(name, token) if name else token)
        last = token.upper() if token.strip() else last
    return "".join(found)


def _with_access_method(entry: Entry) -> Entry:
    if not entry.access_method:
        return entry
    name = client.identifier(entry.access_method)
    around = f"SET default_table_access_method = {name};\n{entry.ddl}\nRESET default_table_access_method;\n"
    return replace(entry, ddl=around)


def _is_given_away(entry: Entry, model: Model, users: Users) -> bool:
    if entry.owner in ("", users.migrator):
        return False
    sequence = model.sequences.get((entry.schema, entry.tag)) if entry.kind == "SEQUENCE" else None
    return sequence is None or sequence.owner is None  # that one goes with its table


def _owner(entry: Entry, number: int, users: Users, stays: bool) -> Entry:
    owner = users.words().get(entry.owner, client.identifier(entry.owner))
    alter = f"ALTER {entry.drop.strip().removeprefix('DROP ').rstrip(';').removesuffix(' CASCADE')} OWNER TO"
    back = f"{alter} CURRENT_USER;" if stays else ""
    tag = f"{entry.kind} {entry.tag}"
    return Entry(number, "OWNER", entry.schema, tag, f"{alter} {owner};", back, entry.owner, (entry.dump_id,))
