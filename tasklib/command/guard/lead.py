"""Which scratch database stands for the one that a driver was asked to connect to."""

import fcntl
import getpass
import json
import os
import re
import sys
import weakref
from typing import Any, Callable

PATIENCE = 20  # refused connections, after which the process ends: some applications wait for their database forever
NO_PLACE = "alembic-squash has no scratch database"


class Elsewhere(Exception):
    """No scratch database stands for a target: its text is that of the error that the driver raises."""


class Lead:
    """Leads connections from targets to scratch databases, and writes each one down; ``made`` counts them."""

    def __init__(self, record: Callable[..., None]) -> None:
        self.record = record
        self.made = 0
        self.refused = 0
        self.sockets: "Any" = weakref.WeakKeyDictionary()  # what was led without a driver → what it asked for

    def give(self, given: "dict[str, Any]") -> None:
        """``given`` has ``targets``: a target's key (see `key`) → the scratch database that stands for it, with the
        keys name, host, port, user, password and database (each scratch database stands for itself too), and
        ``options`` of its URL for one that is no scratch database; ``first``: the one for the first target that is not
        among them, or None; ``barred``: ports of databases that are not ours; ``usual``: libpq's variables as they were
        in the user's shell; and ``record``, a path.
        """
        self.targets: "dict[str, dict[str, Any]]" = given["targets"]
        servers = {key(place["host"], str(place["port"]), "") for place in self.targets.values()}
        # Scratch databases of this run, and those that the application was started with.
        self.ours = {one.rpartition("/")[2] for one in self.targets if one.rpartition("/")[0] + "/" in servers}
        self.barred: "set[str]" = set(map(str, given["barred"]))
        self.first: "dict[str, Any] | None" = given["first"]
        self.usual: "dict[str, str]" = given["usual"]
        self.path: "str | None" = given["record"]

    def to(
        self, driver: str, host: str, port: str, database: str, asked: "dict[str, str] | None" = None
    ) -> "dict[str, Any]":
        """The scratch database for a target; `Elsewhere` where there is none. ``asked`` are the parts of libpq's
        connection string that the application gave; None: that is not known.
        """
        target = self.target(host, port, database, asked)
        if target not in self.targets and at_any_port(target) in self.targets:
            target = at_any_port(target)
        place = self.targets.get(target) or self._first(target)
        if place is None:
            self.record(driver=driver, target=target, name=None, database=None)
            raise Elsewhere(self._refuse(driver, target))
        self.made += 1
        itself = key(place["host"], str(place["port"]), place["database"]) == target
        self.record(driver=driver, target=None if itself else target, name=place["name"], database=place["database"])
        return place

    def server(self, address: Any) -> "dict[str, Any] | None":
        """Where a socket goes that is not a driver's; None where it goes its own way. A server is all that is asked
        for, and all scratch databases are on one.
        """
        place = next(iter(self.targets.values()), None)
        if not isinstance(address, tuple) or str(address[1]) not in self.barred or place is None:
            return None
        return None if "options" in place or place["host"].startswith("/") else place

    def target(self, host: str, port: str, database: str, asked: "dict[str, str] | None" = None) -> str:
        """The key of what is asked for: what a driver took from libpq's variables, which are ours now, is as it would
        be in the user's shell.
        """
        given = asked or {}
        itself = key(host, port, database)
        # With a database's name of ours the rest may well be inherited; with another one it tells of another place.
        whole = (
            given["dbname"] in self.ours
            if given.get("dbname")
            else not any(map(given.get, ("host", "hostaddr", "port")))
        )
        if itself in self.targets and whole:
            return itself
        for place in self.targets.values():
            # An address of our server that was filled in stands for one that nobody knows; the port is another one on
            # each server. Where it is not known what was given, a host of ours is one that came with our port.
            filled = host == place["host"] and given.get("port") == str(place["port"])
            inherited = (
                port == str(place["port"])
                if asked is None
                else filled or not (given.get("host") or given.get("hostaddr"))
            )
            if database == place["database"] and not given.get("dbname"):
                user = given.get("user") or self.usual.get("PGUSER") or getpass.getuser()
                database = self.usual.get("PGDATABASE") or user
            if inherited and host == place["host"]:
                host = self.usual.get("PGHOSTADDR") or self.usual.get("PGHOST") or ""
            if port == str(place["port"]) and (filled or not given.get("port")):
                port = self.usual.get("PGPORT") or "5432"
        return key(host, port, database)

    def _first(self, target: str) -> "dict[str, Any] | None":
        """The scratch database of the first unknown target, where this is that one, in whichever process."""
        if self.first is None or self.path is None:
            return None
        with open(self.path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for line in file:
                told = json.loads(line) if line.endswith("\n") else {}
                if "first" in told:
                    return self.first if told["first"] == target else None
            file.write(json.dumps({"first": target}) + "\n")
        return self.first

    def _refuse(self, driver: str, target: str) -> str:
        self.refused += 1
        text = "%s for %s (%s)" % (NO_PLACE, target, driver)
        if self.refused > PATIENCE:
            sys.stderr.write("%s; it tried %d times\n" % (text, self.refused))
            sys.stderr.flush()
            os._exit(70)
        return text


def key(host: str, port: str, database: str) -> str:
    """What a target is called: host:port/database. Several hosts are one target; whoever connects does not matter."""
    hosts = host.split(",")
    ports = port.split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    local = ("localhost", "127.0.0.1", "::1")
    named = ["localhost" if one.lower() in local else one.lower() or "[local]" for one in hosts]
    return "%s/%s" % (",".join("%s:%s" % pair for pair in zip(named, ports)), database)


def at_any_port(target: str) -> str:
    """A target on this machine without its port, which says nothing where it is another one at each start."""
    return re.sub(r"^localhost:\d+/", "localhost:*/", target)
