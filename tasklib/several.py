"""Several databases in one script directory: what cannot be done for them."""

from __future__ import annotations

# Roles are made in the transaction of one database, and another one does not see them before it ends.
ROLES = (
    "Migrations make or change roles, which belong to the server, and env.py runs them for several databases: a base "
    "migration could not make them for all of these.\n  {}"
)
NO_ROLES = "make the roles outside of the migrations, and take this out of them, in a commit of its own"
