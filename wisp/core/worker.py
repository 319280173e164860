"""The worker process: takes jobs from Redis and has a child do them.

The child does one job after another: what a job made once (SQL statements compiled, connections, the interpreter's own
short cuts) is there for the next. After so many jobs, or so much memory, it makes room for a fresh one; where it dies,
the job under way fails alone. The worker itself never runs a job, so that each child begins clean. A child begins
before there is a job for it, and first rehearses: clients are waiting for the first job of the day too, and on SQLite
several children that compile their statements under the one lock for writing would wait for one another.

It outlives Redis: while Redis is away it waits, and starts again when it is back. Its child does not outlive it: two
copies of a job after a crash would be one too many even for jobs that bear it.
"""

import gc
import json
import logging
import os
import random
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, cast

import redis
from flask import Flask
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.utils import now

from wisp.core import audit
from wisp.core.db import db
from wisp.core.health import WATCH
from wisp.core.process import follow_parent
from wisp.core.queue import QUEUES, SERIALIZER, OurJob, TimeLimit, enqueue, rehearse

PAUSE = 1.0  # seconds between two attempts to reach Redis
JOBS = 500
"""How many jobs a child does at most."""
MEMORY = 160 * 1024 * 1024
"""Bytes of memory (see ``memory``) with which a child makes room for a fresh one after its job."""
GRACE = 60
"""Seconds after its time limit at which a job that cannot even be interrupted is killed with its child."""
QUIET = 1.0
"""Seconds after a sign of life in which another one is no news; each holds for 15 at least."""
WATCH_EVERY = 60.0
COLLECT = (100_000, 10, 10)
"""Thresholds of the child's garbage collector: jobs make thousands of rows that live as long as the job."""
REHEARSAL = 15.0
"""Seconds that a worker waits for its first child's rehearsal before it announces itself."""
READY, BEGUN, DONE, LAST = b"ready", b"begun", b"done", b"last"

log = logging.getLogger(__name__)


