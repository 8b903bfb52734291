"""First contact: the project's command runs once on an empty scratch database, to see where it connects and what it
makes there before any migration. Nothing is asked for: whatever the application connects to is led.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from tasklib import binds, console
from tasklib.command import not_started
from tasklib.command.guard.hold import FIRST
from tasklib.command.project_command import UPGRADES, Command, Ran
from tasklib.command.watch import Visit
from tasklib.errors import Refused
from tasklib.history.chains import Chain
from tasklib.judge import catalog
from tasklib.postgres import client, version_table
from tasklib.postgres.client import Address
from tasklib.project import likely_variables
from tasklib.reference import missing_variable, session, side_effects, starts, targets, tenants
from tasklib.reference.side_effects import Misconduct
from tasklib.reference.targets import Learnt
from tasklib.workbench import groundwork
from tasklib.workbench.bench import Bench
from tasklib.workbench.scratch import GROUND, SECOND, STARTS

NO_DRIVER = re.compile(
    r"No module named '(psycopg2|psycopg|asyncpg|pg8000)'|Can't load plugin: sqlalchemy.dialects|"
    r"requires an async driver"
)
# What a program says that is not Flask-Migrate's, and does not know where else the script directory may be.
NO_OPTION = re.compile(r"(?i)no such option:? '?-d\b|unrecognized arguments:.* -d\b|unrecognized arguments: -d\b")


def ensure(bench: Bench, chain: Chain) -> None:
    """Make the first contact where it has not been made on this server: the plan then knows every target, and the role
    `GROUND` has the databases that all others begin as.

    Raises `Failed` where the command cannot run, `Refused` where what it does leaves nothing to be proven.
    """
    if GROUND in bench.place().names:
        return
    try:
        with side_effects.new_files_removed(bench):
            while not _met(bench, chain):
                pass
    except BaseException:
        if bench.plan.place is not None and GROUND in bench.place().names:
            bench.drop(GROUND)
        raise


def _met(bench: Bench, chain: Chain) -> bool:
    """Run the command once; False where the plan has learnt something, and it must be run again."""
    for role in (GROUND, SECOND, *(STARTS if bench.plan.upgrades_itself else ())):
        bench.create(role, bare=True)
        bench.lay_groundwork(role)
    command, addresses = bench.command(), bench.targets(GROUND)
    first = None if bench.binds[0] in bench.plan.targets.values() else bench.binds[0]
    before = _databases(bench)
    ran = starts.both(bench, chain, first)
    _refuse_databases(bench, _databases(bench) - before)
    try:
        targets.learn(bench, ran.seen)
    except Learnt:
        return False
    if not ran.seen.visits and command.kind == "flask" and NO_OPTION.search(ran.stderr):
        bench.save(replace(bench.plan, layout=replace(bench.plan.layout, kind="code", in_place=True)))
        raise Learnt(f"`{' '.join(bench.plan.layout.command)}` takes no -d: it is a program of the project's own.")
    if not ran.seen.there:
        if bench.plan.upgrades_itself:
            raise not_started.error(command, ran, ran.stderr)
        if not_started.NO_PROGRAM.search(ran.stderr + ran.stdout):
            not_started.refuse(command, ran, addresses)
        raise side_effects.unwatched(command)
    side_effects.refuse_missing_role(ran)
    if _upgrades(bench, ran.seen.visits):
        return False
    visits = _to_postgresql(bench, command, ran)
    if visits is None:
        return False
    names = _named(bench, visits)
    if names is None:
        return False
    _take_version_table(bench, visits)
    if ran.code:
        not_started.refuse(command, ran, addresses)
        raise Refused(f"`current` fails on an empty database. {_last_words(ran)}", _how_to_try(command))
    side_effects.refuse_other_code(bench, chain, ran)
    for address in addresses.values():
        _refuse_tables(address, visits)
    if _lacks_schema(bench, visits):
        return False
    for role in (GROUND, SECOND):
        if (held := bench.command(role).held) is not None:
            held.preload(ran.seen.others)
    bench.save(replace(bench.plan, sqlalchemy=ran.seen.sqlalchemy, session=session.of(bench, GROUND, ran.seen)))
    _note(bench)
    return True


# --- where env.py runs the migrations --------------------------------------------------------------------------------


def _to_postgresql(bench: Bench, command: Command, ran: Ran) -> Sequence[Visit] | None:
    """The run's visits, all to PostgreSQL; None where variables are filled in now, for another try."""
    visits = ran.seen.visits
    other = next((visit.dialect for visit in visits if visit.dialect != "postgresql"), None)
    if visits and other is None:
        return visits
    if (
        other is None
        and ran.code
        and side_effects.IMPORT_FAILED.search(ran.stderr)
        and not NO_DRIVER.search(ran.stderr)
    ):
        not_started.refuse(command, ran, bench.targets(GROUND))
        raise not_started.error(command, ran, ran.stderr)
    if _fill_in(bench, taken=other is not None, driver=NO_DRIVER.search(ran.stderr) is not None):
        return None
    if other is not None:
        raise Misconduct(
            f"The application runs its migrations on {other}; PostgreSQL was expected. Nothing was written anywhere.",
            "export the variable that leads it to PostgreSQL in this shell (any address will do: it is led elsewhere), "
            "or --uri-var NAME",
        )
    if not ran.code:
        raise Refused(
            "env.py ran no migrations when the command was asked where it stands: context.run_migrations() was "
            f"expected to be called for `current`. {_last_words(ran)}",
            "does env.py leave early for some commands, or swallow an error?",
        )
    missing_variable.refuse(bench, ran)
    not_started.refuse(command, ran, bench.targets(GROUND))
    if bench.address(GROUND).database in ran.stdout + ran.stderr:
        raise Refused(
            "The command looks at the name of its database, and a scratch database has one of its own. "
            + _last_words(ran),
            "let env.py take names that begin with alembic_squash_, too",
        )
    raise Refused(f"The command does not reach a database. {_last_words(ran)}", _how_to_try(command))


