"""Sphinx over the pages as they lie in the repository: `nox -s docs`. A link that leads nowhere is an error."""

project = "alembic-squash"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/index.rst"]
html_theme = "furo"
myst_heading_anchors = 3
nitpicky = True
