"""``flask clients suspend``, ``pause``, ``reactivate``."""

from contextlib import nullcontext
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from wisp.access import service as access
from wisp.access.holds import service
from wisp.clients import service as clients
from wisp.clients.cli import group
from wisp.core import queue
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction


@click.command("suspend")
@click.argument("code")
@click.option("--why", required=True, help="The reason, shown beside the state.")
@wait_option
@json_option
@with_appcontext
@command
def suspend(code: str, why: str, wait: bool, as_json: bool) -> None:
    """Take the service of CODE by hand, until a person gives it back. Money does not lift it."""
    with queue.inline() if wait else nullcontext(), transaction():
        service.suspend(clients.find(code), why)
    _show(code, as_json)


@click.command("pause")
@click.argument("code")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The last day, included.")
@click.option("--why", default="")
@wait_option
@json_option
@with_appcontext
@command
def pause(code: str, until: datetime, why: str, wait: bool, as_json: bool) -> None:
    """Let the service of CODE rest through a day, at most 365 ahead: off, not invoiced, not notified, not cut."""
    with queue.inline() if wait else nullcontext(), transaction():
        service.pause(clients.find(code), until.date(), why)
    _show(code, as_json)


@click.command("reactivate")
@click.argument("code")
@click.option("--why", default="")
@wait_option
@json_option
@with_appcontext
@command
def reactivate(code: str, why: str, wait: bool, as_json: bool) -> None:
    """Give the service of CODE back, whatever holds it and whatever it owes. The next cut treats it like anybody."""
    with queue.inline() if wait else nullcontext(), transaction():
        found = service.reactivate(clients.find(code), why)
    if not found:
        fail(f"nothing holds {code}: there was nothing to lift")
    _show(code, as_json)


def _show(code: str, as_json: bool) -> None:
    """How the client stands now; ``router``: whether its router has confirmed it."""
    session().rollback()
    client = clients.find(code)
    state, hold = access.state_of(client.id), service.of(client.id)
    answer: dict[str, Any] = {
        "code": code,
        "state": state.kind,
        "suspension": hold.reason or None,
        "since": hold.since,
        "pause_until": hold.until,
        "router": "waiting" if state.pending else "done",
    }
    emit(answer, as_json)


def register() -> None:
    """Put the commands into the group of the clients."""
    for one in (suspend, pause, reactivate):
        group.add_command(one)
