"""How Alembic reaches the application's database: one transaction, on SQLite and on PostgreSQL alike."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

LOCK = 7_461_230  # any number that only this program's migrations lock on the PostgreSQL server

migrate = current_app.extensions["migrate"]


def _foreign_keys(connection: Connection, switch: str) -> None:
    """Set SQLite's checking of foreign keys.

    A batch rebuild drops the old table: with the checks on, that empties every child table that cascades. The pragma
    does nothing inside a transaction, so it goes to the driver's own connection.
    """
    if connection.dialect.name == "sqlite":
        connection.connection.dbapi_connection.execute(f"PRAGMA foreign_keys={switch}")


def _wait_for_others(connection: Connection) -> None:
    """Let one process migrate at a time (SQLite: BEGIN IMMEDIATE does it)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _check(connection: Connection) -> None:
    """Stop, and so roll back, where a row points to nothing after the change."""
    if connection.dialect.name == "sqlite":
        lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
        if lost:
            raise RuntimeError(f"rows that point to nothing after the migration: {[tuple(row) for row in lost]}")


def run() -> None:
    """Run the migrations that were asked for, all in one transaction."""
    with migrate.db.engine.connect() as connection:
        _foreign_keys(connection, "OFF")
        try:
            connection = connection.execution_options(sqlite_begin="IMMEDIATE")
            with connection.begin():
                _wait_for_others(connection)
                context.configure(
                    connection=connection,
                    target_metadata=migrate.db.metadata,
                    transactional_ddl=True,
                    **migrate.configure_args,
                )
                with context.begin_transaction():
                    context.run_migrations()
                _check(connection)
        finally:
            _foreign_keys(connection, "ON")


run()
