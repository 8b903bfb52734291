"""Revision files, read by their syntax tree and never executed."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from tasklib.errors import Refused
from tasklib.git import Entry, Repository, remembered
from tasklib.history import History, Migration
from tasklib.plan import Layout


def files(repository: Repository, commit: str, layout: Layout) -> list[Entry]:
    """Every file of a commit (or tree) in which Alembic would look for a revision."""
    entries = {e.path: e for place in layout.locations for e in repository.files(commit, place)}
    return [entry for path, entry in sorted(entries.items()) if layout.holds_revision(path)]


@remembered
def read_history(repository: Repository, commit: str, layout: Layout) -> History:
    """The history at a commit (or tree): every revision file in the version locations."""
    found: dict[str, Migration] = {}
    paths = [entry.path for entry in files(repository, commit, layout)]
    for path, text in repository.read_many(commit, paths).items():
        migration = parse(text, path)
        if migration is None:
            continue
        if migration.id in found and found[migration.id].path != path:
            raise Refused(f"Two files have the revision {migration.id}: {found[migration.id].path} and {path}.")
        found[migration.id] = migration
    return History(found.values())


def parse(source: str, path: str) -> Migration | None:
    """The revision that a file declares at its top level, or None for a helper without one.

    Raises `Refused` where the file does not parse, or a value is computed instead of written.
    """
    try:
        tree = ast.parse(source, filename=path)
    except SyntaxError as error:
        raise Refused(f"{path} is not valid Python: {error.msg} (line {error.lineno}).") from None
    values: dict[str, object] = {}
    for statement in tree.body:
        for name, value in _assigned(statement):
            if name in ("revision", "down_revision", "depends_on", "branch_labels"):
                try:
                    values[name] = ast.literal_eval(value)
                except ValueError:
                    raise Refused(
                        f"{path}, line {statement.lineno}: {name} is computed; a literal was expected, since revision "
                        "files are read and not executed."
                    ) from None
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


def _assigned(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign):
        return [(target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        return [(statement.target.id, statement.value)]
    return []


def _ids(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple, set)):
        return tuple(str(one) for one in value)
    return ()


def originals(source: str) -> str | None:
    """The commit that a base migration names as that of its originals, or None."""
    match = re.search(r"(?m)^Originals: git commit ([0-9a-f]{40,64})$", source)
    return match.group(1) if match else None
