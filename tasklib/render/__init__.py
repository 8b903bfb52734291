"""The reference in a migration's words: operations where they say it exactly, else the server's own DDL."""
