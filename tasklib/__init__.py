"""Invoke tasks that truncate an Alembic history into one proven base migration.

``from tasklib import ns`` in a tasks.py gives a project all of them; one with tasks of its own adds the collection:
``ns = Collection(my_task); ns.add_collection(tasklib.ns, name="history")``.
"""

from tasklib.collection import ns

__all__ = ["ns"]
