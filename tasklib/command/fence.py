"""The fence: on Linux, processes with it reach no TCP port on which a real database may listen (Landlock, kernel 6.7),
and make no Unix socket where one leads to a database (seccomp).

No Python package for Landlock knows its network rules and is kept; the kernel's interface is three system calls. Needs
no privileges, is inherited by every child, and cannot be taken off. What is no Python, or has lost the guard, meets it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Iterable
from functools import lru_cache

from tasklib.command.guard import fencing

CREATE, ADD = 444, 445  # system calls, of the same number on every architecture
VERSION = 1  # flag: tell the version of the interface
NET = 4  # the version with network rules
CONNECT_TCP = 2
NET_PORT = 2  # a rule's kind


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _Port(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


@lru_cache(maxsize=1)
def is_possible() -> bool:
    """Whether this system can be asked for a fence."""
    if not sys.platform.startswith("linux"):
        return False
    return int(_libc().syscall(CREATE, None, 0, VERSION)) >= NET


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Fence:
    """Bars the way to some ports, and to Unix sockets where one leads to a database (``sockets``): made once (the
    kernel wants a rule for each of the other ports), put on in a child.

    One may be put on over another: then what either bars is barred.
    """

    def __init__(self, ports: Iterable[int], sockets: bool) -> None:
        self.ports = frozenset(ports)
        self.sockets = sockets
        libc = _libc()
        given = _Ruleset(0, CONNECT_TCP)
        self.number = int(libc.syscall(CREATE, ctypes.byref(given), ctypes.sizeof(given), 0))
        if self.number < 0:
            raise OSError(ctypes.get_errno(), "no ruleset of Landlock")
        rule = _Port(CONNECT_TCP, 0)
        for port in range(65536):
            if port not in self.ports:
                rule.port = port
                libc.syscall(ADD, self.number, NET_PORT, ctypes.byref(rule), 0)
        os.set_inheritable(self.number, True)
        weakref.finalize(self, os.close, self.number).atexit = False

    def put_on(self) -> None:
        """For this process and all that it starts, for good; called between fork and exec."""
        self.put_on_for_forks()
        if self.sockets:
            fencing.bar_sockets()

    def put_on_for_forks(self) -> None:
        """The same but for sockets: a process that is held comes to us by one. Its forks bar them for themselves."""
        fencing.put_on(self.number)


@lru_cache(maxsize=8)
def around(ports: frozenset[int], *, sockets: bool = False) -> Fence | None:
    """The fence before these ports, and before ``sockets``; None where the system has none."""
    if not is_possible():
        return None
    try:
        return Fence(ports, sockets and fencing.can_bar_sockets())
    except OSError:
        return None
