"""Two schedulers and two workers as real processes, some of them killed, Redis emptied: each occurrence runs once."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from tests.factories import make_clients, make_zone
from tests.support.billing import gapless, task_of
from tests.support.processes import Program, until
from wisp.core import clock
from wisp.core.db import session
from wisp.invoices.models import Invoice
from wisp.schedules.models import Occurrence, PeriodicTask
from wisp.settings import service as settings
from wisp.tasks.models import TaskRun

CLIENTS = 3


@pytest.fixture
def start(app: Flask, environment: dict[str, str], tmp_path: Path) -> Iterator:
    """Start a process of the program; all are ended with the test."""
    with ExitStack() as stack:

        def begin(name: str, command: str) -> Program:
            return stack.enter_context(Program(command, environment=environment, output=tmp_path / name))

        yield begin


def zones_due(app: Flask, count: int) -> set[int]:
    """So many zones whose invoices were due a moment ago; the ids of their invoice tasks."""
    with app.app_context():
        now, tz = clock.now(), settings.timezone()
        due, later = (now - timedelta(minutes=3)).astimezone(tz), (now + timedelta(days=10)).astimezone(tz)
        moments = {"invoices": (due.day, due.hour * 60 + due.minute), "notice": (later.day, 0), "cut": (later.day, 60)}
        found = set()
        with clock.frozen(now - timedelta(minutes=10)):
            for _ in range(count):
                zone = make_zone(moments=moments)
                make_clients(CLIENTS, zone)
                found.add(task_of(zone).id)
    return found


def finished(app: Flask) -> list[int]:
    """The tasks whose runs have ended well, one entry a run."""
    with app.app_context():
        return list(session().scalars(sa.select(TaskRun.task_id).where(TaskRun.state == "success")))


def test_each_occurrence_runs_once_whoever_is_killed(app: Flask, start, redis: Redis) -> None:
    first = zones_due(app, 12)
    dying = start("scheduler-1", "scheduler")
    start("scheduler-2", "scheduler")
    worker = start("worker-1", "worker")
    start("worker-2", "worker")
    until(lambda: len(finished(app)) >= len(first), 90)

    second = zones_due(app, 12)
    dying.stop(signal.SIGKILL)
    worker.stop(signal.SIGKILL)
    redis.flushdb()  # the other scheduler puts the tick back by itself
    until(lambda: len(finished(app)) >= len(first) + len(second), 90)

    with app.app_context():
        assert set(Counter(session().scalars(sa.select(TaskRun.task_id))).values()) == {1}
        assert set(finished(app)) == first | second
        claimed = session().scalars(sa.select(Occurrence.task_id).where(Occurrence.state == "claimed"))
        assert sorted(claimed) == sorted(first | second)
        assert len(gapless()) == CLIENTS * 24
        assert set(Counter(session().scalars(sa.select(Invoice.client_id))).values()) == {1}
        due = sa.select(sa.func.count()).select_from(PeriodicTask).where(PeriodicTask.next_at <= clock.now())
        assert session().scalar(due) == 0
