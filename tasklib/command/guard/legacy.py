"""What SQLAlchemy 1 took and 2 takes no more, in revision files alone: it does there what it did, and is written down.

That is a text for `execute()` and `scalar()` of a connection in a transaction, or of a session; a list for `select()`
and `case()`; and rows that are asked by name. Only what would end the migration else: a file with a `try` may catch it.
"""

import ast
import functools
import os
import sys
from typing import Any, Callable

from .loading import Hook

MARK = "_alembic_squash_legacy"  # on a statement that only version 1 took


def hooks(record: Any) -> "dict[str, Hook]":
    legacy = Legacy(record)
    return {
        "sqlalchemy.engine.base": legacy.connection,
        "sqlalchemy.engine.row": legacy.row,
        "sqlalchemy.orm.session": legacy.session,
        "sqlalchemy.sql.elements": legacy.case,
        "sqlalchemy.sql.selectable": legacy.select,
    }


class Legacy:
    """The old meaning of calls, for the files of a run's revisions as ``record`` has them."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.bare: "dict[str, bool]" = {}  # file → whether nothing in it catches an error
        self.results: "dict[int, Any]" = {}  # what describes rows of what only SQLAlchemy 1 took

    def asked(self) -> str:
        """The revision whose file calls, where SQLAlchemy is 2 or later and no error is caught there; else ""."""
        version = getattr(sys.modules.get("sqlalchemy"), "__version__", "").split(".")[0]
        if not version.isdigit() or int(version) < 2:
            return ""
        frame = sys._getframe(1)
        while frame is not None and self._is_between(frame.f_globals.get("__name__") or ""):
            frame = frame.f_back  # type: ignore[assignment]
        caller = os.path.abspath(frame.f_code.co_filename) if frame is not None else ""
        found = next((one for one, file in self.record.revisions.items() if file == caller), "")
        return found if found and self._catches_nothing(caller) else ""

    @staticmethod
    def _is_between(module: str) -> bool:
        """Whether a module is this one, or SQLAlchemy's: between the caller and what is called."""
        return module == __name__ or module.split(".")[0] == "sqlalchemy"

    def _catches_nothing(self, file: str) -> bool:
        if file not in self.bare:
            try:
                with open(file, encoding="utf-8") as source:
                    text = source.read()
                tree = ast.parse(text)
            except (OSError, SyntaxError, ValueError):
                return False
            tries = any(type(node).__name__ in ("Try", "TryStar") for node in ast.walk(tree))
            self.bare[file] = not tries and "suppress" not in text and "__version__" not in text
        return self.bare[file]

    def note(self, revision: str) -> None:
        if revision not in self.record.legacy:
            self.record.legacy.add(revision)
            self.record(legacy=revision)

    # --- what is called ----------------------------------------------------------------------------------------------

    def connection(self, module: Any, late: bool) -> None:
        def execute(self_: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
            if self._is_text(self_, statement, named):
                return self.remembered(self_.exec_driver_sql(statement, parameters(others)))
            result = theirs(self_, statement, *others, **named)
            return self.remembered(result) if getattr(statement, MARK, False) else result

        def scalar(self_: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
            if self._is_text(self_, statement, named):
                return self_.exec_driver_sql(statement, parameters(others)).scalar()
            return theirs(self_, statement, *others, **named)

        wrap(module.Connection, "execute", execute)
        wrap(module.Connection, "scalar", scalar)

    def _is_text(self, connection: Any, statement: Any, named: "dict[str, Any]") -> bool:
        """Whether a connection gets a text that only 1 took, in a transaction: outside of one, that committed what it
        took for a change. It is written down then.
        """
        revision = self.asked() if isinstance(statement, str) and not named else ""
        if not revision or not connection.in_transaction():
            return False
        self.note(revision)
        return True

    def session(self, module: Any, late: bool) -> None:
        def with_text(self_: Any, theirs: Any, statement: Any, *others: Any, **named: Any) -> Any:
            revision = self.asked() if isinstance(statement, str) else ""
            if revision:
                self.note(revision)
                statement = sys.modules["sqlalchemy"].text(statement)
            return theirs(self_, statement, *others, **named)

        for name in ("execute", "scalar"):
            wrap(module.Session, name, with_text)

    def case(self, module: Any, late: bool) -> None:
        def __init__(self_: Any, theirs: Any, *whens: Any, **named: Any) -> None:
            revision = self.asked() if len(whens) == 1 and isinstance(whens[0], list) else ""
            if revision:
                self.note(revision)
                whens = tuple(whens[0])
            theirs(self_, *whens, **named)

        wrap(module.Case, "__init__", __init__)

    def select(self, module: Any, late: bool) -> None:
        def __init__(self_: Any, theirs: Any, *entities: Any, **named: Any) -> None:
            listed = bool(entities) and isinstance(entities[0], list) and len(entities) < 3 and not named
            revision = self.asked() if listed else ""
            if not revision:
                theirs(self_, *entities, **named)
                return
            self.note(revision)
            theirs(self_, *entities[0])
            setattr(self_, MARK, True)
            if entities[1:] and entities[1] is not None:
                self_._where_criteria += self_.where(entities[1])._where_criteria

        wrap(module.Select, "__init__", __init__)

    def row(self, module: Any, late: bool) -> None:
        """Rows of what only 1 took are as they were there: a sequence of values that knows the names too. Those of what
        2 takes as well give way to a name or a column only where that is an error else.
        """

        def __getitem__(row: Any, theirs: Any, key: Any) -> Any:
            try:
                return theirs(row, key)
            except Exception:
                revision = self.asked()
                if not revision:
                    raise
                value = row._mapping[key]
                self.note(revision)
                return value

        def __contains__(row: Any, theirs: Any, key: Any) -> bool:
            found: bool = key in row._mapping if id(row._parent) in self.results else theirs(row, key)
            return found

        def __getattr__(row: Any, theirs: Any, name: str) -> Any:
            if id(row._parent) in self.results:
                if name == "has_key":
                    return row._mapping.__contains__
                if name in ("keys", "values", "items"):
                    return lambda: list(getattr(row._mapping, name)())
            return theirs(row, name)

        for wrapper in (__getitem__, __contains__, __getattr__):
            wrap(module.Row, wrapper.__name__, wrapper)

    def remembered(self, result: Any) -> Any:
        """The result, whose rows will be those of version 1."""
        if result.returns_rows:
            self.results[id(result._metadata)] = result._metadata  # kept, so that no other one gets the number
        return result


def parameters(given: "tuple[Any, ...]") -> Any:
    """What SQLAlchemy 1 made of the parameters behind a text: a dictionary, a tuple, or a list of either."""
    if not given:
        return None
    many = given if len(given) > 1 else given[0]
    if isinstance(many, dict):
        return many
    if not isinstance(many, (list, tuple)):
        return (many,)
    if many and hasattr(many[0], "__iter__") and not hasattr(many[0], "strip"):
        return [one if isinstance(one, dict) else tuple(one) for one in many]
    return tuple(many) or None


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Put ``wrapper``, which gets what was there after its first argument, in the place of a method."""
    theirs = getattr(owner, name, None)
    if theirs is None:
        return  # a version that needs none of it

    @functools.wraps(theirs)
    def wrapped(self: Any, *others: Any, **named: Any) -> Any:
        return wrapper(self, theirs, *others, **named)

    setattr(owner, name, wrapped)
