"""What can go wrong, and the exit code that says so.

Every message is one sentence of what was found and what was expected; ``hint`` is what to type next. Invoke prints an
``invoke.Exit`` without a traceback and exits with its code, so a traceback always means a bug of ours.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from invoke.exceptions import Exit

REFUSED, FAILED, DIFFERS, CONFLICT, BUG = 1, 2, 3, 4, 70


class SquashError(Exit):
    """Base of all that this program raises on purpose.

    ``text`` is the message alone, ``hint`` what to type; both are printed.
    """

    code = FAILED

    def __init__(self, text: str, hint: str = "") -> None:
        self.text = text
        self.hint = hint
        super().__init__(message=f"{text}\n  hint: {hint}" if hint else text, code=type(self).code)

    def __str__(self) -> str:
        return str(self.message)


class Refused(SquashError):
    """Bad input or a state that does not allow the step; nothing was touched."""

    code = REFUSED


class Failed(SquashError):
    """A command or a database failed while the step was at work."""

    code = FAILED


# What the system may be short of, by the number of its error; each with what shows it.
SHORTAGES = {
    errno.ENOSPC: "df -h {place}",
    errno.EDQUOT: "quota",
    errno.EFBIG: "ulimit -f",
    errno.EROFS: "mount | grep ' ro'",
    errno.EACCES: "ls -ld {place}",
    errno.EPERM: "ls -ld {place}",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "ulimit -n",
    errno.ENOMEM: "free -m",
    errno.EIO: "dmesg",
}


def shortage(error: OSError) -> Failed | None:
    """The sentence for an error of the system that is no bug of ours: what, where, and how much room there is."""
    if str(error.strerror).startswith("No usable temporary directory"):  # Python tries to write into each
        return Failed(f"{error.strerror}.", "TMPDIR=DIR, one with room that may be written to; df -h; ulimit -f")
    hint = SHORTAGES.get(error.errno or 0)
    if hint is None:
        return None
    place = Path(os.fsdecode(error.filename or tempfile.gettempdir()))
    near = next((one for one in (place, *place.parents) if one.is_dir()), Path("/"))
    room = f" ({shutil.disk_usage(near).free >> 20} MB are free there)" if error.errno == errno.ENOSPC else ""
    return Failed(f"{place}: {os.strerror(error.errno or 0)}{room}.", hint.format(place=near))


class MigrationFailed(Failed):
    """A migration failed: its ``revision``, and the ``line`` of its file (0 where no traceback says one)."""

    def __init__(self, text: str, revision: str, line: int) -> None:
        self.revision = revision
        self.line = line
        super().__init__(text)


class Differs(SquashError):
    """The databases are not the same: nothing is merged. ``differences`` are what a report shows side by side: each
    with ``at`` (which comparison), ``database``, ``kind``, ``name``, ``what`` (missing, extra, changed), ``left`` (the
    truth) and ``right``, None where there is none.
    """

    code = DIFFERS

    def __init__(self, text: str, hint: str = "", differences: Sequence[Mapping[str, str | None]] = ()) -> None:
        self.differences = tuple(differences)
        super().__init__(text, hint)


class Conflict(SquashError):
    """git could not merge the original branch into the squash branch."""

    code = CONFLICT


class CommandFailed(Failed):
    """A process ended with a code that was not expected; carries both streams, untruncated."""

    def __init__(self, argv: Sequence[str], code: int, stdout: str, stderr: str, hint: str = "") -> None:
        self.argv = list(argv)
        self.exit_code = code
        self.stdout = stdout
        self.stderr = stderr
        said = (stderr.strip() or stdout.strip() or "it printed nothing").replace("\n", "\n  | ")
        super().__init__(f"`{' '.join(self.argv)}` ended with exit code {code}:\n  | {said}", hint)
