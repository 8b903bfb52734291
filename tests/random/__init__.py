"""Random histories: a grammar of PostgreSQL's objects, and the question whether a squash of what comes out is exact."""
