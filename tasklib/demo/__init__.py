"""A Flask-Migrate project to squash for show: a lending library, 122 migrations on Git, awkward where real ones are.

`life.HISTORY` is the project's life, one line a migration; `written.WRITTEN` has the ones that somebody wrote by hand.
The same Flask-Migrate gives the same bytes and the same commit ids.
"""
