"""--report: one file of its own for a pull request, as HTML or Markdown; what is in it is gathered in report.py, the
revision graph is laid out in graph.py, and the templates beside them are Mako's, which Alembic brings.
"""
