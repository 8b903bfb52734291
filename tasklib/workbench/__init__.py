"""A squash under way: its plan, its databases, and what the steps make from them.

prepare.py makes the plan (plan.py) or refuses; bench.py is what the steps work with; scratch.py makes the databases.
Open plan.py first.
"""
