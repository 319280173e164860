"""The second phone, the place of the service, the note and the networks of a client."""

from sqlalchemy import create_engine, delete, insert, select, update

from tests.migrations import history
from tests.support.databases import Database, migrate


def test_clients_get_empty_fields_and_their_networks_follow_them(database: Database) -> None:
    new, old = history.revision("client_fields")
    database.empty()
    migrate(database.url, up=old)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        history.company_of_0001(connection)
        router = history.row(connection, "router", name="Sur", host="192.0.2.2", port=8728, username="wisp")
        schedule = history.table(connection, "zone").c.schedule_id
        again = history.row(connection, "billing_schedule", timezone="", billing_type="prepaid", due_day=20)
        zone = history.row(connection, "zone", router_id=router, schedule_id=again, name="Sur")
        assert connection.scalar(select(schedule)) != again
    migrate(database.url, up=new)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        client, network = history.table(connection, "client"), history.table(connection, "client_network")
        fields = (client.c.phone2, client.c.service_address, client.c.coordinates, client.c.note)
        assert connection.execute(select(client.c.code, *fields).order_by(client.c.code)).all() == [
            (code, "", "", "", "") for code in ("C1", "C2", "C3")
        ]
        first = connection.execute(select(client.c.id, client.c.router_id).where(client.c.code == "C1")).one()
        row = {"client_id": first.id, "network": "203.0.113.8/29", "router_id": first.router_id}
        connection.execute(insert(network).values(row))
        connection.execute(update(client).where(client.c.id == first.id).values(router_id=router, zone_id=zone))
        assert connection.execute(select(network)).all() == [(first.id, "203.0.113.8/29", router)]
        connection.execute(delete(network))
    engine.dispose()
    migrate(database.url, down=old)
    with engine.connect() as connection:
        client = history.table(connection, "client")
        assert "note" not in client.c
        assert connection.scalars(select(client.c.phone).order_by(client.c.code)).all() == ["555 123"] * 3
    engine.dispose()
