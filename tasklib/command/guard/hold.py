"""Holds the project's command where it enters Alembic: the application has started, and each run is a fork of it.

A child does one Alembic command, returns through the project's own command line, and exits as that does.
"""

import functools
import inspect
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import traceback
from typing import Any

from .alembics import COMMANDS
from .fencing import bar_sockets, put_on
from .starting import close_connections, is_starting, open_connections

FIRST = "current"  # what the command is started with
PARENT_DEATH_SIGNAL = 1  # of prctl
GENERAL = ("config", "name", "x", "raiseerr", "quiet")  # options of Alembic's command line before the command
POLL = 0.01  # seconds between two looks at children


class Hold:
    """``path`` is the socket on which orders come, one JSON object a line. A ``spare`` process ends where it cannot be
    held: whoever started it wants nothing of it but forks. ``apart``: the application runs Alembic at its start, and
    has a database of its own there; it is held where it enters Alembic first, and its start goes on in no fork.

    - run: an id, with command, arguments and named ones, environment (name → value or None), given (for the guard),
      out and err (files), chain (script, ini, options), and fenced: whether a ruleset of Landlock came with it, to be
      put on; sockets: whether Unix sockets are barred;
    - preload: modules to import before the next fork.

    Back go: held or plain (the reason why no fork is made), preloaded, ended (an id), code, and cpu in seconds.
    """

    def __init__(self, path: str, guard: Any, spare: bool, apart: bool) -> None:
        self.path = path
        self.guard = guard
        self.spare = spare
        self.apart = apart
        self.entered = False
        self.temporary: "list[Any]" = []
        self.commands: "dict[str, Any]" = {}
        self.socket: "socket.socket | None" = None
        self.children: "dict[int, int]" = {}
        self.handlers: "dict[int, Any]" = {}
        self.fences: "list[int]" = []  # file descriptors, in the order of the runs that they came with

    def watch(self, module: Any, late: bool) -> None:
        for name in COMMANDS:
            theirs = getattr(module, name)
            if not hasattr(theirs, "_alembic_squash"):
                self.commands[name] = theirs
                setattr(module, name, self.holding(name, theirs))
        self.commands["revision"] = module.revision  # which none is held at: no application runs it at its start

    def holding(self, name: str, theirs: Any) -> Any:
        def entered(config: Any, *others: Any) -> Any:
            if self.entered:
                return theirs(config, *others)
            self.entered = True
            order = self.hold(name)
            if order is None:
                return theirs(config, *others)
            configure(config, order["chain"])
            as_started(config, name, [order["command"]] + order["arguments"])
            run = functools.partial(self.commands[order["command"]], config, *order["arguments"], **order["named"])
            return self.run_alone(run) if self.apart else run()

        return alike(theirs, entered)

    def run_alone(self, run: Any) -> None:
        """Run it and end: neither what the application does next, nor what it does at its end, is the run's."""
        code: Any = 1
        try:
            run()
            code = 0
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        self.guard.record.modules()
        os._exit(code if isinstance(code, int) else int(code is not None))

    def hold(self, name: str) -> "dict[str, Any] | None":
        """Wait for orders; in each child, the order that it is to run comes back. None: nothing is held."""
        if self.apart:
            close_connections()
        reason = why_not(self.connected()) or ("" if self.apart else self.why_no_return(name))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.path)
        self.socket = connection
        if reason:
            self.say(plain=reason)
            connection.close()
            if self.spare:
                sys.exit(0)
            return None
        self.say(held=os.getpid())
        for number in (signal.SIGINT, signal.SIGHUP):
            self.handlers[number] = signal.signal(number, signal.SIG_IGN)
        self.handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # children are waited for
        left = b""
        while True:
            ready, _, _ = select.select([connection], [], [], POLL if self.children else None)
            self.reap()
            if not ready:
                continue
            data = self.receive(connection)
            if not data:
                os._exit(0)  # whoever gave orders is gone; children go with us
            left += data
            while b"\n" in left:
                line, left = left.split(b"\n", 1)
                order = self.take(json.loads(line.decode()))
                if order is not None:
                    return order

    def why_no_return(self, name: str) -> str:
        """Why the way back through the application would be another one in a fork; "" where it is the same."""
        if name != FIRST:
            return "the application runs Alembic's `%s` at its start" % name
        if is_starting():
            return "Alembic is entered while a module is imported"
        if any(map(os.path.exists, self.temporary)):
            return "the application has temporary files or directories, which the first fork would take away"
        return ""

    def watch_temporary(self, module: Any, late: bool) -> None:
        """Note what is to be deleted when this process ends, most likely."""

        def noting(theirs: Any) -> Any:
            @functools.wraps(theirs)
            def make(*given: Any, **named: Any) -> Any:
                made = theirs(*given, **named)
                self.temporary.append(getattr(made, "name", made))  # a file, or the path of a directory
                return made

            return make

        module.mkdtemp, module.NamedTemporaryFile = noting(module.mkdtemp), noting(module.NamedTemporaryFile)

    def connected(self) -> int:
        """How many connections there were or, to a database that was apart, still are."""
        made: int = self.guard.lead.made
        if not self.apart:
            return made
        return open_connections({str(place["port"]) for place in self.guard.lead.targets.values()})

    def receive(self, connection: "socket.socket") -> bytes:
        space = socket.CMSG_SPACE(struct.calcsize("i"))
        data, others, _, _ = connection.recvmsg(65536, space)
        for level, kind, value in others:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.fences.append(struct.unpack("i", value)[0])
        return data

    def take(self, order: "dict[str, Any]") -> "dict[str, Any] | None":
        """Do what an order says; in the child of a run it comes back."""
        if "preload" in order:
            for name in order["preload"]:
                try:
                    __import__(name)
                except BaseException:  # what does not come by itself comes where it is needed
                    continue
            self.say(preloaded=True)
            return None
        fence = self.fences.pop(0) if order.get("fenced") else None
        reason = why_not(0, children=len(self.children))
        if reason:
            self.say(plain=reason, id=order["id"])
        else:
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if not pid:
                try:
                    self.begin(order, fence)
                except BaseException:
                    traceback.print_exc()
                    os._exit(71)
                return order
            self.children[pid] = order["id"]
        if fence is not None:
            os.close(fence)
        return None

    def begin(self, order: "dict[str, Any]", fence: "int | None") -> None:
        """Make this child what a process is that was started for the order."""
        assert self.socket is not None
        self.socket.close()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        for number, path in ((1, order["out"]), (2, order["err"])):
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(file, number)
            os.close(file)
        die_with_parent()
        if fence is not None:
            put_on(fence)
            os.close(fence)
        if order["sockets"]:
            bar_sockets()
        for name, value in order["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.guard.give(order["given"])
        random.seed()
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed()

    def reap(self) -> None:
        for pid in list(self.children):
            done, status, used = os.wait4(pid, os.WNOHANG)
            if done:
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                self.say(ended=self.children.pop(pid), code=code, cpu=used.ru_utime + used.ru_stime)

    def say(self, **line: Any) -> None:
        assert self.socket is not None
        self.socket.sendall((json.dumps(line) + "\n").encode())


def why_not(connections: int, children: int = 0) -> str:
    """Why a fork would not be what a fresh process is at this point; "" where it is."""
    if not hasattr(os, "fork") or not sys.platform.startswith("linux"):
        return "this system has no fork that is safe"
    if connections:
        return "the application connects to a database at its start"
    if len(os.listdir("/proc/self/task")) > 1:
        return "the application has threads"
    if not children:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return "the application has child processes"
        except ChildProcessError:
            pass
    return ""


def die_with_parent() -> None:
    """This process ends when the one that forked it does."""
    import ctypes

    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def alike(theirs: Any, ours: Any) -> Any:
    """Ours with the name and the arguments of theirs: Alembic makes its command line from the code of its commands."""
    names = ", ".join(inspect.signature(theirs).parameters)
    made: "dict[str, Any]" = {"ours": ours}
    exec(compile("def entered(%s): return ours(%s)" % (names, names), __file__, "exec"), made)
    entered = functools.wraps(theirs)(made["entered"])
    entered.__defaults__ = theirs.__defaults__  # type: ignore[attr-defined]
    entered._alembic_squash = True  # type: ignore[attr-defined]
    return entered


def as_started(config: Any, first: str, words: "list[str]") -> None:
    """What env.py may ask of its command line: the words of this run, in the place of those of the start."""
    at = [place for place, word in enumerate(sys.argv) if word == first and place]
    if at:
        sys.argv[at[-1] :] = words[:1] + sys.argv[at[-1] + 1 :] + words[1:]
    options = getattr(config, "cmd_opts", None)
    if hasattr(options, "cmd"):
        parser = sys.modules["alembic.config"].CommandLine().parser
        general = {key: value for key, value in vars(options).items() if key in GENERAL}
        vars(options).clear()
        vars(options).update(vars(parser.parse_args(words)), **general)


def configure(config: Any, chain: "dict[str, Any] | None") -> None:
    """Make Alembic's configuration that of another script directory of ours."""
    if chain is None:
        return
    ini = chain["ini"]
    if ini is not None:
        config.config_file_name = type(config.config_file_name)(ini) if config.config_file_name else ini
        config.file_config.set("DEFAULT", "here", os.path.dirname(ini).replace("%", "%%"))
    config.set_main_option("script_location", chain["script"].replace("%", "%%"))
    for section, name, value in chain["options"]:
        if not config.file_config.has_section(section):
            config.file_config.add_section(section)
        config.file_config.set(section, name, value)