def _fill_in(bench: Bench, *, taken: bool, driver: bool) -> bool:
    """Give likely variables the address of a scratch database: those that nobody has set, or where the application took
    another kind of database (``taken``) all that nobody named; with one driver after the other, where it was that
    (``driver``) which the application could not use.
    """
    plan, known = bench.plan, bench.addresses()
    named = dict(plan.settings.set)
    found = plan.found or tuple(
        sorted((name, form) for name, form in known.fillable(unset=not taken).items() if name not in named)
    )
    urls = [name for name, template in (*plan.settings.set, *found) if binds.holds_url(template)]
    schemes = known.schemes(urls) if urls else ["postgresql"]
    scheme = plan.scheme or schemes[0]
    if driver and urls and scheme in schemes[:-1] and (plan.scheme or plan.settings.set):
        scheme = schemes[schemes.index(scheme) + 1]
    if (found, scheme) == (plan.found, plan.scheme or schemes[0]):
        return False
    bench.save(replace(plan, found=found, scheme=scheme))
    return True


def _named(bench: Bench, visits: Sequence[Visit]) -> tuple[str, ...] | None:
    """The binds of the plan, as env.py's visits have them; None where they were others, and are these now."""
    by_database = {address.database: name for name, address in bench.targets(GROUND).items()}
    places: list[str | None] = [by_database.get(visit.database or "") for visit in visits]
    if len(by_database) == 1:
        places = [*by_database.values()] * len(visits)
    if None in places:
        raise Misconduct("It cannot be told for which database env.py runs the migrations; one of ours was expected.")
    if len(set(places)) < len(places):
        if tenants.leave_one(bench, visits):
            return None
        raise Misconduct(
            f"env.py runs the migrations {len(places)} times in one database (one schema after the other?); for a base "
            "migration it must do it once, in a schema that it can be told.",
            "have env.py take its schemas from a variable that lists them, as they are (TENANTS=acme,globex) and that "
            "nothing sets again: it gets public alone, and the base is proven for the whole list",
        )
    engines = _engines(visits) if len(places) > 1 else [""]
    if len(places) > 1 and (bench.plan.settings.before or bench.plan.settings.reference):
        raise Misconduct(
            f"env.py runs the migrations for {len(places)} databases, and --before and --reference are for one.",
            "leave them out, and make the migrations run from empty databases",
        )
    if engines is None:
        raise Misconduct(
            "env.py runs the migrations for several databases and does not name them, as "
            "run_migrations(engine_name=…) does: what belongs to which of them cannot be told."
        )
    given = binds.named(bench.plan.settings.set)
    if len(given) > 1:
        _refuse_other_binds(given, places, engines)
        return given
    final = {str(place): engine for place, engine in zip(places, engines, strict=True)}
    if tuple(sorted(engines)) == bench.binds and all(place == engine for place, engine in final.items()):
        return bench.binds
    others = count(1)
    for name in dict.fromkeys([*bench.plan.targets.values(), *bench.binds]):
        if name not in final:
            final[name] = next(f"other{n}" for n in others if f"other{n}" not in engines)
    bench.drop(GROUND)
    bench.save(replace(
        bench.plan, names=tuple(sorted(engines)),
        targets={target: final[name] for target, name in bench.plan.targets.items()},
    ))  # fmt: skip
    return None


