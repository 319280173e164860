"""Cuts whose day and payment day a short month clamps to the same date are planned as far after it as was meant."""

import datetime as dt

from sqlalchemy import create_engine, text

from tests.migrations.history import NOW, company_of_0001, moment, revision, row
from tests.support.databases import Database, migrate
from wisp.core.db import UTCDateTime as MOMENT

THIS, BEFORE = revision("cycle_dates")
MOMENTS = [
    # due day, cut day, shift, next date before and after
    (30, 31, 0, dt.datetime(2027, 4, 30, 14, tzinfo=dt.UTC), dt.datetime(2027, 5, 1, 14, tzinfo=dt.UTC)),
    (30, 31, 2, dt.datetime(2027, 5, 2, 14, tzinfo=dt.UTC), dt.datetime(2027, 5, 3, 14, tzinfo=dt.UTC)),
    (29, 31, 0, dt.datetime(2027, 4, 30, 14, tzinfo=dt.UTC), dt.datetime(2027, 4, 30, 14, tzinfo=dt.UTC)),
    (31, 31, 0, dt.datetime(2027, 4, 30, 14, tzinfo=dt.UTC), dt.datetime(2027, 4, 30, 14, tzinfo=dt.UTC)),
]


def test_cuts_are_planned_after_their_payment_day(database: Database) -> None:
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    kind = engine.dialect.name
    with engine.begin() as connection:
        company_of_0001(connection)
        connection.execute(text("UPDATE company SET timezone = 'America/Mexico_City'"))
        ids = []
        for due, day, shift, at, _after in MOMENTS:
            schedule = row(connection, "billing_schedule", timezone="", billing_type="prepaid", due_day=due)
            ids.append(row(
                connection, "periodic_task", schedule_id=schedule, kind="cut", day=day, minute=480, enabled=True,
                next_month=dt.date(2027, 4, 1), shift_days=shift, state="pending",
                next_at=moment(at, kind),
            ))  # fmt: skip
        row(
            connection,
            "occurrence",
            task_id=ids[0],
            month=dt.date(2027, 3, 1),
            state="missed",
            due_at=moment(NOW, kind),
        )

    def planned() -> list[dt.datetime]:
        with engine.connect() as connection:
            table = text("SELECT next_at FROM periodic_task WHERE kind = 'cut' ORDER BY id").columns(next_at=MOMENT)
            return [at for (at,) in connection.execute(table)][-len(MOMENTS) :]

    migrate(database.url, up=THIS)
    assert planned() == [after for *_rest, after in MOMENTS]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM periodic_task WHERE ordered_by = ''")) == 3 + len(MOMENTS)
        assert connection.scalar(text("SELECT count(*) FROM occurrence WHERE noted_at IS NULL")) == 1
    migrate(database.url, down=BEFORE)
    assert planned() == [at for *_rest, at, _after in MOMENTS]
    migrate(database.url, up=THIS)
    engine.dispose()
