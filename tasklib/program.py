"""The command `alembic-squash`: Invoke's own program over the collection, in any repository, without a tasks.py."""

from __future__ import annotations

import signal
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from invoke.config import AmbiguousMergeError, Config
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from tasklib import console, ns
from tasklib.errors import BUG, REFUSED


class _Program(Program):
    def update_config(self, merge: bool = True) -> None:
        """As Invoke does it, and the project's invoke.yaml too: a Program with its own collection loads none."""
        super().update_config(merge=False)
        self.config.set_project_location(_project(Path.cwd()))
        try:
            self.config.load_project(merge=False)
        except Exception as error:  # by file type: YAML, JSON and Python have errors of their own
            raise Exit(f"The configuration in {_project(Path.cwd())} cannot be read: {error}", code=REFUSED) from None
        if merge:
            self.config.merge()


def _project(cwd: Path) -> Path:
    """The nearest directory from ``cwd`` upwards, within its repository, that has an invoke.yaml, .json or .py."""
    for directory in (cwd, *cwd.parents):
        if any((directory / f"invoke.{suffix}").exists() for suffix in ("yaml", "yml", "json", "py")):
            return directory
        if (directory / ".git").exists():
            return directory
    return cwd


def _version() -> str:
    try:
        return version("alembic-squash")
    except PackageNotFoundError:
        return "unknown"


def main() -> None:
    """Entry point; a bug is a traceback and exit code 70."""
    console.prepare()
    program = _Program(
        name="alembic-squash", binary="alembic-squash", namespace=ns, version=_version(), config_class=Config
    )
    try:
        program.run()
    except (Exit, ParseError, SystemExit):
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); Python would complain again when it closes the streams.
        for stream in (sys.stdout, sys.stderr):
            console.silence(stream)
        sys.exit(128 + signal.SIGPIPE)
    except AmbiguousMergeError as error:
        console.note(f"A key of the configuration has the wrong shape (text or a list was expected): {error}")
        sys.exit(REFUSED)
    except Exception:
        traceback.print_exc()
        sys.exit(BUG)
