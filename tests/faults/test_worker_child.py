"""The child of a worker does one job after another; it is replaced, and where it dies only its job is lost."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from tests.support.databases import SqliteDatabase
from tests.support.processes import Program, alive, until
from tests.support.program import register
from wisp.core import queue

Start = Callable[..., Program]
Marks = Callable[[], list[str]]


@pytest.fixture(scope="module")
def database() -> SqliteDatabase:
    """One kind is enough: these tests are about processes."""
    return SqliteDatabase()


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    """What the jobs have done so far."""
    file = tmp_path / "marks"
    return lambda: file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def start(ctx: Flask, environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a worker with these settings."""
    jobs, periodic = dict(queue.specs), dict(queue.wanted)
    register()
    started: list[Program] = []

    def begin(**settings: str) -> Program:
        settings = {**environment, "WISP_TEST_MARKS": str(tmp_path / "marks"), "LOG_LEVEL": "INFO", **settings}
        started.append(Program("worker", environment=settings, output=tmp_path / "output", app="tests.support.program"))
        return started[-1]

    yield begin
    for program in started:
        program.__exit__(None)
        print(program.output.read_text())
    queue.specs.clear()
    queue.specs.update(jobs)
    queue.wanted.clear()
    queue.wanted.update(periodic)


def children(marks: Marks, jobs: int) -> list[int]:
    """The processes that have done so many jobs, in order."""
    until(lambda: sum(line.endswith(" ends") for line in marks()) == jobs)
    return [int(line.split()[-1]) for line in marks() if " begins " in line]


def failed(redis: Redis) -> int:
    """How many jobs RQ holds for failed."""
    return int(redis.zcard("rq:failed:runs"))


def state(redis: Redis) -> str:
    """What the only worker is doing: ``idle`` or ``busy``."""
    (key,) = redis.smembers("rq:workers")
    return (redis.hget(key, "state") or b"").decode()


def test_one_child_does_many_jobs(start: Start, marks: Marks) -> None:
    start()
    for number in range(3):
        queue.enqueue("test.slow", f"job-{number}", 0)
    assert len(set(children(marks, 3))) == 1


@pytest.mark.parametrize(("limit", "jobs_each"), [({"WISP_TEST_JOBS": "2"}, 2), ({"WISP_TEST_MEMORY": "1"}, 1)])
def test_a_child_makes_room_for_a_fresh_one(
    start: Start, marks: Marks, redis: Redis, limit: dict[str, str], jobs_each: int
) -> None:
    worker = start(**limit)
    for number in range(4):
        queue.enqueue("test.slow", f"job-{number}", 0)
    done_by = children(marks, 4)
    assert len(set(done_by)) == 4 // jobs_each
    assert not alive(done_by[0])
    assert failed(redis) == 0
    assert worker.stop() == 0


def test_a_child_is_there_and_has_rehearsed_before_its_first_job(start: Start, marks: Marks, redis: Redis) -> None:
    start(WISP_TEST_REHEARSAL="1", WISP_TEST_JOBS="1")
    until(lambda: redis.scard("rq:workers"))
    assert len(marks()) == 1  # before the worker has announced itself
    queue.enqueue("test.slow", "job", 0)
    until(lambda: len(marks()) == 4)
    first, begins, ends, second = marks()
    child = first.removeprefix("rehearsed by ")
    assert (begins, ends) == (f"job begins {child}", "job ends")
    assert second.startswith("rehearsed by ")
    assert second != first  # the next one did not wait for a job either


def test_where_an_idle_child_was_killed_another_takes_the_next_job(start: Start, marks: Marks, redis: Redis) -> None:
    start()
    queue.enqueue("test.slow", "before", 0)
    (child,) = children(marks, 1)
    until(lambda: state(redis) == "idle")
    os.kill(child, signal.SIGKILL)
    until(lambda: not alive(child))
    queue.enqueue("test.slow", "after", 0)
    assert children(marks, 2)[1] != child
    assert failed(redis) == 0


def test_a_job_that_was_given_to_a_dying_child_is_another_ones(start: Start, marks: Marks, redis: Redis) -> None:
    start()
    queue.enqueue("test.slow", "before", 0)
    (child,) = children(marks, 1)
    until(lambda: state(redis) == "idle")
    os.kill(child, signal.SIGSTOP)  # it is there, but does not take the job
    queue.enqueue("test.slow", "after", 0)
    until(lambda: state(redis) == "busy")
    os.kill(child, signal.SIGKILL)
    assert children(marks, 2)[1] != child
    assert failed(redis) == 0


def test_where_a_child_is_killed_its_job_alone_fails(start: Start, marks: Marks, redis: Redis) -> None:
    start()
    queue.enqueue("test.slow", "killed", 60)
    child = int(until(marks)[0].split()[-1])
    queue.enqueue("test.slow", "next", 0)
    os.kill(child, signal.SIGKILL)
    assert children(marks, 1)[1] != child
    assert failed(redis) == 1


def test_a_job_over_its_time_is_broken_off_and_the_child_goes_on(start: Start, marks: Marks, redis: Redis) -> None:
    start()
    queue.enqueue("test.late", "late", 60)
    queue.enqueue("test.slow", "next", 0)
    assert len(set(children(marks, 1))) == 1
    assert failed(redis) == 1


def test_a_job_that_cannot_be_broken_off_is_killed(start: Start, marks: Marks, redis: Redis) -> None:
    start(WISP_TEST_GRACE="1")
    queue.enqueue("test.stubborn", "stubborn")
    queue.enqueue("test.slow", "next", 0)
    first, second = children(marks, 1)
    assert first != second
    assert not alive(first)
    assert failed(redis) == 1


def test_a_job_leaves_nothing_of_its_own_to_the_next(start: Start, marks: Marks) -> None:
    start()
    for number in range(2):
        queue.enqueue("test.mark", f"job-{number}")
    until(lambda: len(marks()) == 2)
    assert marks() == ["job-0 by system", "job-1 by system"]


def test_runs_and_routers_take_turns(start: Start, marks: Marks) -> None:
    for number in range(3):
        queue.enqueue("test.mark", f"run-{number}")
        queue.enqueue("test.router", f"router-{number}")
    start()
    until(lambda: len(marks()) == 6)
    assert [line.split()[0] for line in marks()] == ["run-0", "router-0", "run-1", "router-1", "run-2", "router-2"]


def test_an_ended_worker_leaves_no_child(start: Start, marks: Marks) -> None:
    worker = start()
    queue.enqueue("test.slow", "job", 0)
    (child,) = children(marks, 1)
    assert alive(child)
    assert worker.stop() == 0
    assert not alive(child)
