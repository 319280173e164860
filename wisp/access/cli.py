"""Commands on the access of a router's clients: ``flask routers sync`` and ``flask routers diff``."""

from typing import Any

import click
from flask.cli import with_appcontext

from wisp.access import service, sync
from wisp.access.conversation import look
from wisp.access.domain import Add, Change, Difference
from wisp.access.models import RouterSync
from wisp.access.rules import script, verdicts
from wisp.access.rules import service as rules
from wisp.access.rules.comparing import Difference as RuleDifference
from wisp.access.texts import CHECKS, STATES, verdict
from wisp.core import queue
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.gateway import ErrorCode, GatewayError
from wisp.routers import service as routers
from wisp.routers.cli import group
from wisp.routers.models import Router
from wisp.routers.texts import cause


@click.command("sync")
@click.argument("name")
@wait_option
@json_option
@with_appcontext
@command
def sync_command(name: str, wait: bool, as_json: bool) -> None:
    """Make the address lists of router NAME say what is wanted."""
    router_id = routers.find_router(name).id
    if not wait:
        with transaction():
            sync.mind_ipv6(router_id)
            order = service.request_sync([router_id])[router_id]
        emit({"router": name, "order": order, "state": "ordered"}, as_json)
        return
    with queue.inline(), transaction():
        sync.mind_ipv6(router_id)
        order = service.request_sync([router_id])[router_id]
    state = _state(name, router_id, order)
    emit(state, as_json)
    if state["state"] != "done":
        fail(str(Refused("access.unreachable", router=name, cause=cause(state["error"]))))


def _state(name: str, router_id: int, order: int) -> dict[str, Any]:
    """How the synchronisation of a router stands, for one order."""
    row = session().get_one(RouterSync, router_id, populate_existing=True)
    counts = next((w for w in service.waiting() if w.router_id == router_id), None)
    return {
        "router": name,
        "order": order,
        "state": "done" if row.done >= order else "failed" if row.error else "waiting",
        "synced": row.synced_at,
        "unsettled": counts.cut + counts.notice + counts.release if counts else 0,
        "error": row.error,
        "detail": row.error_detail,
        "next_attempt": row.next_attempt_at,
    }


@click.command("diff")
@click.argument("name")
@json_option
@with_appcontext
@command
def diff_command(name: str, as_json: bool) -> None:
    """Show what router NAME's address lists lack and hold too much; nothing is changed."""
    router = routers.find_router(name)
    try:
        found = live_difference(router)
    except GatewayError as error:
        fail(str(Refused("access.not_read", router=name, cause=cause(error.code.value))))
    emit({"router": name, **describe(found)}, as_json)


def live_difference(router: Router) -> Difference:
    """Read the router now and compare. Raises GatewayError."""
    plan = sync.read_plan(router.id)
    session().rollback()  # nothing stays open while the network is waited for
    return look(plan)


def describe(found: Difference) -> dict[str, Any]:
    """A difference as plain data: entries that are missing (or disabled), entries of ours that are too many, and how
    many are not ours."""
    missing: list[Add | Change] = [*found.add, *found.enable]
    return {
        "missing": [{"list": e.list, "address": e.address, "client": e.code} for e in missing],
        "extra": [{"list": e.list, "address": e.address, "client": e.code} for e in found.remove],
        "foreign": found.foreign,
    }


@click.command("rules")
@click.argument("name")
@click.option("--install", "action", flag_value="install", help="Put them in place and read them back.")
@click.option("--remove", "action", flag_value="remove", help="Take them away; everything else stays.")
@json_option
@with_appcontext
@command
def rules_command(name: str, action: str | None, as_json: bool) -> None:
    """Show the firewall rules of router NAME as a script, how the router differs, and what is in the way."""
    router = routers.find_router(name)
    if action is not None:
        _rules_order(router, action, as_json)
        return
    answer: dict[str, Any] = {"router": name, "script": script.installation(rules.rules_of(router))}
    try:
        answer |= _rules_read(router)
    except GatewayError as error:
        emit({**answer, "error": error.code.value}, as_json, answer["script"])
        fail(str(Refused("access.not_read", router=name, cause=cause(error.code.value))))
    if as_json:
        emit(answer, as_json)
        return
    emit(None, False, answer["script"])
    emit(answer["checks"], False)


def _rules_order(router: Router, action: str, as_json: bool) -> None:
    name, router_id = router.name, router.id
    with queue.inline(), transaction():
        rules.order(router, action)
    order = rules.last_order(router_id)
    if order is None:
        raise LookupError(router_id)
    state = "waiting" if order.open else "done" if order.good else "failed"
    answer = {"router": name, "action": action, "state": state, "error": order.error, "detail": order.detail,
              "refused": order.failures}  # fmt: skip
    emit(answer, as_json)
    if order.error:
        fail(str(Refused("access.not_read", router=name, cause=cause(order.error))))
    if not order.good:
        detail = ", ".join(f"{key}: {text}" for key, text in order.failures.items())
        fail(str(Refused("access.rules_failed", router=name, detail=detail)))


def _rules_read(router: Router) -> dict[str, Any]:
    """What stands on the router against what belongs there. Raises GatewayError."""
    router_id = router.id
    seen = verdicts.look(router_id)
    with transaction():
        verdicts.record(router_id, seen)
    if seen.look is None:
        code = ErrorCode.login if seen.error == rules.UNREADABLE else ErrorCode(seen.error)
        raise GatewayError(code, seen.detail or seen.error)
    found: RuleDifference = seen.look.difference
    standing = verdicts.of_router(router_id)
    return {
        "missing": [rule.key for rule in found.missing],
        "changed": [rule.key for rule, _row in found.changed],
        "misplaced": [rule.key for rule in found.misplaced],
        "extra": [row.get("comment", "") for _menu, row in found.extra],
        "foreign": found.foreign,
        "applied": {"cut": standing.cut, "cut6": standing.cut6, "notice": standing.notice},
        "checks": [
            {
                "check": str(CHECKS[one.key]),
                "key": one.key,
                "state": one.state,
                "verdict": str(STATES[one.state]),
                "why": verdict(one.reason, one.values),
            }
            for one in seen.verdicts
        ],
    }


def register() -> None:
    """Put the commands into the group of the routers."""
    group.add_command(sync_command)
    group.add_command(diff_command)
    group.add_command(rules_command)
