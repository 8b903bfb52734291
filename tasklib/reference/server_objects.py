"""Histories that reach beyond their database, to the server: by its roles they get clusters of their own, the rest is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tasklib import console
from tasklib.errors import Differs, Failed, Refused, SquashError
from tasklib.judge import objects, roles
from tasklib.judge.roles import Cluster, Made
from tasklib.postgres import client
from tasklib.project import server_sql
from tasklib.reference.failure_advice import ExtensionMissing
from tasklib.reference.targets import Learnt
from tasklib.workbench import groundwork
from tasklib.workbench.bench import Bench
from tasklib.workbench.decisions import Decision
from tasklib.workbench.prepare import texts

T = TypeVar("T")
# What every server has, mostly as its superuser, and a throwaway server has not.
USUAL = "postgres"
# For the role that env.py sets: what the migrations may do is then the same as without it.
FOR_ENV = "SUPERUSER"


# Roles are made in the transaction of one database, and another one does not see them before it ends.
SEVERAL = (
    "Migrations make or change roles, which belong to the server, and env.py runs them for several databases: a base "
    "migration could not make them for all of these.\n  {}"
)
NO_ROLES = "make the roles outside of the migrations, and take this out of them, in a commit of its own"


class RolesMissing(Failed):
    """Roles that something names and the scratch server does not have."""

    def __init__(self, names: Sequence[str], text: str, hint: str) -> None:
        self.names = tuple(names)
        super().__init__(text, hint)


class RolesMade(Failed):
    """The history made or changed roles on the one server that all of its runs share."""


@dataclass(frozen=True)
class Server:
    """What a server has beside scratch databases."""

    cluster: Cluster
    others: frozenset[str]


def refuse_on_a_users_server(bench: Bench) -> None:
    """`Refused` where migrations would make roles on the user's own server, or change those that it has."""
    if bench.place().server is not None:
        return
    sources = texts(bench.repository, bench.plan.tip, bench.cut(), bench.plan.settings)
    user = bench.address().user
    if named := server_sql.naming(sources, user):
        raise Refused(
            f"{named[0].path}, line {named[0].line}, names the role {user}, and so does --server: whether a privilege "
            "is that role's or the one's who migrates could not be told apart.",
            "leave --server out, or name a user there that no migration names",
        )
    found = server_sql.of_roles(sources)
    with client.connect(bench.address()) as connection:
        known = {str(name) for (name,) in connection.rows("SELECT rolname FROM pg_roles")}
    # What makes a role that is there either asks for it first, or fails at once.
    found = [
        r for r in found if not (r.name.upper().startswith("CREATE") and r.name.split(" ")[-1].strip('"') in known)
    ]
    if found:
        listed = "\n  ".join(read.listed for read in found[:10])
        raise Refused(
            "The migrations make or change roles, which belong to the server and not to a database; on the server that "
            f"--server names they would stay so:\n  {listed}",
            "leave --server out: each run of the migrations gets a throwaway server of its own",
        )


def refuse_roles_for_several(bench: Bench) -> None:
    """`Refused` where env.py runs migrations for several databases, and some of them make roles."""
    if len(bench.binds) == 1:
        return
    found = server_sql.of_roles(texts(bench.repository, bench.plan.tip, bench.cut(), bench.plan.settings))
    if found:
        raise Refused(SEVERAL.format("\n  ".join(read.listed for read in found[:10])), NO_ROLES)


def again(bench: Bench, work: Callable[[], T], attributes: str = "") -> T:
    """Do the work; and once more where it failed for what the scratch server can be given.

    That is a role that the history names and does not make (with these attributes), a cluster for each run, or a
    database for a target that was not known.
    """
    while True:
        try:
            return work()
        except Learnt as learnt:
            console.note(f"  … {learnt.text} The run begins anew")
            bench.drop(*bench.place().names)
        except SquashError as error:
            if not _provide(bench, error, attributes):
                raise


def _provide(bench: Bench, error: SquashError, attributes: str) -> bool:
    """Whether the throwaway server now has what ``error`` says it lacks; `Refused` for a role on the user's server."""
    if isinstance(error, ExtensionMissing):
        return _lay(bench, error.extension)
    found = roles.MISSING.search(error.text)
    names = error.names if isinstance(error, RolesMissing) else (found.group(1),) if found else ()
    if bench.plan.place is None:
        return False
    if bench.place().server is None:
        if found:
            raise Refused(
                f"{error.text}\nThe history names the role {found.group(1)} and does not make it.",
                f'CREATE ROLE "{found.group(1)}" on that server, or leave --server out: a throwaway server is given it',
            )
        return False
    new = [name for name in names if name not in bench.plan.needed_roles]
    if new:
        console.note(f"  … the history names {_listed(new)} and does not make it: the scratch server is given it")
        given = {name: FOR_ENV if name == USUAL else attributes for name in new}
        bench.save(replace(bench.plan, needed_roles={**bench.plan.needed_roles, **given}))
        if bench.plan.apart:
            _open_anew(bench)
        else:
            client.create_roles(bench.address(), given)
        return True
    if not bench.plan.apart and (isinstance(error, RolesMade) or roles.AT_ONCE.search(error.text)):
        console.note("  … the history makes roles, which belong to the server: each run gets a server of its own")
        bench.save(replace(bench.plan, apart=True))
        _open_anew(bench)
        return True
    return False


def _lay(bench: Bench, extension: str) -> bool:
    """Whether every scratch database will have an extension, which somebody makes by hand, and had not before."""
    statement = groundwork.making("EXTENSION", extension)
    if statement in bench.plan.groundwork:
        return False
    why = f"the migrations need the extension {extension}, which none of them makes"
    console.note(f"  … {why}: every scratch database is given it")
    bench.drop(*bench.place().names)
    bench.save(replace(bench.plan, groundwork={**bench.plan.groundwork, statement: f"extension {extension}"}))
    return True


