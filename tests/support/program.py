"""The program with a few jobs more and one periodic job of its own, for tests that run its processes.

``flask --app tests.support.program worker``. Each job leaves a line in the file that WISP_TEST_MARKS names.
"""

import os
import signal
import time
from pathlib import Path

from flask import Flask

from wisp.core import audit, queue, worker


def mark(text: str) -> None:
    """Leave one line."""
    with Path(os.environ["WISP_TEST_MARKS"]).open("a") as file:
        file.write(f"{text}\n")


def leave_mark(text: str) -> None:
    """Do something that can be seen."""
    mark(f"{text} by {audit.actor().name}")


def slow(text: str, seconds: float) -> None:
    """Take a while."""
    mark(f"{text} begins {os.getpid()}")
    time.sleep(seconds)
    mark(f"{text} ends")


def stubborn(text: str) -> None:
    """Take a minute, and cannot be interrupted."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    slow(text, 60)


def beat() -> None:
    """The periodic job."""
    mark("beat")


def rehearse() -> None:
    """Be seen to rehearse."""
    mark(f"rehearsed by {os.getpid()}")


def register() -> None:
    """Add the jobs; the only periodic one is ``test-beat``, every second."""
    queue.wanted.clear()
    if "WISP_TEST_REHEARSAL" in os.environ:
        queue.rehearsal(rehearse)
    for name, function in (("test.mark", leave_mark), ("test.slow", slow), ("test.beat", beat)):
        queue.job(name, queue="runs")(function)
    queue.job("test.late", queue="runs", timeout=1)(slow)
    queue.job("test.stubborn", queue="runs", timeout=1)(stubborn)
    queue.job("test.router", queue="routers")(leave_mark)
    queue.periodic("test-beat", "test.beat", seconds=1)


def create_app() -> Flask:
    """The application with these jobs."""
    from wisp.factory import create_app

    app = create_app()
    register()
    if "WISP_TEST_CHUNK" in os.environ:  # runs in small steps, so that they can be killed between two
        from wisp.tasks import runner

        runner.work.__defaults__ = (int(os.environ["WISP_TEST_CHUNK"]),)
    for name in ("JOBS", "MEMORY", "GRACE"):  # so that a child makes room, or is given up, soon
        if f"WISP_TEST_{name}" in os.environ:
            setattr(worker, name, int(os.environ[f"WISP_TEST_{name}"]))
    return app
