"""The revisions: what goes and what stays, and chains of them on disk.

cut.py is pure: graph and R in, the cut out. revisions.py reads files, chains.py writes a chain to a place of ours.
Open cut.py first.
"""
