"""The commands that are processes of their own: web server, worker, scheduler."""

import os
from contextlib import suppress

import click
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from wisp.core.commands import fail
from wisp.core.config import told_in_one_line
from wisp.core.process import supervised


@click.command("worker")
@click.argument("queues", nargs=-1)
def worker_command(queues: tuple[str, ...]) -> None:
    """Run jobs from QUEUES (default: all) until stopped."""
    from wisp.core.queue import QUEUES
    from wisp.core.worker import work

    unknown = set(queues) - set(QUEUES)
    if unknown:
        raise click.BadParameter(f"no queue {', '.join(sorted(unknown))}; there are {', '.join(QUEUES)}")
    supervised()
    work(current_app._get_current_object(), queues or QUEUES)  # type: ignore[attr-defined]


@click.command("scheduler")
def scheduler_command() -> None:
    """Enqueue the periodic jobs until stopped; several may run."""
    from wisp.core.crypto import report_unreadable
    from wisp.core.scheduler import run

    supervised()
    with suppress(DBAPIError):  # not there yet: every job will say so
        report_unreadable()
    run(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command("serve")
def serve_command() -> None:
    """Serve the pages at HOST (default: this machine alone) and PORT (8000) until stopped."""
    from wisp.core import serving

    with told_in_one_line():
        host, port = serving.address(os.environ)
    try:
        serving.serve(current_app._get_current_object(), host, port, shared=supervised())  # type: ignore[attr-defined]
    except OSError as error:
        fail(f"{host}:{port} cannot be used: {error.strerror or error}")


def setup(app: Flask) -> None:
    """Add the commands."""
    for command in (serve_command, worker_command, scheduler_command):
        app.cli.add_command(command)
