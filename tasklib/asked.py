"""An env.py that makes schemas or extensions whenever it is only asked something: see `groundwork`.

Such a statement is let through on a scratch database alone, once it was shown that the command is there, and must
change nothing where what it makes is there already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from psycopg2 import sql

from tasklib import addresses, catalog, conduct, console, groundwork, postgres, sqltext, version_table
from tasklib.archive import Key
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.conduct import Misconduct
from tasklib.errors import SquashError
from tasklib.migrations import Command, Ran
from tasklib.plant import Plant
from tasklib.postgres import Address
from tasklib.server import Logged

NO_SCHEMA = re.compile(r'schema "([^"]+)" does not exist')
ROUNDS = 5  # runs of an env.py that makes more each time
NO_PLACE = "no schema has been selected to create in"


def need(bench: Bench, statements: Sequence[str], by: str) -> bool:
    """Keep in the plan what must be there; False where that was known."""
    new = [one for one in statements if one not in bench.plan.groundwork]
    if new:
        names = ", ".join(sorted(f"{key[0].lower()} {key[2]}" for key in groundwork.keys(new)))
        why = "env.py makes" if by == groundwork.ENV else "the version table needs"
        console.note(f"  … before any migration {why} the {names}: every scratch database is given it")
        bench.save(replace(bench.plan, groundwork={**bench.plan.groundwork, **dict.fromkeys(new, by)}))
    return bool(new)


def note_schema(bench: Bench, schema: str, by: str) -> bool:
    """`need` for the schema of the version table, which must be there before Alembic makes that."""
    return schema != "public" and need(bench, [groundwork.making("SCHEMA", schema)], by)


def provide(bench: Bench, error: SquashError) -> bool:
    """Whether ``error`` says that the version table's schema is missing, and scratch databases will now have it."""
    found = NO_SCHEMA.search(error.text)
    of_tables = {schema for schema, _ in bench.version_tables()}
    if found is None or found.group(1) not in of_tables or len(bench.binds) > 1:
        return False
    return note_schema(bench, found.group(1), groundwork.TABLE)


def ask(bench: Bench, chain: Chain, command: Command, role: str, plants: Mapping[str, Plant]) -> tuple[Ran, Logged]:
    """What `current` says, and the server's record of it.

    It is read only. Where all that it was refused is groundwork, it is asked again with that in place, and may write to
    this scratch database alone, until it changes nothing there any more. `Misconduct` where it makes anything else.
    Of several databases none is let write.
    """
    targets, since = bench.targets(role), bench.log_size()
    ran = command.current(chain, targets)
    logged = bench.logged(since)
    if len(targets) > 1:
        return ran, logged
    (address,), (planted,) = targets.values(), plants.values()
    made = _groundwork(conduct.writes(ran, logged.of(address.database)))
    if not made or not _is_here(command, ran, logged, address):
        return ran, logged
    planted.lay(made)
    for _ in range(ROUNDS):
        before, since = _Picture.of(bench, address), bench.log_size()
        with _writing(command, planted) as writing:
            ran = writing.current(chain, targets)
        more = _Picture.of(bench, address).groundwork_since(before)
        if not more:
            break
        made += more  # what comes after the first of them shows only now
    else:
        raise Misconduct(
            f"env.py makes other schemas or extensions each time that it is run ({ROUNDS} times); the same ones were "
            "expected. Nothing was written anywhere but in a scratch database.",
            "take it out of env.py: what a run leaves cannot be told from what migrations build",
        )
    need(bench, made, groundwork.ENV)
    return ran, bench.logged(since)


def learn_table(
    bench: Bench, chain: Chain, command: Command, role: str, plants: Mapping[str, Plant], ran: Ran, logged: Logged
) -> bool:
    """Whether the command was here and saw none of the version tables, since it has another one, which now is known.

    Its name or schema may be computed, so that no file says it. `stamp`, on this scratch database alone, makes it.
    """
    targets = bench.targets(role)
    if len(targets) > 1 or bench.plan.version_table is not None or ran.code or "Rev: " in ran.stdout:
        return False
    (address,), (planted,) = targets.values(), plants.values()
    if not _is_here(command, ran, logged, address):
        return False
    stamp = ["stamp", bench.plan.revision]
    with postgres.connect(address) as connection:
        before = version_table.lookalikes(connection)
        lacking: list[str] = []
        with _writing(command, planted) as writing:
            made = writing.run(chain, stamp, targets, read_only=True)
            if (missing := NO_SCHEMA.search(made.stderr)) is not None:
                lacking = [groundwork.making("SCHEMA", missing.group(1))]
                planted.lay(lacking)
                made = writing.run(chain, stamp, targets, read_only=True)
        new = [one for one in version_table.lookalikes(connection) if one not in before]
    if NO_PLACE in made.stderr:
        raise Misconduct(
            "env.py sets a search_path that leads to no schema of an empty database, so that Alembic's version table "
            f"cannot be made: {NO_PLACE}. Nothing was written anywhere but in a scratch database.",
            "have env.py make the schema first (CREATE SCHEMA IF NOT EXISTS …), as every new database needs it",
        )
    if len(new) != 1:
        return False
    schema, name = new[0]
    planted.add(schema, name, None)
    _refuse_several_schemas(bench, schema)
    need(bench, lacking, groundwork.TABLE)
    console.note(f"  … the version table is {schema}.{name}")
    bench.save(replace(bench.plan, version_table=("" if schema == "public" else schema, name)))
    return True


