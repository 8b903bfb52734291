"""The roles that a history makes, and what it does to others: first in the file, since all else may name them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasklib.judge.database_properties import who_is
from tasklib.judge.roles import Made, Role
from tasklib.postgres import client
from tasklib.render.execute import execute_all
from tasklib.render.items import Item
from tasklib.render.source import Source

GROUP = "roles"
REASON = "DDL: Alembic has no operation for roles"
ASKED = (
    "DDL: a role belongs to the server: one that is there already is left as it is, and so is this one by downgrade()"
)


def items(source: Source) -> Iterator[Item]:
    """Nothing where the history makes no roles."""
    made = source.roles
    if made is None:
        return
    for name, role in sorted(made.after.roles.items()):
        then = made.before.roles.get(name)
        if then is None:
            yield _create(made, name, role, source.keeps_passwords)
        elif then != role:
            yield _alter(source, name, then, role)
    then_set, now_set = made.before.settings, made.after.settings
    for key in sorted(then_set.keys() | now_set.keys()):
        if then_set.get(key) != now_set.get(key):
            yield _setting(source, *key, now_set.get(key))
    then_members, now_members = made.before.members, made.after.members
    for key in sorted(then_members.keys() | now_members.keys()):
        if then_members.get(key) != now_members.get(key):
            yield _member(source, *key, now_members.get(key))
    for privilege in sorted(made.after.parameters.keys() - made.before.parameters.keys()):
        yield _parameter(made, *privilege)


def _create(made: Made, name: str, role: Role, keeps_passwords: bool) -> Item:
    words = role.words()
    if role.password is not None and keeps_passwords:
        words.append(f"PASSWORD {client.literal(role.password)}")
    quoted = client.identifier(name)
    create = f"CREATE ROLE {quoted}{' WITH ' if words else ''}{' '.join(words)}"
    comment = [f"COMMENT ON ROLE {quoted} IS {client.literal(role.comment)}"] if role.comment is not None else []
    if name in made.unasked:
        return _item("ROLE", name, [create, *comment], REASON, [f"DROP ROLE {quoted}"], provides=name)
    asked = (
        "DO $do$\nBEGIN\n"
        f"    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {client.literal(name)}) THEN\n"
        f"        {create};\n    END IF;\nEND\n$do$"
    )
    return _item("ROLE", name, [asked, *comment], ASKED, provides=name)


def _alter(source: Source, name: str, then: Role, now: Role) -> Item:
    """A role that the history did not make stays changed after downgrade(): it is not its own."""
    who = who_is(client.identifier(name), source.migrator)
    words = now.words(then)
    if now.password != then.password and now.password is not None and source.keeps_passwords:
        words.append(f"PASSWORD {client.literal(now.password)}")
    texts = [f"ALTER ROLE {who} WITH {' '.join(words)}"] if words else []
    if now.comment != then.comment:
        comment = "NULL" if now.comment is None else client.literal(now.comment)
        texts.append(f"COMMENT ON ROLE {client.identifier(name)} IS {comment}")
    return _item("ROLE", name, texts, REASON, provides=name)


def _setting(source: Source, name: str, setting: str, value: str | None) -> Item:
    who = who_is(client.identifier(name), source.migrator)
    quoted = ".".join(client.identifier(part) for part in setting.split("."))
    change = f"RESET {quoted}" if value is None else f"SET {quoted} = {client.setting_value(setting, value)}"
    return _item("ROLE SETTING", f"{name} {setting}", [f"ALTER ROLE {who} {change}"], REASON, needs=(name,))


def _member(source: Source, group: str, member: str, options: str | None) -> Item:
    role, who = client.identifier(group), who_is(client.identifier(member), source.migrator)
    if options is None:
        text = f"REVOKE {role} FROM {who}"
    else:
        text = f"GRANT {role} TO {who}{f' WITH {options}' if options else ''}"
    return _item("ROLE MEMBERSHIP", f"{group} to {member}", [text], REASON, needs=(group, member))


def _parameter(made: Made, parameter: str, grantee: str, privilege: str, by: str) -> Item:
    option = " WITH GRANT OPTION" if made.after.parameters[(parameter, grantee, privilege, by)] else ""
    on = f"{privilege.replace('_', ' ')} ON PARAMETER {client.identifier(parameter)}"
    up, down = [f"GRANT {on} TO {grantee}{option}"], [f"REVOKE {on} FROM {grantee} CASCADE"]
    needs: list[object] = [grantee.strip('"')]
    if by:
        up, down = ([f"SET SESSION AUTHORIZATION {by}", *texts, "RESET SESSION AUTHORIZATION"] for texts in (up, down))
        needs.append((parameter, by, privilege))
    name = f"{parameter} {grantee} {privilege} {by}".rstrip()
    return _item("PARAMETER PRIVILEGE", name, up, REASON, down if grantee.strip('"') in made.unasked else [],
                 (parameter, grantee, privilege) if option else None, needs)  # fmt: skip


def _item(
    kind: str, name: str, up: list[str], reason: str, down: list[str] | None = None, provides: object = None,
    needs: Sequence[object] = (),
) -> Item:  # fmt: skip
    given = frozenset[object]({("role", provides)} if provides else set())
    return Item((kind, "", name), GROUP, given, frozenset(("role", one) for one in needs),
                tuple(execute_all(up, reason)), tuple(execute_all(down or [], "")))  # fmt: skip
