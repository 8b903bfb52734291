"""Puts a fence on this process, for good, and for all that it starts: a ruleset of Landlock, and no Unix sockets (see
`tasklib.command.fence`). Here because what is held puts one on in each fork.
"""

import platform
import struct
import sys

NO_NEW_PRIVILEGES, SECCOMP = 38, 22  # of prctl
RESTRICT = 446  # system call, of the same number on every architecture
FILTER = 2  # mode of seccomp
# By machine: what the kernel calls it, and the number of its system call socket.
SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
LOAD, JUMP, RETURN = 0x20, 0x15, 0x06  # BPF: a word of what was called, to where it is or is not equal, a verdict
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
UNIX, DENIED = 1, 13  # AF_UNIX, EACCES


def can_bar_sockets() -> bool:
    return sys.platform.startswith("linux") and platform.machine() in SOCKET


def put_on(ruleset: int) -> None:
    """``ruleset`` is a file descriptor of Landlock's."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.syscall(RESTRICT, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock did not take the ruleset")


def bar_sockets() -> None:
    """No new Unix socket is made; those that are there, and pairs of them, go on."""
    import ctypes

    machine, call = SOCKET[platform.machine()]
    steps = [
        (LOAD, 0, 0, 4), (JUMP, 0, 5, machine),
        (LOAD, 0, 0, 0), (JUMP, 0, 3, call),
        (LOAD, 0, 0, 16), (JUMP, 0, 1, UNIX),
        (RETURN, 0, 0, REFUSE | DENIED), (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(SECCOMP, FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel took no filter of system calls")
