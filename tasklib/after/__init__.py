"""After the squash: the databases out there, the work in flight, the way back.

lineage.py knows every revision through all squashes; instances.py asks databases where they stand, drift.py what they
hold, catch_up.py moves one on; in_flight.py and rebase.py are about branches. Open lineage.py first.
"""
