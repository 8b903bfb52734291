"""Where real databases may be: the ports and Unix sockets that texts name, whoever wrote them. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

USUAL = 5432
A_SOCKET = re.compile(r"\bhost['\"]?\s*[=:]\s*['\"]?(/|%2F)|postgres\S*(//|@)%2F", re.IGNORECASE)  # by its directory
HOSTS = re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://(?:[^\s/?#@]*@)?([^\s/?#]*)")  # of a URL, with their ports
PORT = re.compile(r":(\d{1,5})(?=,|$)")
# Of a database, by the name of a variable; in a connection string, a command line or a URL of any text.
OF_A_DATABASE = re.compile(r"(DATABASE|POSTGRES|(^|_)(DB|SQL|RDS|PG))\w*PORT$", re.IGNORECASE)
IN_TEXT = re.compile(
    r"\bport['\"]?\s*[=:,]\s*['\"]?(\d{4,5})\b|['\"\s]-p['\",\s]*(\d{4,5})\b|@[\w.-]+:(\d{4,5})\b"
    r"|['\"](?:localhost|[\w-]+(?:\.[\w-]+)+)['\"]\s*,\s*(\d{4,5})\s*\)"  # a socket's address
)
# In files of configuration: what a container's port is reached by, a key, and the section that it stands in.
MAPPED = re.compile(rf"\b(\d{{4,5}}):{USUAL}\b")
KEY = re.compile(r"""^\s*(?:export\s+)?["']?(\w*port)["']?\s*[:=]\s*["']?(\d{4,5})\b""", re.IGNORECASE)
SECTION = re.compile(r"""^\s*(?:\[+([^\]\n]+)\]+|["']?([\w.-]+)["']?\s*:\s*\{?)\s*$""")
DATABASE = re.compile(r"database|postgres|sqlalchemy|(^|[_.-])(db|sql|rds|pg)", re.IGNORECASE)


def by_socket(texts: Iterable[str], targets: Iterable[str]) -> bool:
    """Whether a database is reached by a Unix socket, by texts (URLs, connection strings) or ``targets``."""
    return any(target.startswith("/") for target in targets) or any(A_SOCKET.search(text) for text in texts)


def of_targets(targets: Iterable[str]) -> frozenset[int]:
    """The ports of ``targets`` (host:port,host:port/database)."""
    places = [target.rpartition("/")[0] for target in targets]
    return frozenset(port for place in places for port in map(int, PORT.findall(place)) if 0 < port < 65536)


def named_by(environment: Mapping[str, str]) -> frozenset[int]:
    """The ports on which a real database may be: PostgreSQL's own, and those that variables and libpq's files of
    services name.
    """
    found = {USUAL, *in_urls(environment.values())}
    found |= {int(one) for one in environment.get("PGPORT", "").split(",") if one.isdigit()}
    found |= {int(one) for name, one in environment.items() if OF_A_DATABASE.search(name) and one.isdigit()}
    # Connection strings alone: the host of a mail server is none of a database.
    found |= named(text for text in environment.values() if all("=" in word for word in text.split()))
    for file in _service_files(environment):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found |= {int(port) for port in re.findall(r"(?m)^\s*port\s*=\s*(\d+)\s*$", text)}
    return frozenset(port for port in found if 0 < port < 65536)


def in_urls(texts: Iterable[str]) -> frozenset[int]:
    """The ports that URLs of PostgreSQL in texts name."""
    found = (hosts for text in texts for hosts in HOSTS.findall(text))
    return frozenset(int(port) for hosts in found for port in PORT.findall(hosts))


def named(texts: Iterable[str]) -> frozenset[int]:
    """The ports that texts name, whosever they are."""
    return frozenset(int("".join(port)) for text in texts for port in IN_TEXT.findall(text))


def configured(texts: Iterable[str]) -> frozenset[int]:
    """The ports of databases that files of configuration name: in URLs, connection strings and mappings of containers'
    ports, and as a port in a section or by a key that says "database".
    """
    texts = list(texts)
    found = {*in_urls(texts)}
    for text in texts:
        section = ""
        for line in text.splitlines():
            found.update(map(int, MAPPED.findall(line)))
            if (head := SECTION.match(line)) is not None:
                section = head[1] or head[2]
            elif (key := KEY.match(line)) is not None and (OF_A_DATABASE.search(key[1]) or DATABASE.search(section)):
                found.add(int(key[2]))
            elif "dbname=" in line or "host=" in line:
                found |= named([line])
    return frozenset(found)


def _service_files(environment: Mapping[str, str]) -> list[Path]:
    named = environment.get("PGSERVICEFILE") or str(Path(environment.get("HOME", "/")) / ".pg_service.conf")
    return [Path(named), Path(environment.get("PGSYSCONFDIR") or "/etc/postgresql-common") / "pg_service.conf"]
