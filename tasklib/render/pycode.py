"""Python source as ruff and black lay it out: 88 columns, double quotes, one argument a line where it is long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

WIDTH = 88


@dataclass(frozen=True)
class Call:
    """A call: positional arguments are nodes, keyword arguments are (name, node)."""

    name: str
    args: Sequence[Node] = ()
    kwargs: Mapping[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Items:
    """A list ``[]`` or a dictionary ``{}``; a dictionary's nodes are (key, node) pairs."""

    nodes: Sequence[Node | tuple[str, Node]]
    brackets: str = "[]"


Node = Union[str, Call, Items]  # noqa: UP007 - as an expression X | Y with strings needs Python 3.14


def string(value: str) -> str:
    """A string literal on one line: in double quotes, or in single ones where that saves escapes."""
    body = repr(value + "'\"")[1:-1]  # with both quotes in it, repr escapes the single ones and no double one
    body = body.removesuffix("\\'\"")
    if body.count('"') > body.count("\\'"):
        return f"'{body}'"
    return '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'


def block(value: str) -> str:
    """A string literal for SQL of one or many lines, as people would write it."""
    if "\n" not in value:
        if "\\" in value and '"' not in value and value.isprintable() and not value.endswith("\\"):
            return f'r"{value}"'
        return string(value)
    plain = value.replace("\n", "").replace("\t", "")
    if '"""' in value or value.endswith(('"', "\\")) or not plain.isprintable() or "\r" in value:
        return string(value)
    prefix = "r" if "\\" in value else ""
    return f'{prefix}"""{value}"""'


def render(node: Node, indent: int, prefix: str = "", suffix: str = "") -> list[str]:
    """Lines of ``prefix`` + node + ``suffix`` at an indentation, split where they are too long."""
    pad = " " * indent
    flat = _flat(node)
    if "\n" in flat:
        if isinstance(node, str):
            return f"{pad}{prefix}{flat}{suffix}".split("\n")
        if isinstance(node, Call) and len(node.args) == 1 and not node.kwargs and isinstance(node.args[0], str):
            return [f"{pad}{prefix}{node.name}(", *f"{pad}    {node.args[0]}".split("\n"), f"{pad}){suffix}"]
    elif len(pad + prefix + flat + suffix) <= WIDTH or isinstance(node, str):
        return [f"{pad}{prefix}{flat}{suffix}"]
    assert not isinstance(node, str)
    inner: list[str] = []
    if isinstance(node, Call):
        opening, closing = f"{node.name}(", ")"
        parts: list[tuple[str, Node]] = [("", arg) for arg in node.args]
        parts += [(f"{name}=", value) for name, value in node.kwargs.items()]
    else:
        opening, closing = node.brackets[0], node.brackets[1]
        parts = [(f"{one[0]}: ", one[1]) if isinstance(one, tuple) else ("", one) for one in node.nodes]
    if not parts:
        return [f"{pad}{prefix}{opening}{closing}{suffix}"]
    # The formatters put a call's arguments on one line where that is enough, and never those of a list.
    inside = f"{pad}    {_flat(node)[len(opening) : -len(closing)]}"
    if isinstance(node, Call) and "\n" not in inside and len(inside) <= WIDTH:
        return [f"{pad}{prefix}{opening}", inside, f"{pad}{closing}{suffix}"]
    # A single string that is too long even alone keeps no trailing comma, as the formatters have it.
    alone = isinstance(node, Call) and len(parts) == 1 and isinstance(parts[0][1], str)
    for name, value in parts:
        inner += render(value, indent + 4, name, "" if alone else ",")
    return [f"{pad}{prefix}{opening}", *inner, f"{pad}{closing}{suffix}"]


def _flat(node: Node) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, Call):
        words = [_flat(arg) for arg in node.args] + [f"{name}={_flat(value)}" for name, value in node.kwargs.items()]
        return f"{node.name}({', '.join(words)})"
    words = [f"{one[0]}: {_flat(one[1])}" if isinstance(one, tuple) else _flat(one) for one in node.nodes]
    return node.brackets[0] + ", ".join(words) + node.brackets[1]


def strings(values: Sequence[str]) -> Items:
    """A list of string literals."""
    return Items([string(value) for value in values])
