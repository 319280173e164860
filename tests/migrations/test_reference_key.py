"""The references of payments as they are compared."""

from sqlalchemy import create_engine, select

from tests.migrations import history
from tests.support.databases import Database, migrate
from wisp.invoices.models import reference_key

REFERENCES = ["", "Ref. 00-12", "REF 0012", "000451", "\uff34\uff31\u00d1 9"]


def test_payments_get_the_key_of_their_reference(database: Database) -> None:
    new, old = history.revision("reference_key")
    database.empty()
    migrate(database.url, up=old)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        history.company_of_0001(connection)
        client = connection.scalar(select(history.table(connection, "client").c.id).limit(1))
        for reference in REFERENCES:
            history.row(connection, "payment", client_id=client, amount=1, method="transfer", reference=reference)
    migrate(database.url, up=new)
    with engine.connect() as connection:
        payment = history.table(connection, "payment")
        found = connection.execute(select(payment.c.reference, payment.c.reference_key).order_by(payment.c.id)).all()
        assert [tuple(row) for row in found[1:]] == [(text, reference_key(text)) for text in REFERENCES]
        assert [row.reference_key for row in found[1:]] == ["", "ref0012", "ref0012", "451", "tq\u00f19"]
    engine.dispose()
    migrate(database.url, down=old)
    with engine.connect() as connection:
        payment = history.table(connection, "payment")
        assert "reference_key" not in payment.c
        assert connection.scalars(select(payment.c.reference).order_by(payment.c.id)).all() == ["", *REFERENCES]
    engine.dispose()
