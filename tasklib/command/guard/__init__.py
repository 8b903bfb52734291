"""The guard: runs in the project's own Python, leads its PostgreSQL connections to scratch databases, writes it down.

A copy of this package lies in a directory of ours beside a `sitecustomize` that installs it (see `watch`). It imports
nothing but the standard library, and runs on Python 3.6 and later: that is why its annotations are strings.
"""

import atexit
import json
import os
import sys
from typing import Any, Callable

from . import alembics, drivers, legacy, sockets
from .hold import Hold
from .lead import Lead, at_any_port, key
from .loading import Hooks

VARIABLE = "ALEMBIC_SQUASH_GUARD"
NAME = "alembic_squash_guard"  # what the copy is called
__all__ = ["NAME", "VARIABLE", "at_any_port", "install", "key", "make_way"]


class Record:
    """The file that gets a line of JSON for each thing that is seen; nothing where there is none."""

    def __init__(self) -> None:
        self.path: "str | None" = None
        self.packages: "set[str]" = set()
        self.revisions: "dict[str, str]" = {}  # what Alembic loaded in this run: a revision's id → its file
        self.legacy: "set[str]" = set()  # the ids of those that call SQLAlchemy as it was before version 2

    def __call__(self, **line: Any) -> None:
        if self.path:
            try:
                with open(self.path, "a") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError:
                pass  # what is not written was not shown

    def modules(self) -> None:
        """Where the modules of the project's own packages came from, the names of all that are loaded, and the version
        of SQLAlchemy.
        """
        package = os.path.dirname(os.path.abspath(__file__))
        ours = (package, os.path.dirname(package))
        found, others = {}, []
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__dict__", {}).get("__file__")
            own = name.partition(".")[0] in self.packages
            if own and isinstance(file, str) and os.path.dirname(os.path.abspath(file)) not in ours:
                found[name] = file
            elif not own and isinstance(file, str) and ("site-packages" in file or "dist-packages" in file):
                others.append(name)
        version = getattr(sys.modules.get("sqlalchemy"), "__version__", None)
        self(modules=found, others=others, **({"sqlalchemy": version} if isinstance(version, str) else {}))


class Guard:
    """All of it in one process; `give` tells it for which run it is."""

    def __init__(self) -> None:
        self.record = Record()
        self.lead = Lead(self.record)

    def give(self, given: "dict[str, Any]") -> None:
        """``given`` is what `Lead.give` takes, with the record's path and the project's own packages."""
        self.record.path = given["record"]
        self.record.packages = set(given["packages"])
        self.record.revisions.clear()
        self.record.legacy.clear()
        self.lead.give(given)
        self.record(python=sys.executable, program=sys.argv[:1] if hasattr(sys, "argv") else [])


def install() -> None:
    """Put the guard in place where its variable is set."""
    if VARIABLE not in os.environ:
        return
    given = json.loads(os.environ[VARIABLE])
    guard = Guard()
    guard.give(given)
    hooks: "dict[str, Callable[[Any, bool], None]]" = {}
    hooks.update(drivers.hooks(guard.lead))
    hooks.update(sockets.hooks(guard.lead))
    hooks.update(alembics.hooks(guard.record))
    hooks.update(legacy.hooks(guard.record))
    if given.get("hold"):
        hold = Hold(given["hold"], guard, given["spare"], given["apart"])
        hooks["alembic.command"] = hold.watch
        hooks["tempfile"] = hold.watch_temporary
    Hooks(hooks).install()
    atexit.register(guard.record.modules)


def make_way() -> None:
    """Run the `sitecustomize` that would have run without ours."""
    here = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path) != here]
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = ours
