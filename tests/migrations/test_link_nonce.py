"""Links that were sent before are ended; accounts and used links stay."""

from sqlalchemy import create_engine, text

from tests.migrations.history import revision, row
from tests.support.databases import Database, migrate

THIS, BEFORE = revision("link_nonce")


def test_links_of_before_end(database: Database) -> None:
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        ana = row(connection, "staff_user", email="ana@example.com", name="Ana", role="admin")
        for kind in ("invitation", "password_reset"):
            row(connection, "staff_link", staff_id=ana, kind=kind)
    migrate(database.url, up=THIS)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT kind, nonce, used_at IS NULL FROM staff_link ORDER BY id")).all()
        assert [(kind, nonce, bool(unused)) for kind, nonce, unused in found] == [
            ("invitation", None, False), ("password_reset", None, False),
        ]  # fmt: skip
    migrate(database.url, down=BEFORE)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM staff_link WHERE used_at IS NULL")).scalar_one() == 0
    engine.dispose()
