"""Git as it is out there. Needs git, and for some layouts no database."""
