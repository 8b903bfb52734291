"""What SQLAlchemy 1 took and 2 takes no more, in revision files alone: it does there what it did, and is written down.

Those are a text for `execute()` and `scalar()`, a list for `select()` and `case()`, conditions and values for the
`update()`, `delete()` and `insert()` of a table, and a name or a column in brackets behind a row.
"""

import functools
import os
import sys
from typing import Any, Callable

from .loading import Hook


def hooks(record: Any) -> "dict[str, Hook]":
    return {
        "sqlalchemy.engine.base": functools.partial(_connection, record),
        "sqlalchemy.engine.row": functools.partial(_row, record),
        "sqlalchemy.orm.session": functools.partial(_session, record),
        "sqlalchemy.sql.elements": functools.partial(_case, record),
        "sqlalchemy.sql.selectable": functools.partial(_selectable, record),
    }


def _in_revision(record: Any) -> bool:
    """Whether SQLAlchemy is 2 or later, and a revision's file calls; that one is written down then."""
    version = getattr(sys.modules.get("sqlalchemy"), "__version__", "").split(".")[0]
    if not version.isdigit() or int(version) < 2:
        return False
    files = {file: revision for revision, file in record.revisions.items()}
    frame = sys._getframe(2)
    while frame is not None:
        revision = files.get(os.path.abspath(frame.f_code.co_filename))
        if revision is not None:
            if revision not in record.legacy:
                record.legacy.add(revision)
                record(legacy=revision)
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Put ``wrapper``, which gets what was there first, in the place of a method."""
    theirs = getattr(owner, name)

    @functools.wraps(theirs)
    def wrapped(self: Any, *others: Any, **named: Any) -> Any:
        return wrapper(self, theirs, *others, **named)

    setattr(owner, name, wrapped)


def _connection(record: Any, module: Any, late: bool) -> None:
    def execute(self: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
        if not isinstance(statement, str) or not _in_revision(record):
            return theirs(self, statement, *others, **named)
        # One dictionary, tuple or list of these; or the parameters one by one.
        parameters = others[0] if len(others) == 1 and isinstance(others[0], (dict, tuple, list)) else others
        return self.exec_driver_sql(statement, parameters or None, **named)

    def scalar(self: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
        if not isinstance(statement, str) or not _in_revision(record):
            return theirs(self, statement, *others, **named)
        return execute(self, None, statement, *others, **named).scalar()

    _wrap(module.Connection, "execute", execute)
    _wrap(module.Connection, "scalar", scalar)


def _session(record: Any, module: Any, late: bool) -> None:
    def with_text(self: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
        if isinstance(statement, str) and _in_revision(record):
            statement = sys.modules["sqlalchemy"].text(statement)
        return theirs(self, statement, *others, **named)

    for name in ("execute", "scalar"):
        _wrap(module.Session, name, with_text)


def _row(record: Any, module: Any, late: bool) -> None:
    def __getitem__(self: Any, theirs: Any, key: Any) -> Any:
        if isinstance(key, (int, slice)) or not _in_revision(record):
            return theirs(self, key)
        return self._mapping[key]

    _wrap(module.Row, "__getitem__", __getitem__)


def _case(record: Any, module: Any, late: bool) -> None:
    def __init__(self: Any, theirs: Any, *whens: Any, **named: Any) -> None:
        listed = len(whens) == 1 and isinstance(whens[0], list) and _in_revision(record)
        theirs(self, *(whens[0] if listed else whens), **named)

    _wrap(module.Case, "__init__", __init__)


def _selectable(record: Any, module: Any, late: bool) -> None:
    def __init__(self: Any, theirs: Any, *entities: Any, **named: Any) -> None:
        if not entities or not isinstance(entities[0], (list, tuple)) or not _in_revision(record):
            theirs(self, *entities, **named)
            return
        columns, *where = entities
        theirs(self, *columns, **named)
        self._where_criteria += tuple(one for one in where if one is not None)

    def changing(self: Any, theirs: Any, *given: Any, **named: Any) -> Any:
        if not (given or named) or not _in_revision(record):
            return theirs(self, *given, **named)
        arguments = ("values",) if theirs.__name__ == "insert" else ("whereclause", "values")
        named.update(zip(arguments, given))
        where, values = named.get("whereclause"), named.get("values")
        statement = theirs(self)
        statement = statement if where is None else statement.where(where)
        return statement if values is None else statement.values(values)

    _wrap(module.Select, "__init__", __init__)
    for name in ("insert", "update", "delete"):
        _wrap(module.TableClause, name, changing)
