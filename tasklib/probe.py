"""Proof 4: where the project's command connects, and which chain it runs, before it may write anything.

Each scratch database gets a version table that holds an id which the chain knows; `current` must print it; then it is
another id, and `current` must print that one. All of it read only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tasklib import addresses, asked, conduct, plant, postgres, several, shell
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.conduct import Misconduct
from tasklib.errors import Failed, Refused, SquashError
from tasklib.migrations import Command, Ran
from tasklib.roles import MISSING
from tasklib.server import Logged
from tasklib.version_table import Name

NO_DRIVER = re.compile(r"No module named '(psycopg2|psycopg|asyncpg|pg8000)'|Can't load plugin: sqlalchemy.dialects")
SQLITE = b"SQLite format 3\0"


def find_scheme(bench: Bench, chain: Chain, role: str, schemes: Sequence[str] = ()) -> None:
    """Find the URL scheme with which the command reaches the scratch database, and keep it in the plan."""
    refusals: list[SquashError] = []
    for scheme in schemes or bench.schemes():
        bench.save(replace(bench.plan, scheme=scheme))
        try:
            prove_connections(bench, chain, role)
        except (Refused, Failed) as error:
            bench.save(replace(bench.plan, scheme=None))
            if MISSING.search(error.text):
                raise  # another scheme has none either
            refusals.append(error)
            if isinstance(error, Misconduct):
                break
        else:
            return
    # That another driver is not installed says nothing.
    telling = [error for error in refusals if not NO_DRIVER.search(error.text)]
    raise next((error for error in refusals if isinstance(error, Misconduct)), (telling or refusals)[0])


def prove_connections(bench: Bench, chain: Chain, *roles: str) -> None:
    """Prove that the command, given the address of each role, reads the version table there and nowhere else.

    Raises `Failed` where the command cannot run at all, `Refused` where it connects elsewhere or writes. The databases
    are left as they were; files that the command made in the work tree meanwhile are taken away again. What this
    process has proven for the same env.py is not proven again: a database keeps its name, and so its address, when it
    is made anew.
    """
    left = [role for role in roles if (_where(bench, role), chain.support) not in bench.proven]
    tables = bench.version_tables()
    if left:
        conduct.refuse_unwatched(bench, bench.command())
    proofs = [partial(_prove_connection, bench, chain, role, tables) for role in left]
    with new_files_removed(bench):
        if addresses.is_deaf(bench.command().scheme):
            for proof in proofs:  # one after the other: whose a connection is can only be told by its time
                proof()
        else:
            shell.together(*proofs)
    bench.proven |= {(_where(bench, role), chain.support) for role in left}


def _where(bench: Bench, role: str) -> str:
    address = bench.address(role)  # those of other binds go with it
    return f"{address.host}:{address.port}/{address.database}"


def _prove_connection(bench: Bench, chain: Chain, role: str, tables: Sequence[Name]) -> None:
    command, targets = bench.command(), bench.targets(role)
    databases = [address.database for address in targets.values()]
    with ExitStack() as stack:
        plants = {bind: stack.enter_context(plant.planted_at(address, tables)) for bind, address in targets.items()}
        for markers in _markers(chain, bench.plan.revision, bench.binds):
            for bind, marker in markers.items():
                plants[bind](marker)
            result, logged = asked.ask(bench, chain, command, role, plants)
            if asked.learn_table(bench, chain, command, role, plants, result, logged):
                for bind, marker in markers.items():
                    plants[bind](marker)
                result, logged = asked.ask(bench, chain, command, role, plants)
            wrong = _wrong(bench, chain, command, result, markers)
            if wrong:
                _refuse_missing_variable(bench, command, result)
            conduct.refuse_elsewhere(bench, command, result)
            conduct.refuse_writes(bench, chain, result, logged.of(*databases))
            conduct.refuse_other_code(bench, chain, result)
            if wrong:
                conduct.refuse_missing_role(result)
                command.refuse_if_it_cannot_run(result, targets)
                raise wrong
            if addresses.is_deaf(command.scheme):
                _refuse_other_databases(command, result, logged, databases)


def _wrong(
    bench: Bench, chain: Chain, command: Command, result: Ran, markers: Mapping[str, str | None]
) -> SquashError | None:
    """The error for a run of `current` that did not print what the databases held (``markers``), each for its own."""
    # After Alembic's own line: the application may print what it likes before.
    parts = re.split(r"(?m)^Current revision\(s\) for ", result.stdout)
    connections, said = len(parts) - 1, [CURRENT.findall(part) for part in parts[1:]]
    if len(markers) == 1 and (result.code or connections <= 1):
        last, marker = CURRENT.findall(parts[-1]), next(iter(markers.values()))
        good = result.code == 0 and _is_at(chain, last, marker)
        return None if good else _elsewhere(bench, command, result, marker, last)
    visits = several.visits(said, result.seen.engines, bench.binds)
    right = [visit.bind in markers and _is_at(chain, visit.said, markers[visit.bind]) for visit in visits]
    if result.code == 0 and all(right) and sorted(visit.bind for visit in visits) == sorted(markers):
        return None
    if result.code:
        return _elsewhere(bench, command, result, next(iter(markers.values())), [one for part in said for one in part])
    if connections != len(markers):
        # env.py goes to other databases too, which we did not make.
        named = several.named(bench.repository, bench.plan.tip, bench.plan.layout)
        text = several.count(connections, bench.binds, named, visits)
    else:
        text = several.mistaken(visits, markers, right, bench.binds) if visits else several.UNNAMED
    return Misconduct(f"{text} Nothing was written anywhere.", conduct.of_several(bench, command))


def _refuse_other_databases(command: Command, result: Ran, logged: Logged, databases: Sequence[str]) -> None:
    """`Refused` where the server's own record does not say that the command was at these databases and no other one."""
    theirs = {name for name, application in logged.connections if application != postgres.APPLICATION}
    if theirs != set(databases) or not result.seen.there:
        raise Misconduct(
            f"The server's record says that the command connected to {', '.join(sorted(theirs)) or 'no database'}; "
            f"{' and '.join(databases)} was expected, and no other one ({command.scheme} ignores PGOPTIONS, so this "
            "decides)."
        )


