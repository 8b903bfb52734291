"""What people and programs see while it works: lines, a list on a terminal, JSON, next to nothing."""
