"""The application's other files."""

from __future__ import annotations

APP = '''\
"""A lending library. The database is the one that DATABASE_URL names."""

import os

from flask import Flask, jsonify
from flask_migrate import Migrate

import models


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["SQLALCHEMY_TRACK_MODIFICATIONS"] = False
    models.db.init_app(app)
    Migrate(app, models.db)

    @app.route("/health")
    def health():
        models.db.session.execute(models.db.text("SELECT 1"))
        return "ok"
{overdue}
    return app
'''
OVERDUE = """
    @app.route("/overdue")
    def overdue():
        query = "SELECT id, title, days_late FROM overdue_loans ORDER BY days_late DESC, id"
        rows = models.db.session.execute(models.db.text(query))
        return jsonify([{"loan": row[0], "title": row[1], "days_late": row[2]} for row in rows])
"""
MODELS = """\
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import postgresql

db = SQLAlchemy()
"""
README = """\
# Lending library

A small Flask application on PostgreSQL, made up by `alembic-squash demo`: nobody lends books with it. Its migrations
are like those of a project that has been deployed for years: most are what `flask db migrate` writes, some are by hand.

    export DATABASE_URL=postgresql+psycopg2://user@localhost/library
    flask db upgrade
    flask run
"""
