"""The collection: every task under the name that people type. No logic."""

from __future__ import annotations

from invoke.collection import Collection

from tasklib.demo.task import demo
from tasklib.settings import DEFAULTS
from tasklib.squash import abort, squash, status
from tasklib.steps.catchup import catchup
from tasklib.steps.checkout import checkout
from tasklib.steps.cleanup import cleanup
from tasklib.steps.createdb import createdb
from tasklib.steps.instances import instances
from tasklib.steps.merge import merge
from tasklib.steps.migrate import migrate
from tasklib.steps.plan import plan
from tasklib.steps.rebase_revision import rebase_revision
from tasklib.steps.reinit import reinit
from tasklib.steps.replay import replay
from tasklib.steps.restore import restore
from tasklib.steps.undo import undo
from tasklib.steps.verify import verify

ns = Collection(
    plan,
    checkout,
    reinit,
    restore,
    createdb,
    replay,
    migrate,
    verify,
    cleanup,
    merge,
    squash,
    status,
    abort,
    instances,
    catchup,
    rebase_revision,
    undo,
    demo,
)
ns.configure({"squash": dict(DEFAULTS)})

__all__ = ["ns"]
