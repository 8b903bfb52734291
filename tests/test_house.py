"""The house: which wing may import which, one door for each thing outside, no circle, no room too big."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each imports from those before it only: packages, and modules that stand alone.
WINGS = (
    *("errors", "interrupts", "timings", "ports", "masking", "console", "temporary", "shell", "binds"),
    *("repository", "postgres", "settings", "project", "history", "judge", "command", "render", "workbench"),
    *("reference", "base", "proof", "after", "report"),
    *("options", "steps", "squash", "demo", "collection", "__init__", "program"),
)
# What is outside, and the modules that may import it.
DOORS = {
    "sh": ("tasklib.shell",),
    "subprocess": ("tasklib.shell",),
    "psycopg2": ("tasklib.postgres",),
    "psycopg": ("tasklib.command.guard",),
    "alembic": ("tasklib.history.cut", "tasklib.demo"),
    "sqlalchemy": ("tasklib.postgres.client",),  # URLs
    "mako": ("tasklib.demo", "tasklib.report"),
    "rich": ("tasklib.console.checklist",),
    "invoke": (
        *("tasklib.errors", "tasklib.settings", "tasklib.options", "tasklib.steps", "tasklib.squash"),
        *("tasklib.demo.task", "tasklib.collection", "tasklib.program"),
    ),
}
PRINTS = ("tasklib.console",)
LARGEST = 300  # lines of code


def modules(top: Path) -> dict[str, str]:
    """The source of every module, by its dotted name; a package is its own `__init__`."""
    found = {}
    for path in sorted((top / "tasklib").rglob("*.py")):
        parts = path.relative_to(top).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def imports(name: str, source: str, known: dict[str, str]) -> Iterator[str]:
    """The modules that one imports, inside functions and for types too."""
    package = name if any(other.startswith(f"{name}.") for other in known) else name.rpartition(".")[0]
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*above, *([node.module] if node.module else [])])
            for one in node.names:
                full = f"{stem}.{one.name}"
                yield full if full in known else stem


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def wing(name: str) -> str:
    return [*name.split("."), "__init__"][1]


def faults(known: dict[str, str]) -> list[str]:
    """Everything about the house that is not as it should be."""
    found = []
    ours: dict[str, set[str]] = {}
    for name, source in known.items():
        ours[name] = set()
        for other in imports(name, source, known):
            top = other.partition(".")[0]
            if top == "tasklib":
                ours[name].add(other)
                if wing(name) not in WINGS:
                    found.append(f"{name} is in no wing that is listed")
                elif WINGS.index(wing(other)) > WINGS.index(wing(name)):
                    found.append(f"{name} imports {other}, which stands above it")
            elif top in DOORS and not any(f"{name}.".startswith(f"{door}.") for door in DOORS[top]):
                found.append(f"{name} imports {other}, whose door is {' and '.join(DOORS[top])}")
        if (lines := size(source)) > LARGEST:
            found.append(f"{name} has {lines} lines of code")
        if name not in PRINTS and any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            for node in ast.walk(parsed(source))
        ):
            found.append(f"{name} prints past {PRINTS[0]}")
    packages = {name for name in known if any(other.startswith(f"{name}.") for other in known)}
    try:
        # A package is not imported for itself but for what is in it: guard/ reads itself, tasklib names the collection.
        list(TopologicalSorter({one: {o for o in of if o not in packages} for one, of in ours.items()}).static_order())
    except ValueError as error:
        found.append(f"modules import each other: {' -> '.join(error.args[1])}")
    found += [
        f"{name} says nothing of itself" for name, source in known.items() if not ast.get_docstring(parsed(source))
    ]
    return found


@cache
def size(source: str) -> int:
    """Lines with code on them: no blank ones, no comments, no docstrings."""
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING):
            code |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def test_the_house_is_in_order() -> None:
    known = modules(ROOT)
    assert len(known) > 100
    assert {wing(name) for name in known} == set(WINGS)
    assert faults(known) == []


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("tasklib.judge.rows", "from tasklib.proof import proofs", "which stands above it"),
        ("tasklib.judge.rows", "def f():\n    import psycopg2", "whose door is tasklib.postgres"),
        ("tasklib.history.revisions", "import sh", "whose door is tasklib.shell"),
        ("tasklib.steps.plan", "print(1)", "prints past tasklib.console"),
        ("tasklib.history.cut", "from tasklib.history import revisions", "import each other"),
        ("tasklib.repository.refs", "x = [\n" + "1,\n" * 300 + "]", "lines of code"),
        ("tasklib.attic", '"""Old things."""\nfrom tasklib import errors', "in no wing that is listed"),
    ],
)
def test_what_is_out_of_order_is_noticed(name: str, line: str, said: str) -> None:
    known = modules(ROOT)
    known[name] = f"{known.get(name, '')}\n{line}\n"
    assert any(said in fault for fault in faults(known)), faults(known)


def test_contributing_names_files_that_there_are_and_every_wing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", text))
    assert len(named) > 40
    assert [one for one in named if not any((top / one).exists() for top in (ROOT, ROOT / "tasklib"))] == []
    picture = re.search(r"(?s)```\n(program .*?)```", text)
    assert picture is not None
    drawn = re.findall(r"[a-z]+", " ".join(line.split("   ")[0] for line in picture[1].splitlines()))
    assert drawn == [one for one in drawn if one in WINGS], drawn
    assert set(WINGS) - set(drawn) == {"__init__", "binds"}
