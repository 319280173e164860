"""Jobs: registered, enqueued once, run as the system; and never a failure because Redis is away."""

import dataclasses
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import Callback, Queue
from rq.exceptions import DeserializationError
from rq_scheduler import Scheduler

from wisp.core import audit, queue
from wisp.core.db import after_commit, session, transaction
from wisp.core.scheduler import AppScheduler

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Recorder:
    """Jobs that say what they did."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def note(self, *what: object) -> None:
        self.done.append(what)

    def who(self) -> None:
        self.done.append(audit.actor().name)

    def again(self, left: int) -> None:
        """Ask for itself, under the same key, while it runs."""
        self.done.append(left)
        if left:
            queue.enqueue("test.again", left - 1, key="again")

    def fail(self) -> None:
        raise ValueError("as ordered")

    def many(self, calls: list[list[object]]) -> None:
        """What is done together: while it runs, more is ordered, and another worker takes that job out of its queue."""
        self.done.append(("begin", calls))
        lock = queue.connection().pttl("wisp:together:away:lock")
        assert queue.is_inline() or 0 < lock <= queue.HELD * 1000, lock
        for left in [call[0] for call in calls if isinstance(call[0], int) and call[0]]:
            queue.enqueue("test.many", left - 1)
            queue.connection().delete("rq:queue:away")
            queue.perform("test.many")
            queue.perform("test.others")
        if ["fail"] in calls:
            queue.enqueue("test.others", "rest")
            queue.connection().delete("rq:queue:away")
            queue.perform("test.others")
            raise ValueError("as ordered")
        self.done.append(("end", calls))

    def others(self, calls: list[list[object]]) -> None:
        """Of the same queue."""
        self.done.append(("others", calls))

    def write(self, action: str) -> None:
        """Write a row, and order what follows after the commit."""
        with transaction():
            audit.record(action, "test")
            after_commit(lambda: queue.enqueue("test.note", f"after {action}", key="after"))


@pytest.fixture
def jobs() -> Iterator[Recorder]:
    before, recorder = dict(queue.specs), Recorder()
    for name in ("note", "who", "again", "fail", "write"):
        queue.job(f"test.{name}", queue="routers")(getattr(recorder, name))
    queue.job("test.many", queue="away", together=True)(recorder.many)
    queue.job("test.others", queue="away", together=True)(recorder.others)
    yield recorder
    queue.specs.clear()
    queue.specs.update(before)


def test_a_job_runs_with_its_arguments(ctx: Flask, jobs: Recorder) -> None:
    assert queue.enqueue("test.note", 7, "ñ", [1, None])
    assert queue.drain() == 1
    assert jobs.done == [(7, "ñ", [1, None])]


def test_jobs_run_as_the_system(ctx: Flask, jobs: Recorder) -> None:
    audit.act_as(audit.Actor("staff:ana@example.com"))
    queue.enqueue("test.who")
    queue.drain()
    assert jobs.done == ["system"]
    assert audit.actor().name == "staff:ana@example.com"


def test_a_job_that_waits_is_not_enqueued_again(ctx: Flask, jobs: Recorder) -> None:
    for _ in range(3):
        assert queue.enqueue("test.note", 1, key="one")
    queue.enqueue_many([("test.note", (2,), "two"), ("test.note", (2,), "two"), ("test.note", (1,), "one")])
    queue.drain()
    assert jobs.done == [(1,), (2,)]


def test_a_job_that_runs_can_be_enqueued_again(ctx: Flask, jobs: Recorder) -> None:
    """Else an order that comes while the job finishes would be lost."""
    queue.enqueue("test.again", 2, key="again")
    queue.drain()
    assert jobs.done == [2, 1, 0]


def test_thousands_are_enqueued_at_once(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    assert queue.enqueue_many(("test.note", (n,), f"n{n}") for n in range(2500))
    assert redis.llen("rq:queue:routers") == 2500
    assert queue.enqueue_many(("test.note", (n,), f"n{n}") for n in range(2600))
    assert redis.llen("rq:queue:routers") == 2600


def both(*calls: list[object]) -> list[object]:
    """How the job that takes many ran once."""
    return [("begin", [*calls]), ("end", [*calls])]


def test_what_is_done_together_is_one_job(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    queue.enqueue("test.many", "b", key="says nothing")
    queue.enqueue_many([("test.many", ("a", True), None), ("test.note", (1,), None), ("test.many", ("b",), None)])
    assert redis.llen("rq:queue:away") == 1
    assert queue.drain() == 2
    assert jobs.done == [(1,), *both(["a", True], ["b"])]


def test_what_is_done_together_is_done_by_one_worker_at_a_time(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    """What was ordered meanwhile, and taken by another worker, is done after it: of the same job, and of others."""
    queue.enqueue("test.others", 1)
    queue.enqueue("test.many", 2)
    queue.connection().delete("rq:queue:away")
    queue.perform("test.many")
    queue.drain()
    assert jobs.done[:2] == both([2])
    assert sorted(jobs.done[2:], key=str) == sorted([*both([1]), *both([0]), ("others", [[1]])], key=str)
    assert jobs.done.index(("end", [[1]])) < jobs.done.index(("begin", [[0]]))
    assert redis.keys("*together:*") == []


def test_many_at_once_are_done_part_by_part(ctx: Flask, jobs: Recorder) -> None:
    calls = [("test.many", (f"{n:03}",), None) for n in range(queue.TOGETHER + 1)]
    queue.enqueue_many(calls)
    assert queue.drain() == 2
    with queue.inline():
        queue.enqueue_many(calls)
    done = [calls for what, calls in jobs.done if what == "end"]
    assert [len(calls) for calls in done] == [queue.TOGETHER, 1] * 2
    for some in (done[:2], done[2:]):
        assert sorted(call[0] for calls in some for call in calls) == [f"{n:03}" for n in range(queue.TOGETHER + 1)]


def test_where_what_is_done_together_fails_the_rest_is_done(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    queue.enqueue("test.many", "fail")
    with pytest.raises(ValueError, match="as ordered"):
        queue.drain()
    assert jobs.done == [("begin", [["fail"]]), ("others", [["rest"]])]
    assert redis.keys("*together:*") == []


def test_what_a_killed_worker_did_together_is_done_again(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    """It had taken one call, and holds the others out; a job that came meanwhile was taken in vain."""
    redis.set("wisp:together:away:lock", "killed", ex=queue.HELD)
    redis.sadd("wisp:together:test.many:taken", '["a"]')
    queue.enqueue("test.many", "b")
    assert queue.drain() == 1
    assert jobs.done == []
    redis.delete("wisp:together:away:lock")  # its time is over
    assert queue.wanted["core-stir"].job == "core.stir"
    queue.perform("core.stir")
    assert queue.drain() == 1
    assert jobs.done == both(["a"], ["b"])
    queue.perform("core.stir")
    assert queue.drain() == 0


def test_redis_may_forget_everything(ctx: Flask, jobs: Recorder, redis: Redis) -> None:
    queue.enqueue("test.note", 1, key="one")
    redis.flushall()
    queue.enqueue("test.note", 2, key="one")
    queue.drain()
    assert jobs.done == [(2,)]


def test_nothing_is_enqueued_before_the_commit(ctx: Flask, jobs: Recorder) -> None:
    with pytest.raises(RuntimeError, match="after the commit"), transaction():
        queue.enqueue("test.note", 1)
    with pytest.raises(ZeroDivisionError), transaction():
        after_commit(lambda: queue.enqueue("test.note", 2))
        raise ZeroDivisionError
    assert queue.drain() == 0


def test_a_name_that_nobody_registered_is_refused(ctx: Flask) -> None:
    with pytest.raises(LookupError, match=r"test\.unknown"):
        queue.enqueue("test.unknown")


def test_a_failing_job_shows_in_tests(ctx: Flask, jobs: Recorder) -> None:
    queue.enqueue("test.fail")
    queue.enqueue("test.note", 1)
    with pytest.raises(ValueError, match="as ordered"):
        queue.drain()
    assert jobs.done == [(1,)]


@pytest.mark.parametrize("url", ["unix:///nowhere/redis.sock", "redis://127.0.0.1:9/0"])
def test_without_redis_enqueueing_fails_at_once_and_quietly(
    ctx: Flask, jobs: Recorder, url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    monkeypatch.setitem(ctx.config, "WISP", dataclasses.replace(ctx.config["WISP"], redis_url=url))
    begun = time.monotonic()
    assert queue.enqueue("test.note", 1, key="one") is False
    assert time.monotonic() - begun < 5  # a stuck page, not a slow machine
    assert "test.note" in caplog.text


def test_a_frozen_redis_is_waited_for_once(
    ctx: Flask, jobs: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and never answers: a page that orders three things gives up after the first."""
    monkeypatch.setattr(queue, "GIVE_UP", 0.05)
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "frozen.sock"))
        frozen.listen()
        ctx.config["WISP"] = dataclasses.replace(ctx.config["WISP"], redis_url=f"unix://{tmp_path}/frozen.sock")
        assert [queue.enqueue("test.note", number) for number in range(3)] == [False] * 3
        frozen.setblocking(False)
        frozen.accept()[0].close()
        with pytest.raises(BlockingIOError):
            frozen.accept()


