"""Every connection is led: the drivers, all ways in, in a Python of its own; and what no Python sees meets the fence.

A real server stands for somebody's database; nothing may come to it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasklib import ports, shell
from tasklib.command import fence, guard, watch
from tasklib.command.watch import Contact, Seen, Watch
from tasklib.postgres import client
from tasklib.postgres.client import Address
from tasklib.postgres.server import Server
from tests.support.decoy import Decoy, decoy


@pytest.fixture(scope="module")
def live() -> Iterator[Decoy]:
    with decoy() as found:
        yield found


@pytest.fixture(scope="module")
def scratch(server: Server) -> Address:
    address = Address(server.host, server.port, server.user, server.password, "led_to")
    with client.connect(address.at("postgres")) as connection:
        connection.run("DROP DATABASE IF EXISTS led_to; ")
        connection.run("CREATE DATABASE led_to")
    return address


def environment(
    directory: Path,
    scratch: Address,
    record: Path,
    targets: dict[str, str],
    first: str | None = None,
    barred: tuple[int, ...] = (),
) -> dict[str, str]:
    watch.write(directory)
    guarded = Watch(directory, targets, packages=("shop",))
    inherited = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return {
        **inherited,
        **scratch.environment(),
        **guarded.environment({"": scratch}, record, inherited, first, barred),
    }


def run(
    directory: Path,
    code: str,
    scratch: Address,
    targets: dict[str, str],
    *,
    first: str | None = None,
    barred: tuple[int, ...] = (),
    python: tuple[str, ...] = (sys.executable,),
    **variables: str,
) -> tuple[str, Seen]:
    """Run Python code under the guard: what it printed, and what the guard saw."""
    with Watch(directory).record() as record:
        given = {**environment(directory, scratch, record, targets, first, barred), **variables}
        done = subprocess.run(
            [*python, "-c", code], env=given, capture_output=True, text=True, check=False, cwd=directory
        )
        return (done.stdout + done.stderr).strip(), watch.read(record)


ASK = "SELECT current_database()"
# How an application comes to a psycopg2 connection `c`: `url` and `dsn` say the same.
PSYCOPG2 = {
    "a dsn": "import psycopg2; c = psycopg2.connect(dsn)",
    "a url": "import psycopg2; c = psycopg2.connect(url)",
    "keywords": "import psycopg2; c = psycopg2.connect(**parts)",
    "a unix socket": "import psycopg2; c = psycopg2.connect(dbname='live', host='/nowhere/at/all')",
    "several hosts": "import psycopg2; c = psycopg2.connect(dsn + f' host={h},{h} port={p},{p}')",
    "hostaddr": "import psycopg2; c = psycopg2.connect(dsn + f' hostaddr={h}')",
    "a service": "import os, psycopg2; os.environ['PGSERVICEFILE'] = 'service.conf'\n"
    "open('service.conf', 'w').write(f'[live]\\nhost={h}\\nport={p}\\ndbname=live\\n')\n"
    "c = psycopg2.connect('service=live')",
    "variables": "import os, psycopg2\nos.environ.update(PGHOST=h, PGPORT=str(p), PGDATABASE='live', PGUSER='u')\n"
    "c = psycopg2.connect('')",
    "tls": "import psycopg2; c = psycopg2.connect(dsn, sslmode='verify-full', sslrootcert='/nowhere.pem')",
    "the type": "import psycopg2.extensions; c = psycopg2.extensions.connection(dsn)",
    "the C type": "import psycopg2._psycopg as p2; c = p2.connection(dsn)",
    "the C function": "import psycopg2; c = psycopg2._psycopg._connect(dsn)",
    "a type of one's own": "import psycopg2.extensions\nclass C(psycopg2.extensions.connection): pass\nc = C(dsn)",
    "a factory": "import psycopg2, psycopg2.extras\n"
    "c = psycopg2.connect(dsn, connection_factory=psycopg2.extras.DictConnection)",
    "a cursor factory": "import psycopg2, psycopg2.extras\n"
    "c = psycopg2.connect(dsn, cursor_factory=psycopg2.extras.NamedTupleCursor)",
    "replication": "import psycopg2.extras\nc = psycopg2.extras.LogicalReplicationConnection(dsn)",
    "a pool": "import psycopg2.pool; c = psycopg2.pool.SimpleConnectionPool(1, 1, dsn).getconn()",
    "looked up first": "import importlib.util; importlib.util.find_spec('psycopg2')\n"
    "import psycopg2; c = psycopg2.connect(dsn)",
    "a spec of its own": "import importlib.util as u; u.find_spec('psycopg2._psycopg')\n"
    "import psycopg2; c = psycopg2.connect(dsn)",
    "a first import that fails": "import sys; sys.modules['psycopg2._json'] = None\n"
    "try:\n    import psycopg2\nexcept ImportError:\n    pass\n"
    "del sys.modules['psycopg2._json']; import psycopg2; c = psycopg2.connect(dsn)",
    "loaded anew": "import importlib, psycopg2; importlib.reload(psycopg2); importlib.reload(psycopg2.extensions)\n"
    "c = psycopg2.connect(dsn)",
    "loaded anew in C": "import importlib, psycopg2, psycopg2._psycopg; importlib.reload(psycopg2._psycopg)\n"
    "importlib.reload(psycopg2); c = psycopg2.connect(dsn)",
    "forgotten and imported again": "import sys, psycopg2\n"
    "for name in [n for n in sys.modules if n.startswith('psycopg2')]: del sys.modules[name]\n"
    "import psycopg2; c = psycopg2.connect(dsn)",
    "sqlalchemy": "import sqlalchemy as sa; c = sa.create_engine(url).raw_connection()",
    "creator": "import sqlalchemy as sa, psycopg2\n"
    "c = sa.create_engine('postgresql+psycopg2://', creator=lambda: psycopg2.connect(dsn)).raw_connection()",
    "connect_args": "import sqlalchemy as sa\n"
    "c = sa.create_engine('postgresql://', connect_args=parts).raw_connection()",
    "do_connect": "import sqlalchemy as sa\ne = sa.create_engine('postgresql://nobody@192.0.2.1/x')\n"
    "@sa.event.listens_for(e, 'do_connect')\ndef _(dialect, record, args, named): named.update(parts)\n"
    "c = e.raw_connection()",
    "no pool": "import sqlalchemy as sa\n"
    "c = sa.create_engine(url, poolclass=sa.pool.NullPool).raw_connection()",
}  # fmt: skip
ANSWER = f"\ncursor = c.cursor(); cursor.execute({ASK!r}); print(cursor.fetchone()[0])"
PSYCOPG = {
    "psycopg": f"import psycopg; print(psycopg.connect(url).execute({ASK!r}).fetchone()[0])",
    "psycopg, the type": f"import psycopg; print(psycopg.Connection.connect(dsn).execute({ASK!r}).fetchone()[0])",
    "psycopg, asynchronous": "import asyncio, psycopg\nasync def go():\n"
    f"    c = await psycopg.AsyncConnection.connect(url)\n    print((await (await c.execute({ASK!r})).fetchone())[0])\n"
    "asyncio.run(go())",
    "psycopg, libpq itself": "import psycopg; c = psycopg.pq.PGconn.connect(dsn.encode()); print(c.db.decode())",
    "psycopg, libpq by steps": "import psycopg; from psycopg import pq\nc = pq.PGconn.connect_start(dsn.encode())\n"
    "while c.connect_poll() not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED): pass\nprint(c.db.decode())",
    "psycopg, in Python": "import os; os.environ['PSYCOPG_IMPL'] = 'python'\nimport psycopg\n"
    f"print(psycopg.connect(dsn).execute({ASK!r}).fetchone()[0])",
    "psycopg, of SQLAlchemy": "import sqlalchemy as sa\n"
    "e = sa.create_engine(url.replace('postgresql:', 'postgresql+psycopg:'))\n"
    f"print(e.connect().scalar(sa.text({ASK!r})))",
}  # fmt: skip
IN_PYTHON = {
    "asyncpg": "import asyncio, asyncpg\nasync def go():\n"
    f"    c = await asyncpg.connect(url); print(await c.fetchval({ASK!r}))\nasyncio.run(go())",
    "asyncpg, a pool": "import asyncio, asyncpg\nasync def go():\n"
    f"    async with asyncpg.create_pool(**asynchronous, min_size=1) as p: print(await p.fetchval({ASK!r}))\n"
    "asyncio.run(go())",
    "asyncpg, tls at once": "import asyncio, asyncpg, ssl\nasync def go():\n"
    "    c = await asyncpg.connect(**asynchronous, ssl=ssl.create_default_context(), direct_tls=True)\n"
    f"    print(await c.fetchval({ASK!r}))\nasyncio.run(go())",
    "asyncpg, a socket": "import asyncio, asyncpg\nasync def go():\n"
    f"    c = await asyncpg.connect(host='/nowhere', database='live', user='u'); print(await c.fetchval({ASK!r}))\n"
    "asyncio.run(go())",
    "asyncpg, of SQLAlchemy": "import asyncio, sqlalchemy as sa\n"
    "from sqlalchemy.ext.asyncio import create_async_engine\nasync def go():\n"
    "    e = create_async_engine(url.replace('postgresql:', 'postgresql+asyncpg:'))\n"
    f"    async with e.connect() as c: print(await c.scalar(sa.text({ASK!r})))\nasyncio.run(go())",
    "pg8000": f"import pg8000.native; print(pg8000.native.Connection(**asynchronous).run({ASK!r})[0][0])",
    "pg8000, dbapi": "import pg8000; c = pg8000.connect(**asynchronous)" + ANSWER,
    "pg8000, tls": "import pg8000.native; c = pg8000.native.Connection(**asynchronous, ssl_context=True)\n"
    f"print(c.run({ASK!r})[0][0])",
    "pg8000, a socket that is handed over": "import pg8000.native, socket\na, b = socket.socketpair()\n"
    f"print(pg8000.native.Connection('u', database='live', sock=a).run({ASK!r})[0][0])",
    "pg8000, under a logging handler": "import logging, sqlalchemy as sa\nclass H(logging.Handler):\n"
    "    def emit(self, record):\n        e = sa.create_engine(url.replace('postgresql:', 'postgresql+pg8000:'))\n"
    f"        print(e.connect().scalar(sa.text({ASK!r})))\n"
    "logging.getLogger().addHandler(H()); logging.warning('x')",
}  # fmt: skip
ROUTES = {**{name: code + ANSWER for name, code in PSYCOPG2.items()}, **PSYCOPG, **IN_PYTHON}


def prelude(live: Decoy) -> str:
    """The names that the routes use: the address of the decoy in every form."""
    at = live.address
    parts = {"host": at.host, "port": at.port, "user": at.user, "password": at.password, "dbname": at.database}
    dsn = " ".join(f"{name}={value}" for name, value in parts.items())
    asynchronous = {("database" if name == "dbname" else name): value for name, value in parts.items()}
    return (
        f"h, p, url, dsn, parts, asynchronous = {at.host!r}, {at.port}, {at.url()!r}, {dsn!r}, {parts!r}, "
        f"{asynchronous!r}\n"
    )


@pytest.mark.parametrize("route", ROUTES)
def test_whatever_the_application_asks_for_it_gets_the_scratch_database(
    tmp_path: Path, live: Decoy, scratch: Address, route: str
) -> None:
    said, seen = run(tmp_path, prelude(live) + ROUTES[route], scratch, {}, first="")
    assert said.splitlines()[-1:] == ["led_to"] or (route == "replication" and "cannot" in said), said
    assert seen.there and seen.contacts and {c.name for c in seen.contacts} == {""}
    assert {contact.database for contact in seen.contacts} == {"led_to"}


# How an application comes to a socket `s` of its own.
SOCKETS = {
    "create_connection": "s = socket.create_connection((h, p), 5)",
    "a name": "s = socket.create_connection(('localhost', p), 5)",
    "a name of another network": "s = socket.create_connection(('db.invalid', p), 5)",
    "connect_ex": "s = socket.socket(); assert s.connect_ex((h, p)) == 0",
    "IPv6": "s = socket.socket(socket.AF_INET6); s.connect(('::1', p))",
    "asyncio": "import asyncio\nasync def go():\n    _, w = await asyncio.open_connection(h, p); w.close()\n"
    "asyncio.run(go()); s = socket.create_connection((h, p))",
}


@pytest.mark.parametrize("way", SOCKETS)
def test_a_socket_of_the_applications_own_comes_to_the_scratch_server_and_may_be_handed_over(
    tmp_path: Path, live: Decoy, scratch: Address, way: str
) -> None:
    hand = "\nimport pg8000.dbapi; c = pg8000.dbapi.connect('u', database='live', sock=s)"
    code = prelude(live) + "import socket; " + SOCKETS[way] + hand + ANSWER
    said, seen = run(tmp_path, code, scratch, {}, first="", barred=(live.server.port,))
    assert said == "led_to", said
    if way != "a name of another network":
        assert [contact.target for contact in seen.contacts] == [live.target]
    # Other ports are the application's own.
    other = "import socket; a = socket.create_server((h, 0)); b = socket.create_connection(a.getsockname())\n"
    said, _ = run(tmp_path, prelude(live) + other + "print(b.getpeername() == a.getsockname())", scratch, {})
    assert said == "True"


def test_a_driver_that_a_pth_file_imports_before_the_guard_is_led_too(
    tmp_path: Path, live: Decoy, scratch: Address
) -> None:
    user = Path(sysconfig.get_path("purelib", "posix_user", {"userbase": str(tmp_path)}))
    user.mkdir(parents=True)
    (user / "early.pth").write_text(
        "import psycopg2.extras, psycopg, asyncpg, pg8000.native; from psycopg2.extensions import connection as early; "
        "import builtins; builtins.early, builtins.function = early, psycopg2.connect\n"
    )
    base = getattr(sys, "_base_executable", sys.executable)
    for code in (
        "c = early(dsn)" + ANSWER,
        "c = function(dsn)" + ANSWER,
        "import psycopg2.extras; c = psycopg2.extras.DictConnection(dsn)" + ANSWER,
        PSYCOPG["psycopg"], IN_PYTHON["asyncpg"], IN_PYTHON["pg8000"],
    ):  # fmt: skip
        with Watch(tmp_path).record() as record:
            given = environment(tmp_path, scratch, record, {}, "")
            path = os.pathsep.join([given["PYTHONPATH"], sysconfig.get_path("purelib")])
            done = subprocess.run(
                [base, "-c", prelude(live) + code],
                env={**given, "PYTHONPATH": path, "PYTHONUSERBASE": str(tmp_path)},
                capture_output=True, text=True, check=False, cwd=tmp_path,
            )  # fmt: skip
            assert done.stdout.split()[-1:] == ["led_to"], (code, done.stdout + done.stderr)


def test_each_target_has_its_own_and_one_that_nobody_knows_is_refused_and_written_down(
    tmp_path: Path, live: Decoy, scratch: Address
) -> None:
    code = """
