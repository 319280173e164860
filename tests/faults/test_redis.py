"""Redis is emptied, restarted, away; workers and schedulers are stopped and killed. They come back by themselves."""

import dataclasses
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis.exceptions import ResponseError
from rq import Queue

from tests.support.databases import SqliteDatabase, shared, worker
from tests.support.processes import Program, alive, until
from tests.support.program import register
from wisp.core import queue
from wisp.core.embedded_redis import EmbeddedRedis, RedisInUse

PROGRAM = "tests.support.program"
Start = Callable[..., Program]
Marks = Callable[[], list[str]]


@pytest.fixture(scope="module")
def database() -> SqliteDatabase:
    """One kind is enough: these tests are about Redis."""
    return SqliteDatabase()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that the test may stop and kill."""
    folder = shared() / f"{worker()}-own"
    with EmbeddedRedis(folder) as server:
        server.client().flushall()
        yield server


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    """What the jobs have done so far."""
    file = tmp_path / "marks"
    return lambda: file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def settings(environment: dict[str, str], own_redis: EmbeddedRedis, tmp_path: Path) -> dict[str, str]:
    """The environment of the processes of this test."""
    return {**environment, "REDIS_URL": own_redis.url, "WISP_TEST_MARKS": str(tmp_path / "marks"), "LOG_LEVEL": "INFO"}


@pytest.fixture
def program(app: Flask, own_redis: EmbeddedRedis) -> Iterator[Flask]:
    """The application of this process: it enqueues."""
    jobs, periodic = dict(queue.specs), dict(queue.wanted)
    app.config["WISP"] = dataclasses.replace(app.config["WISP"], redis_url=own_redis.url)
    register()
    with app.app_context():
        yield app
    queue.specs.clear()
    queue.specs.update(jobs)
    queue.wanted.clear()
    queue.wanted.update(periodic)


@pytest.fixture
def start(program: Flask, settings: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a process of the program; all are ended with the test."""
    started: list[Program] = []

    def begin(*command: str) -> Program:
        made = Program(*command, environment=settings, output=tmp_path / f"output-{len(started)}", app=PROGRAM)
        started.append(made)
        return made

    yield begin
    for made in started:
        made.__exit__(None)
        print(made.output.read_text())


def restart(server: EmbeddedRedis, *, empty: bool = False) -> None:
    """Kill Redis and start it again, with what it had kept or with nothing."""
    server.kill()
    if empty:
        for file in server.folder.glob("appendonly*"):
            file.unlink()
    server.start()


def test_a_second_server_keeps_out_of_a_folder_in_use(own_redis: EmbeddedRedis) -> None:
    with pytest.raises(RedisInUse):
        EmbeddedRedis(own_redis.folder).start()
    own_redis.client().ping()


def test_what_reaches_files_or_other_machines_is_switched_off(own_redis: EmbeddedRedis) -> None:
    for command in (("CONFIG", "SET", "dir", "/tmp"), ("REPLICAOF", "h", "1"), ("MODULE", "LOAD", "/tmp/x.so")):
        with pytest.raises(ResponseError, match="unknown command"):
            own_redis.client().execute_command(*command)


def test_what_waits_survives_a_crash_of_redis(program: Flask, own_redis: EmbeddedRedis) -> None:
    queue.enqueue("test.beat")
    until(lambda: own_redis.client().info("persistence")["aof_pending_bio_fsync"] == 0)
    restart(own_redis)
    assert own_redis.client().llen("rq:queue:runs") == 1


