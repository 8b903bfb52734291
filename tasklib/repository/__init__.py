"""The user's git repository: what is read there, and the few things that are changed.

git.py runs git and answers questions; refs.py moves branches, each by naming the value it is expected to have;
worktree.py changes index and files by exact paths. Open git.py first.
"""