def _engines(visits: Sequence[Visit]) -> list[str] | None:
    """env.py's names of its databases, by the argument of run_migrations that is another text for each of them."""
    keys = {key for visit in visits for key in visit.engine}
    usual = ("engine_name", "engine", "bind_key", "bind", "name")
    ordered = [key for key in usual if key in keys] + sorted(keys.difference(usual))
    listed = [[visit.engine.get(key, "") for visit in visits] for key in ordered]
    return next((names for names in listed if len(set(names)) == len(names)), None)


def _refuse_other_binds(given: tuple[str, ...], places: Sequence[str | None], engines: Sequence[str]) -> None:
    """`Refused` where --set names other databases than env.py, or leads one to the other's variable."""
    if set(engines) != set(given):
        raise Misconduct(
            f"env.py calls its databases {binds.listed(engines)}; --set names {binds.listed(given)}.",
            "leave --set out: env.py's names are found out",
        )
    for place, engine in zip(places, engines, strict=True):
        if place != engine:
            raise Misconduct(
                f"For {binds.shown(engine)}, env.py goes to the scratch database of {binds.shown(place or '')}: the "
                "variables are swapped, or one is given to both.",
                "leave --set out: env.py's names are found out",
            )


# --- what it leaves there --------------------------------------------------------------------------------------------


def _take_version_table(bench: Bench, visits: Sequence[Visit]) -> None:
    """Keep what Alembic itself calls its table; "" is the schema that it has by default."""
    found = {(visit.schema or "", visit.table) for visit in visits}
    if len(found) > 1:
        listed = ", ".join(".".join(filter(None, one)) for one in sorted(found))
        raise Misconduct(
            f"env.py has several version tables: {listed}. One, of the same name everywhere, was expected."
        )
    if bench.plan.version_table is None:
        bench.save(replace(bench.plan, version_table=found.pop()))


WHERE = "The application or env.py"
BY_A_LIBRARY = (
    "; where a library does it (Flask-AppBuilder: FAB_CREATE_DB = False), switch that off, and --before 'COMMAND' makes"
    " its tables"
)


def _upgrades(bench: Bench, visits: Sequence[Visit]) -> bool:
    """Whether migrations were run by a command that was only asked where it stands, while the application started: it
    is held there from now on. `Refused` where it was anywhere else.
    """
    plan = bench.plan
    if any(visit.dialect != "postgresql" for visit in visits):
        return False  # the database is another kind's: that comes first
    wrong = [visit for visit in visits if visit.work in ("upgrade", "downgrade", "do_stamp")]
    # None of them runs below the `current` that was asked for, as one that env.py runs would.
    at_its_start = all(visit.command not in ("", FIRST) for visit in wrong) and plan.layout.kind != "code"
    if wrong and at_its_start and not plan.upgrades_itself:
        console.note("  … the application runs Alembic's upgrade at its start: it is held there, and runs begin there")
        bench.save(replace(plan, upgrades_itself=True))
        bench.end_held()
        bench.tally.reasons.clear()  # it was held for nothing then
        return True
    if wrong:
        raise Misconduct(
            f"{WHERE} runs Alembic's upgrade when the command is only asked where it stands. Only the command may run "
            "migrations, or what they build cannot be told. Nothing was written anywhere but in a scratch database.",
            UPGRADES,
        )
    return False


