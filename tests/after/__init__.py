"""Commands for the time after a squash. Real databases."""
