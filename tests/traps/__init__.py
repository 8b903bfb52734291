"""Histories that a careless squash gets wrong. A whole squash each."""