def make_folder(*_what: object) -> None:
    """What a stranger would like to have called: it leaves a trace where the test looks."""
    Path(os.environ["TRACE"]).mkdir()


class Trap:
    """Leaves the trace when it is unpickled."""

    def __reduce__(self) -> Any:
        return make_folder, ()


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is there once something was run that must not be."""
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    return tmp_path / "trace"


FOREIGN = f"{__name__}.make_folder"


@pytest.mark.parametrize("pickled", [False, True])
def test_a_job_that_is_not_ours_is_refused(ctx: Flask, redis: Redis, trace: Path, pickled: bool) -> None:
    """By another name, or as a pickle, whatever its callbacks: it fails, and nothing of it is run."""
    other = Queue("runs", connection=redis, serializer=None if pickled else "json")
    back = Callback(FOREIGN)
    other.enqueue(FOREIGN, Trap() if pickled else 1, on_success=back, on_failure=back, on_stopped=back)
    with pytest.raises(queue.ForeignJob if not pickled else DeserializationError):
        queue.drain()
    assert not trace.exists()


def test_a_job_of_ours_calls_nobody_back(ctx: Flask, jobs: Recorder, redis: Redis, trace: Path) -> None:
    other = Queue("runs", connection=redis, serializer="json")
    other.enqueue(queue.ENTRY, "test.note", 1, on_success=Callback(FOREIGN))
    queue.drain()
    assert jobs.done == [(1,)]
    assert not trace.exists()


def test_a_timer_that_somebody_else_wrote_is_replaced(ctx: Flask, redis: Redis, trace: Path) -> None:
    """Also one that an earlier version left, as a pickle."""
    wrote, now = Scheduler(connection=redis), datetime.now(UTC).replace(tzinfo=None)
    for id in (next(iter(queue.wanted)), "foreign"):
        wrote.schedule(now, FOREIGN, args=[Trap()], meta={"x": Trap()}, interval=60, id=id)
    ours = AppScheduler(connection=redis)
    ours.reconcile()
    ours.enqueue_jobs()
    assert {timer.id for timer in ours.get_jobs()} == set(queue.wanted)
    assert not trace.exists()


def test_inline_runs_jobs_and_their_followers_without_redis(
    ctx: Flask, jobs: Recorder, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with queue.inline():
        queue.enqueue("test.write", "first")
        queue.enqueue("test.write", "second")
        assert jobs.done == []
    assert jobs.done == [("after first",)]  # the second follower found the first still waiting
    with transaction():
        assert [row.action for row in session().query(audit.AuditEntry).order_by(audit.AuditEntry.id)] == [
            "first",
            "second",
        ]
    assert redis.keys() == []


def test_inline_does_together_what_waits(ctx: Flask, jobs: Recorder) -> None:
    with queue.inline():
        for what in ("b", "a", "b"):
            queue.enqueue("test.many", what)
        queue.enqueue("test.note", 1)
    assert jobs.done == [*both(["b"], ["a"]), (1,)]
    with pytest.raises(ZeroDivisionError), queue.inline():
        queue.enqueue("test.many", "c")
        queue.enqueue("test.many", "d")
        raise ZeroDivisionError
    queue.drain()
    assert jobs.done[3:] == both(["c"], ["d"])


def test_inline_runs_the_others_where_one_fails(ctx: Flask, jobs: Recorder) -> None:
    with pytest.raises(ValueError, match="as ordered"), queue.inline():
        queue.enqueue("test.fail")
        queue.enqueue("test.note", 1)
    assert jobs.done == [(1,)]


def test_what_a_failing_block_ordered_goes_to_the_workers(ctx: Flask, jobs: Recorder) -> None:
    with pytest.raises(ZeroDivisionError), queue.inline():
        queue.enqueue("test.note", 1)
        raise ZeroDivisionError
    assert jobs.done == []
    queue.drain()
    assert jobs.done == [(1,)]
