"""Texts of revision files as the project's script.py.mako makes them: what every file begins with, the docstring."""

from __future__ import annotations

import ast
import re

from tasklib.project.sources import parsed

COMMENTS = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*")


def header(template: str, original: str) -> list[str]:
    """The comment lines that a revision file begins with: a licence, `# pylint: disable=…`, an encoding.

    As the template has them now; where it computes them (``${…}``), as R's own file ``original`` has them.
    """
    lines = _leading(template)
    if any("${" in line or "<%" in line for line in lines) or template.startswith(("%", "<%", "${")):
        return _leading(original)
    return [line for line in lines if not line.startswith("##")]  # Mako's own comments


def _leading(text: str) -> list[str]:
    match = COMMENTS.match(text)
    lines = [line.rstrip() for line in (match.group(0) if match else "").splitlines()]
    while lines and not lines[0]:
        del lines[0]
    return lines if any(lines) else []


def with_line(source: str, line: str, message: str) -> str:
    """The source with one more line in the module's docstring; where it has none, it gets one with ``message``."""
    body = parsed(source).body
    lines = source.splitlines(keepends=True)
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        start, end = first.lineno - 1, first.end_lineno or first.lineno
        if end - start > 1:
            return "".join([*lines[: start + 1], f"\n{line}\n", *lines[start + 1 :]])
        # Of one line: it is written anew, in the usual form.
        text = first.value.value.replace("\\", "\\\\").replace('"""', "'''")
        return "".join([*lines[:start], f'"""{text}\n\n{line}\n"""\n', *lines[end:]])
    at = first.lineno - 1 if first is not None else len(lines)
    return "".join([*lines[:at], f'"""{message}\n\n{line}\n"""\n\n', *lines[at:]])
