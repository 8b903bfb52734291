"""Invoke tasks that truncate an Alembic history into one proven base migration."""
