"""Revision files and their graphs, against Alembic's own answer. Most need no database."""
