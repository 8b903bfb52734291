"""The PostgreSQL drivers, each led where it connects at last: below its pools, factories, loops and sockets."""

import functools
import inspect
import os
from typing import Any, Callable

from .lead import Elsewhere, Lead
from .loading import Hook, replace

# What a connection keeps of what was asked for; where it goes, as whom and how safely is ours to say.
KEPT = {
    "options", "application_name", "fallback_application_name", "client_encoding", "connect_timeout", "replication",
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
}  # fmt: skip
MARK = "_alembic_squash"


def hooks(lead: Lead) -> "dict[str, Hook]":
    """For each module in which a driver connects, what leads it."""
    return {
        "psycopg2._psycopg": functools.partial(_psycopg2, lead),
        "psycopg.pq": functools.partial(_psycopg_pq, lead),
        "psycopg._conninfo_attempts": _psycopg_names,
        "psycopg._conninfo_attempts_async": _psycopg_names,
        "psycopg.conninfo": _psycopg_names,  # where these two were before 3.2
        "psycopg.generators": functools.partial(_psycopg_generators, lead),
        "asyncpg.connect_utils": functools.partial(_asyncpg, lead),
        "pg8000.core": functools.partial(_pg8000, lead),
        "sqlite3.dbapi2": functools.partial(_sqlite3, lead),
    }


def _sqlite3(lead: Lead, module: Any, late: bool) -> None:
    """Nothing is led there, but that it made a file is told: it may be taken away again."""
    theirs = module.connect

    @functools.wraps(theirs)
    def connect(database: Any, *others: Any, **named: Any) -> Any:
        path = database if isinstance(database, str) else ""
        path = os.path.abspath(path[5:].partition("?")[0] if path.startswith("file:") else path) if path else ""
        made = path and not os.path.exists(path)
        connection = theirs(database, *others, **named)
        if made and os.path.exists(path):
            lead.record(sqlite=os.path.realpath(path))
        return connection

    module.connect = connect
    if late:
        replace(theirs, connect)


# --- libpq: psycopg2 and psycopg -------------------------------------------------------------------------------------


def _conninfo(lead: Lead, driver: str, asked: "dict[str, str]") -> str:
    """libpq's connection string for the scratch database that stands for what was ``asked`` for."""

    def given(name: str, variable: str, default: str = "") -> str:
        return asked.get(name) or os.environ.get(variable) or default

    user = given("user", "PGUSER")
    database = given("dbname", "PGDATABASE", user)
    service = given("service", "PGSERVICE")
    host = "service %s" % service if service else given("hostaddr", "PGHOSTADDR") or given("host", "PGHOST")
    place = lead.to(driver, host, given("port", "PGPORT", "5432"), database, asked)
    led = {name: value for name, value in asked.items() if name in KEPT}
    # PGOPTIONS keep what is not led read only.
    led.setdefault("options", "")
    led.update(host=place["host"], port=str(place["port"]), user=place["user"], password=place["password"])
    led.update(dbname=place["database"])
    if "options" in place:  # no scratch database: as safely as the application asks, or its URL
        led.update({name: value for name, value in asked.items() if name.startswith("ssl")})
        led.update({name: value for name, value in place["options"].items() if name != "options"})
    else:
        led.update(sslmode="disable")
    return " ".join("%s='%s'" % (name, _quoted(value)) for name, value in led.items())


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _psycopg2(lead: Lead, module: Any, late: bool) -> None:
    if getattr(module, MARK, False):
        return
    setattr(module, MARK, True)

    def led(dsn: str) -> str:
        try:
            return _conninfo(lead, "psycopg2", module.parse_dsn(dsn))
        except Elsewhere as error:
            raise module.OperationalError(str(error)) from None

    types = [module.connection, getattr(module, "ReplicationConnection", None)]
    led_types = {}
    for base in filter(None, types):
        led_types[base] = new = _led_type(base, led)
        for name, value in list(vars(module).items()):
            if value is base:
                setattr(module, name, new)
        if late:
            for known in base.__subclasses__():
                if known is not new and known not in types:
                    known.__init__ = _led_init(known.__init__, led)
            replace(base, new)

    connect = module._connect

    def _connect(dsn: str, connection_factory: Any = None, **named: Any) -> Any:
        # Whatever is made of it is of a type that leads.
        factory = types[0] if connection_factory is None else connection_factory
        return connect(dsn, connection_factory=led_types.get(factory, factory), **named)

    module._connect = _connect
    if late:
        replace(connect, _connect)