def _is_at(chain: Chain, said: Sequence[str], marker: str | None) -> bool:
    """Whether `current` printed the marker; beside it, Alembic prints ends of other branches that it depends on."""
    if marker is None:
        return not said
    others = [one for one in said if one != marker]
    return len(said) == len(others) + 1 and set(others) <= chain.history.ancestors(marker)


def prove_chain(bench: Bench, chain: Chain, role: str) -> None:
    """Prove that the command runs the files that are meant: `show R` prints the file and the parent of ``chain``."""
    if (chain.name, chain.support) in bench.proven:
        return
    command = bench.command()
    revision = bench.plan.revision
    since = bench.log_size()
    targets = bench.targets(role)
    result = command.show(chain, targets, revision)
    conduct.refuse_elsewhere(bench, command, result)
    databases = [address.database for address in targets.values()]
    conduct.refuse_writes(bench, chain, result, bench.logged(since).of(*databases))
    # From the line of R on: the application may print what it likes before.
    _, _, shown = result.stdout.rpartition(f"Rev: {revision}")
    path = re.search(r"(?m)^Path: (.+)$", shown)
    parent = re.search(r"(?m)^(?:Parent|Merges): (.+)$", shown)
    down = chain.history.migrations[revision].down
    wanted = set(down) or {"<base>"}
    found = set(re.split(r",\s*", parent.group(1).strip())) if parent else set()
    right_file = path is not None and Path(path.group(1).strip()).resolve() == chain.file(revision).resolve()
    if result.code or not right_file or found != wanted:
        command.refuse_if_it_cannot_run(result, targets)
        raise Refused(
            f"The command does not run the {chain.name} chain: `show {revision}` was expected to name "
            f"{chain.file(revision)} with the parent {', '.join(sorted(wanted))}, and said:\n  | "
            + ((result.stdout + result.stderr).strip() or "nothing").replace("\n", "\n  | "),
            "is the script directory fixed somewhere, so that -d (or -c) does not reach it?",
        )
    bench.proven.add((chain.name, chain.support))


