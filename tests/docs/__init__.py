"""The documentation: pages that are made from the program itself, links that lead somewhere. No database."""
