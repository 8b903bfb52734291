"""What Alembic does in the project's process: which files it loads, for which databases env.py runs them, and how."""

import functools
import inspect
import os
import sys
import types
from typing import Any

from .drivers import database_of
from .loading import Hook

SETTINGS = (
    "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' UNION ALL SELECT name,"
    " pg_catalog.current_setting(name) FROM (VALUES ('role'), ('session_authorization')) AS others (name)"
)
COMMANDS = ("current", "upgrade", "downgrade", "stamp")


def hooks(record: Any) -> "dict[str, Hook]":
    """For Alembic's own modules, and for a Flask-Migrate that is too old for its Alembic."""
    return {
        "alembic.script.base": functools.partial(_scripts, record),
        "alembic.runtime.environment": functools.partial(_environment, record),
        "flask_migrate": _mend_flask_migrate,
    }


def _command() -> str:
    """The name of Alembic's command that is under way, of the outermost one of several; "" where there is none."""
    found = ""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "alembic.command" and frame.f_code.co_name in COMMANDS:
            found = frame.f_code.co_name
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _scripts(record: Any, module: Any, late: bool) -> None:
    theirs = module.Script.__init__

    @functools.wraps(theirs)
    def __init__(self: Any, of: Any, revision: str, path: Any, *others: Any, **named: Any) -> None:
        record.revisions[revision] = os.path.abspath(str(path))
        theirs(self, of, revision, path, *others, **named)

    module.Script.__init__ = __init__


def _environment(record: Any, module: Any, late: bool) -> None:
    theirs = module.EnvironmentContext.run_migrations

    @functools.wraps(theirs)
    def run_migrations(self: Any, **kw: Any) -> None:
        context = self.get_context()
        dialect = context.dialect.name
        metadata = context.opts.get("target_metadata")
        record(
            dialect=dialect,
            work=getattr(self.context_opts.get("fn"), "__name__", ""),
            command=_command(),
            engine={name: value for name, value in kw.items() if isinstance(value, str)},
            database=database_of(context.connection),
            table=context.version_table,
            schema=context.version_table_schema,
            models=_tables(metadata if isinstance(metadata, (list, tuple)) else [metadata]),
        )
        if dialect != "postgresql":
            raise RuntimeError("alembic-squash: the migrations would run on %s, not on PostgreSQL" % dialect)
        try:
            theirs(self, **kw)
            if context.connection is not None and not context.as_sql:
                record(settings=_settings(context.connection), of=database_of(context.connection))
        finally:
            record(revisions=record.revisions)
            record.modules()

    module.EnvironmentContext.run_migrations = run_migrations


def _settings(connection: Any) -> "dict[str, str]":
    """What the session has set, whoever did it: a migration that comes after these in one run would have it, too."""
    run = getattr(connection, "exec_driver_sql", connection.execute)
    try:
        return {str(name): str(value) for name, value in run(SETTINGS)}
    except Exception:  # a transaction that failed, and was caught
        return {}


def _tables(metadata: Any) -> "list[str]":
    return sorted({str(name) for one in metadata for name in getattr(one, "tables", ())})


def _mend_flask_migrate(module: Any, late: bool) -> None:
    """Flask-Migrate before 2.5.3 gives `current` an argument that Alembic has no more, so that it always fails."""
    theirs = getattr(module, "command", None)
    if theirs is None or "head_only" in inspect.signature(theirs.current).parameters:
        return
    # A copy for Flask-Migrate alone: Alembic's own command line reads the signatures in its module.
    mended = types.ModuleType(theirs.__name__, theirs.__doc__)
    mended.__dict__.update(theirs.__dict__)

    def current(config: Any, *others: Any, head_only: bool = False, **named: Any) -> None:
        theirs.current(config, *others, **named)

    mended.current = current  # type: ignore[attr-defined]
    module.command = mended
