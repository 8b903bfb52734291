"""Sockets that the application connects by itself, to wait for its database or to hand one to a driver: those to a port
that the fence bars come to the scratch server.
"""

import functools
import socket
from typing import Any

from .lead import Lead
from .loading import Hook


def hooks(lead: Lead) -> "dict[str, Hook]":
    return {"socket": functools.partial(_socket, lead)}


def _socket(lead: Lead, module: Any, late: bool) -> None:
    for name in ("connect", "connect_ex"):
        setattr(module.socket, name, _led(lead, getattr(module.socket, name)))
    theirs = module.getaddrinfo

    @functools.wraps(theirs)
    def getaddrinfo(host: Any, port: Any, *others: Any, **named: Any) -> Any:
        try:
            return theirs(host, port, *others, **named)
        except module.gaierror:  # a name that means something on another network, say that of containers
            place = lead.server((host, port))
            if place is None:
                raise
            return theirs(place["host"], port, *others, **named)

    module.getaddrinfo = getaddrinfo


def _led(lead: Lead, theirs: Any) -> Any:
    @functools.wraps(theirs)
    def connect(self: Any, address: Any) -> Any:
        place = lead.server(address) if self.family in (socket.AF_INET, socket.AF_INET6) else None
        if place is None:
            return theirs(self, address)
        lead.sockets[self] = address[:2]
        host = socket.gethostbyname(place["host"])
        return theirs(self, ("::ffff:" + host if self.family == socket.AF_INET6 else host, int(place["port"])))

    return connect
