"""What belongs to the server and not to a database: roles, their memberships and settings, privileges on parameters.

And what a history must not make there at all, since it would be made again and again, or where others see it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from tasklib.judge import passwords as known
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.postgres.client import Connection

PASSWORDS = "pg_authid.rolpassword"  # as --keep-value names them
TABLE = ("pg_catalog", "pg_authid")  # where they are
# Column of pg_roles → the word for true, the word for false, what CREATE ROLE gives.
ATTRIBUTES = {
    "rolsuper": ("SUPERUSER", "NOSUPERUSER", False),
    "rolinherit": ("INHERIT", "NOINHERIT", True),
    "rolcreaterole": ("CREATEROLE", "NOCREATEROLE", False),
    "rolcreatedb": ("CREATEDB", "NOCREATEDB", False),
    "rolcanlogin": ("LOGIN", "NOLOGIN", False),
    "rolreplication": ("REPLICATION", "NOREPLICATION", False),
    "rolbypassrls": ("BYPASSRLS", "NOBYPASSRLS", False),
}
ROLES = (
    f"SELECT rolname, {', '.join(ATTRIBUTES)}, rolconnlimit, rolvaliduntil::text,"
    " shobj_description(oid, 'pg_authid') FROM pg_roles ORDER BY rolname"
)
SETTINGS = (
    "SELECT r.rolname, unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
    " WHERE s.setdatabase = 0"
)
# From PostgreSQL 16 on a membership has options of its own; their usual values come from the member.
MEMBERS = (
    "SELECT g.rolname, m.rolname, a.admin_option, {options} FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid"
    " JOIN pg_roles m ON m.oid = a.member ORDER BY 1, 2"
)
PARAMETERS = (
    # They belong to the role that made the server.
    "SELECT p.parname, coalesce(nullif(acl.grantee::regrole::text, '-'), 'PUBLIC'), acl.privilege_type,"
    " coalesce(nullif(acl.grantor, 10)::regrole::text, ''), acl.is_grantable"
    " FROM pg_parameter_acl p, aclexplode(p.paracl) acl WHERE acl.grantee <> acl.grantor"
)
# (what it is, names) of what no history may make. Scratch databases of ours come and go.
ELSEWHERE = (
    ("the tablespace", "SELECT spcname FROM pg_tablespace"),
    ("the database", "SELECT datname FROM pg_database WHERE datname NOT LIKE 'alembic\\_squash\\_%'"),
    ("the subscription", "SELECT subname FROM pg_subscription"),
    ("the replication slot", "SELECT slot_name FROM pg_replication_slots"),
)
# Of the throwaway server's superuser alone.
SERVER_SETTINGS = "SELECT name || ' = ' || setting FROM pg_file_settings WHERE sourcefile LIKE '%/postgresql.auto.conf'"


@dataclass(frozen=True)
class Role:
    """``attributes`` in the order of `ATTRIBUTES`; ``valid_until`` as text; ``password`` is the stored verifier."""

    attributes: tuple[bool, ...]
    limit: int
    valid_until: str | None
    comment: str | None
    password: str | None = field(repr=False, default=None)

    def words(self, usual: Role | None = None) -> list[str]:
        """Attributes that are not ``usual`` (as CREATE ROLE makes them), in SQL's words."""
        plain = usual or PLAIN
        found = [
            words[0] if now else words[1]
            for words, now, then in zip(ATTRIBUTES.values(), self.attributes, plain.attributes, strict=True)
            if now != then
        ]
        if self.limit != plain.limit:
            found.append(f"CONNECTION LIMIT {self.limit}")
        if self.valid_until != plain.valid_until:
            found.append(f"VALID UNTIL {client.literal(self.valid_until or 'infinity')}")
        return found


PLAIN = Role(tuple(usual for _, _, usual in ATTRIBUTES.values()), -1, None, None)