class AppWorker(Worker):
    """RQ's worker with the application in its children, and without its weak spots (see the module)."""

    death_penalty_class = TimeLimit
    max_connection_wait_time = 5.0
    log_job_description = False
    log_result_lifespan = False

    def __init__(self, *args: Any, app: Flask, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = app
        self.told_to_stop = False
        self._line: Connection | None = None
        self._order = b""
        self._quiet_until = 0.0
        self._watch_at = time.monotonic() + WATCH_EVERY

    def bootstrap(self, *args: Any, **options: Any) -> None:
        """Announce the worker, once there is a child that is ready for a job."""
        self.connection.ping()
        self._start_child().poll(REHEARSAL)
        try:
            super().bootstrap(*args, **options)
        except BaseException:
            self._dismiss()
            raise

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT: stop once the job under way is done."""
        self.told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Runs and routers in turns: runs reckon, routers mostly wait, so that together they fill the machine; and
        neither keeps the other waiting."""
        first, second, *others = self.queues
        if reference_queue.name == first.name:
            first, second = second, first
        self._ordered_queues = [first, second, *others]

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Say that the worker is alive; once a second, in one go. RQ does it four times between two jobs."""
        moment = time.monotonic()
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
        elif moment >= self._quiet_until:
            with self.connection.pipeline(transaction=False) as together:
                super().heartbeat(timeout, together)
                together.execute()
            self._quiet_until = moment + QUIET

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Note what the worker does, where that is news."""
        if pipeline is not None or state != self._state:
            super().set_state(state, pipeline)

    def run_maintenance_tasks(self) -> None:
        """Now and then, between two jobs; here also: see whether there is a scheduler."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        if time.monotonic() >= self._watch_at:
            self._watch_at = time.monotonic() + WATCH_EVERY
            with self.app.app_context():
                enqueue(WATCH, key=WATCH)

    def subscribe(self) -> None:
        """No commands are taken over Redis: no thread beside the fork, and none to wait for at the end."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds after which a job without a sign of life counts as abandoned."""
        return int(self.job_monitoring_interval) * 3

    def maintain_heartbeats(self, *args: Any) -> None:
        """Say that the job is alive; where Redis is away, let the job go on without."""
        try:
            super().maintain_heartbeats(*args)
        except (redis.exceptions.RedisError, OSError) as error:
            log.warning("Redis is away while a job runs; the job goes on (%s)", error)

    def set_shutdown_requested_date(self) -> None:
        """Note the request in Redis, where it can be reached: this runs inside a signal handler."""
        try:
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]
        except (redis.exceptions.RedisError, OSError):
            log.info("stopping while Redis is away")

    def teardown(self) -> None:
        """End the child, and sign off where Redis can be reached."""
        self._dismiss()
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except (redis.exceptions.RedisError, OSError):
            log.info("Redis is away: the worker could not sign off")

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the child; start one where there is none, or where it died while it had nothing to do."""
        self._order = json.dumps([job.id, queue.name, cast(Execution, self.execution).id]).encode()
        if self._line is not None:
            try:
                self._line.send_bytes(self._order)
                return
            except OSError:
                self._dismiss()
        self._start_child().send_bytes(self._order)

    def _start_child(self) -> Connection:
        """A child, and the line to it. What exists now is left out of its garbage collections, which would copy the
        pages."""
        parent = os.getpid()
        gc.freeze()
        ours, theirs = Pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setpgrp()
                follow_parent(parent, signal.SIGKILL)
                ours.close()
                self._serve(theirs)
                os._exit(0)
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning("Redis is away: the end of a job could not be written down (%s)", error)
            except BaseException:
                log.exception("a worker's child failed")
            finally:
                os._exit(1)
        theirs.close()
        self._line, self._horse_pid = ours, child
        return ours

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Execution) -> None:
        """Wait until the child has done the job, and say meanwhile that it is alive."""
        job.started_at = now()
        answer = self._hear(job, execution)
        if answer is None:  # it died with nothing to do: the job came too late to be its
            self._dismiss()
            self._start_child().send_bytes(self._order)
            answer = self._hear(job, execution)
        if answer == BEGUN:
            answer = self._hear(job, execution)
        if answer is None:
            self._hang_up()
            super().monitor_work_horse(job, queue, execution)  # the child has died: the job has failed
            return
        self.executions.pop(execution.id, None)
        if answer == LAST:
            self._dismiss()
            if not self.told_to_stop:
                self._start_child()

    def _hear(self, job: Job, execution: Execution) -> bytes | None:
        """The child's next word about the job; None where it has died, or was killed because the job's time is long
        over."""
        line, begun = cast(Connection, self._line), time.monotonic()
        word = READY
        while word == READY:
            while not line.poll(self.job_monitoring_interval):
                if job.timeout is not None and 0 < job.timeout + GRACE < time.monotonic() - begun:
                    self.kill_horse()
                    break
                self.maintain_heartbeats(job, execution)
            try:
                word = line.recv_bytes()
            except (EOFError, OSError):
                return None
        return word

    def _hang_up(self) -> None:
        """A child that waits for a job ends then."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _dismiss(self) -> None:
        """Let the child end, once its job is done."""
        self._hang_up()
        if self._horse_pid and not self.is_horse:
            self.wait_for_horse()
            self._horse_pid = 0

    def _serve(self, line: Connection) -> None:
        """The child: dies with the worker, uses connections of its own, does jobs as the system until told LAST."""
        self._is_horse = True
        random.seed()
        gc.set_threshold(*COLLECT)
        self.setup_work_horse_signals()  # type: ignore[no-untyped-call]
        with self.app.app_context():
            for engine in db.engines.values():
                engine.dispose(close=False)  # the sockets belong to the parent
            rehearse()
        with suppress(OSError):
            line.send_bytes(READY)
        for left in reversed(range(JOBS)):
            try:
                order = line.recv_bytes()
                line.send_bytes(BEGUN)
            except (EOFError, OSError):
                return  # the worker wants no more
            self._do(*json.loads(order))
            last = not left or memory() > MEMORY
            with suppress(OSError):  # the worker has hung up meanwhile: the next look at the line ends this
                line.send_bytes(LAST if last else DONE)
            if last:
                return

    def _do(self, job_id: str, name: str, execution_id: str) -> None:
        """One job, in a context of its own. An error that leaves this is RQ's or Redis's, never the job's."""
        job = OurJob.fetch(job_id, connection=self.connection)
        queue = Queue(name, connection=self.connection, serializer=self.serializer, job_class=OurJob)
        execution = Execution.fetch(execution_id, job_id, connection=self.connection)
        execution._job = job
        with self.app.app_context():
            audit.act_as(audit.SYSTEM)
            self.perform_job(job, queue, execution)


def memory() -> int:
    """Bytes that this process has in memory, without files such as libraries."""
    _all, resident, shared, *_rest = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def _stop_now(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def work(app: Flask, queues: tuple[str, ...] = QUEUES) -> None:
    """Work until SIGTERM or SIGINT: a job under way is finished first; a second signal ends it."""
    for noisy in ("rq.worker", "rq.job"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    log.info("worker %s: %s", os.getpid(), ", ".join(queues))
    while True:
        signal.signal(signal.SIGTERM, _stop_now)
        signal.signal(signal.SIGINT, _stop_now)
        try:
            worker = AppWorker(
                queues,
                app=app,
                connection=redis.Redis.from_url(app.config["WISP"].redis_url),
                serializer=SERIALIZER,
                job_class=OurJob,
                job_monitoring_interval=5,
                maintenance_interval=5,
                worker_ttl=20,
            )
            worker.work(logging_level="ERROR")
            if worker.told_to_stop:
                log.info("worker %s: stopped", os.getpid())
                return
        except (redis.exceptions.RedisError, OSError) as error:
            log.warning("Redis is away, trying again every second (%s)", error)
        time.sleep(PAUSE)
