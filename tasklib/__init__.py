"""Invoke tasks that truncate an Alembic history into one proven base migration.

``from tasklib import ns`` in a tasks.py gives a project all of them; one with tasks of its own adds the collection:
``ns = Collection(my_task); ns.add_collection(tasklib.ns, name="history")``.
"""

from invoke.collection import Collection

from tasklib.settings import DEFAULTS
from tasklib.squash import abort, squash, status
from tasklib.steps.checkout import checkout
from tasklib.steps.cleanup import cleanup
from tasklib.steps.createdb import createdb
from tasklib.steps.merge import merge
from tasklib.steps.migrate import migrate
from tasklib.steps.plan import plan as _plan
from tasklib.steps.reinit import reinit
from tasklib.steps.replay import replay as _replay
from tasklib.steps.restore import restore
from tasklib.steps.verify import verify

ns = Collection(
    _plan, checkout, reinit, restore, createdb, _replay, migrate, verify, cleanup, merge, squash, status, abort
)
ns.configure({"squash": dict(DEFAULTS)})

__all__ = ["ns"]
