"""The project's command: led, fenced, started once. Real servers as decoys."""
