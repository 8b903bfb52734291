"""The tasks as users type them, single and chained. A whole squash each."""
