"""Nothing is merged that is not shown equal.

proofs.py shows it; squash_branch.py brings the branch up to the original one and into it. Open proofs.py first.
"""
