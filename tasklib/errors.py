"""What can go wrong, and the exit code that says so.

Every message is one sentence of what was found and what was expected; ``hint`` is what to type next. Invoke prints an
``invoke.Exit`` without a traceback and exits with its code, so a traceback always means a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

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


class MigrationFailed(Failed):
    """A migration failed: its ``revision``, and the ``line`` of its file (0 where no traceback says one)."""

    def __init__(self, text: str, revision: str, line: int) -> None:
        self.revision = revision
        self.line = line
        super().__init__(text)


class Differs(SquashError):
    """The databases are not the same: nothing is merged."""

    code = DIFFERS


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
