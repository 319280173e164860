"""Whether background work goes on: what pages, machines and the alert addresses are told."""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.factories import make_company
from tests.support.staff import signed_in
from wisp.core import clock, health, queue, scheduler, worker
from wisp.core.db import session, transaction
from wisp.outbox.models import Message
from wisp.settings.models import Company

START = clock.now().replace(microsecond=0)


@pytest.fixture
def begun(ctx: Flask) -> Iterator[None]:
    """A scheduler has just started."""
    make_company(alert_addresses="boss@example.com")
    with clock.frozen(START):
        health.begin()
        yield


def worker_sign(redis: Redis, seconds: int) -> None:
    """A worker said that it is alive, so long after the start."""
    moment = START + timedelta(seconds=seconds)
    redis.sadd("rq:workers", "rq:worker:w")
    redis.hset("rq:worker:w", "last_heartbeat", moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def look(redis: Redis | None, seconds: int) -> bool:
    """The scheduler's look, so long after the start."""
    with clock.frozen(START + timedelta(seconds=seconds)):
        return health.look(redis)


def forget() -> None:
    """Nobody has ever been seen."""
    with transaction() as s:
        s.execute(sa.delete(health.Heartbeat))


def silent(seconds: int) -> str:
    with clock.frozen(START + timedelta(seconds=seconds)):
        found = health.silent()
        return found.part if found else ""


def alerts() -> list[str]:
    rows = session().scalars(sa.select(Message).where(Message.kind == "alert_background").order_by(Message.id))
    return [(row.data or {})["part"] for row in rows]


@pytest.mark.usefixtures("begun")
class TestSilence:
    """One part at a time: the scheduler, then the queue, then the workers."""

    def test_a_worker_may_take_two_minutes_to_appear(self, redis: Redis) -> None:
        assert not look(redis, 119)
        assert silent(119) == ""
        assert look(redis, 121)
        assert silent(121) == "worker"
        assert not look(redis, 136)  # told once
        assert alerts() == ["worker"]
        worker_sign(redis, 140)
        look(redis, 141)
        assert silent(141) == ""
        look(redis, 300)
        assert alerts() == ["worker", "worker"]  # another time

    def test_the_queue_may_be_away_for_a_minute(self, redis: Redis) -> None:
        assert not look(None, 60)
        assert look(None, 61)
        assert silent(200) == "scheduler"  # nobody has looked since
        assert look(None, 200) is False
        assert silent(200) == "queue"
        assert alerts() == ["queue"]
        worker_sign(redis, 205)
        look(redis, 205)
        assert silent(205) == ""

    def test_workers_tell_that_the_scheduler_is_gone(self, redis: Redis) -> None:
        for seconds in (119, 121, 150):
            with clock.frozen(START + timedelta(seconds=seconds)):
                health.watch()
        assert alerts() == ["scheduler"]

    def test_a_sign_from_before_the_clock_was_set_back_is_none(self, redis: Redis) -> None:
        assert silent(-3600) == "scheduler"


def test_every_page_says_so_in_one_line(app: Flask) -> None:
    client = signed_in(app)
    with app.app_context():
        forget()
    assert "el programador de tareas fue nunca" not in client.get("/entrar/").text
    assert "la última señal del programador de tareas fue nunca" in client.get("/").text
    with app.app_context():
        health.begin()
    page = client.get("/").text
    assert "está detenido" not in page
    with clock.frozen(clock.now() + timedelta(minutes=3)):
        assert "El trabajo periódico está detenido" in client.get("/").text


def test_machines_are_told_what_does_not_answer(
    app: Flask, client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        forget()
    assert client.get("/salud").status_code == 200
    answer = client.get("/salud/listo")
    assert (answer.status_code, answer.text) == (503, "scheduler does not answer\nworker does not answer\n")
    with app.app_context():
        health.begin()
    with clock.frozen(START):
        worker_sign(redis, 0)
        with app.app_context():
            health.begin()
        assert client.get("/salud/listo").status_code == 200
        away = dataclasses.replace(app.config["WISP"], redis_url="unix:///nowhere/redis.sock")
        monkeypatch.setitem(app.config, "WISP", away)
        answer = client.get("/salud/listo")
        assert (answer.status_code, answer.text) == (503, "queue does not answer\nworker does not answer\n")


def test_without_a_database_the_process_still_says_that_it_is_there(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr("wisp.core.health.session", away)
    monkeypatch.setattr("wisp.portal.views.company", away)
    assert client.get("/salud", base_url="http://192.0.2.7:8000").status_code == 200
    answer = client.get("/salud/listo", base_url="http://192.0.2.7:8000")
    assert answer.status_code == 503
    assert answer.text.startswith("database does not answer\n")


def test_none_of_it_stands_at_the_clients_address(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        make_company()
        with transaction() as s:
            s.execute(sa.update(Company).values(page_servers="198.51.100.10"))
    for path in ("/salud", "/salud/listo"):
        assert client.get(path, base_url="http://198.51.100.10:8081").status_code == 404


def test_the_scheduler_looks_and_sends_the_alert_itself(
    ctx: Flask, begun: None, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker may be there to do it: a process of its own, so that a slow mail server keeps nobody waiting."""
    sent: list[list[str]] = []
    monkeypatch.setattr(scheduler.subprocess, "Popen", lambda command, **_: sent.append(command))
    ours = scheduler.AppScheduler(connection=redis)
    for seconds, answers in ((30, True), (100, False), (120, False)):
        monkeypatch.setattr(scheduler.AppScheduler, "looked", -scheduler.LOOK)
        with clock.frozen(START + timedelta(seconds=seconds)):
            ours.look(answers)
    assert alerts() == ["queue"]
    assert [command[-2:] for command in sent] == [["outbox", "deliver"]]


def test_a_worker_has_the_scheduler_looked_for(ctx: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WATCH_EVERY", 0.0)
    ours = worker.AppWorker(queue.QUEUES, app=ctx, connection=redis, serializer="json", job_class=queue.OurJob)
    ours.run_maintenance_tasks()
    assert queue.drain() == 1
