"""The values that a column may have, as a condition of its table."""

import sqlite3
from importlib import import_module
from pkgutil import walk_packages

import pytest

import wisp
from wisp.core.db import Base, one_of

for module in walk_packages(wisp.__path__, "wisp."):
    if module.name.endswith(".models"):
        import_module(module.name)


def test_only_these_values_are_let_in() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t (state text CHECK ({one_of('state', '', 'done', 'waiting')}))")
    connection.executemany("INSERT INTO t VALUES (?)", [("",), ("done",), ("waiting",)])
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO t VALUES ('other')")


def test_no_table_makes_sqlite_build_a_list_of_values_for_every_row() -> None:
    checks = [
        str(constraint.sqltext)  # type: ignore[attr-defined]
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if hasattr(constraint, "sqltext")
    ]
    assert len(checks) > 30
    assert [check for check in checks if " IN (" in check.upper()] == []


def test_indexes_of_some_rows_say_it_as_the_queries_do() -> None:
    """SQLite uses a partial index only where a query says the same, and the queries say IN."""
    wheres = [
        str(index.dialect_options["sqlite"]["where"])
        for table in Base.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    ]
    assert "state IN ('pending', 'partial')" in wheres
    assert [where for where in wheres if " OR " in where] == []
