"""A squash in one process, in a second: SQL in place of a history, and from there on the real thing.

The reference is what the statements make of an empty database. Reader, hand and judge are the program's own, the base
is run by Alembic itself; only the project's command, git and the replay are left out, which other tests are about.
"""

from __future__ import annotations

import subprocess
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import alembic.command
import sqlalchemy as sa
from alembic.config import Config

from tasklib.base import base_migration, contents, restorable
from tasklib.base.trials import converge
from tasklib.errors import Failed, MigrationFailed, SquashError
from tasklib.judge import catalog, compare, objects
from tasklib.judge.compare import Verdict
from tasklib.postgres import client
from tasklib.postgres.archive import Key
from tasklib.postgres.server import Server
from tasklib.postgres.version_table import versions
from tasklib.project import extension_sql
from tasklib.project.layout import Layout
from tasklib.render import file as files
from tasklib.render.file import File, Mark
from tasklib.render.head import Head
from tasklib.repository import git
from tasklib.settings import Settings
from tasklib.workbench.bench import Bench
from tasklib.workbench.groundwork import Ground
from tasklib.workbench.plan import Place, Plan

REVISION = "r"
ENV = """
from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
"""


@dataclass(frozen=True)
class Outcome:
    """What came out: the base migration ("" where none could be made), the verdict at R, and what was wrong.

    ``error`` is the program's own, as a user would see it; ``after`` are differences after down and up again, and what
    `downgrade base` left; ``dumps`` are (reference, candidate): what pg_dump prints of each, rows and all.
    """

    text: str
    verdict: Verdict | None
    error: SquashError | None
    after: str
    dumps: tuple[str, str]

    @property
    def exact(self) -> bool:
        """Whether all is as it was."""
        return self.verdict is not None and not self.verdict.found and self.error is None and not self.after

    @property
    def said(self) -> str:
        """Everything that was wrong."""
        return "\n".join(part for part in (str(self.error or ""), self.after) if part)


