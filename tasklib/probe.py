"""Proof 4: where the project's command connects, and which chain it runs, before it may write anything.

Each scratch database gets a version table that holds an id which the chain knows; `current` must print it; then it is
another id, and `current` must print that one. All of it read only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from psycopg2 import sql

from tasklib import postgres, same_code, shell, sources
from tasklib.bench import Bench
from tasklib.chains import Chain
from tasklib.errors import Failed, Refused, SquashError
from tasklib.migrations import Command
from tasklib.postgres import Connection

Table = tuple[str, str]
SQLITE = b"SQLite format 3\0"


def find_scheme(bench: Bench, chain: Chain, role: str) -> None:
    """Find the URL scheme with which the command reaches the scratch database, and keep it in the plan."""
    schemes = bench.schemes()
    refusals: list[Refused | Failed] = []
    for scheme in schemes:
        bench.save(replace(bench.plan, scheme=scheme))
        try:
            prove_connections(bench, chain, role)
        except (Refused, Failed) as error:
            bench.save(replace(bench.plan, scheme=None))
            refusals.append(error)
        else:
            return
    raise refusals[0]


def prove_connections(bench: Bench, chain: Chain, *roles: str) -> None:
    """Prove that the command, given the address of each role, reads the version table there and nowhere else.

    Raises `Failed` where the command cannot run at all, `Refused` where it connects elsewhere. The databases are left
    as they were; files that the command made in the work tree meanwhile are taken away again. What this process has
    proven for the same env.py is not proven again: a database keeps its name, and so its address, when it is made anew.
    """
    names = bench.place().names
    left = [role for role in roles if (names[role], chain.support) not in bench.proven]
    tables = sources.version_tables(bench.repository, bench.plan.tip)
    with _new_files_removed(bench):
        shell.together(*(partial(_prove_connection, bench, chain, role, tables) for role in left))
    bench.proven |= {(names[role], chain.support) for role in left}
    same_code.refuse_other_code(bench, chain, roles[0])


def _prove_connection(bench: Bench, chain: Chain, role: str, tables: Sequence[Table]) -> None:
    command = bench.command()
    address = bench.address(role)
    with postgres.connect(address) as connection, _planted(connection, tables) as plant:
        for marker in _markers(chain, bench.plan.revision):
            plant(marker)
            result = command.current(chain, address)
            said = CURRENT.findall(result.stdout)
            # More than one connection: env.py goes to other databases too, which we did not make.
            connections = len(re.findall(r"(?m)^Current revision\(s\) for ", result.stdout))
            if result.code != 0 or not _is_at(chain, said, marker) or connections > 1:
                _refuse_missing_variable(bench, command, result)
                command.refuse_if_it_cannot_run(result, address)
                raise _elsewhere(bench, command, result, marker, said)


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
    result = command.show(chain, bench.address(role), revision)
    path = re.search(r"(?m)^Path: (.+)$", result.stdout)
    parent = re.search(r"(?m)^(?:Parent|Merges): (.+)$", result.stdout)
    down = chain.history.migrations[revision].down
    wanted = set(down) or {"<base>"}
    found = set(re.split(r",\s*", parent.group(1).strip())) if parent else set()
    right_file = path is not None and Path(path.group(1).strip()).resolve() == chain.file(revision).resolve()
    if result.code or not right_file or found != wanted:
        command.refuse_if_it_cannot_run(result, bench.address(role))
        raise Refused(
            f"The command does not run the {chain.name} chain: `show {revision}` was expected to name "
            f"{chain.file(revision)} with the parent {', '.join(sorted(wanted))}, and said:\n  | "
            + ((result.stdout + result.stderr).strip() or "nothing").replace("\n", "\n  | "),
            "is the script directory fixed somewhere, so that -d (or -c) does not reach it?",
        )
    bench.proven.add((chain.name, chain.support))


def _markers(chain: Chain, revision: str) -> list[str | None]:
    """Two different states of the version table; a chain of one revision has only "it" and "nothing"."""
    others = sorted(i for i in chain.history.migrations if i != revision)
    return [revision, others[0] if others else None]


# A line of `current --verbose`.
CURRENT = re.compile(r"(?m)^Rev: (\S+)")

IMPORT_FAILED = re.compile(r"(?m)^(ModuleNotFoundError|ImportError|SyntaxError|IndentationError)\b")


def _refuse_missing_variable(bench: Bench, command: Command, result: shell.Result) -> None:
    """`Refused` where the application fails because a variable that nobody named is not set."""
    last = result.stderr.strip().splitlines()[-1:]
    if result.code == 0 or not last or IMPORT_FAILED.match(last[0]):
        return
    for read in _other_variables(bench, command):
        if re.search(rf"\b{re.escape(read.name)}\b", last[0]):
            raise Refused(
                f"The application fails without {read.name}, which {read.path}:{read.line} reads; only "
                f"{_names(command)} is given to it. It says: {last[0]}\nNothing was written anywhere.",
                f"--uri-var {read.name}",
            )


def _elsewhere(
    bench: Bench, command: Command, result: shell.Result, marker: str | None, said: Sequence[str]
) -> SquashError:
    if result.code and IMPORT_FAILED.search(result.stderr):
        return command.cannot_run(result, result.stderr)
    printed = " and ".join(said) or "no revision"
    text = (
        f"The application does not connect where {_names(command)} says ({command.scheme}://…): "
        f"`current` was expected to print {marker or 'no revision'} there and printed {printed}"
        f"{f' (exit code {result.code})' if result.code else ''}. Nothing was written anywhere."
    )
    if result.stderr.strip() and result.code:
        text += "\n  | " + "\n  | ".join(result.stderr.strip().splitlines()[-6:])
    others = _other_variables(bench, command)
    if not others:
        return Refused(text, "--uri-var NAME, the variable that the application reads its database URL from")
    listed = ", ".join(f"{read.name} ({read.path}:{read.line})" for read in others)
    return Refused(text, f"--uri-var {others[0].name}, perhaps; the project's files read {listed}")


def _names(command: Command) -> str:
    return ", ".join(name for name, _ in command.templates)


def _other_variables(bench: Bench, command: Command) -> list[sources.Read]:
    """Reads of likely variables that nobody named."""
    named = {name for name, _ in command.templates}
    return [read for read in sources.likely_variables(bench.repository, bench.plan.tip) if read.name not in named]


@contextmanager
def _planted(connection: Connection, tables: Sequence[Table]) -> Iterator[_Plant]:
    """Version tables for the length of a block: those that are there keep their rows, others are made and dropped."""
    plant = _Plant(connection, tables)
    try:
        plant.prepare()
        yield plant
    finally:
        plant.undo()


class _Plant:
    def __init__(self, connection: Connection, tables: Sequence[Table]) -> None:
        self.connection = connection
        self.tables = tables
        self.rows: dict[Table, list[str]] = {}
        self.made: list[Table] = []
        self.schemas: list[str] = []

    def prepare(self) -> None:
        there = {(s, t) for s, t in self.connection.rows("SELECT schemaname, tablename FROM pg_tables")}
        schemas = {str(one) for (one,) in self.connection.rows("SELECT nspname FROM pg_namespace")}
        for schema, name in self.tables:
            if schema and schema not in schemas:
                self.connection.run(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
                self.schemas.append(schema)
                schemas.add(schema)
            if (schema or "public", name) in there:
                found = self.connection.rows(sql.SQL("SELECT version_num FROM {}").format(_table(schema, name)))
                self.rows[(schema, name)] = [str(row[0]) for row in found]
            else:
                self.connection.run(
                    sql.SQL("CREATE TABLE {} (version_num varchar(255) NOT NULL PRIMARY KEY)").format(
                        _table(schema, name)
                    )
                )
                self.made.append((schema, name))

    def __call__(self, marker: str | None) -> None:
        for schema, name in self.tables:
            self._fill(schema, name, [marker] if marker else [])

    def undo(self) -> None:
        for schema, name in self.made:
            self.connection.run(sql.SQL("DROP TABLE {}").format(_table(schema, name)))
        for schema in self.schemas:
            self.connection.run(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(schema)))
        for (schema, name), rows in self.rows.items():
            self._fill(schema, name, rows)

    def _fill(self, schema: str, name: str, ids: Sequence[str]) -> None:
        self.connection.run(sql.SQL("DELETE FROM {}").format(_table(schema, name)))
        for one in ids:
            self.connection.run(sql.SQL("INSERT INTO {} VALUES (%s)").format(_table(schema, name)), [one])


def _table(schema: str, name: str) -> sql.Composable:
    return sql.Identifier(schema, name) if schema else sql.Identifier("public", name)


@contextmanager
def _new_files_removed(bench: Bench) -> Iterator[None]:
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