def _markers(chain: Chain, revision: str, names: tuple[str, ...]) -> list[Mapping[str, str | None]]:
    """Two different states of the version table; a chain of one revision has only "it" and "nothing".

    Of several databases each in turn is in the one state and all others in the other.
    """
    others = sorted(i for i in chain.history.migrations if i != revision)
    other = others[0] if others else None
    if len(names) == 1:
        return [{names[0]: revision}, {names[0]: other}]
    return [{name: revision if name == turn else other for name in names} for turn in names]


# A line of `current --verbose`.
CURRENT = re.compile(r"(?m)^Rev: (\S+)")

IMPORT_FAILED = re.compile(r"(?m)^(ModuleNotFoundError|ImportError|SyntaxError|IndentationError)\b")


def _refuse_missing_variable(bench: Bench, command: Command, result: Ran) -> None:
    """`Refused` where the application fails because a variable that nobody named is not set."""
    last = result.stderr.strip().splitlines()[-1:]
    if result.code == 0 or not last or IMPORT_FAILED.match(last[0]):
        return
    named = several.named(bench.repository, bench.plan.tip, bench.plan.layout)
    for read in conduct.others(bench, command):
        if re.search(rf"\b{re.escape(read.name)}\b", last[0]):
            raise Refused(
                f"The application fails without {read.name}, which {read.path}:{read.line} reads; only "
                f"{conduct.names(command)} is given to it. It says: {last[0]}\nNothing was written anywhere.",
                conduct.of_several(bench, command) if named and read.name in named.names.values()
                else f"--uri-var {read.name}",
            )  # fmt: skip


def _elsewhere(bench: Bench, command: Command, result: Ran, marker: str | None, said: Sequence[str]) -> SquashError:
    if result.code and IMPORT_FAILED.search(result.stderr):
        return command.cannot_run(result, result.stderr)
    printed = " and ".join(said) or "no revision"
    text = (
        f"The application does not connect where {conduct.names(command)} says ({command.scheme}://…): "
        f"`current` was expected to print {marker or 'no revision'} there and printed {printed}"
        f"{f' (exit code {result.code})' if result.code else ''}. Nothing was written anywhere."
    )
    if result.stderr.strip() and result.code:
        text += "\n  | " + "\n  | ".join(result.stderr.strip().splitlines()[-6:])
    if sockets := list(result.seen.refused):
        return conduct.elsewhere(bench, command, sockets)
    return Refused(text, conduct.other_variables(bench, command))


@contextmanager
def new_files_removed(bench: Bench) -> Iterator[None]:
    """Where the probe fails, remove SQLite databases that it made in the work tree, and directories made for them.

    An app that does not read the variable may open the SQLite file that is its default, and so create it.
    """
    top = bench.repository.top
    around = {top, bench.cwd}
    before = set(bench.repository.unheld("."))
    directories = {child for base in around for child in base.iterdir() if child.is_dir()}
    try:
        yield
    except (Refused, Failed):
        for path in set(bench.repository.unheld(".")) - before:
            file = top / path
            # One that was opened and not written is empty; no other empty file is taken for one.
            named = file.suffix in (".db", ".sqlite", ".sqlite3")
            if file.is_file() and file.read_bytes()[:16] in ((b"", SQLITE) if named else (SQLITE,)):
                file.unlink()
                if file.parent not in directories | around and not any(file.parent.iterdir()):
                    file.parent.rmdir()
        instance = {
            base / "instance" for base in around
        } - directories  # Flask-SQLAlchemy makes it for its SQLite files
        for child in instance:
            if child.is_dir() and not any(child.iterdir()):
                child.rmdir()
        raise