def test_a_worker_runs_jobs_as_the_system_and_stops_when_told(
    start: Start, marks: Marks, own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    """And no others."""
    foreign = tmp_path / "foreign"
    Queue("runs", connection=own_redis.client(), serializer="json").enqueue("os.mkdir", str(foreign))
    worker = start("worker")
    queue.enqueue("test.mark", "one")
    until(lambda: marks() == ["one by system"])
    assert worker.stop() == 0
    assert not foreign.exists()


def test_a_worker_told_to_stop_finishes_its_job(start: Start, marks: Marks) -> None:
    worker = start("worker")
    queue.enqueue("test.slow", "job", 1.0)
    until(marks)
    assert worker.stop() == 0
    assert marks()[-1] == "job ends"


def test_the_child_dies_with_a_killed_worker(start: Start, marks: Marks) -> None:
    worker = start("worker")
    queue.enqueue("test.slow", "job", 60)
    child = int(until(marks)[0].split()[-1])
    assert alive(child)
    worker.stop(signal.SIGKILL)
    until(lambda: not alive(child))


def test_another_worker_goes_on_after_one_was_killed(start: Start, marks: Marks) -> None:
    first = start("worker")
    queue.enqueue("test.slow", "job", 60)
    until(marks)
    queue.enqueue("test.mark", "next")
    first.stop(signal.SIGKILL)
    start("worker")
    until(lambda: "next by system" in marks())


def test_an_idle_worker_outlives_redis(start: Start, marks: Marks, own_redis: EmbeddedRedis) -> None:
    start("worker")
    queue.enqueue("test.mark", "before")
    until(marks)
    restart(own_redis, empty=True)
    until(lambda: queue.enqueue("test.mark", "after"))
    until(lambda: "after by system" in marks())


def test_a_job_goes_on_while_redis_is_away(start: Start, marks: Marks, own_redis: EmbeddedRedis) -> None:
    """And the worker waits for it: it takes the next job only then."""
    worker = start("worker")
    queue.enqueue("test.slow", "job", 8)  # longer than the worker's five seconds between two signs of life
    until(marks)
    own_redis.kill()
    until(lambda: "while a job runs" in worker.output.read_text())
    own_redis.start()
    queue.enqueue("test.mark", "next")
    until(lambda: "next by system" in marks())
    assert marks()[1:] == ["job ends", "next by system"]


def test_a_worker_stops_when_told_while_redis_is_away(start: Start, marks: Marks, own_redis: EmbeddedRedis) -> None:
    worker = start("worker")
    queue.enqueue("test.mark", "one")
    until(marks)
    own_redis.kill()
    assert worker.stop() == 0


def test_the_scheduler_enqueues_and_stops_when_told(start: Start, marks: Marks) -> None:
    scheduler = start("scheduler")
    start("worker")
    until(lambda: marks().count("beat") >= 2)
    assert scheduler.stop() == 0


def test_periodic_jobs_come_back_after_redis_was_emptied(start: Start, marks: Marks, own_redis: EmbeddedRedis) -> None:
    start("scheduler")
    start("worker")
    until(marks)
    own_redis.client().flushall()
    seen = len(marks())
    until(lambda: len(marks()) > seen)


def test_periodic_jobs_come_back_after_redis_was_away(start: Start, marks: Marks, own_redis: EmbeddedRedis) -> None:
    scheduler = start("scheduler")
    start("worker")
    until(marks)
    restart(own_redis, empty=True)
    seen = len(marks())
    until(lambda: len(marks()) > seen)
    assert scheduler.process.poll() is None


def test_a_scheduler_stops_when_told_while_redis_is_away(start: Start, own_redis: EmbeddedRedis) -> None:
    scheduler = start("scheduler")
    until(lambda: own_redis.client().zcard("rq:scheduler:scheduled_jobs"))
    own_redis.kill()
    assert scheduler.stop() == 0


def test_periodic_jobs_do_not_pile_up_without_workers(start: Start, own_redis: EmbeddedRedis) -> None:
    """Two schedulers, no worker: after several periods one job waits."""
    start("scheduler")
    start("scheduler")
    client = own_redis.client()
    timers = "rq:scheduler:scheduled_jobs"
    until(lambda: client.llen("rq:queue:runs"))
    for _ in range(3):  # three periods go by
        wound_up = client.zscore(timers, "test-beat")
        until(lambda before=wound_up: client.zscore(timers, "test-beat") != before)
    assert client.llen("rq:queue:runs") == 1


def test_a_timer_that_the_program_no_longer_wants_goes(start: Start, program: Flask, own_redis: EmbeddedRedis) -> None:
    from wisp.core.scheduler import AppScheduler

    client = own_redis.client()
    queue.periodic("test-old", "test.beat", seconds=5)
    AppScheduler(connection=client).enqueue_jobs()
    assert client.zcard("rq:scheduler:scheduled_jobs") == 2
    del queue.wanted["test-old"]
    queue.periodic("test-beat", "test.beat", seconds=77)
    scheduler = AppScheduler(connection=client)
    scheduler.reconcile()
    scheduler.enqueue_jobs()
    assert client.zrange("rq:scheduler:scheduled_jobs", 0, -1) == [b"test-beat"]
    assert [timer.meta["interval"] for timer in scheduler.get_jobs()] == [77]


def test_with_two_schedulers_and_one_killed_the_other_goes_on(start: Start, marks: Marks) -> None:
    first = start("scheduler")
    start("scheduler")
    start("worker")
    until(marks)
    first.stop(signal.SIGKILL)
    seen = len(marks())
    until(lambda: len(marks()) > seen)