def _led_init(init: Any, led: Callable[[str], str]) -> Any:
    def __init__(self: Any, *others: Any, **named: Any) -> None:
        if others:
            others = (led(others[0]), *others[1:])
        elif "dsn" in named:
            named["dsn"] = led(named["dsn"])
        init(self, *others, **named)

    return __init__


def _led_type(base: Any, led: Callable[[str], str]) -> Any:
    names = {"__init__": _led_init(base.__init__, led), "__module__": base.__module__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), names)


def _psycopg_led(lead: Lead, conninfo: bytes) -> bytes:
    import psycopg

    found = psycopg.pq.Conninfo.parse(conninfo)
    asked = {one.keyword.decode(): one.val.decode() for one in found if one.val is not None}
    try:
        return _conninfo(lead, "psycopg", asked).encode()
    except Elsewhere as error:
        raise psycopg.OperationalError(str(error)) from None


def _psycopg_pq(lead: Lead, module: Any, late: bool) -> None:
    base = module.PGconn
    if getattr(base, MARK, False):
        return

    class Meta(type(base)):  # type: ignore[misc]
        """Connections that C code makes are of the type below ours."""

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, base)

    def connect(cls: Any, conninfo: bytes) -> Any:
        return base.connect(_psycopg_led(lead, conninfo))

    def connect_start(cls: Any, conninfo: bytes) -> Any:
        return base.connect_start(_psycopg_led(lead, conninfo))

    names = {"connect": classmethod(connect), "connect_start": classmethod(connect_start), MARK: True}
    module.PGconn = Meta("PGconn", (base,), dict(names, __module__=base.__module__, __doc__=base.__doc__))
    if late:
        replace(base, module.PGconn)


def _psycopg_names(module: Any, late: bool) -> None:
    """Leave names of hosts as they are: here they need not mean anything, and an address would not name a target."""

    def unresolved(params: Any) -> Any:
        return [params]

    async def unresolved_async(params: Any) -> Any:
        return [params]

    for name in ("_resolve_hostnames", "_resolve_hostnames_async"):
        theirs = vars(module).get(name)
        if theirs is not None:
            setattr(module, name, unresolved_async if inspect.iscoroutinefunction(theirs) else unresolved)


def _psycopg_generators(lead: Lead, module: Any, late: bool) -> None:
    theirs = module.connect
    if getattr(theirs, MARK, False):
        return

    def connect(conninfo: str, *others: Any, **named: Any) -> Any:
        return theirs(_psycopg_led(lead, conninfo.encode()).decode(), *others, **named)

    setattr(connect, MARK, True)
    module.connect = connect
    if late:
        replace(theirs, connect)


# --- drivers in Python -----------------------------------------------------------------------------------------------


def _asyncpg(lead: Lead, module: Any, late: bool) -> None:
    theirs = module._connect_addr
    if getattr(theirs, MARK, False):
        return

    async def _connect_addr(*, addr: Any, params: Any, **named: Any) -> Any:
        if isinstance(addr, str):
            host, _, port = addr.partition("/.s.PGSQL.")
        else:
            host, port = str(addr[0]), str(addr[1])
        try:
            place = lead.to("asyncpg", host, port, params.database or params.user)
        except Elsewhere as error:
            raise ConnectionRefusedError(str(error)) from None
        ours = {"user": place["user"], "password": place["password"], "database": place["database"]}
        if "options" in place:
            # Where TLS is only preferred, it is given up for a server that has none.
            only = getattr(params, "ssl_is_advisory", getattr(params, "sslmode", 3) < 3)
            if _must_be_safe(place) and (only or not params.ssl):
                raise ConnectionRefusedError(NOT_SAFE)
        else:
            ours.update(ssl=None, direct_tls=False, ssl_is_advisory=False)
            if hasattr(module, "SSLMode"):
                ours["sslmode"] = module.SSLMode.disable
        params = params._replace(**{name: value for name, value in ours.items() if name in params._fields})
        socket = place["host"].startswith("/")
        path = "%s/.s.PGSQL.%s" % (place["host"], place["port"])
        return await theirs(addr=path if socket else (place["host"], place["port"]), params=params, **named)

    setattr(_connect_addr, MARK, True)
    module._connect_addr = _connect_addr


