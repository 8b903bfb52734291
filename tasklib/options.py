"""The options that tasks share, with their help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasklib.settings import HELP, KEYS

ALL = dict(HELP)


def only(*names: str) -> dict[str, str]:
    """The help of some options."""
    return {name: HELP[name] for name in names}


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options among a task's arguments."""
    return {name: value for name, value in arguments.items() if name in KEYS}
