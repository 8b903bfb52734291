"""The guard: runs in the project's own Python, and lets PostgreSQL drivers connect to our scratch databases only.

A copy of this file is the `sitecustomize` of the project's command (see `watch`). It imports nothing of ours, runs on
Python 3.8 and later, and writes down where the drivers went. psycopg2 and psycopg are asked in their own function that
connects, since they do so in C; for drivers in Python (asyncpg, pg8000) the interpreter's audit hook sees each socket.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib.util
import inspect
import json
import os
import socket
import sys
import types
from typing import Any

VARIABLE = "ALEMBIC_SQUASH_GUARD"
# Drivers that ignore PGOPTIONS, so that nothing but this keeps them read only where they should not be at all.
DEAF = ("asyncpg", "pg8000")
# What opens sockets in such a process and is no database driver.
NO_DATABASE = ("http", "urllib3", "httpcore", "redis", "logging")
PATIENCE = 20  # refused connections, after which the process ends: some applications wait for their database forever


class Guard:
    """What may be connected to: databases whose name begins with ``databases`` on one host and port (None: nothing).

    Where ``whole`` is set, all of that server is ours. ``writes``: what connects there may write, whatever PGOPTIONS
    say to all else. ``record`` is the file that gets a line for each connection.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.host: str | None = given["host"]
        self.port = int(given["port"])
        self.databases: str = given["databases"]
        self.whole: bool = given["whole"]
        self.strict: bool = given["strict"]
        self.writes: bool = given.get("writes", False)
        self.record: str | None = given["record"]
        self.packages = set(given["packages"])
        self.addresses: set[str] | None = None
        self.refused = 0
        self.hooks = {
            "psycopg2": self.watch_psycopg2,
            "psycopg": self.watch_psycopg,
            "flask_migrate": self.mend_flask_migrate,
        }
        if given["several"]:
            self.hooks["alembic.runtime.environment"] = self.watch_alembic

    def write(self, **line: Any) -> None:
        if self.record:
            with contextlib.suppress(OSError), open(self.record, "a") as file:  # what is not written was not shown
                file.write(json.dumps(line) + "\n")

    # --- what is allowed -----------------------------------------------------------------------------------------

    def is_ours(self, host: str, port: Any) -> bool:
        """Whether a host (a name, an address or a directory of sockets) and port are those of our server."""
        if self.host is None or str(port) != str(self.port):
            return False
        if host == self.host:
            return True
        if host.startswith("/") or self.host.startswith("/"):
            return False
        if self.addresses is None:
            self.addresses = _resolved(self.host)
        return bool(self.addresses & _resolved(host))

    def refuse(self, driver: str, where: str) -> str:
        """Note a connection that is not let through; the text of the error to raise."""
        self.refused += 1
        text = f"{driver} may connect to the scratch databases of alembic-squash only, not to {where}"
        if self.refused > PATIENCE:
            sys.stderr.write(f"{text}; it tried {self.refused} times\n")
            sys.stderr.flush()
            os._exit(70)
        return text

    # --- psycopg2 and psycopg ------------------------------------------------------------------------------------

    def check_libpq(self, driver: str, parameters: dict[str, Any], error: Any) -> None:
        """Raise ``error`` where libpq would connect elsewhere; what is not in ``parameters`` it takes from PG… ."""

        def given(name: str, variable: str, default: str = "") -> str:
            return str(parameters.get(name) or os.environ.get(variable) or default)

        user = given("user", "PGUSER")
        database = given("dbname", "PGDATABASE", user)
        hosts = (given("hostaddr", "PGHOSTADDR") or given("host", "PGHOST")).split(",")
        ports = given("port", "PGPORT", "5432").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        ours = not given("service", "PGSERVICE") and all(map(self.is_ours, hosts, ports))
        ours = ours and (self.whole or database.startswith(self.databases))
        self.write(driver=driver, host=",".join(hosts), port=",".join(ports), database=database, allowed=ours)
        if not ours:
            host = f"{','.join(hosts)}:{','.join(ports)}/{database}" if any(hosts) else database
            raise error(self.refuse(driver, host))

    def watch_psycopg2(self, module: Any) -> None:
        connect = getattr(module, "_connect", None)
        if connect is None:
            return

        def watched(dsn: str, *others: Any, **named: Any) -> Any:
            parameters = module.extensions.parse_dsn(dsn)
            self.check_libpq("psycopg2", parameters, module.OperationalError)
            if self.writes:
                dsn = module.extensions.make_dsn(dsn, options=_writing(parameters))
            return connect(dsn, *others, **named)

        module._connect = watched

    def watch_psycopg(self, module: Any) -> None:
        connect = getattr(module.generators, "connect", None)
        if connect is None:
            return

        def watched(conninfo: str, *others: Any, **named: Any) -> Any:
            parameters = module.conninfo.conninfo_to_dict(conninfo)
            self.check_libpq("psycopg", parameters, module.OperationalError)
            if self.writes:
                conninfo = module.conninfo.make_conninfo(conninfo, options=_writing(parameters))
            return connect(conninfo, *others, **named)

        for name, other in list(sys.modules.items()):  # before 3.2 psycopg.connection has imported it by then
            if name.startswith("psycopg.") and getattr(other, "connect", None) is connect:
                other.connect = watched  # type: ignore[attr-defined]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """As a finder on sys.meta_path: modules come from where they would anyway, and are watched once they ran."""
        if name == "uvloop" and self.strict:
            raise ImportError("uvloop connects where Python does not see it; it is not there for alembic-squash")
        hook = self.hooks.pop(name, None)
        if hook is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                hook(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    # --- the command that is asked where it connects -------------------------------------------------------------

    def mend_flask_migrate(self, module: Any) -> None:
        """Flask-Migrate before 2.5.3 gives `current` an argument that Alembic has no more, so that it always fails."""
        theirs = getattr(module, "command", None)
        if theirs is None or "head_only" in inspect.signature(theirs.current).parameters:
            return
        # A copy for Flask-Migrate alone: Alembic's own command line reads the signatures in its module.
        mended = types.ModuleType(theirs.__name__, theirs.__doc__)
        mended.__dict__.update(theirs.__dict__)

        def current(config: Any, *others: Any, head_only: bool = False, **named: Any) -> None:
            theirs.current(config, *others, **named)

        mended.current = current  # type: ignore[attr-defined]
        module.command = mended

    def watch_alembic(self, module: Any) -> None:
        """Note with which arguments env.py runs migrations: where there are several databases, each has a name."""
        theirs = module.EnvironmentContext.run_migrations

        def run_migrations(self_: Any, **kw: Any) -> None:
            self.write(engine={name: value for name, value in kw.items() if isinstance(value, str)})
            theirs(self_, **kw)

        run_migrations.__doc__ = theirs.__doc__
        module.EnvironmentContext.run_migrations = run_migrations

    # --- drivers in Python ---------------------------------------------------------------------------------------

    def audit(self, event: str, arguments: Any) -> None:
        """Audit hook: once a deaf driver is loaded, sockets go to our server or nowhere."""
        if event != "socket.connect":
            return
        drivers = [name for name in DEAF if name in sys.modules]
        if not drivers or _is_of(NO_DATABASE):
            return
        address = arguments[1]
        if isinstance(address, (str, bytes)):
            path = os.fsdecode(address)
            directory, _, port = path.partition("/.s.PGSQL.")
            if not port:
                return  # no socket of PostgreSQL's: a system log, say
            host = directory
        elif isinstance(address, tuple):
            host, port = str(address[0]), str(address[1])
        else:
            return
        # The name of the database is not seen here, so that all of the server must be ours.
        ours = self.whole and self.is_ours(host, port)
        self.write(driver=drivers[0], host=host, port=port, database=None, allowed=ours)
        if not ours:
            raise ConnectionRefusedError(errno.ECONNREFUSED, self.refuse(drivers[0], f"{host}:{port}"))

    # --- the code that ran ---------------------------------------------------------------------------------------

    def write_modules(self) -> None:
        """At the end of the process: where the modules of the project's own packages came from."""
        found = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if name.partition(".")[0] in self.packages and isinstance(file, str):
                found[name] = file
        self.write(modules=found)


def _writing(parameters: dict[str, Any]) -> str:
    """libpq's options for a connection that may write."""
    given = str(parameters.get("options") or os.environ.get("PGOPTIONS") or "")
    return f"{given} -c default_transaction_read_only=off".strip()


def _is_of(packages: tuple[str, ...]) -> bool:
    """Whether one of these packages is at work, as far as the stack tells."""
    frame = sys._getframe(2)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in packages:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _resolved(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def install() -> None:
    """Put the guard in place where its variable is set, then run the `sitecustomize` that would have run otherwise."""
    if VARIABLE in os.environ:
        guard = Guard(json.loads(os.environ[VARIABLE]))
        guard.write(python=sys.executable, program=sys.argv[:1] if hasattr(sys, "argv") else [])
        sys.meta_path.insert(0, guard)
        sys.addaudithook(guard.audit)
        atexit.register(guard.write_modules)
    here = os.path.realpath(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != here]
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = ours
