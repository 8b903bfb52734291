"""PostgreSQL: its programs, servers of ours, connections, and what pg_dump prints.

client.py is the door: addresses, connections, pg_dump and pg_restore. server.py is the throwaway server, read_only.py
the one way to a database that is not ours. Knows nothing of Alembic's files. Open client.py first.
"""
