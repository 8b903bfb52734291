"""The judge, and mutations that it must notice. One server."""
