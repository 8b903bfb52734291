"""What the user's project says of itself, by its files alone: nothing is imported, run or changed.

discovery.py finds the layout (layout.py): where migrations are and how they are run. Open discovery.py first.
"""
