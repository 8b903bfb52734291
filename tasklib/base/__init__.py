"""The base migration: from the reference to a file.

base_migration.py writes it; contents.py is what it must hold; trials.py tries forms until the candidate is the
reference. How each object is written is in render/. Open base_migration.py first.
"""
