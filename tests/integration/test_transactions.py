"""What follows a commit, what is repeated, and what a person is told where the database is busy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.factories import make_client, make_zone
from tests.support.databases import Database
from tests.support.staff import signed_in, token_of
from wisp.access import service as access
from wisp.clients.models import Plan
from wisp.core import audit, queue
from wisp.core import db as core
from wisp.core.audit import AuditEntry
from wisp.core.db import after_commit, session, transaction, write

postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
BUSY = "No se guardó nada: la base de datos está ocupada. Inténtelo de nuevo."


def written() -> int:
    session().rollback()
    return session().scalar(sa.select(sa.func.count()).where(AuditEntry.action == "test")) or 0


def give_up() -> None:
    """As the database does with one of two transactions that wait for each other, or with who has waited too long."""
    session().execute(sa.text("DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$"))


def test_what_fails_after_a_commit_neither_repeats_it_nor_takes_the_rest_with_it(ctx: Flask, caplog) -> None:
    done = []

    def failing() -> None:
        raise OperationalError("SELECT", {}, Exception("too many connections"))

    def step() -> str:
        audit.record("test", "one")
        after_commit(failing)
        after_commit(lambda: done.append("later"))
        return "answer"

    assert write(step) == "answer"
    assert (written(), done) == (1, ["later"])
    assert "what was to follow failed" in caplog.text


def test_a_synchronisation_is_enqueued_without_asking_the_database_again(ctx: Flask, redis, monkeypatch) -> None:
    client = make_client(make_zone())
    statements = []
    with transaction():
        access.request_sync_of([client.id])
        engine = session().get_bind()
        real = core.GuardedSession.commit

        def commit(self) -> None:
            real(self)
            sa.event.listen(engine, "before_cursor_execute", heard)

        def heard(_connection, _cursor, statement, *_):
            statements.append(statement)

        monkeypatch.setattr(core.GuardedSession, "commit", commit)
    sa.event.remove(engine, "before_cursor_execute", heard)
    assert statements == []
    assert redis.llen("rq:queue:routers") == 1


@postgresql
def test_what_the_database_gives_up_is_repeated_until_it_is_committed(ctx: Flask) -> None:
    tries = []

    def step() -> None:
        audit.record("test", "one")
        tries.append(1)
        if len(tries) < core.TRIES:
            give_up()

    write(step)
    assert (len(tries), written()) == (core.TRIES, 1)
    tries.clear()

    def hopeless() -> None:
        tries.append(1)
        give_up()

    with pytest.raises(OperationalError, match="deadlock"):
        write(hopeless)
    assert len(tries) == core.TRIES

    def twice() -> None:
        """Its first half is committed: it is not begun anew."""
        with transaction():
            audit.record("test", "two")
        with transaction():
            give_up()

    with pytest.raises(OperationalError, match="deadlock"):
        core.repeated(twice)
    assert written() == 2


def test_a_commit_whose_answer_was_lost_is_not_made_twice(ctx: Flask, monkeypatch) -> None:
    real = core.GuardedSession.commit

    def commit(self) -> None:
        real(self)
        raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    with monkeypatch.context() as patch:
        patch.setattr(core.GuardedSession, "commit", commit)
        with pytest.raises(OperationalError):
            write(lambda: audit.record("test", "one"))
    assert written() == 1


def test_the_end_of_a_jobs_time_is_no_error_that_anybody_goes_on_after() -> None:
    with pytest.raises(queue.TimeUp):
        try:
            queue.TimeLimit(1, Exception).handle_death_penalty()
        except Exception:
            pytest.fail("it was taken for an error")


# What a person is told -------------------------------------------------------------------------------

PLAN = {"name": "Fibra <20>", "price": "400", "down": "20M", "up": "5M", "active": "y"}


@contextmanager
def locked(database: Database, monkeypatch) -> Iterator[None]:
    """Somebody else writes for longer than anybody waits."""
    monkeypatch.setattr(core, "PATIENCE", 0.03)
    other = sqlite3.connect(database.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@sqlite
def test_where_the_database_is_busy_the_form_is_kept_and_nothing_is_saved(
    app: Flask, database: Database, monkeypatch
) -> None:
    browser = signed_in(app)
    fields = {**PLAN, "csrf_token": token_of(browser)}
    with locked(database, monkeypatch):
        plain = browser.post("/planes/nuevo/?de=1", data=fields)
        partial = browser.post("/planes/nuevo/", data=fields, headers={"HX-Request": "true"})
        secret = browser.post("/cuenta/clave/", data={**fields, "password": "x", "new": "y", "again": "y"})
    assert (plain.status_code, partial.status_code) == (503, 503)
    assert BUSY in plain.text
    assert 'action="/planes/nuevo/?de=1"' in plain.text
    assert 'name="name" value="Fibra &lt;20&gt;"' in plain.text
    assert partial.headers["HX-Reswap"] == "none"
    assert "la base de datos est" in partial.headers["HX-Trigger"]
    assert not partial.data
    assert 'value="x"' not in secret.text
    with app.app_context():
        assert session().scalar(sa.select(sa.func.count()).select_from(Plan)) == 0
    assert browser.post("/planes/nuevo/?de=1", data=fields).status_code == 303


@sqlite
def test_a_command_says_that_the_database_is_busy(app: Flask, database: Database, monkeypatch) -> None:
    with locked(database, monkeypatch):
        answer = app.test_cli_runner().invoke(args=["plans", "add", "--name", "Fibra", "--price", "400"])
    assert (answer.exit_code, answer.stderr.strip()) == (1, BUSY)


@postgresql
def test_a_page_whose_transaction_was_given_up_is_answered_anew(app: Flask, monkeypatch) -> None:
    browser = signed_in(app)
    fields = {**PLAN, "csrf_token": token_of(browser)}
    left, real = [1, 1], audit.record

    def record(action, *rest, **more):
        real(action, *rest, **more)
        if action.startswith("plan") and left:
            left.pop()
            give_up()

    monkeypatch.setattr(audit, "record", record)
    assert browser.post("/planes/nuevo/", data=fields).status_code == 303
    with app.app_context():
        assert session().scalars(sa.select(Plan.name)).all() == [PLAN["name"]]
    left[:] = [1] * 9
    answer = browser.post("/planes/nuevo/", data={**fields, "name": "Otro"})
    assert (answer.status_code, BUSY in answer.text) == (503, True)


@postgresql
def test_a_lock_of_postgresql_is_waited_for_no_longer_than_one_of_sqlite(app: Flask) -> None:
    with app.app_context():
        assert session().scalar(sa.text("SHOW lock_timeout")) == f"{core.PATIENCE:.0f}s"
