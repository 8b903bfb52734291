"""The proofs again, by `verify`. A whole squash each."""
