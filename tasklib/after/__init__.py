"""After the squash: the databases out there."""
