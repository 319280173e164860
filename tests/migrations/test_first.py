"""The first migration: up and down, and the rows that it brings."""

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from tests.support.databases import Database, migrate


def connect(database: Database) -> Connection:
    return create_engine(database.url).connect()


def test_up_and_down_leaves_nothing(database: Database) -> None:
    database.empty()
    migrate(database.url, up="head")
    with connect(database) as connection:
        assert connection.execute(text("SELECT id, timezone, currency, language FROM company")).all() == [
            (1, "America/Mexico_City", "MXN", "es")
        ]
        assert connection.execute(text("SELECT id, next_number FROM invoice_series")).all() == [(1, 1)]
    migrate(database.url, down="base")
    with connect(database) as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(database.url, up="head")
    with connect(database) as connection:
        assert connection.execute(text("SELECT count(*) FROM company")).scalar() == 1


def test_a_second_series_gets_the_next_id(database: Database) -> None:
    """The first row must not stand in the way of those that the database numbers."""
    database.fresh()
    with connect(database) as connection, connection.begin():
        connection.execute(text("INSERT INTO invoice_series (prefix, next_number) VALUES ('B-', 1)"))
        assert connection.execute(text("SELECT id FROM invoice_series ORDER BY id")).scalars().all() == [1, 2]


def test_there_is_one_company(database: Database) -> None:
    database.fresh()
    with connect(database) as connection:
        columns = [column["name"] for column in inspect(connection).get_columns("company") if column["name"] != "id"]
        names = ", ".join(columns)
        with pytest.raises(IntegrityError):
            connection.execute(text(f"INSERT INTO company (id, {names}) SELECT 2, {names} FROM company"))
