"""The project's own command (`flask db ...`, `alembic ...`): started, led to scratch databases, fenced, watched.

project_command.py runs it. guard/ is what is put into the project's own Python, and started_once.py holds it there;
watch.py reads what it recorded. A driver for PostgreSQL is led in guard/drivers.py. Open project_command.py first.
"""
