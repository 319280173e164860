"""The database itself refuses to change or forget a line of the audit log."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from tests.migrations.history import revision, row
from tests.support.databases import Database, migrate

THIS, BEFORE = revision("audit_append_only")
CHANGES = ("UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry")


def test_lines_of_before_and_after_stay(database: Database) -> None:
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        row(connection, "audit_entry", actor="staff:ana@example.com", action="staff.log_in", target="staff:ana")
    migrate(database.url, up=THIS)
    with engine.begin() as connection:
        row(connection, "audit_entry", actor="staff:ana@example.com", action="staff.log_in", target="staff:ana")
    more = ("TRUNCATE audit_entry",) if database.kind == "postgresql" else ()
    for change in (*CHANGES, *more):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_entry WHERE actor <> 'nobody'")).scalar_one() == 2
    migrate(database.url, down=BEFORE)
    with engine.begin() as connection:
        for change in CHANGES:
            connection.execute(text(change))
        assert connection.execute(text("SELECT count(*) FROM audit_entry")).scalar_one() == 0
    engine.dispose()
