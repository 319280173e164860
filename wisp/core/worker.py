"""The worker process: takes jobs from Redis and runs each in a child of its own.

It outlives Redis: while Redis is away it waits, and starts again when it is back. Its children do not outlive it: two
copies of a job after a crash would be one too many even for jobs that bear it.
"""

import gc
import logging
import os
import signal
import time
from types import FrameType
from typing import Any, NoReturn

import redis
from flask import Flask
from rq import Queue, Worker
from rq.job import Job

from wisp.core import audit
from wisp.core.db import db
from wisp.core.process import follow_parent
from wisp.core.queue import QUEUES, SERIALIZER

PAUSE = 1.0  # seconds between two attempts to reach Redis

log = logging.getLogger(__name__)


class AppWorker(Worker):
    """RQ's worker with the application in its children, and without its weak spots (see the module)."""

    max_connection_wait_time = 5.0
    log_job_description = False
    log_result_lifespan = False

    def __init__(self, *args: Any, app: Flask, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = app
        self.told_to_stop = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT: stop once the job under way is done."""
        self.told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

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
        """Sign off, where Redis can be reached."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except (redis.exceptions.RedisError, OSError):
            log.info("Redis is away: the worker could not sign off")

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Start the child; what exists now is left out of its garbage collections, which would copy its pages."""
        self._parent = os.getpid()
        gc.freeze()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The child: dies with the worker, uses connections of its own, acts as the system."""
        follow_parent(self._parent, signal.SIGKILL)
        with self.app.app_context():
            for engine in db.engines.values():
                engine.dispose(close=False)  # the sockets belong to the parent
            audit.act_as(audit.SYSTEM)
            super().main_work_horse(job, queue)


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
