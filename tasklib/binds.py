"""Pure: the binds of a project with several databases in one script directory, as the templates of --set name them.

A bind is what env.py calls a database: a key of SQLALCHEMY_BINDS, a name in the ini's ``databases``. "" is the default
one of Flask-Migrate, and the only one of most projects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

NAMES = ("url", "host", "port", "user", "password", "database")
PLACEHOLDER = re.compile(r"\{(\w+)(?::(\w+))?\}")
# A bind's name is part of functions' names: upgrade_BIND.
NO_BIND = re.compile(rf"\{{(?:{'|'.join(NAMES)}):(?!\w+\}})[^{{}}]*\}}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with ``{url}``, ``{url:BIND}`` and their siblings filled in; other braces stay."""
    return PLACEHOLDER.sub(lambda match: values.get(match.group(0)[1:-1], match.group(0)), template)


def named(templates: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The binds that the templates lead to, in order; ("",) where they name none.

    Of the placeholders without a bind only the URL and the database's name mean the default one: the others are the
    same for all.
    """
    found = {
        bind
        for _, template in templates
        for what, bind in PLACEHOLDER.findall(template)
        if what in NAMES and (bind or what in ("url", "database"))
    }
    return tuple(sorted(found)) or ("",)


def holds_url(template: str) -> bool:
    """Whether a URL is filled in, of whatever database."""
    return any(what == "url" for what, _ in PLACEHOLDER.findall(template))


def is_option(name: str) -> bool:
    """Whether a name of --set is an option of the ini (``sqlalchemy.url``, or ``SECTION:sqlalchemy.url`` of another
    section than Alembic's own): no environment variable holds a dot or a colon.
    """
    return "." in name or ":" in name


def option(name: str, section: str) -> tuple[str, str]:
    """(section, option) that a name of --set means; ``section`` is Alembic's own."""
    other, colon, own = name.rpartition(":")
    return (other, own) if colon else (section, name)


def shown(bind: str) -> str:
    """A bind in a sentence."""
    return f"the bind {bind}" if bind else "the default database"


def listed(binds: Iterable[str]) -> str:
    """Binds in a sentence, one after the other."""
    return ", ".join(bind or "the default one" for bind in binds)


def before(bind: str, name: str, binds: tuple[str, ...]) -> str:
    """The name of something in one of these databases, as it is listed among those of all."""
    return f"{bind}:{name}" if bind and len(binds) > 1 else name


def place(bind: str, binds: tuple[str, ...]) -> str:
    """What follows a sentence about one of these databases: nothing where it is the only one."""
    return f" ({shown(bind)})" if len(binds) > 1 else ""
