"""The collection, for `invoke` in this repository, and its own `bench`. A project's tasks.py does with one line:
from tasklib import ns.
"""

from tasklib import ns
from tests.bench import bench

ns.add_task(bench)

__all__ = ["ns"]
