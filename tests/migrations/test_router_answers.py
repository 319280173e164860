"""The table of what routers confirmed."""

from sqlalchemy import create_engine, inspect, text

from tests.migrations import history
from tests.support.databases import Database, migrate


def test_the_table_comes_and_goes(database: Database) -> None:
    here, before = history.revision("router_answers")
    database.empty()
    migrate(database.url, up=before)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        history.company_of_0001(connection)
    migrate(database.url, up=here)
    with engine.begin() as connection:
        router = connection.execute(text("SELECT min(id) FROM router")).scalar_one()
        client = connection.execute(text("SELECT min(id) FROM client")).scalar_one()
        history.row(connection, "router_answer", router_id=router, client_id=client, kind="restored", state="written")
        assert connection.execute(text("SELECT kind, detail FROM router_answer")).all() == [("restored", "")]
    migrate(database.url, down="-1")
    with engine.connect() as connection:
        assert "router_answer" not in inspect(connection).get_table_names()
        assert connection.execute(text("SELECT count(*) FROM client")).scalar_one() == 3
    engine.dispose()
