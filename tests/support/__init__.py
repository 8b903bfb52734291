"""What the tests work with: made projects, a decoy of a real server, the laboratory of the judge.

project.py makes a project with its migrations and runs the tool in it; world.py lays out everything that must be there
afterwards as it was; laboratory.py squashes SQL on one server in one process; traps.py runs a history that a careless
squash gets wrong.
"""