@dataclass(frozen=True)
class Cluster:
    """Roles by name; settings by (role, setting); memberships by (group, member) → options; privileges on parameters
    by (parameter, grantee, privilege, who handed it on, if anybody) → with grant option.
    """

    roles: Mapping[str, Role]
    settings: Mapping[tuple[str, str], str]
    members: Mapping[tuple[str, str], str]
    parameters: Mapping[tuple[str, str, str, str], bool]

    def facts(
        self, masked: Set[str] = frozenset(), *, passwords: bool = True, texts: Sequence[str] = ()
    ) -> dict[Key, str]:
        """All of it as objects to compare. Of a password there is a digest; of those ``masked``, which each run salts
        anew, the method and which of the ``texts`` it was made from, if any.
        """
        found: dict[Key, str] = {}
        for name, role in self.roles.items():
            text = " ".join(role.words()) or "plain"
            comment = f"\ncomment {role.comment}" if role.comment is not None else ""
            password = _password(role.password, name in masked, texts) if passwords else ""
            found[("ROLE", "", name)] = f"{text}{password}{comment}"
        found |= {("ROLE SETTING", "", " ".join(key)): value for key, value in self.settings.items()}
        found |= {("ROLE MEMBERSHIP", "", " to ".join(key)): options for key, options in self.members.items()}
        found |= {
            ("PARAMETER PRIVILEGE", "", " ".join(key).rstrip()): str(value) for key, value in self.parameters.items()
        }
        return found


@dataclass(frozen=True)
class Made:
    """What a history made of a cluster. ``unasked``: roles that it makes without asking whether they are there."""

    before: Cluster
    after: Cluster
    unasked: frozenset[str]

    def with_passwords(self) -> list[str]:
        """Roles that the history gives a password, or another one."""
        then = {name: role.password for name, role in self.before.roles.items()}
        roles = self.after.roles.items()
        return sorted(n for n, role in roles if role.password is not None and role.password != then.get(n))


def read(connection: Connection) -> Cluster:
    """Roles and what belongs to them. Passwords only where we may read them."""
    verifiers: dict[str, str] = {}
    if connection.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        query = "SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname <> session_user"
        verifiers = {str(name): str(text) for name, text in connection.rows(query)}
    roles = {}
    count = len(ATTRIBUTES)
    for name, *rest in connection.rows(ROLES):
        limit, until, comment = rest[count:]
        roles[str(name)] = Role(tuple(map(bool, rest[:count])), int(limit), until, comment, verifiers.get(str(name)))
    settings = {}
    for name, entry in connection.rows(SETTINGS):
        setting, _, value = str(entry).partition("=")
        settings[(str(name), setting)] = value
    options = "m.rolinherit <> a.inherit_option, a.inherit_option, a.set_option" if connection.major() >= 16 else (
        "false, true, true")  # fmt: skip
    members: dict[tuple[str, str], list[str]] = {}
    for group, member, admin, odd, inherit, may_set in connection.rows(MEMBERS.format(options=options)):
        words = ["ADMIN OPTION"] if admin and not odd and may_set else []
        if odd or not may_set:
            words = [f"ADMIN {_word(admin)}, INHERIT {_word(inherit)}, SET {_word(may_set)}"]
        members.setdefault((str(group), str(member)), []).extend(words)
    parameters = {}
    if connection.major() >= 15:
        for name, grantee, privilege, by, grantable in connection.rows(PARAMETERS):
            parameters[(str(name), str(grantee), str(privilege), str(by))] = bool(grantable)
    return Cluster(roles, settings, {key: ", ".join(sorted(set(words))) for key, words in members.items()}, parameters)


def elsewhere(connection: Connection, *, ours: bool) -> set[str]:
    """What is on the server beside roles and scratch databases, by kind and name; its settings where it is ``ours``."""
    found = {f"{what} {name}" for what, query in ELSEWHERE for (name,) in connection.rows(query)}
    if ours:
        found |= {f"the server's setting {name}" for (name,) in connection.rows(SERVER_SETTINGS)}
    return found


def _password(verifier: str | None, masked: bool, texts: Sequence[str]) -> str:
    if verifier is None:
        return ""
    method = "SCRAM-SHA-256" if verifier.startswith("SCRAM") else "md5"
    if not masked:
        return f" PASSWORD {method} {hashlib.sha256(verifier.encode()).hexdigest()[:12]}"
    number = known.number_of(verifier, texts)
    return f" PASSWORD {method}{f' of the text {number} in the migrations' if number else ''}"


def _word(value: bool) -> str:
    return "TRUE" if value else "FALSE"


# What PostgreSQL says where a role is missing, or is there already, or two sessions changed it at once.
MISSING = re.compile(r'role "([^"]+)" does not exist')
THERE = re.compile(r'role "([^"]+)" already exists')
AT_ONCE = re.compile(rf"{THERE.pattern}|pg_authid_rolname_index|tuple concurrently updated")
