"""The ground that benches stand on: fresh migrated databases of both kinds, a Redis, the application, no leftovers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from tests.conftest import environment_of
from tests.support.databases import Database, PostgresDatabase, SqliteDatabase, close_session, open_session, shared
from wisp.core import config
from wisp.core.db import db
from wisp.core.embedded_redis import EmbeddedRedis
from wisp.factory import create_app


@contextmanager
def session() -> Iterator[EmbeddedRedis]:
    """A folder and a Redis for one bench; everything started inside is ended with it."""
    folder = open_session()
    os.environ["WISP_TEST_FOLDER"] = str(folder)
    try:
        with EmbeddedRedis(shared() / "redis") as server:
            yield server
    finally:
        close_session(folder)


@contextmanager
def application(kind: str, server: EmbeddedRedis) -> Iterator[tuple[Flask, dict[str, str]]]:
    """The application on a fresh ``sqlite`` or ``postgresql`` database, and the environment of its processes."""
    database: Database = SqliteDatabase() if kind == "sqlite" else PostgresDatabase()
    database.fresh()
    server.client().flushdb()
    settings = environment_of(database, server)
    app = create_app(config.load(settings))
    try:
        yield app, {**os.environ, **settings, "FLASK_APP": "app.py"}
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