def _pg8000(lead: Lead, module: Any, late: bool) -> None:
    base = getattr(module, "CoreConnection", None) or module.Connection
    theirs = base.__init__
    if getattr(theirs, MARK, False):
        return
    signature = inspect.signature(theirs)

    @functools.wraps(theirs)
    def __init__(self: Any, *others: Any, **named: Any) -> None:
        bound = signature.bind(self, *others, **named)
        bound.apply_defaults()
        asked = bound.arguments
        host, port = asked.get("host") or "localhost", asked.get("port") or 5432
        handed = asked.get("sock")
        if handed is not None:
            peer = lead.sockets.get(handed) or handed.getpeername()
            host, port = (peer[0], peer[1]) if isinstance(peer, tuple) else (str(peer), port)
        elif asked.get("unix_sock"):
            host, _, number = str(asked["unix_sock"]).partition("/.s.PGSQL.")
            port = number or port
        user, database = (_text(asked.get(name)) for name in ("user", "database"))
        try:
            place = lead.to("pg8000", host, str(port), database or user)
        except Elsewhere as error:
            raise getattr(module, "InterfaceError", OSError)(str(error)) from None
        if handed is not None:
            handed.close()
        ours = {"user": place["user"], "password": place["password"], "database": place["database"], "sock": None}
        ours.update(host=place["host"], port=place["port"], unix_sock=None, source_address=None)
        if place["host"].startswith("/"):
            ours.update(host=None, unix_sock="%s/.s.PGSQL.%s" % (place["host"], place["port"]))
        if "options" in place:
            if _must_be_safe(place) and not (asked.get("ssl_context") or asked.get("ssl")):
                raise getattr(module, "InterfaceError", OSError)(NOT_SAFE)
        else:
            ours["ssl_context"] = None
        if "ssl" in asked and "options" not in place:
            ours["ssl"] = type(asked["ssl"])() if isinstance(asked["ssl"], bool) else None
        asked.update((name, value) for name, value in ours.items() if name in asked)
        theirs(*bound.args, **bound.kwargs)
        setattr(self, MARK, place["database"])

    setattr(__init__, MARK, True)
    base.__init__ = __init__


NOT_SAFE = "The URL asks for TLS (sslmode), and the application does not give its driver any."


def _must_be_safe(place: "dict[str, Any]") -> bool:
    """Whether the URL of a database that is not ours wants it to be reached by TLS only."""
    return place["options"].get("sslmode", "") in ("require", "verify-ca", "verify-full")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


# How psycopg, psycopg2, an older psycopg2, asyncpg and pg8000 (see above) tell their database.
FINDS: "tuple[Callable[[Any], Any], ...]" = (
    lambda one: one.info.dbname,
    lambda one: one.get_dsn_parameters()["dbname"],
    lambda one: one._params.database,
    lambda one: getattr(one, MARK),
)


def database_of(connection: Any) -> "str | None":
    """The database that SQLAlchemy's connection is to, by the driver's own connection below it."""
    seen = 0
    while connection is not None and seen < 6:
        seen += 1
        for find in FINDS:
            try:
                found = find(connection)
            except Exception:
                continue
            if isinstance(found, str):
                return found
        names = ("dbapi_connection", "driver_connection", "connection", "_connection")
        connection = next((getattr(connection, name) for name in names if getattr(connection, name, None)), None)
    return None
