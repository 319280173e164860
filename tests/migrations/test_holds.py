"""Suspensions by hand of before came from an import; promises of before ended by being replaced."""

import datetime as dt

from sqlalchemy import Connection, create_engine, text

from tests.migrations.history import NOW, company_of_0001, moment, revision, row
from tests.support.databases import Database, migrate

THIS, BEFORE = revision("holds")


def reasons(connection: Connection) -> list[str]:
    return [value for (value,) in connection.execute(text("SELECT reason FROM access ORDER BY client_id"))]


def test_suspensions_and_promises_of_before(database: Database) -> None:
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        company_of_0001(connection)
        now = moment(NOW, engine.dialect.name)
        for client_id, reason in enumerate(("debt", "manual", ""), 1):
            row(connection, "access", client_id=client_id, router_id=1, suspended=bool(reason), reason=reason)
        row(connection, "promise", client_id=1, until=dt.date(2026, 11, 1), created_at=now, ended_at=now)
        row(connection, "promise", client_id=1, until=dt.date(2026, 12, 31), created_at=now)
    migrate(database.url, up=THIS)
    with engine.begin() as connection:
        assert reasons(connection) == ["debt", "imported", ""]
        found = connection.execute(text("SELECT outcome, spared, follow_on FROM promise ORDER BY id"))
        assert [tuple(line) for line in found] == [("replaced", False, None), ("", False, None)]
        values = {"reason": "pause", "until": dt.date(2026, 12, 31), "yes": True}
        connection.execute(
            text("UPDATE access SET suspended = :yes, reason = :reason, pause_until = :until WHERE client_id = 3"),
            values,
        )
        row(connection, "client_pause", client_id=3, first_day=NOW.date(), last_day=dt.date(2026, 12, 31))
        row(
            connection,
            "task_run",
            task_id=3,
            month=dt.date(2026, 11, 1),
            day=NOW.date(),
            trigger="followup",
            state="success",
        )
    migrate(database.url, down=BEFORE)
    with engine.connect() as connection:
        assert reasons(connection) == ["debt", "manual", "manual"]
        triggers = connection.execute(text("SELECT trigger FROM task_run ORDER BY id"))
        assert [value for (value,) in triggers] == ["schedule", "manual"]
    migrate(database.url, up=THIS)
    engine.dispose()
