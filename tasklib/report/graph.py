"""A revision graph as a picture: newest on top, a lane for each branch, long straight runs folded. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasklib.history.cut import Migration

LONGEST = 40  # characters of a message in Mermaid
ENDS = 3  # of a straight run as many migrations are shown at each end


@dataclass(frozen=True)
class Node:
    """A migration, or a run of so many that are ``folded`` into one; ``kind`` is gone, base or kept."""

    id: str
    parents: tuple[str, ...]
    message: str
    kind: str
    folded: int = 0


@dataclass(frozen=True)
class Placed:
    """A node in its row and lane, both from 0."""

    node: Node
    row: int
    lane: int


@dataclass(frozen=True)
class Edge:
    """From a child down to its parent, in a lane of its own between them."""

    child: Placed
    parent: Placed
    lane: int


@dataclass(frozen=True)
class Graph:
    """All of it; ``lanes`` is how many there are."""

    placed: tuple[Placed, ...]
    edges: tuple[Edge, ...]
    lanes: int


def before(migrations: Sequence[Migration], gone: Sequence[str]) -> list[Node]:
    """The nodes as they were, oldest first; ``gone`` go."""
    lost = {*gone}
    return [_node(one, one.parents, "gone" if one.id in lost else "kept") for one in migrations]


def after(migrations: Sequence[Migration], gone: Sequence[str], revision: str) -> list[Node]:
    """The nodes as they are, with R as a base."""
    lost = {*gone} - {revision}
    return [
        _node(one, () if one.id == revision else one.parents, "base" if one.id == revision else "kept")
        for one in migrations
        if one.id not in lost
    ]


def _node(one: Migration, parents: Sequence[str], kind: str) -> Node:
    return Node(one.id, tuple(dict.fromkeys(parents)), " ".join(one.message.split()), kind)


def folded(nodes: Sequence[Node]) -> list[Node]:
    """The same, with the middle of each long straight run as one node."""
    children: dict[str, list[str]] = {}
    for node in nodes:
        for parent in node.parents:
            children.setdefault(parent, []).append(node.id)
    known = {node.id: node for node in nodes}
    straight = {n.id for n in nodes if len(n.parents) < 2 and len(children.get(n.id, ())) < 2}
    replaced: dict[str, Node] = {}  # by the newest of a fold
    hidden: set[str] = set()
    for node in nodes:
        first = node.id in straight and not (node.parents and _runs_on(known[node.parents[0]], node, straight))
        if not first:
            continue
        run = [node]
        while (up := children.get(run[-1].id)) and _runs_on(run[-1], known[up[0]], straight):
            run.append(known[up[0]])
        middle = run[ENDS:-ENDS]
        if len(middle) > 1:
            newest = middle[-1]
            replaced[newest.id] = Node(newest.id, (run[ENDS - 1].id,), "", newest.kind, len(middle))
            hidden |= {one.id for one in middle[:-1]}
    return [replaced.get(node.id, node) for node in nodes if node.id not in hidden]


def _runs_on(parent: Node, child: Node, straight: set[str]) -> bool:
    return {parent.id, child.id} <= straight and parent.kind == child.kind


def laid_out(nodes: Sequence[Node]) -> Graph:
    """Rows from the newest down; a child's first parent stays in its lane, others get one of their own."""
    shown = folded(nodes)
    waiting: list[str | None] = []  # by lane: the parent that it leads to
    open_edges: dict[str, list[tuple[Placed, int]]] = {}
    placed: list[Placed] = []
    edges: list[Edge] = []
    widest = 0
    known = {node.id for node in shown}
    for row, node in enumerate(reversed(shown)):
        mine = [lane for lane, parent in enumerate(waiting) if parent == node.id]
        lane = mine[0] if mine else _free(waiting)
        here = Placed(node, row, lane)
        placed.append(here)
        edges += [Edge(child, here, through) for child, through in open_edges.pop(node.id, ())]
        for one in mine:
            waiting[one] = None
        for number, parent in enumerate(one for one in node.parents if one in known):
            through = lane if not number else _lane_to(waiting, parent)
            waiting[through] = parent
            open_edges.setdefault(parent, []).append((here, through))
        widest = max(widest, len(waiting))
    return Graph(tuple(placed), tuple(edges), max(widest, 1))


def _free(waiting: list[str | None]) -> int:
    if None not in waiting:
        waiting.append(None)
    return waiting.index(None)


def _lane_to(waiting: list[str | None], parent: str) -> int:
    return waiting.index(parent) if parent in waiting else _free(waiting)


def mermaid(nodes: Sequence[Node]) -> str:
    """The graph in Mermaid's words, which GitHub and GitLab draw; ids of nodes are made up, for theirs may be words
    of Mermaid's.
    """
    shown = folded(nodes)
    names: Mapping[str, str] = {node.id: f"n{number}" for number, node in enumerate(shown)}
    lines = ["flowchart BT"]
    for node in reversed(shown):
        text = f"… {node.folded} more …" if node.folded else f"{node.id[:12]}<br/>{_quoted(_short(node.message))}"
        lines.append(f'  {names[node.id]}["{text}"]:::{node.kind}')
    for node in reversed(shown):
        lines += [f"  {names[one]} --> {names[node.id]}" for one in node.parents if one in names]
    return "\n".join([*lines, "  classDef gone stroke-dasharray:4", "  classDef base stroke-width:3px"])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
