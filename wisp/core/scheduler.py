"""The scheduler process: enqueues the periodic jobs. It keeps nothing: flush Redis and the list is back in a second.

Several may run: a lock in Redis lets one look at a time, and what two enqueue is one, by its key.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import NoReturn

import redis
from flask import Flask
from rq.job import Job
from rq_scheduler import Scheduler
from sqlalchemy.exc import DBAPIError

from wisp.core import health
from wisp.core.process import following
from wisp.core.queue import ENTRY, OurJob, enqueue, wanted

POLL = 1.0
LOOK = 15.0
"""Seconds between two looks at who is there."""
GIVE_UP = 5.0
PAUSE = 2.0
SET_BACK = 60.0
"""Seconds by which the clock is set right without a word."""
CLOCK = "wisp:clock"
"""Where in Redis the moment of the last look stands."""

log = logging.getLogger(__name__)


def _moment(seconds: float = 0) -> datetime:
    """Now, or in so many seconds, as rq-scheduler writes moments: UTC without saying so."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(tzinfo=None)


class AppScheduler(Scheduler):
    """rq-scheduler that keeps to the list in ``wisp.core.queue`` and bears Redis being emptied, away, or full of lies.

    Its own entries are only timers; what a worker gets is an ordinary job, with the timer's name as its key, so that
    none pile up while no worker runs.
    """

    job_class = OurJob
    looked = -LOOK

    def look(self, answers: bool = True) -> None:
        """Every few seconds: write down who is there; where that tells of a silence, send the mail from here, as no
        worker may be there to do it. ``answers``: the queue does."""
        if time.monotonic() < type(self).looked + LOOK:
            return
        type(self).looked = time.monotonic()
        try:
            if health.look(self.connection if answers else None):
                subprocess.Popen([sys.executable, "-m", "flask", "outbox", "deliver"], preexec_fn=following())
        except DBAPIError as error:
            log.warning("the database cannot be used: %s", error)

    def reconcile(self) -> None:
        """Make the timers in Redis equal to the list: stale and changed ones go, missing ones come."""
        for timer in list(self.get_jobs()):  # list(): drops the ids whose job is gone, too
            known = wanted.get(timer.id)
            if known is None or timer.meta.get("interval") != known.seconds:
                self.cancel(timer)
                timer.delete()

    def enqueue_jobs(self) -> list[Job]:
        """One look: first put back what is missing, or is further ahead than its period since the clock was set back;
        then enqueue what is due."""
        self.look()
        self.watch_clock()
        moments = self.connection.zmscore(self.scheduled_jobs_key, list(wanted))
        for (id, known), moment in zip(wanted.items(), moments, strict=True):
            if moment is None or moment > time.time() + known.seconds + 1:
                self.schedule(_moment(), ENTRY, args=[known.job], interval=known.seconds, id=id, description=known.job)
        due: list[Job] = list(self.get_jobs_to_queue())
        for timer in due:
            self.enqueue_job(timer)
        return due

    def watch_clock(self) -> None:
        """Have it said once where the machine's clock was set back, also while no scheduler ran."""
        now = time.time()
        seen = self.connection.set(CLOCK, now, get=True)
        if seen is not None and float(seen) > now + SET_BACK:
            log.warning("the clock was set back by %d seconds", float(seen) - now)
            enqueue("core.clock_set_back", round(float(seen) - now))

    def enqueue_job(self, timer: Job) -> None:
        """Enqueue the job of a timer and wind the timer up again."""
        known = wanted.get(timer.id)
        if known is None:
            self.cancel(timer)
            timer.delete()
            return
        enqueue(known.job, key=timer.id)
        self.change_execution_time(timer, _moment(known.seconds))

    def _install_signal_handlers(self) -> None:
        """``run`` has its own, which do not touch Redis."""


def run(app: Flask) -> None:
    """Schedule until SIGTERM or SIGINT; Redis may come and go."""
    logging.getLogger("rq_scheduler.scheduler").setLevel(logging.ERROR)
    log.info("scheduler %s: %s", os.getpid(), ", ".join(sorted(wanted)))
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        stopping.set()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    url = app.config["WISP"].redis_url
    with app.app_context(), suppress(DBAPIError):
        health.begin()
    while not stopping.is_set():
        with app.app_context():
            scheduler = AppScheduler(connection=redis.Redis.from_url(url, socket_timeout=GIVE_UP), interval=POLL)
            try:
                scheduler.reconcile()
                scheduler.run()
            except (redis.exceptions.RedisError, OSError) as error:
                if stopping.is_set():  # signing off failed
                    return
                log.warning("Redis is away, trying again every %d seconds (%s)", PAUSE, error)
                scheduler.look(answers=False)
        time.sleep(PAUSE)
