"""Two databases side by side: every object, every row, every sequence. It reads databases and no project.

compare.py gives the verdict; objects.py says the differences; catalog.py and its neighbours read what is compared,
from pg_dump and from the catalogs where the dump is silent (not_dumped.py). object_counts.py counts by another way, so
that no comparison gets smaller unnoticed. A new class of objects is compared by a query in not_dumped.py and counted by
one in object_counts.py. Open compare.py first.
"""
