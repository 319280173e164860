"""A company of before charges no first days, and none of its clients has a gap."""

from sqlalchemy import create_engine, inspect, text

from tests.migrations.history import company_of_0001, revision
from tests.support.databases import Database, migrate

THIS, BEFORE = revision("billing_gap")


def test_what_was_before_stays(database: Database) -> None:
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        company_of_0001(connection)
    migrate(database.url, up=THIS)
    with engine.connect() as connection:
        assert not any(connection.scalars(text("SELECT bill_first_days FROM company")))
        assert connection.scalar(text("SELECT count(*) FROM billing_gap")) == 0
    migrate(database.url, down=BEFORE)
    assert not inspect(engine).has_table("billing_gap")
    migrate(database.url, up=THIS)
    engine.dispose()
