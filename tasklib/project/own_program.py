"""The project's own program for its migrations, where Alembic's configuration is built in code. Reads only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from tasklib.project.sources import constant, dotted, parsed
from tasklib.project.tree import Tree, join
from tasklib.repository import trees

NEEDED = {"current", "upgrade", "downgrade"}  # of Alembic's words, those that a squash says
# Alembic's own command line, with another configuration.
LINE = r"\b(CommandLine|run_cmd) *\("
GROUP = r"\.group *\("
ENDING = r"_(command|cmd|group)$"  # of a function's name, which click leaves out


def words(tree: Tree) -> tuple[str, ...] | None:
    """What to type before Alembic's words, where the user is; None where no program takes them, or several do."""
    found = {*_lines(tree), *_groups(tree)}
    return found.pop() if len(found) == 1 else None


def _lines(tree: Tree) -> Iterator[tuple[str, ...]]:
    """Modules that hand Alembic's own command line a configuration."""
    for path in _python_files(tree, LINE):
        _, module = _module(tree, path)
        if module and "alembic" in tree.text(path):
            yield "python", "-m", module


def _groups(tree: Tree) -> Iterator[tuple[str, ...]]:
    """Groups of click's that have Alembic's words, in a package that can be run."""
    for path in _python_files(tree, GROUP):
        place, module = _module(tree, path)
        package = module.partition(".")[0]
        if not package or join(place, f"{package}/__main__.py") not in tree.paths:
            continue
        for name, group in _named_groups(tree.text(path)):
            beside = f"{PurePosixPath(path).parent}/*.py"
            texts = [tree.text(one) for one in _python_files(tree, rf"\b{name}\.(command|add_command) *\(", beside)]
            if any("alembic" in text for text in texts) and _commands(texts, name) >= NEEDED:
                yield "python", "-m", package, group


def _python_files(tree: Tree, pattern: str, glob: str = "*.py") -> list[str]:
    return trees.files_matching(tree.repository, pattern, tree.commit, glob)


def _module(tree: Tree, path: str) -> tuple[str, str]:
    """The directory that a file is imported from, and its module; "" where `python -m` does not find it from where the
    user is.
    """
    for place in (tree.here, join(tree.here, "src")):
        if place != "." and not path.startswith(f"{place}/"):
            continue
        parts = PurePosixPath(path).relative_to(place).with_suffix("").parts
        parts = parts[:-1] if parts[-1] in ("__init__", "__main__") else parts
        tests = any(part.startswith("test") or part == "conftest" for part in parts)
        if parts and parts[0] != "src" and not tests and all(part.isidentifier() for part in parts):
            return place, ".".join(parts)
    return ".", ""


def _named_groups(text: str) -> Iterator[tuple[str, str]]:
    """Groups below another one: the function's name, and the word that is typed."""
    for function, decorator, _ in _decorated(text, "group"):
        yield function, _typed(function, decorator)


def _commands(texts: Iterable[str], group: str) -> set[str]:
    """The words of a group's commands."""
    found: set[str] = set()
    for text in texts:
        found |= {re.sub(ENDING, "", one) for one in re.findall(rf"\b{group}\.add_command\((\w+)", text)}
        found |= {_typed(function, decorator) for function, decorator, on in _decorated(text, "command") if on == group}
    return found


def _decorated(text: str, how: str) -> Iterator[tuple[str, ast.Call, str]]:
    """Functions below ``@on.how(…)``: the name, that call, and what it is called on."""
    try:
        tree = parsed(text)
    except SyntaxError:
        return
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    for function in functions:
        for call in (one for one in function.decorator_list if isinstance(one, ast.Call)):
            on, _, attribute = dotted(call.func).rpartition(".")
            if attribute == how:
                yield function.name, call, on


def _typed(function: str, decorator: ast.Call) -> str:
    """The word of a command or group: as its decorator says, else by its function's name."""
    named = [*decorator.args[:1], *(one.value for one in decorator.keywords if one.arg == "name")]
    given = next((value for one in named if (value := constant(one))), None)
    return given or re.sub(ENDING, "", function).replace("_", "-")