@contextmanager
def _writing(command: Command, planted: Plant) -> Iterator[Command]:
    """The command as it may write during the block, to the scratch database alone."""
    with planted.writable() if addresses.is_deaf(command.scheme) else nullcontext():
        yield may_write(command)


def _refuse_several_schemas(bench: Bench, schema: str) -> None:
    """`Refused` where an option says which schema the migrations run for: the base would name that one."""
    words = bench.plan.layout.command
    given = [word for word in words if "=" in word] + [f"{name}={text}" for name, text in bench.plan.settings.set]
    for one in given:
        if one.partition("=")[2] == schema:
            raise Misconduct(
                f"The migrations run for the schema {schema}, since {one} says so; the same ones may run for others "
                "(tenants), and the base migration would name this one alone. Nothing was written anywhere but in a "
                "scratch database.",
                "a history for several schemas is not supported; without that option, does it run for a fixed one?",
            )


def may_write(command: Command) -> Command:
    """The command, let write to scratch databases by the guard; programs that it starts stay read only."""
    assert command.watch is not None
    return replace(command, watch=replace(command.watch, writes=True))


def _groundwork(writes: Sequence[tuple[str, str]]) -> list[str]:
    """The statements that were refused, as they may be repeated; nothing where one of them is anything else."""
    found: list[str] = []
    for _, text in writes:
        parts = [groundwork.statement(one) for one in sqltext.statements(text)]
        if not parts or None in parts:
            return []
        found += [one for one in parts if one]
    return list(dict.fromkeys(found))


def _is_here(command: Command, ran: Ran, logged: Logged, address: Address) -> bool:
    """Whether it was shown that the command came to this database and to no other one, by what watches it."""
    seen = ran.seen
    if not seen.there or seen.refused:
        return False
    if addresses.is_deaf(command.scheme):
        theirs = {name for name, application in logged.connections if application != postgres.APPLICATION}
        return theirs == {address.database}
    return bool(seen.contacts) and all(contact.database == address.database for contact in seen.contacts)


@dataclass(frozen=True)
class _Picture:
    """All that a database holds, to tell whether it changed: objects, schemas and extensions by name, rows as counts
    and sums, sequences.
    """

    objects: Mapping[Key, str]
    there: Mapping[str, list[str]]
    others: object

    @staticmethod
    def of(bench: Bench, address: Address) -> _Picture:
        objects = catalog.snapshot(address, bench.binaries(), bench.work).objects()
        with postgres.connect(address, read_only=True) as connection:
            theirs = catalog.of_extensions(connection)
            rows = {
                (table.schema, table.name): connection.rows(
                    sql.SQL("SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {} t").format(table.sql)
                )
                for table in catalog.tables(connection)
                if (table.schema, table.name) not in theirs
            }
            return _Picture(objects, groundwork.there(connection), (rows, catalog.sequences(connection)))

    def groundwork_since(self, before: _Picture) -> list[str]:
        """Statements for the groundwork that is there since; `Misconduct` where anything else changed."""
        more = [
            groundwork.making(kind, name)
            for kind, names in self.there.items()
            for name in names
            if name not in before.there[kind]
        ]
        known = groundwork.keys(more)
        objects = {key: text for key, text in self.objects.items() if not groundwork.holds(known, key)}
        if objects != before.objects or self.others != before.others:
            changed = {key for key, text in objects.items() if before.objects.get(key) != text}
            # A new table by its name, not by its columns as well.
            telling = sorted(key for key in changed if key[0] != "COLUMNS") or sorted(changed)
            named = ", ".join(" ".join(filter(None, key)) for key in telling[:3]) or "rows"
            raise Misconduct(
                "The application or env.py writes to the database when it is only asked where it stands, and not only "
                f"schemas and extensions that are missing: {named}. Only migrations may write, or what they build "
                "cannot be told. Nothing was written anywhere but in a scratch database.",
                "take it (create_all(), upgrade() …) out of env.py and of what the application does at import",
            )
        return more
