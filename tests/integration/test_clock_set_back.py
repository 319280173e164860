"""The machine's clock was set back by a day: what only waits for a moment that lies ahead since is due now."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis
from rq_scheduler.utils import to_unix

from tests.factories import make_router
from tests.support.outbox import queued, states
from tests.support.staff import signed_in
from wisp.access import service as access
from wisp.access.models import RouterSync
from wisp.access.provision import service as provisioning
from wisp.core import clock, clockwatch, queue, scheduler
from wisp.core.db import session, transaction
from wisp.outbox import delivery, server
from wisp.outbox import service as outbox
from wisp.outbox.models import MailServer
from wisp.routers import health
from wisp.routers.models import Router

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_a_moment_further_ahead_than_its_longest_wait_has_come() -> None:
    now = datetime(2026, 11, 10, 12, tzinfo=UTC)
    with clock.frozen(now):
        ahead = (-HOUR, timedelta(0), timedelta(seconds=1), HOUR, HOUR + timedelta(seconds=61), DAY)
        assert [clock.due(now + span, HOUR) for span in ahead] == [True, True, False, False, True, True]
        before = (-DAY, -HOUR, -HOUR + timedelta(seconds=1), timedelta(0), timedelta(seconds=61), DAY)
        assert [clock.since(now + span, HOUR) for span in before] == [True, True, False, False, True, True]


def test_mail_goes_on(ctx: Flask, smtp) -> None:
    ahead = clock.now() + DAY
    queued(1, next_attempt_at=ahead)
    queued(1, lease_until=ahead)
    queued(1, state="sending", lease_until=ahead)
    queued(1, next_attempt_at=clock.now() + timedelta(minutes=59))  # an ordinary pause
    with transaction() as s:
        s.add(MailServer(id=1, failures=3, error="timeout", paused_until=ahead))
    assert outbox.due()
    assert not server.paused()
    assert delivery.deliver().sent == 3
    assert states() == {"sent": 3, "pending": 1}


def test_routers_are_worked_at_and_asked(ctx: Flask) -> None:
    ahead = clock.now() + DAY
    routers = [make_router() for _ in range(3)]
    with transaction() as s:
        s.execute(sa.update(Router).values(checked_at=ahead, probing_until=ahead))
        for router, values in zip(
            routers,
            (
                {"lease_owner": "dead", "lease_until": ahead},
                {"attempts": 2, "next_attempt_at": ahead},
                {"attempts": 0, "next_attempt_at": ahead},  # a cut that waits for its hours does so for days
            ),
            strict=True,
        ):
            s.add(RouterSync(router_id=router.id, requested=1, done=0, lists="[]", **values))
    assert access.due_syncs(clock.now()) == [routers[0].id, routers[1].id]
    assert set(health.due()) == {router.id for router in routers}
    with transaction():
        assert health.claim([routers[0].id], only_due=True) == [routers[0].id]
        health.record(routers[0].id, health.Health("tower"), clock.now())
    router = session().get_one(Router, routers[0].id, populate_existing=True)
    assert (router.identity, router.online, router.checked_at < ahead) == ("tower", True, True)
    assert provisioning.due(clock.now()) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_timers_that_stand_a_day_ahead_are_put_back_and_the_jump_is_said_once(app: Flask, redis: Redis, caplog) -> None:
    with app.app_context():
        timers = scheduler.AppScheduler(connection=redis)
        timers.enqueue_jobs()
        for name in queue.wanted:
            redis.zadd(timers.scheduled_jobs_key, {name: to_unix(datetime.now(UTC).replace(tzinfo=None) + 2 * DAY)})
        redis.set(scheduler.CLOCK, time.time() + DAY.total_seconds())
        queue.drain()
        assert {timer.id for timer in timers.enqueue_jobs()} == set(queue.wanted)
        latest = max(score for _name, score in redis.zrange(timers.scheduled_jobs_key, 0, -1, withscores=True))
        assert latest <= time.time() + DAY.total_seconds()
        assert "the clock was set back by 86" in caplog.text
        caplog.clear()
        timers.enqueue_jobs()
        assert not caplog.text
        for _ in range(2):  # two schedulers may have seen it
            clockwatch.set_back(86400)
        assert clockwatch.last() is not None
        assert session().scalar(sa.text("SELECT count(*) FROM audit_entry WHERE action = 'clock.set_back'")) == 1
    browser = signed_in(app)
    assert "se atrasó" in browser.get("/").text
    with clock.frozen(clock.now() + timedelta(hours=25)):
        assert "se atrasó" not in signed_in(app, "eva@example.com").get("/").text
