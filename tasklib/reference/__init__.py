"""The database that stands for the old migrations: their replay, or what the user names instead.

first_contact.py learns where the application connects, replay.py runs the chain twice, side_effects.py tells what a run
did beside its work, failure_advice.py why a migration does not run today. Open replay.py first.
"""
