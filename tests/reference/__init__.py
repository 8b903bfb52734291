"""What stands for the old migrations. A whole squash each."""