class Laboratory:
    """Squashes on one server, one after the other. ``work`` is a directory of the caller's."""

    def __init__(self, server: Server, work: Path, token: str = "1ab0ra70") -> None:
        self.server = server
        self.work = work
        layout = Layout("alembic", "migrations", ("migrations/versions",), None, ("alembic",), ".")
        plan = Plan(REVISION, "main", "tip", "squash-r", "tip", "history", "migrations/versions/r.py", (), (), layout,
                    Settings(), "alembic-squash", "main", version_table=("", "alembic_version"))  # fmt: skip
        place = Place(token, str(work), str(server.home), server.host, server.port, server.user, "postgres", ())
        self.bench = Bench(git.Repository(work, work), replace(plan, place=place), detached=True)
        subprocess.run(["git", "init", "--quiet", str(work)], check=True)  # data files are asked of git
        (work / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
        (work / "migrations" / "env.py").write_text(ENV)
        (work / "migrations" / "script.py.mako").write_text("")

    def close(self) -> None:
        """Drop the databases."""
        self.bench.drop(*self.bench.place().names)

    def make(self, role: str, statements: Sequence[str]) -> None:
        """A fresh database with Alembic's table, and what the statements make: each in a transaction of its own."""
        self.bench.create(role)
        with client.connect(self.bench.address(role)) as connection, connection.usual_path():
            connection.run("CREATE TABLE alembic_version"
                           " (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)")  # fmt: skip
            connection.run(f"INSERT INTO alembic_version VALUES ('{REVISION}')")
            for statement in statements:
                connection.run(statement)

    def squash(self, statements: Sequence[str]) -> Outcome:
        """The base of what these statements make, run and compared; then down and up again."""
        self.make("reference", statements)
        return self.base_of_reference("\n".join(f"op.execute({one!r})" for one in statements))

    def base_of_reference(self, migration: str = "") -> Outcome:
        """The same for what is in the database `reference` already, Alembic's table in it; ``migration`` is what the
        old ones say, as Python.
        """
        text = ""
        verdict: Verdict | None = None
        try:
            read = contents.read(self.bench, "")
            base_migration.refuse_in_catalog(read)
            base_migration.refuse_stale(self.bench, read, {"r.py": migration})
            contents.write_data(self.bench, [read])
            made = extension_sql.written({"": migration})

            def render(ddl: frozenset[Mark], survey: bool) -> File:
                nonlocal text
                head = Head(REVISION, "base", 1, REVISION, [REVISION], "0" * 40, ["Made for a test."], "", (), ())
                source = base_migration.source(self.bench, read, Ground({}), _sqlalchemy(), made, ddl)
                file = files.assemble(head, {"": source}, survey=survey)
                text = file.text
                if not survey:
                    base_migration.refuse_our_names(self.bench, file)
                return file

            def attempt(file: File, as_ddl: int) -> Mapping[str, Verdict]:
                self.bench.create("candidate")
                self.run("candidate", file.text)
                return {"": self.judge("candidate")}

            def doomed(_: str, key: Key | None, why: Failed | Verdict) -> None:
                restorable.refuse_what_is_not(self.bench, read, {}, key, why)

            _, verdicts = converge(render, attempt, doomed, REVISION)
            verdict = verdicts[""]
        except SquashError as error:
            return Outcome(text, verdict, error, "", ("", ""))
        dumps = (self.dump("reference"), self.dump("candidate"))
        try:
            return Outcome(text, verdict, None, self.down_and_up(text), dumps)
        except SquashError as error:
            return Outcome(text, verdict, error, "", dumps)

    def judge(self, role: str) -> Verdict:
        """The reference against another database."""
        return compare.databases(self.bench, "reference", role, {})

    def run(self, role: str, text: str, target: str = REVISION) -> None:
        """`upgrade` (or `downgrade base`) with this base migration, by Alembic itself."""
        path = self.work / "migrations" / "versions" / "r.py"
        path.write_text(text, encoding="utf-8")
        config = Config()
        config.set_main_option("script_location", str(self.work / "migrations"))
        engine = sa.create_engine(self.bench.address(role).url("postgresql+psycopg2"), poolclass=sa.pool.NullPool)
        try:
            with engine.connect() as connection:
                config.attributes["connection"] = connection
                move = alembic.command.downgrade if target == "base" else alembic.command.upgrade
                move(config, target)
        except Exception as error:
            frames = [
                frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
            ]
            raise MigrationFailed(f"The base migration failed: {error}", REVISION, (frames or [0])[-1] or 0) from error
        finally:
            engine.dispose()

    def down_and_up(self, text: str) -> str:
        """What `downgrade base` leaves, and what is not the same after `upgrade`; "" where all is well."""
        self.bench.create("roundtrip", template="candidate")
        self.run("roundtrip", text, "base")
        self.bench.create("oldhead")  # any name that shares no place with the others
        with client.connect(self.bench.address("oldhead")) as connection, connection.usual_path():
            connection.run("CREATE TABLE alembic_version"
                           " (version_num varchar(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)")  # fmt: skip
        address, empty = self.bench.address("roundtrip"), self.bench.address("oldhead")
        assert versions(address, [("", "alembic_version")]) == set()
        left, right = (catalog.snapshot(one, self.bench.binaries(), self.work).objects() for one in (empty, address))
        asked = extension_sql.written({"": text}).asked
        right = {key: one for key, one in right.items() if not extension_sql.is_of(asked, key)}
        if found := objects.compare(left, right):
            return "`downgrade base` leaves:\n" + objects.report(found, "empty", "after downgrade")
        self.run("roundtrip", text)
        found = list(self.judge("roundtrip").found)
        return "after down and up:\n" + objects.report(found, "reference", "again") if found else ""

    def dump(self, role: str) -> str:
        """pg_dump's own text of a database, rows sorted."""
        address = self.bench.address(role)
        done = subprocess.run(
            [str(self.server.binaries.bin / "pg_dump"), "--no-owner", "--inserts", "--encoding=UTF8",
             "--dbname", address.url()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return done.stderr  # it has troubles of its own: a function that relies on a search_path
        lines = [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        # Said also where a column that was dropped was an identity.
        rows = sorted(line.replace(" OVERRIDING SYSTEM VALUE", "") for line in lines if line.startswith("INSERT "))
        return "\n".join([line for line in lines if line and not line.startswith(("INSERT ", "--"))] + rows)


def _sqlalchemy() -> tuple[int, ...]:
    return tuple(int(part) for part in sa.__version__.split(".")[:2])
