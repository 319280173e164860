"""``flask routers provision``."""

from typing import Any

import click
from flask.cli import with_appcontext

from wisp.access.provision import service
from wisp.core import queue
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.routers import service as routers
from wisp.routers.cli import group
from wisp.routers.texts import cause


@click.command("provision")
@click.argument("name")
@wait_option
@json_option
@with_appcontext
@command
def provision_command(name: str, wait: bool, as_json: bool) -> None:
    """Compare what router NAME has for each client with what it should have, and write the difference."""
    if not wait:
        with transaction():
            order = service.write_router(routers.find_router(name))
        emit({"router": name, "order": order, "state": "ordered"}, as_json)
        return
    with queue.inline(), transaction():
        router = routers.find_router(name)
        router_id, order = router.id, service.write_router(router)
    answer = _answer(name, router_id, order)
    emit(answer, as_json)
    if answer["state"] != "done":
        fail(str(Refused("access.not_provisioned", router=name, cause=cause(answer["error"]))))


def _answer(name: str, router_id: int, order: int) -> dict[str, Any]:
    """How one order ended: objects added, changed and removed, clients unchanged, foreign, failed and waiting."""
    session().rollback()
    row = service.last(router_id)
    if row is None:
        raise LookupError(router_id)
    now = service.counts(router_id)
    return {
        "router": name,
        "order": order,
        "state": "done" if row.done >= order else "failed" if row.error else "waiting",
        **{what: getattr(row, what) for what in ("added", "changed", "removed", "unchanged")},
        "foreign": now["foreign"],
        "failed": now["failed"],
        "waiting": now["waiting"] + now["pending"],
        "error": row.error,
        "detail": row.error_detail,
        "next_attempt": row.next_attempt_at,
    }


def register() -> None:
    """Put the command into the group of the routers."""
    group.add_command(provision_command)
