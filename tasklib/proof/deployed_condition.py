"""The one condition of the recipe: every database must be at R or past it. Pure text."""

from __future__ import annotations

from collections.abc import Sequence

BRANCHES = "A branch with a migration that hangs on one which went: `rebase-revision BRANCH` makes it hang on the base."


def condition(revision: str, kept: Sequence[str], tables: Sequence[tuple[str, str]]) -> list[str]:
    """The condition, with the SQL that shows whether a deployed database meets it."""
    ids = ", ".join(f"'{one}'" for one in (revision, *kept))
    # The last one named: a table of the project's own comes after Alembic's default.
    schema, name = tables[-1]
    table = f"{schema}.{name}" if schema else name
    return [
        f"The one condition: every deployed database is at {revision} or past it. On each, this must be true:",
        f"  SELECT count(*) > 0 AND bool_and(version_num IN ({ids})) AS ready FROM {table};",
        f"One that is behind must be upgraded to {revision} with the old migrations first, or by `catchup` afterwards; "
        "a new one needs nothing. `instances` asks them all.",
    ]
