"""The command `alembic-squash`: Invoke's own program over the collection, in any repository, without a tasks.py."""

from __future__ import annotations

import difflib
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from invoke.config import AmbiguousMergeError, Config
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

try:
    from tasklib import ns
except ImportError:
    # Taskwarrior's library of that name, installed later, puts its own __init__.py in the place of ours.
    sys.exit(
        "Another package has the import name tasklib (Taskwarrior's library, say), and stands in the place of this "
        "program's; they cannot be installed together.\n"
        "  hint: pip uninstall tasklib && pip install --force-reinstall --no-deps alembic-squash, in an environment of "
        "its own where you need both"
    )
from tasklib import console
from tasklib.errors import BUG, REFUSED
from tasklib.settings import HELP
from tasklib.workbench.bench import release

# Of Invoke's own options, those that mean something here.
BEFORE = ("--help", "--list", "--version", "--config", "--print-completion-script", "--debug")


class _Program(Program):
    def parse_tasks(self) -> None:
        """As Invoke does it; what it does not know is answered with what may be meant."""
        try:
            super().parse_tasks()
        except ParseError as error:
            raise ParseError(f"{error}{self._meant(str(error), error.context)}", error.context) from None

    def _meant(self, said: str, context: Any) -> str:
        """What to type in the place of what the parser of ``context`` (a command's, or of what stands before them) does
        not know.
        """
        if "required positional" in said:
            return (
                f" Type: {self.binary} {context.name} {' '.join(one.name.upper() for one in context.positional_args)}"
            )
        unknown = re.search(r"No idea what '(-*)([^'=]*)", said)
        if unknown is None:
            return ""
        dashes, word = unknown.groups()
        if word in ("help", "list"):
            return f" Did you mean {self.binary} --{word}?"
        commands = {name: one.flags for name, one in self.parser.contexts.items() if name in ns.task_names}
        if dashes and (having := [name for name, flags in commands.items() if f"--{word}" in flags]):
            if context is None or context.name not in commands:
                return f" It stands after the command: {self.binary} {having[0]} --{word}"
            return f" {context.name} has none; these have: {', '.join(having)}."
        known = {flag for flags in commands.values() for flag in flags if flag.startswith("--")}
        names = sorted(flag[2:] for flag in known) if dashes else list(ns.task_names)
        near = difflib.get_close_matches(word, names) or [one for one in names if word and word.startswith(one)]
        listed = ", ".join(f"{dashes and '--'}{one}" for one in near)
        return f" Did you mean {listed}?" if near else f" All there is: {self.binary} --list"

    def list_flat(self) -> None:
        """In the order of the steps, where Invoke sorts by name."""
        order = list(ns.task_names)
        self.display_with_columns(
            pairs=sorted(self._make_pairs(self.scoped_collection), key=lambda one: order.index(one[0]))
        )

    def print_help(self) -> None:
        """What a newcomer needs comes first; Invoke would begin with all options of its own."""
        console.say(
            f"Usage: {self.binary} COMMAND [options]\n\n"
            f"  {self.binary} plan --rev head-20     what would go and stay; reads only\n"
            f"  {self.binary} squash --rev head-20   do it, with its proof; or everything is as it was\n"
            f"  {self.binary} COMMAND --help         what a command does, with all its options\n"
        )
        self.list_tasks()
        console.say("Options before the command:\n")
        known = self.initial_context.help_tuples()
        self.print_columns([one for one in known if any(re.search(rf"{name}(?![\w-])", one[0]) for name in BEFORE)])

    def print_task_help(self, name: str) -> None:
        """The options in the order of their table: those that are used most come first."""
        context, order = self.parser.contexts[name], [f"--{one}" for one in HELP]

        def place(one: tuple[str, Any]) -> int:
            flag = re.match(r"--[\w-]+", one[0].replace("--[no-]", "--"))
            return order.index(flag[0]) if flag and flag[0] in order else len(order)

        listed = sorted(context.help_tuples(), key=place)
        context.help_tuples = lambda: listed
        super().print_task_help(name)

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


def main() -> None:
    """Entry point; a bug is a traceback and exit code 70."""
    console.prepare()
    # Invoke would take it for the value of an argument that must be given.
    named = [word for word in sys.argv[1:] if word in ns.task_names]
    if named and {"--help", "-h"} & {*sys.argv}:
        sys.argv[1:] = ["--help", named[0]]
    program = _Program(
        name="alembic-squash", binary="alembic-squash", namespace=ns, version=release(), config_class=Config
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
