"""Pages made from the program itself; `python -m tests.docs.pages` writes them anew.

docs/options.md has the program's own table of options, docs/refusals.md the messages that stand in its source.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from invoke.tasks import Task

from tasklib import errors, ns
from tasklib.options import SEEN
from tasklib.settings import FLAGS, HELP, LISTS

ROOT = Path(__file__).resolve().parents[2]
OPTIONS, REFUSALS = ROOT / "docs/options.md", ROOT / "docs/refusals.md"
CODES = (
    (0, "done"),
    (errors.REFUSED, "refused: bad input, or a state that does not allow it; nothing was touched"),
    (errors.FAILED, "a command, a migration or a server failed; everything is as it was"),
    (errors.DIFFERS, "the databases differ, or what the command did is not what was asked; nothing is merged"),
    (errors.CONFLICT, "git could not merge the original branch into the squash branch"),
    (errors.BUG, "a bug of this program, with a traceback"),
    (130, "interrupted; 141 where whoever read the output has gone"),
)
# The errors of the program, and what the page says of each.
KINDS = {
    "Refused": "Refused (exit code 1): nothing was touched",
    "Misconduct": "The application or env.py does what cannot be told apart from its migrations",
    "Failed": "Failed (exit code 2)",
    "Differs": "Not proven (exit code 3)",
    "Conflict": "A conflict (exit code 4)",
}
GAP = "…"


def options() -> str:
    """The page of options, configuration and exit codes."""
    lines = [
        "# Options, configuration, exit codes",
        "",
        "An option is taken from the command line, else from the environment (`INVOKE_SQUASH_REV`), else from",
        "`squash:` in `invoke.yaml`, in the directory in which you are or above. `--dry` before a command's name only",
        "says what it would do. `source <(alembic-squash --print-completion-script bash)` (or zsh, fish) completes the",
        "names of commands and options in that shell.",
        "",
        "| option | variable | what it says | commands |",
        "|---|---|---|---|",
    ]
    tasks = {name: arguments(ns[name]) for name in ns.task_names}
    for name, text in HELP.items():
        key = name.replace("-", "_")
        value = "" if key in FLAGS else " VALUE"
        of = [task for task, given in tasks.items() if name in given]
        variable = "" if key in LISTS else f"`INVOKE_SQUASH_{key.upper()}`"
        lines.append(f"| `--{name}{value}` | {variable} | {cell(text)} | {', '.join(of)} |")
    lines += ["", "Every command also takes these.", "", "| option | what it says |", "|---|---|"]
    lines += [f"| `--{option}` | {cell(text)} |" for option, text in SEEN.items()]
    lines += ["", "## Options of one command", "", "| command | option | what it says |", "|---|---|---|"]
    for task, given in tasks.items():
        for option, text in given.items():
            if option not in HELP and text != SEEN.get(option):
                lines.append(f"| {task} | `--{option}` | {cell(text)} |")
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| {code} | {meaning} |" for code, meaning in CODES)]) + "\n"


def arguments(made: Task[Any]) -> dict[str, str]:
    """The options of a task with their help, which Invoke takes out of the task that it is asked of."""
    asked = copy.copy(made)
    asked.help = dict(made.help)
    return {str(one.name).replace("_", "-"): one.help or "" for one in asked.get_arguments()}


def refusals() -> str:
    """The page of messages, by kind and by the part of the program that they come from."""
    lines = [
        "# What it refuses, and what to do",
        "",
        f"Every message of this program, as it stands in the source; {GAP} is what it names. The second column is the",
        "hint that is printed with it.",
    ]
    found = list(messages())
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", "", "| message | what to do |", "|---|---|"]
        rows = {(text, hint) for of, text, hint in found if of == kind and text.strip(f"{GAP} .:")}
        lines += [f"| {cell(text)} | {cell(hint)} |" for text, hint in sorted(rows)]
    return "\n".join(lines) + "\n"


def messages() -> Iterator[tuple[str, str, str]]:
    """(kind, message, hint) of every error that the program raises by itself."""
    for path in sorted((ROOT / "tasklib").rglob("*.py")):
        tree = ast.parse(path.read_text())
        known = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
                text, hint = (words(one, known) for one in [*node.args, ast.Constant("")][:2])
                yield node.func.id, text, hint


def words(node: ast.expr, known: dict[str, ast.expr]) -> str:
    """The text of an expression, with a gap for what is only known when it runs."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else GAP
    if isinstance(node, ast.JoinedStr):
        return "".join(words(one, known) for one in node.values)
    if isinstance(node, ast.FormattedValue):
        return words(node.value, known) if isinstance(node.value, ast.Name) else GAP
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return words(node.left, known) + words(node.right, known)
    if isinstance(node, ast.Name) and node.id in known:
        return words(known[node.id], {})
    if isinstance(node, ast.IfExp):
        return " or: ".join(one for one in (words(node.body, known), words(node.orelse, known)) if one)
    return GAP


def cell(text: str) -> str:
    """A text as a cell of a table."""
    text = re.sub(r"\s+", " ", re.sub(rf"{GAP}(\s*{GAP})+", GAP, text)).strip()
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def pages() -> dict[Path, str]:
    return {OPTIONS: options(), REFUSALS: refusals()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
