"""Revision files, read by their syntax tree and never executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import PurePosixPath

from tasklib.errors import Refused
from tasklib.history.cut import History, Migration
from tasklib.project.layout import Layout
from tasklib.project.sources import parsed
from tasklib.repository import trees
from tasklib.repository.git import Entry, Repository, remembered


def files(repository: Repository, commit: str, layout: Layout) -> list[Entry]:
    """Every file of a commit (or tree) in which Alembic would look for a revision."""
    entries = {e.path: e for place in layout.locations for e in repository.files(commit, place)}
    return [entry for path, entry in sorted(entries.items()) if layout.holds_revision(path)]


@remembered
def read_history(repository: Repository, commit: str, layout: Layout) -> History:
    """The history at a commit (or tree): every revision file in the version locations."""
    found: dict[str, Migration] = {}
    paths = [entry.path for entry in files(repository, commit, layout)]
    for path, text in trees.read_many(repository, commit, paths).items():
        migration = parse(text, path)
        if migration is None:
            continue
        if migration.id in found and found[migration.id].path != path:
            raise Refused(f"Two files have the revision {migration.id}: {found[migration.id].path} and {path}.")
        found[migration.id] = migration
    return History(found.values())


@cache  # a squash reads the same files in the trees of several commits
def parse(source: str, path: str) -> Migration | None:
    """The revision that a file declares at its top level, or None for a helper without one.

    Raises `Refused` where the file does not parse, or a value is computed instead of written.
    """
    try:
        tree = parsed(source, path)
    except SyntaxError as error:
        raise Refused(f"{path} is not valid Python: {error.msg} (line {error.lineno}).") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; brackets in brackets in brackets
        raise Refused(f"{path} cannot be read as Python: {error}.") from None
    values: dict[str, object] = {}
    for name, value, line in assigned(tree.body):
        try:
            values[name] = ast.literal_eval(value) if value is not None else ...
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            values[name] = ...
        if values[name] is ... or not _is_names(values[name]):
            raise Refused(
                f"{path}, line {line}: {name} is computed; a literal was expected, since revision files are read and "
                "not executed."
            )
    revision = values.get("revision")
    if not isinstance(revision, str):
        return None
    return Migration(
        id=revision,
        down=_ids(values.get("down_revision")),
        depends_on=_ids(values.get("depends_on")),
        labels=_ids(values.get("branch_labels")),
        path=path,
        message=_message(ast.get_docstring(tree) or "") or _slug(path, revision),
    )


# What script.py.mako writes below the message.
FIELD = re.compile(r"(Revision ID|Revises|Create Date|Branch Labels|Depends on)\s*:", re.IGNORECASE)


def _message(docstring: str) -> str:
    """The first paragraph, as Alembic has it, without the fields that some write right below it, or have alone."""
    lines = [line.strip() for line in re.split(r"\n\s*\n", docstring.strip())[0].splitlines()]
    return "\n".join(line for line in lines if not FIELD.match(line))


def _slug(path: str, revision: str) -> str:
    """What the file's name says, where the docstring says nothing."""
    stem = PurePosixPath(path).stem
    return " ".join(re.sub(r"\W|_", " ", stem.partition(revision)[2] or stem).split())


NAMES = ("revision", "down_revision", "depends_on", "branch_labels")


def assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr | None, int]]:
    """What is assigned to names that Alembic reads: the name, the value (None: not to be read off), and the line."""
    for statement in body:
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        if isinstance(statement, ast.Assign):
            pairs = [(target, statement.value) for target in statement.targets]
        elif isinstance(statement, ast.AnnAssign):
            pairs = [(statement.target, statement.value)] if statement.value is not None else []
        elif not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            # In a condition, a loop, with += …: what it will be, only running it tells.
            stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
            pairs = [(node, None) for node in stored if isinstance(node.ctx, ast.Store)]
        for target, value in pairs:
            for name, one in _unpacked(target, value):
                if name in NAMES:
                    yield name, one, statement.lineno


def _unpacked(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    """The names that an assignment is to, and the value of each, as in ``revision, down_revision = "b", "a"``."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        alike = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        starred = any(isinstance(one, ast.Starred) for one in ast.walk(target))
        values = value.elts if isinstance(value, (ast.Tuple, ast.List)) and alike and not starred else []
        for number, one in enumerate(target.elts):
            yield from _unpacked(one.value if isinstance(one, ast.Starred) else one, values[number] if values else None)


def _is_names(value: object) -> bool:
    """Whether it is what Alembic takes for a revision or several: text, a sequence of texts, or nothing."""
    several = isinstance(value, (list, tuple, set)) and all(isinstance(one, str) for one in value)
    return value is None or isinstance(value, str) or several


def _ids(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, (list, tuple, set)) else ()


def originals(source: str) -> str | None:
    """The commit that a base migration names as that of its originals, or None."""
    match = re.search(r"(?m)^Originals: git commit ([0-9a-f]{40,64})$", source)
    return match.group(1) if match else None


REPLACED = "Replaces:"  # how the ids begin, in the docstring of a base migration


def replaced(source: str) -> tuple[str, ...]:
    """The ids that a base migration replaces, R's own last, as its docstring lists them; none where it does not."""
    match = re.search(rf"(?ms)^{REPLACED}((?:\s+\S+)+?)\n\s*\n", source)
    return tuple(match.group(1).split()) if match else ()
