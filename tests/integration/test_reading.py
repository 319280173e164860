"""Reads between transactions: none on PostgreSQL, of one moment on SQLite; what is written is as whole as ever."""

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.factories import make_clients, make_zone
from tests.support.databases import Database
from wisp.clients.models import Client
from wisp.core import db as core
from wisp.core.db import db, read_together, session, transaction
from wisp.core.sql import unhurried

pytestmark = pytest.mark.usefixtures("ctx")
only = pytest.mark.parametrize


def in_transaction() -> bool:
    """Whether the server holds a transaction open for the session's connection."""
    driver: Any = session().connection().connection.driver_connection
    return driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE


@only("database", ["postgresql"], indirect=True)
def test_only_what_writes_or_is_read_together_holds_a_transaction() -> None:
    session().scalar(sa.select(sa.func.count(Client.id)))
    assert not in_transaction()
    with transaction() as s:
        s.scalar(sa.select(sa.func.count(Client.id)))
        assert in_transaction()
    session().scalar(sa.select(sa.func.count(Client.id)))
    assert not in_transaction()
    read_together()
    session().scalar(sa.select(sa.func.count(Client.id)))
    assert in_transaction()
    db.session.remove()
    session().scalar(sa.select(sa.func.count(Client.id)))
    assert not in_transaction()


def test_a_transaction_after_a_read_is_all_or_nothing() -> None:
    make_clients(2, make_zone())
    session().scalar(sa.select(sa.func.count(Client.id)))
    with pytest.raises(ZeroDivisionError), transaction() as s:
        s.execute(sa.update(Client).values(phone="1"))
        raise ZeroDivisionError
    assert set(session().scalars(sa.select(Client.phone))) == {""}


@only("database", ["postgresql"], indirect=True)
def test_a_row_that_is_locked_is_free_once_the_transaction_has_ended(database: Database) -> None:
    (client_id,) = make_clients(1, make_zone())
    with transaction() as s:
        s.scalar(sa.select(Client.id).where(Client.id == client_id).with_for_update())
        with pytest.raises(psycopg.errors.LockNotAvailable):
            _lock_elsewhere(database, client_id)
    _lock_elsewhere(database, client_id)


def _lock_elsewhere(database: Database, client_id: int) -> None:
    with psycopg.connect(database.url.replace("+psycopg", "", 1)) as other:
        other.execute("SELECT id FROM client WHERE id = %s FOR UPDATE NOWAIT", [client_id])


def test_a_long_result_comes_part_by_part_when_read_together() -> None:
    make_clients(30, make_zone())
    read_together()
    parts = session().scalars(sa.select(Client.id).execution_options(yield_per=7)).partitions(7)
    assert [len(part) for part in parts] == [7, 7, 7, 7, 2]


def test_as_many_connections_stay_open_as_a_process_has_threads() -> None:
    kept = [db.engine.connect() for _ in range(10)]
    drivers = {id(one.connection.driver_connection) for one in kept}
    for one in kept:
        one.close()
    again = [db.engine.connect() for _ in range(10)]
    found = {id(one.connection.driver_connection) for one in again}
    for one in again:
        one.close()
    assert found == drivers


@only("database", ["sqlite"], indirect=True)
def test_the_wait_for_sqlites_lock_leaves_the_connection_as_it_was() -> None:
    with transaction():
        pass
    assert session().scalar(sa.text("PRAGMA busy_timeout")) == core.BUSY


def test_a_write_that_need_not_wait_for_the_disk_says_so_for_its_transaction_alone() -> None:
    make_clients(2, make_zone())
    with transaction() as s:
        if core.dialect() == "postgresql":
            s.execute(sa.text("SET LOCAL synchronous_commit = on"))
        s.execute(sa.update(Client).where(Client.code != "", unhurried()).values(phone="1"))
        if core.dialect() == "postgresql":
            assert s.scalar(sa.text("SHOW synchronous_commit")) == "off"
    if core.dialect() == "postgresql":
        with transaction() as s:
            s.execute(sa.text("SET LOCAL synchronous_commit = on"))
            s.execute(sa.update(Client).values(name="x"))
            assert s.scalar(sa.text("SHOW synchronous_commit")) == "on"
    assert set(session().scalars(sa.select(Client.phone))) == {"1"}
