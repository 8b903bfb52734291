"""The page for a pull request: its picture, its files, a real browser."""
