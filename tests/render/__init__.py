"""The handwriting: what stands in the base migration, object by object. One server; a whole squash where it says so."""
