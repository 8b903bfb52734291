"""What the docs tell users to type, for the tests that type it."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
YOUR_PROJECT = (DOCS / "your-project.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The examples of ``--command``."""
    return re.findall(r'(?m)^--command "(.*)"$', YOUR_PROJECT)


def command(beginning: str) -> str:
    """The one of them that begins so."""
    (found,) = [one for one in commands() if one.startswith(beginning)]
    return found


def tasks_py() -> str:
    """The example of a tasks.py with tasks of its own."""
    (found,) = re.findall(r"(?ms)^```python\n(.*?)^```$", YOUR_PROJECT)
    return str(found)
