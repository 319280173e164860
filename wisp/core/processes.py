"""The commands that are processes of their own: worker, scheduler, and the embedded Redis around another command."""

import signal
import subprocess
import threading
from contextlib import suppress

import click
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from wisp.core.embedded_redis import EmbeddedRedis, RedisInUse
from wisp.core.process import following


@click.command("worker")
@click.argument("queues", nargs=-1)
def worker_command(queues: tuple[str, ...]) -> None:
    """Run jobs from QUEUES (default: all) until stopped."""
    from wisp.core.queue import QUEUES
    from wisp.core.worker import work

    unknown = set(queues) - set(QUEUES)
    if unknown:
        raise click.BadParameter(f"no queue {', '.join(sorted(unknown))}; there are {', '.join(QUEUES)}")
    work(current_app._get_current_object(), queues or QUEUES)  # type: ignore[attr-defined]


@click.command("scheduler")
def scheduler_command() -> None:
    """Enqueue the periodic jobs until stopped; several may run."""
    from wisp.core.crypto import report_unreadable
    from wisp.core.scheduler import run

    with suppress(DBAPIError):  # not there yet: every job will say so
        report_unreadable()
    run(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command("redis", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def redis_command(command: tuple[str, ...]) -> None:
    """Start the embedded Redis where REDIS_URL is not set, and run COMMAND beside it (default: until stopped)."""
    settings = current_app.config["WISP"]
    if not settings.redis_embedded:
        raise SystemExit(_beside(command))
    try:
        with EmbeddedRedis(settings.data / "redis"):
            raise SystemExit(_beside(command))
    except RedisInUse as folder:
        raise SystemExit(f"another copy of the program uses {folder}; set WISP_DATA to another folder") from None


def _beside(command: tuple[str, ...]) -> int:
    """Run the command to its end and return its exit code; it ends with this process.

    Ctrl-C reaches it without our help (it shares the terminal); SIGTERM is passed on.
    """
    if not command:
        return _until_stopped()
    child = subprocess.Popen(command, preexec_fn=following())  # noqa: S603 - what the caller typed
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return child.wait()


def _until_stopped() -> int:
    stopped = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: stopped.set())
    while not stopped.wait(3600):
        pass
    return 0


def setup(app: Flask) -> None:
    """Add the commands."""
    for command in (worker_command, scheduler_command, redis_command):
        app.cli.add_command(command)
