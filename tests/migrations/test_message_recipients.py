"""Several addresses in one e-mail: what fits goes down again, what does not fit stops it."""

import pytest
from sqlalchemy import create_engine, text

from tests.migrations import history
from tests.support.databases import Database, migrate


def test_long_recipients_are_kept_and_never_cut_off(database: Database) -> None:
    now, before = history.revision("message_recipients")
    database.empty()
    migrate(database.url, up=before)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        short = history.row(
            connection, "message", kind="test", recipient="ana@example.com", state="pending", language="es"
        )
    migrate(database.url, up=now)
    several = "; ".join(f"address{n}@example.com" for n in range(30))
    with engine.begin() as connection:
        long = history.row(connection, "message", kind="test", recipient=several, state="pending", language="es")
    with pytest.raises(RuntimeError, match="more addresses"):
        migrate(database.url, down=before)
    with engine.begin() as connection:
        read = text("SELECT recipient FROM message WHERE id = :id")
        assert connection.execute(read, {"id": long}).scalar() == several
        connection.execute(text("DELETE FROM message WHERE id = :id"), {"id": long})
    migrate(database.url, down=before)
    with engine.connect() as connection:
        assert connection.execute(read, {"id": short}).scalar() == "ana@example.com"
    engine.dispose()
