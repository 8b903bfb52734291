"""The collection, for `invoke` in this repository. A project's own tasks.py does the same: from tasklib import ns."""

from tasklib import ns

__all__ = ["ns"]
