"""The table of verdicts, and the count of clients whom no rule holds."""

from sqlalchemy import create_engine, inspect, text

from tests.migrations import history
from tests.support.databases import Database, migrate


def test_runs_of_before_count_nobody_and_the_step_can_be_taken_back(database: Database) -> None:
    here, before = history.revision("rule_verdicts")
    database.empty()
    migrate(database.url, up=before)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        history.company_of_0001(connection)
    migrate(database.url, up=here)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT not_enforced FROM task_run")).scalars().all() == [0]
        router = connection.execute(text("SELECT id FROM router")).scalar_one()
        history.row(connection, "router_verdict", router_id=router, cut=False)
    migrate(database.url, down="-1")
    with engine.connect() as connection:
        assert "router_verdict" not in inspect(connection).get_table_names()
        assert connection.execute(text("SELECT invoiced FROM task_run")).scalars().all() == [3]
    engine.dispose()