import psycopg2
for target in ("host=a.example dbname=x", "host=A.example port=5432 dbname=x user=other", "host=b.example dbname=x"):
    try:
        print(psycopg2.connect(target).info.dbname)
    except psycopg2.OperationalError as error:
        print(str(error).strip())
"""
    said, seen = run(tmp_path, code, scratch, {}, first="")
    assert said.splitlines() == [
        *("led_to", "led_to", "alembic-squash has no scratch database for b.example:5432/x (psycopg2)")
    ]
    assert seen.unknown == (Contact("psycopg2", "b.example:5432/x", None, None),)
    # Without a first one, only those that are known; and a scratch database is always itself.
    said, seen = run(tmp_path, code, scratch, {"b.example:5432/x": ""})
    assert [line.split()[0] for line in said.splitlines()] == ["alembic-squash", "alembic-squash", "led_to"]
    own = f"import psycopg2; print(psycopg2.connect({scratch.url()!r}).info.dbname)"
    said, seen = run(tmp_path, own, scratch, {})
    assert (said, [contact.target for contact in seen.contacts]) == ("led_to", [None])


def test_what_drivers_take_from_variables_is_named_as_in_the_users_shell(
    tmp_path: Path, scratch: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import asyncio, asyncpg, psycopg2
psycopg2.connect("dbname=shop")
psycopg2.connect("host=a.example")
asyncio.run(asyncpg.connect(database="shop"))
"""
    for name in watch.USUAL:
        monkeypatch.delenv(name, raising=False)
    known = {"[local]:5432/shop": "", "a.example:5432/me": "", "db.example:6000/shop": "", "a.example:6000/me": ""}
    monkeypatch.setenv("PGUSER", "me")
    _, seen = run(tmp_path, code, scratch, known)
    assert [contact.target for contact in seen.contacts] == [
        "[local]:5432/shop",
        "a.example:5432/me",
        "[local]:5432/shop",
    ]
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGHOST", "DB.example")
    _, seen = run(tmp_path, code, scratch, known)
    assert [contact.target for contact in seen.contacts] == [
        "db.example:6000/shop",
        "a.example:6000/me",
        "db.example:6000/shop",
    ]
    # This machine by name, as people write it, is asked for, whatever the port.
    code = """
import asyncio, asyncpg, psycopg, psycopg2
for dsn in ("host=localhost dbname=shop", "host=127.0.0.1 dbname=shop", "host=localhost port=5432 dbname=shop user=u"):
    psycopg2.connect(dsn)
    psycopg.connect(dsn)
psycopg2.connect("host=localhost user=u")
psycopg2.connect("port=5432 dbname=shop")
asyncio.run(asyncpg.connect(host="localhost", database="shop"))
"""
    for name in watch.USUAL:
        monkeypatch.delenv(name, raising=False)
    here = "localhost:5432/shop"
    _, seen = run(tmp_path, code, scratch, {here: "", "localhost:5432/u": "", "[local]:5432/shop": ""})
    assert [contact.target for contact in seen.contacts] == [
        *[here] * 6, "localhost:5432/u", "[local]:5432/shop", here,
    ]  # fmt: skip