def _databases(bench: Bench) -> set[str]:
    """The databases of the server that the user named; of a throwaway server all are ours."""
    if bench.place().server is not None:
        return set()
    with client.connect(bench.address(), read_only=True) as connection:
        return {str(name) for (name,) in connection.rows("SELECT datname FROM pg_database")}


def _refuse_databases(bench: Bench, new: set[str]) -> None:
    """`Refused` where the application made databases on the user's server. They are left: others work there, too."""
    theirs = sorted(new - {*bench.place().names.values()})
    if theirs:
        raise Misconduct(
            "While the command was asked where it stands, databases came into being on the server that --server names: "
            f"{', '.join(theirs)}. The application makes its database where there is none.",
            f"leave --server out: a throwaway server is taken away with all that is on it; DROP DATABASE {theirs[0]} "
            "where nobody else made it",
        )


def _refuse_tables(address: Address, visits: Sequence[Visit]) -> None:
    """`Refused` where the command made tables of models; where none are known, any table may be one."""
    with client.connect(address, read_only=True) as connection:
        theirs = {*version_table.lookalikes(connection), *catalog.of_extensions(connection)}
        tables = [t for t in catalog.tables(connection) if (t.schema, t.name) not in theirs]
    models = {model for visit in visits for model in visit.models}
    wrong = [t.shown for t in tables if not models or models & {t.name, f"{t.schema}.{t.name}"}]
    if wrong:
        raise Misconduct(
            f"{WHERE} makes tables when it is only asked where it stands: {', '.join(wrong[:5])}. Only migrations may, "
            "or what they build cannot be told. Nothing was written anywhere but in a scratch database.",
            UPGRADES + BY_A_LIBRARY,
        )


def _lacks_schema(bench: Bench, visits: Sequence[Visit]) -> bool:
    """Whether the version table's schema is not there; from now on it is."""
    schema = visits[0].schema
    if not schema:
        return False
    with client.connect(bench.address(GROUND), read_only=True) as connection:
        there = connection.value("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [schema])
    statement = groundwork.making("SCHEMA", schema)
    if there or statement in bench.plan.groundwork:
        return False
    console.note(f"  … nobody makes the schema {schema} for the version table: every scratch database is given it")
    bench.save(replace(bench.plan, groundwork={**bench.plan.groundwork, statement: f"schema {schema}"}))
    return True


def _note(bench: Bench) -> None:
    """Say where the command was led, and what env.py makes; keep it for the proof."""
    made: list[str] = []
    for address in bench.targets(GROUND).values():
        with client.connect(address, read_only=True) as connection:
            alike = version_table.lookalikes(connection)
        ground = groundwork.read(address, bench.binaries(), bench.work)
        needed = {*bench.plan.groundwork.values()}
        made += [one for one in ground.shown(alike) if one not in made and one not in needed]
    if made:
        console.note(f"  … before any migration env.py makes the {', '.join(made)}: every scratch database is given it")
    bench.save(replace(bench.plan, ground=tuple(made)))
    for line in targets.lines(bench.plan, bench.fence()):
        console.note(f"    {line}")
    if bench.plan.found:
        filled = likely_variables.options(bench.plan.found)
        console.note(f"    filled in, since the application does not start without: {filled}")


def _last_words(ran: Ran) -> str:
    said = (ran.stderr.strip() or ran.stdout.strip() or "nothing").splitlines()[-6:]
    return f"It ended with exit code {ran.code} and said:\n  | " + "\n  | ".join(said)


def _how_to_try(command: Command) -> str:
    return f"make `{' '.join(command.words)} current` work in this shell first; its variables are inherited"
