"""``flask routers provision`` and ``flask routers adopt``."""

from typing import Any

import click
from flask.cli import with_appcontext

from wisp.access.provision import adopting, service
from wisp.access.provision.adopting import LARGEST
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.gateway import GatewayError
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


@click.command("adopt")
@click.argument("name")
@click.option("--client", "codes", multiple=True, metavar="CODE", help="The client whose place it has; repeatable.")
@click.option("--all", "all_", is_flag=True, help=f"Every client whose place something has, at most {LARGEST}.")
@json_option
@with_appcontext
@command
def adopt_command(name: str, codes: tuple[str, ...], all_: bool, as_json: bool) -> None:
    """Make ours what others wrote on router NAME in place of clients' objects: it becomes what they need."""
    if bool(codes) == all_:
        raise click.UsageError("name clients with --client, or say --all")
    router = routers.find_router(name)
    if all_:
        codes = tuple(code for _row, code, _name in service.listed(router.id, "foreign", LARGEST))
    found = list(map(clients.find, dict.fromkeys(codes)))
    plan = adopting.plan(router, [client for client in found if _is_on(client, router.id)])
    chosen = {client.id: client.code for client in found}
    session().rollback()
    try:
        adopted = adopting.adopt(plan) if plan.claims else adopting.Adopted()
    except GatewayError as error:
        fail(str(cause(error.code.value)))
    with transaction():
        adopting.record(routers.find_router(name), adopted)
    answer: dict[str, Any] = {
        "router": name,
        "adopted": sorted(chosen[client_id] for client_id in adopted.taken),
        "failed": {chosen[client_id]: text for client_id, text in adopted.failed.items()},
    }
    looked_at = {claim.client_id for claim in plan.claims} - set(adopted.gone)
    answer["unchanged"] = sorted(chosen[client_id] for client_id in chosen.keys() - looked_at)
    unknown = looked_at.difference(adopted.taken, adopted.failed)
    answer["unknown"] = sorted(chosen[client_id] for client_id in unknown)
    emit(answer, as_json)
    if adopted.failed or unknown:
        fail(f"{name}: {len(adopted.failed) + len(unknown)} not adopted, or not known to be")


def _is_on(client: Client, router_id: int) -> bool:
    return client.router_id == router_id and client.cancelled_at is None


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
    """Put the commands into the group of the routers."""
    group.add_command(provision_command)
    group.add_command(adopt_command)
