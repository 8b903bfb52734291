"""The home directory of a server of ours: marker, password, log, data/, programs/.

The marker says for whom the server runs, and that the directory is ours.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tasklib.errors import CommandFailed, Failed, Refused
from tasklib.postgres import processes
from tasklib.postgres.binaries import ROOT
from tasklib.shell import run

PREFIX = "alembic-squash-server-"
STOP_SECONDS = 10.0


def bases() -> list[Path]:
    return list(dict.fromkeys(Path(name).resolve() for name in (tempfile.gettempdir(), "/tmp", "/var/tmp")))


def account() -> pwd.struct_passwd | None:
    """The user to run the server as when we are root, which PostgreSQL refuses; None: ourselves."""
    if os.getuid() != 0:
        return None
    others = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    for name in ("postgres", "nobody", *others):
        if name in others:
            return others[name]
    raise Refused("PostgreSQL refuses to run as root, and there is no other user on this machine.", "give --server URL")


def make(owner: str, account: pwd.struct_passwd | None) -> Path:
    reasons = []
    for base in bases():
        try:
            home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        except OSError as error:
            reasons.append(f"{base}: {error.strerror}")
            continue
        try:
            # First of all, so that whatever interrupts us is swept; until the server is up its owner is this process.
            mark(home, owner, os.getpid(), None)
            home.chmod(0o711)  # the server's user passes through and lists nothing
            (home / "data").mkdir(0o700)
            (home / "log").touch(0o600)
            if account:
                for mine in (home / "data", home / "log"):
                    os.chown(mine, account.pw_uid, account.pw_gid)
                run(["test", "-w", home / "data"], cwd=ROOT, uid=account.pw_uid)
            return home
        except (OSError, CommandFailed) as error:
            reasons.append(f"{base}: not for user {account.pw_name}" if account else f"{base}: {error}")
            remove(home)
    raise Refused("There is no temporary directory for a server; tried\n  " + "\n  ".join(reasons), "set TMPDIR")


def mark(
    home: Path, owner: str, owner_pid: int | None, server: Mapping[str, Any] | None, until: float | None = None
) -> None:
    """Write the marker in one move. ``server`` is what `attach` needs of it, without the password; ``until`` the time,
    in seconds since the epoch, after which nobody wants it any more.
    """
    text = {
        "program": "alembic-squash",
        "owner": owner,
        "owner_pid": owner_pid,
        "owner_started": processes.started(owner_pid) if owner_pid is not None else None,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "server": server,
        "until": until,
    }
    (home / "marker.new").write_text(json.dumps(text, indent=2))
    (home / "marker.new").replace(home / "marker")


def marker(home: Path) -> dict[str, Any] | None:
    """What the marker says; None for a directory of another user, of another program, or none at all."""
    try:
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            return None
        known = json.loads((home / "marker").read_text())
    except (OSError, ValueError):
        return None
    keys = {"owner", "owner_pid", "owner_started", "server"}
    ours = isinstance(known, dict) and known.get("program") == "alembic-squash" and keys <= known.keys()
    return known if ours else None


def known(home: Path) -> Mapping[str, Any] | None:
    """What the marker holds of the server."""
    found = marker(home)
    return found["server"] if found else None


def remove(home: Path) -> None:
    """Delete home, its marker last: a removal that is interrupted is taken up again by the next sweep."""
    until = time.monotonic() + STOP_SECONDS
    with suppress(FileNotFoundError):  # another process sweeps the same home
        while others := [entry for entry in home.iterdir() if entry.name != "marker"]:
            if time.monotonic() > until:
                raise Failed(f"{others[0]} could not be deleted.", f"rm -r {home}")
            for entry in others:
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)  # an orphaned initdb may still write: look again
                else:
                    entry.unlink()
        (home / "marker").unlink(missing_ok=True)
        home.rmdir()
