"""What belongs to the database itself, whatever its name is: settings, privileges, comment, limits, owner.

A dump of one database shows none of it, and CREATE DATABASE … TEMPLATE copies none of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tasklib.judge import not_dumped
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.postgres.client import Address

# What CREATE DATABASE gives.
USUAL = frozenset({"PUBLIC CONNECT", "PUBLIC TEMPORARY", "OWNER CONNECT", "OWNER TEMPORARY", "OWNER CREATE"})
ORDER = ("DATABASE SETTING", "DATABASE COMMENT", "DATABASE PRIVILEGE", "DATABASE PROPERTY")
HANDS_ON = " WITH GRANT OPTION"
REASONS = {
    "DATABASE SETTING": "DDL: Alembic has no operation for a database's settings",
    "DATABASE COMMENT": "DDL: Alembic has no operation for a database's comment",
    "DATABASE PRIVILEGE": "DDL: Alembic has no operation for privileges",
    "DATABASE PROPERTY": "DDL: Alembic has no operation for a database's properties",
}


@dataclass(frozen=True)
class Change:
    """One thing that is not as CREATE DATABASE makes it: the statements that make it so, and take it back."""

    key: Key
    up: str
    down: str

    @property
    def reason(self) -> str:
        return REASONS[self.key[0]]


def changes(facts: Mapping[Key, str], me: str) -> list[Change]:
    """All that differs from a new database, for any database; ``me`` is the user who migrates, whatever its name is."""
    found: list[Change] = []
    handed_on: list[Change] = []
    privileges = {key[2]: value for key, value in facts.items() if key[0] == "DATABASE PRIVILEGE"}
    for name in sorted(USUAL - privileges.keys()):
        found.append(_privilege(name, "REVOKE", "", me))
    for key, value in sorted(
        facts.items(), key=lambda item: (ORDER.index(item[0][0]) if item[0][0] in ORDER else 9, item)
    ):
        kind, _, name = key
        if kind == "DATABASE SETTING":
            role, _, setting = name.rpartition(" ")
            who = f"ALTER ROLE {who_is(client.identifier(role), me)} IN DATABASE" if role else "ALTER DATABASE"
            quoted = ".".join(client.identifier(part) for part in setting.split("."))
            stored = client.setting_value(setting, value.partition("=")[2])
            found.append(
                Change(key, _for_any(f"{who} \0 SET {quoted} = {stored}"), _for_any(f"{who} \0 RESET {quoted}"))
            )
        elif kind == "DATABASE COMMENT":
            about = "COMMENT ON DATABASE \0 IS"
            found.append(Change(key, _for_any(f"{about} {client.literal(value)}"), _for_any(f"{about} NULL")))
        elif kind == "DATABASE PRIVILEGE" and (name not in USUAL or value == "true"):
            change = _privilege(name, "GRANT", HANDS_ON if value == "true" else "", me)
            (handed_on if granted(name)[2] else found).append(change)
        elif kind == "DATABASE PROPERTY":
            found.append(_property(key, value, me))
    while handed_on:  # each after what its grantor was given
        to_come = {granted(one.key[2])[:2] for one in handed_on if HANDS_ON in one.up}
        ready = [one for one in handed_on if granted(one.key[2])[2:0:-1] not in to_come] or handed_on
        found += ready
        handed_on = [one for one in handed_on if one not in ready]
    return found


def granted(name: str) -> tuple[str, str, str]:
    """Of a privilege on the database: to whom, which, and by whom where that is not the owner."""
    found = re.fullmatch(r"(.+) (CONNECT|CREATE|TEMPORARY)(?: by (.+))?", name, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3] or ""


def _privilege(name: str, verb: str, option: str, me: str) -> Change:
    who, privilege, by = granted(name)
    grantee = "CURRENT_USER" if who == "OWNER" else who_is(who, me)
    grant = _for_any(f"GRANT {privilege} ON DATABASE \0 TO {grantee}{option}", by)
    revoke = _for_any(f"REVOKE {privilege} ON DATABASE \0 FROM {grantee}", by)
    key = ("DATABASE PRIVILEGE", "", name)
    return Change(key, grant, revoke) if verb == "GRANT" else Change(key, revoke, grant)


def _property(key: Key, value: str, me: str) -> Change:
    if key[2] == "owner":
        words, usual = f"OWNER TO {client.identifier(value)}", "OWNER TO CURRENT_USER"
    elif key[2] == "is template":
        words, usual = "IS_TEMPLATE true", "IS_TEMPLATE false"
    else:
        words, usual = f"CONNECTION LIMIT {int(value)}", "CONNECTION LIMIT -1"
    return Change(key, _for_any(f"ALTER DATABASE \0 {words}"), _for_any(f"ALTER DATABASE \0 {usual}"))


def who_is(quoted: str, me: str) -> str:
    """A role's name for SQL text: the user who migrates may have another name elsewhere."""
    return "CURRENT_USER" if quoted in (me, client.identifier(me)) else quoted


def _for_any(text: str, by: str = "") -> str:
    """A statement about the database that one is connected to, named by a NUL in ``text``, as the role ``by``."""
    formatted = client.literal(text.replace("%", "%%").replace("\0", "%I"))
    execute = f"EXECUTE format({formatted}, current_database());"
    if by:
        execute = f"SET SESSION AUTHORIZATION {by}; {execute} RESET SESSION AUTHORIZATION;"
    return f"DO $do$BEGIN {execute} END$do$"


def copy(source: Address, target: Address) -> None:
    """Give ``target`` what CREATE DATABASE … TEMPLATE source did not copy."""
    facts: dict[Key, str] = {}
    with client.connect(source, read_only=True) as connection:
        for kind, query in not_dumped.OF_THE_DATABASE:
            facts.update({(kind, "", str(name)): str(value) for _, name, value in connection.rows(query)})
    with client.connect(target) as connection:
        for change in changes(facts, source.user):
            connection.run(change.up)
