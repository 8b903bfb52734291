"""The start of the application, which is over where its command line enters Alembic; and what it has open then."""

import gc
import os
import socket
import sys
from typing import Any


def is_starting() -> bool:
    """Whether a module is being imported, or Flask makes its application, further up on the stack."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib") and code.co_name == "_find_and_load":
            return True
        if code.co_name == "load_app" and frame.f_globals.get("__name__") == "flask.cli":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def close_connections() -> None:
    """Close what SQLAlchemy has open: a fork of this process shall find nothing of the database of its start."""
    session: Any = sys.modules.get("sqlalchemy.orm.session")
    engine: Any = sys.modules.get("sqlalchemy.engine")
    if session is not None:
        close_all = getattr(session, "close_all_sessions", None) or session.Session.close_all  # before 1.3
        close_all()
    # Their types are asked, not they themselves: a proxy may be no more than a way to an error.
    for one in gc.get_objects() if engine is not None else ():
        if issubclass(type(one), engine.Engine):
            try:
                one.dispose()
            except Exception:  # what is open still is seen
                continue


def open_connections(ports: "set[str]") -> int:
    """How many connections there are to servers with these ports."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            copy = os.dup(int(name))
        except OSError:  # the directory itself was open then
            continue
        try:
            one = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            continue
        with one:
            try:
                peer = one.getpeername()
            except OSError:
                continue
        at = str(peer[1]) if isinstance(peer, tuple) else str(peer).rpartition(".s.PGSQL.")[2]
        found += at in ports
    return found
