"""What squashed migrations set for their session and leave so (SET search_path, SET ROLE): in one run the migrations
that stay would have it, too, and so the base leaves it as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasklib.command.watch import Seen
from tasklib.workbench.bench import Bench

# What changes what a statement makes.
NAMES = frozenset([
    "DateStyle", "IntervalStyle", "TimeZone", "array_nulls", "bytea_output", "check_function_bodies",
    "default_table_access_method", "default_tablespace", "default_text_search_config", "default_toast_compression",
    "extra_float_digits", "quote_all_identifiers", "role", "row_security", "search_path", "session_authorization",
    "session_replication_role", "standard_conforming_strings", "transform_null_equals", "xmlbinary", "xmloption",
])  # fmt: skip

Settings = Mapping[str, Mapping[str, str]]  # by bind, and by name


def of(bench: Bench, role: str, seen: Seen) -> dict[str, dict[str, str]]:
    """What a run on a role's databases left."""
    one = len(bench.binds) == 1
    return {
        bind: {name: value for name, value in settings.items() if name in NAMES}
        for bind in bench.binds
        for database, settings in seen.settings.items()
        if database == bench.address(role, bind).database or (one and not database)
    }


def left(before: Settings, after: Settings) -> dict[str, dict[str, str]]:
    """What is another one after than it was ``before`` any migration."""
    return {
        bind: {name: value for name, value in settings.items() if value != before.get(bind, {}).get(name)}
        for bind, settings in after.items()
    }