def test_the_first_target_is_the_first_one_in_whichever_process(tmp_path: Path, scratch: Address) -> None:
    child = "import psycopg2; print(psycopg2.connect('host={} dbname=x').info.dbname)"
    code = f"""
import subprocess, sys
for host in "aab":
    print(subprocess.run([sys.executable, "-c", {child!r}.format(host)], capture_output=True, text=True).stdout or "no")
"""
    said, _ = run(tmp_path, code, scratch, {}, first="")
    assert said.split() == ["led_to", "led_to", "no"]


def test_an_application_that_waits_for_its_database_forever_is_ended(tmp_path: Path, scratch: Address) -> None:
    code = (
        "import psycopg2\nwhile True:\n    try: psycopg2.connect('host=b.example dbname=x')\n"
        "    except psycopg2.OperationalError: pass\n"
    )
    said, seen = run(tmp_path, code, scratch, {})
    assert "no scratch database for b.example:5432/x (psycopg2); it tried 21 times" in said
    assert len(seen.contacts) == 21 and len(seen.unknown) == 1


def test_what_is_led_may_write_and_a_program_that_is_not_may_only_read(
    tmp_path: Path, live: Decoy, scratch: Address, server: Server
) -> None:
    code = (
        "import psycopg2, subprocess\nc = psycopg2.connect(dsn + \" options='-c search_path=nowhere'\")\n"
        "k = c.cursor(); k.execute('SHOW search_path'); print(k.fetchone()[0]); k.execute('CREATE TEMP TABLE t ()')\n"
        f"argv = ['{server.binaries.bin}/psql', '-c', 'CREATE TABLE t ()']\n"
        "print(subprocess.run(argv, capture_output=True, text=True).stderr)"
    )
    said, _ = run(
        tmp_path, prelude(live) + code, scratch, {}, first="", PGOPTIONS="-c default_transaction_read_only=on"
    )
    assert said.splitlines()[0] == "nowhere" and "read-only transaction" in said.splitlines()[-1]


