"""A branch whose migrations hang on ones that a squash took: their parent becomes R, in a commit on that branch.

Only the text of revision files on that branch changes, and the branch by compare-and-swap; no work tree is touched.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasklib.after import in_flight
from tasklib.after.in_flight import Gone, Hanging
from tasklib.after.lineage import Lineage
from tasklib.errors import Refused
from tasklib.history import revisions
from tasklib.project.sources import constant, dotted, parsed
from tasklib.repository import refs, status, trees
from tasklib.repository.git import Entry

# What SQL names after these words is a table, most of the time.
IN_SQL = re.compile(r"(?i)\b(?:table|into|update|from|join|on)\s+(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?([\w.\"]+)")


@dataclass(frozen=True)
class Change:
    """One file of a branch, with its new text; ``tables`` are those that it and a migration between its old parent and
    R both seem to be about, with that migration's id.
    """

    hanging: Hanging
    text: str
    tables: tuple[tuple[str, str], ...]


def changes(known: Lineage, branch: str) -> list[Change]:
    """What to change on a branch; `Refused` where it is no such branch, or not a change of one line."""
    repository, layout = known.squashed.repository, known.squashed.layout
    commit = repository.commit(f"refs/heads/{branch}")
    if commit is None:
        raise Refused(f"There is no local branch {branch}.", f"git branch {branch} origin/{branch}")
    if known.base is None:
        raise Refused("The commit that is checked out holds no squash; one was expected.", "git checkout MAIN")
    if branch == repository.current_branch() or (status.in_other_work_tree(repository, branch) is not None):
        raise Refused(f"The branch {branch} is checked out; its files are not changed under somebody's hands.",
                      "git checkout the branch that has the squash, there")  # fmt: skip
    if known.lacking is not None:
        raise known.lacking
    place = in_flight.of_commit(repository, layout, _gone(known), branch, commit)
    if place.edited:
        raise Refused(
            f"{branch} changed {', '.join(place.edited)}, which the squash took: what it changed there is lost when it "
            "is merged.",
            "say that change in a new migration on the branch, and take the old file back: "
            f"git checkout $(git merge-base {branch} HEAD) -- {place.edited[0]}",
        )
    found = in_flight.hanging(place, _gone(known))
    # As git has it: a checkout would change its line ends.
    texts = {one.path: repository.read(commit, one.path) for one in found}
    return [Change(one, _text(texts[one.path], one, known.revision), _shared(known, one, texts[one.path]))
            for one in found]  # fmt: skip


def _gone(known: Lineage) -> Gone:
    history, ids = known.history, known.to_r()
    return Gone.of(known.revision, [history.migrations[one] for one in ids],
                   history.migrations.keys() - ids, known.head)  # fmt: skip


def commit(known: Lineage, branch: str, made: Iterable[Change]) -> str:
    """Commit the changes on the branch, whose work tree nobody has; returns the new commit."""
    repository = known.squashed.repository
    old = repository.commit(f"refs/heads/{branch}") or ""
    modes = {entry.path: entry.mode for entry in repository.files(old)}
    entries = [Entry(one.hanging.path, trees.keep(repository, one.text), modes[one.hanging.path]) for one in made]
    listed = "\n".join(f"- {one.hanging.path}: {', '.join(one.hanging.parents)}" for one in made)
    message = f"Hang migrations on {known.revision}\n\nThe ones that they hung on are squashed into it:\n{listed}\n"
    new = refs.commit_tree(repository, trees.composed_tree(repository, old, (), entries), old, message)
    refs.move_branch(repository, branch, new, old)
    return new


def _text(text: str, one: Hanging, revision: str) -> str:
    """The file with R in the place of the parents that went; `Refused` where R would be there twice."""
    lines = text.split("\n")
    nodes = [
        node
        for name, value, _ in revisions.assigned(parsed(text, one.path).body)
        if name in ("down_revision", "depends_on") and value is not None
        for node in ast.walk(value)
        if isinstance(node, ast.Constant) and node.value in one.parents
    ]
    if len(nodes) != 1 or revision in one.migration.parents:
        raise Refused(
            f"{one.where}: {one.path} hangs on {', '.join(one.migration.parents)}; one line that names one which "
            "went was expected.",
            f"put {revision!r} there by hand, in the place of all of {', '.join(one.parents)}",
        )
    (node,) = nodes
    line = lines[node.lineno - 1].encode()
    quote = line[node.col_offset : node.col_offset + 1]
    literal = quote + revision.encode() + quote if quote in (b"'", b'"') else repr(revision).encode()
    new = line[: node.col_offset] + literal + line[node.end_col_offset :]
    lines[node.lineno - 1] = new.decode()
    # The docstring says it too, as script.py.mako has it.
    said = re.compile(rf"(?m)^(Revises:.*?)\b{re.escape(str(node.value))}\b")
    return said.sub(lambda match: f"{match.group(1)}{revision}", "\n".join(lines), count=1)


def _shared(known: Lineage, one: Hanging, text: str) -> tuple[tuple[str, str], ...]:
    """Tables that the branch's migration and one that now runs before it, and did not, are both about."""
    repository, history = known.squashed.repository, known.history
    between = known.to_r() - known.closure({*one.parents})
    paths = {history.migrations[id_].path: id_ for id_ in between}
    texts: Mapping[str, str] = trees.read_many(repository, known.tree, sorted(paths))
    mine = _tables(text)
    return tuple((table, paths[path]) for path, other in texts.items() for table in sorted(mine & _tables(other)))


def _tables(text: str) -> set[str]:
    """Names that a migration's operations and SQL use as those of tables, roughly: one too many rather than too few."""
    found = set()
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] != "Column":
            found |= {word for value in node.args[:2] if (word := constant(value)) and re.fullmatch(r"\w+", word)}
        if (sql := constant(node) if isinstance(node, ast.Constant) else None) is not None:
            found |= {name.replace('"', "").split(".")[-1] for name in IN_SQL.findall(sql)}
    return found