def _open_anew(bench: Bench) -> None:
    """Take the server away, so that the next one that asks gets another."""
    trouble = bench.close_place()
    if trouble:
        raise Failed("; ".join(trouble))


def _listed(names: Sequence[str]) -> str:
    return f"the role{'s' if len(names) > 1 else ''} {', '.join(names)}"


def look(bench: Bench, role: str | None = None) -> Server:
    """What the server has now: the one of a scratch database where each has its own."""
    address = bench.maintenance(role) if role and bench.own_clusters() else bench.address()
    with client.connect(address) as connection:
        ours = bench.place().server is not None
        return Server(roles.read(connection), frozenset(roles.elsewhere(connection, ours=ours)))


def check(bench: Bench, before: Server, *runs: str) -> list[str]:
    """What runs of the history left on the server; roles whose passwords differ between two runs come back.

    `Refused` for what no history may make, or what is different in each run; `RolesMade` where the runs share a server.
    """
    after = [look(bench, run) for run in (runs if bench.own_clusters() else runs[:1])]
    if bench.place().server is not None and (new := sorted(after[0].others - before.others)):
        raise Refused(
            f"The history makes {', '.join(new)}, which belongs to the server and not to the database. No base "
            "migration can be proven with it.",
            "take it out of the migration: it is made once on a server, by whoever runs that",
        )
    if not bench.own_clusters():
        _refuse_changed_roles(bench, before.cluster, after[0].cluster)
        return []
    first, second = (one.cluster for one in after)
    volatile = {n for n in first.roles if n in second.roles and first.roles[n].password != second.roles[n].password}
    if first.facts(volatile) != second.facts(volatile):
        raise Refused("Two runs of the old chain made different roles: the history depends on chance.")
    return sorted(volatile)


def _refuse_changed_roles(bench: Bench, before: Cluster, after: Cluster) -> None:
    then, now = before.facts(), after.facts()
    changed = sorted({key[2] for key in then.keys() | now.keys() if then.get(key) != now.get(key)})
    if not changed:
        return
    text = f"The history makes or changes roles: {', '.join(changed)}."
    if len(bench.binds) > 1:
        raise Refused(SEVERAL.format(", ".join(changed)), NO_ROLES)
    if bench.place().server is not None:
        raise RolesMade(text)
    new = [name for name in after.roles if name not in before.roles]
    raise Refused(
        f"{text} Roles belong to the server and not to a database: a base migration would lose them, and on this "
        "server nobody would notice, since they are there now.",
        "leave --server out: a throwaway server is made for each run; or make them on your server first"
        + "".join(f"; DROP ROLE {client.identifier(name)} takes it from there again" for name in new),
    )


def refuse_new_roles(bench: Bench, before: Server) -> None:
    """`Differs` where the new chain makes or changes roles, and the old one does not."""
    found = objects.compare(before.cluster.facts(), look(bench).cluster.facts())
    if found:
        raise Differs(
            "The new chain makes or changes roles, which the old one does not. Nothing is merged.\n"
            + objects.report(found, "before", "after")
        )


def refuse_left_roles(bench: Bench, role: str) -> None:
    """`Differs` where `downgrade base` leaves a role that the history makes without asking, or does not make at all."""
    found = made(bench)
    if found is None:
        return
    usual, there = found.before.facts(), look(bench, role).cluster.facts()
    asked = {key: text for key, text in found.after.facts().items() if key[2].split(" ")[0] not in found.unasked}
    left = {key: text for key, text in there.items() if key not in usual and key not in asked}
    if left:
        raise Differs(
            "`downgrade base` leaves something on the server:\n"
            + objects.report(objects.compare({}, left), "empty server", "after downgrade")
        )


def made(bench: Bench) -> Made | None:
    """What the history to R made of a cluster, or None where it makes no roles."""
    if bench.own_clusters() is None:
        return None
    return Made(look(bench).cluster, look(bench, "reference").cluster,
                frozenset((bench.plan.replayed or {}).get("unasked", ())))  # fmt: skip


def keeps_passwords(bench: Bench) -> bool:
    return roles.PASSWORDS in bench.plan.settings.keep_value


def passwords_left_out(bench: Bench) -> set[tuple[str, str]]:
    """The table of the passwords, where the history gives some and `--data` does not mean it."""
    found = made(bench)
    none = found is None or not found.with_passwords()
    return set() if none or keeps_passwords(bench) or bench.plan.settings.data == "all" else {roles.TABLE}


def passwords(bench: Bench) -> list[Decision]:
    """Roles' passwords of this replay that the base migration would give to everybody."""
    found = made(bench)
    names = found.with_passwords() if found else []
    if not names or bench.plan.settings.data != "all":
        return []
    why = f"The history gives {_listed(names)} a password: it would be the same on every new server."
    return [Decision(roles.PASSWORDS, why)]


def learn_unasked(bench: Bench, run: Callable[[str], None]) -> list[str]:
    """Roles that the history makes without asking whether they are there: it is run where they are, to see it fail.

    ``run`` brings the database of a role to R.
    """
    new = look(bench, "reference").cluster.roles.keys() - look(bench).cluster.roles.keys()
    if not new:
        return []
    with console.doing("once more, in an empty database beside the reference: does it ask for its roles?"):
        bench.create("second", template="reference")
        bench.empty("second")
        try:
            run("second")
        except SquashError as error:
            found = roles.THERE.search(error.text)
            return [found.group(1)] if found and found.group(1) in new else []
        finally:
            bench.drop("second")
    return []
