"""One room per step: the task, and the plain function behind it."""