# --- the guard itself ------------------------------------------------------------------------------------------------


def test_the_sitecustomize_that_was_there_runs_too_and_modules_come_from_where_they_did(
    tmp_path: Path, scratch: Address
) -> None:
    other = tmp_path / "other"
    (other / "shop").mkdir(parents=True)
    (other / "shop" / "__init__.py").touch()
    (other / "sitecustomize.py").write_text("print('theirs')")
    watch.write(tmp_path)
    guarded = Watch(tmp_path, packages=("shop", "sitecustomize"))
    code = "import shop, sys; print(sys.modules['sitecustomize'].__file__)"
    for path, said in ((str(other), ["theirs", str(other / "sitecustomize.py")]), ("", None)):
        with guarded.record() as record:
            given = guarded.environment({"": scratch}, record, {"PYTHONPATH": path} if path else {})
            done = subprocess.run(
                [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False, cwd=other
            )
            seen = watch.read(record)
        if said:
            assert done.stdout.split() == said, done.stderr
            assert seen.modules["shop"] == str(other / "shop" / "__init__.py")
        # Ours is nobody's module, also where a project has one of that name.
        assert str(tmp_path / "sitecustomize.py") not in seen.modules.values()
    assert list(tmp_path.glob("record-*")) == []


@pytest.mark.parametrize("flag", ["-E", "-I"])
def test_that_it_did_not_run_is_seen(tmp_path: Path, scratch: Address, flag: str) -> None:
    _, seen = run(tmp_path, "print('here')", scratch, {}, python=(sys.executable, flag))
    assert seen == Seen()


def test_it_is_written_for_every_python_from_3_6_on() -> None:
    for file in sorted(Path(guard.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(), feature_version=(3, 6))
        for node in ast.walk(tree):
            # What is no string is looked at when the function is made, and 3.6 has no `str | None` and no `list[str]`.
            written = [getattr(node, "annotation", None), getattr(node, "returns", None)]
            for one in filter(None, written):
                odd: list[ast.expr] = [n for n in ast.walk(one) if isinstance(n, ast.BinOp)]
                odd += [n for n in ast.walk(one) if isinstance(n, ast.Subscript) and ast.unparse(n.value).islower()]
                assert not odd, f"{file.name}:{node.lineno}"  # type: ignore[attr-defined]


# --- the fence -------------------------------------------------------------------------------------------------------


def test_what_is_no_python_or_loses_the_guard_does_not_reach_a_fenced_port(
    tmp_path: Path, live: Decoy, scratch: Address, server: Server
) -> None:
    assert fence.is_possible(), "this kernel has no Landlock with network rules"
    around = fence.around(ports.named_by({"DATABASE_URL": live.url()}))
    assert around is not None
    psql, url, python = server.binaries.bin / "psql", live.address.url(), sys.executable
    code = f"import psycopg2; psycopg2.connect({url!r})"
    raw = f"import socket; socket.create_connection(('127.0.0.1', {live.server.port}))"
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\nenv -i {psql} {url} -c 'select 1'\n")
    script.chmod(0o755)
    for argv in (
        [psql, url, "-c", "SELECT 1"], [python, "-I", "-c", code], ["env", "-i", python, "-I", "-c", code],
        [python, "-c", raw], [script], ["sh", "-c", f"{script} & wait"],
        [python, "-c", f"import subprocess; subprocess.run([{str(script)!r}], env={{}}, check=True)"],
    ):  # fmt: skip
        done = shell.run([str(word) for word in argv], cwd=tmp_path, ok=None, fence=around)
        assert "denied" in done.stderr, done
    # The scratch server, and what else listens, are reachable; and so is all for whoever has no fence.
    mine = shell.run([psql, scratch.url(), "-Atc", ASK], cwd=tmp_path, fence=around)
    assert mine.stdout.strip() == "led_to"


def test_ports_of_real_databases_are_read_from_variables_service_files_and_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / ".pg_service.conf").write_text("[a]\nhost=x\nport = 6001\n[b]\nport=6002\n")
    variables = {
        "HOME": str(tmp_path), "PGPORT": "6003,6004", "A": "postgresql+asyncpg://u:p%40ss@h.example:6005/d?x=1",
        "B": "postgres://h:6006", "C": "redis://h:6379/0", "D": "postgresql://h/d", "PGSYSCONFDIR": str(tmp_path),
        "E": "postgresql://a:6007,b:6008/d", "DB_PORT": "6011", "REDIS_PORT": "6380", "F": "host=x port=6012 dbname=d",
        "MAIL": "shop.Sender host=mail port=1025",
    }  # fmt: skip
    found = ports.named_by(variables) | ports.of_targets(["h:6009,i:6010/d", "/run/pg:5433/d"])
    assert found == {5432, 5433, *range(6001, 6013)}
    text = """connect(host="h", port=6021); run(["psql", "-p", "6022"]); run("psql -p 6023 -h h"); "u:p@h:6024/d"
    connect(port='6025'); Create Date: 2024-01-02 10:00:00; revision = "6026"; {"port": 6027}"""
    assert ports.named([text]) == {6021, 6022, 6023, 6024, 6025, 6027}
    assert ports.named(["create_connection(('127.0.0.1', 6028)); ('name', 6029)"]) == {6028}
    files = {
        "compose": "services:\n  db:\n    ports:\n      - '6031:5432'\n  redis:\n    port: 6379\n",
        "yaml": "database:\n  host: h\n  port: 6032\nserver:\n  port: 8000\nurl: postgres://u@h:6033,i:6034/d\n",
        "json": '{\n "postgres": {\n  "port": 6035\n },\n "web": {\n  "port": 8001\n },\n "DB_PORT": "6036"\n}\n',
        "ini": "[broker]\nport = 5672\n[tool.db.main]\nport=6037\n[other]\ndsn = host=h port=6038 dbname=d\n",
        "sh": "export PGPORT=6039\nexport PORT=8080\n",
    }
    assert ports.configured(files.values()) == {*range(6031, 6040)}


PLAINLY = {
    "psycopg2": """
        import psycopg2
        found = psycopg2.connect("host=127.0.0.1 port=1 dbname=live user=u").info.dbname
    """,
    "psycopg": """
        import psycopg
        found = psycopg.connect("host=127.0.0.1 port=1 dbname=live user=u").info.dbname
    """,
    "asyncpg": """
        import asyncio, asyncpg
        async def ask():
            made = await asyncpg.connect("postgresql://u@127.0.0.1:1/live")
            return await made.fetchval("SELECT current_database()")
        found = asyncio.run(ask())
    """,
    "pg8000": """
        import pg8000.native
        made = pg8000.native.Connection("u", host="127.0.0.1", port=1, database="live")
        found = made.run("SELECT current_database()")
    """,
}


@pytest.mark.parametrize("driver", PLAINLY)
def test_a_database_that_is_not_ours_is_reached_as_safely_as_its_url_says(
    driver: str, tmp_path: Path, scratch: Address
) -> None:
    pytest.importorskip(driver)
    watch.write(tmp_path)
    said = {}
    for mode in ("prefer", "require"):
        place = replace(scratch, options=(("sslmode", mode),))
        (record := tmp_path / f"record-{mode}").touch()
        inherited = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        given = Watch(tmp_path, real=True).environment({"": place}, record, inherited, first="")
        code = f"{textwrap.dedent(PLAINLY[driver])}\nprint(found)"
        done = shell.run([sys.executable, "-c", code], cwd=tmp_path, env={**inherited, **given}, ok=None)
        said[mode] = done.stdout + done.stderr
    # The test's server has no TLS.
    assert "led_to" in said["prefer"] and "Traceback" not in said["prefer"], said
    assert "Traceback" in said["require"] and ("SSL" in said["require"] or "asks for TLS" in said["require"]), said
