"""``flask routers import``: what a router suggests as clients, and the confirmation."""

from typing import Any

import click
from flask.cli import with_appcontext

from wisp.access.importing import confirming, service, talk, texts
from wisp.access.importing.models import RouterImport, RouterImportRow
from wisp.clients import plans
from wisp.clients.domain import write_speed
from wisp.core import queue
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING
from wisp.gateway import GatewayError
from wisp.routers import service as routers
from wisp.routers.cli import group
from wisp.routers.models import Router
from wisp.routers.texts import cause
from wisp.settings import service as settings


@click.command("import")
@click.argument("name")
@click.option("--confirm", "token", default="", help="Import the review with this token, as it was proposed.")
@click.option("--zone", default="", help="The zone of new clients (needed where the router has several).")
@click.option("--plan", default="", help="The plan of those for whom none was found.")
@click.option("--include", default="", help="What is imported, like new,changed (default: what is ticked).")
@click.option("--take", "takes", multiple=True, help="Take a list over: Morosos=cut or Avisos=notice.")
@click.option("--remove", "removes", multiple=True, help="Take entries off this list once ours stand.")
@wait_option
@json_option
@with_appcontext
@command
def import_command(
    name: str, token: str, zone: str, plan: str, include: str, takes: tuple[str, ...], removes: tuple[str, ...],
    wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Propose the clients that stand on router NAME; with --confirm import a proposal. Nothing is written before."""
    router = routers.find_router(name)
    if not token:
        emit(_propose(router), as_json)
        return
    choices = _choices(takes, removes)
    if wait:
        with queue.inline():
            answer = _import(router.id, token, zone, plan, include, choices)
    else:
        answer = _import(router.id, token, zone, plan, include, choices)
    emit({"router": name, **answer}, as_json)
    if answer["problems"]:
        fail(str(Refused("access.import_problems", count=len(answer["problems"]))))


def _propose(router: Router) -> dict[str, Any]:
    """Read the router, keep the review, and say what it holds."""
    name, router_id = router.name, router.id
    target = service.target(router)
    session().rollback()
    try:
        tables = talk.read(target)
    except GatewayError as error:
        fail(str(Refused("access.not_read", router=name, cause=cause(error.code.value))))
    found = service.prepare(router_id, tables, EVERYTHING)
    with transaction():
        review = service.keep(routers.find_router(name), found, EVERYTHING)
    counts = service.counts(review)
    return {
        "router": name,
        "token": review.token,
        **{status: counts[status] for status in texts.STATUSES},
        "lists": [{"list": name, "entries": many, "clients": clients} for name, many, clients in review.lists],
        "passed_over": review.passed_over,
        "clients": _rows(review),
    }


def _rows(review: RouterImport) -> list[dict[str, Any]]:
    rows = list(session().scalars(service.rows_query(review).order_by(RouterImportRow.position)))
    entries = service.entries_of([row.id for row in rows])
    plan_names = {plan.id: plan.name for plan in plans.plans()}
    return [
        {
            "row": row.position,
            "state": row.status,
            "code": row.code,
            "name": row.name,
            "connection": row.connection,
            "username": row.username,
            "address": row.address or None,
            "address6": row.address6 or None,
            "networks": row.networks.split(),
            "mac": row.mac,
            "plan": plan_names.get(row.plan_id or 0, ""),
            "down": write_speed(row.down),
            "up": write_speed(row.up),
            "changes": row.changes,
            "reason": texts.reason(row.reason, row.reason_values),
            "lists": [texts.list_name(entry.list) for entry in entries.get(row.id, [])],
            "included": row.include,
        }
        for row in rows
    ]


def _choices(takes: tuple[str, ...], removes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    choices: dict[str, dict[str, Any]] = {}
    for text in takes:
        name, equals, take = text.rpartition("=")
        if not equals or take not in service.TAKES:
            raise click.BadParameter(f"{text}: write LIST=cut or LIST=notice", param_hint="--take")
        choices[name] = {"take": take, "remove": name in removes}
    strange = [name for name in removes if name not in choices]
    if strange:
        raise click.BadParameter(f"{strange[0]}: only of a list that is taken over", param_hint="--remove")
    return choices


def _import(
    router_id: int, token: str, zone: str, plan: str, include: str, choices: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    with transaction():
        review = service.find(token, router_id, lock=True)
        _prepare(review, zone, plan, include)
        company = settings.company()
        service.choose(review, choices, {company.list_overdue, company.list_notice})
        absent = next((name for name in choices if name not in review.choices), None)
        if absent is not None:
            raise Refused("access.import_list", name=absent)
    with transaction():
        review = service.find(token, router_id, lock=True)
        done = confirming.confirm(review, EVERYTHING)
    if done is None:
        rows = session().scalars(service.rows_query(review, "problems").order_by(RouterImportRow.position))
        problems = [
            {"row": row.position, "client": row.code, "column": column, "reason": texts.problem(column, found)}
            for row in rows
            for column, found in (row.problems or {}).items()
        ]
        return {"token": token, "problems": problems}
    return {"token": token, "problems": [], **{key: getattr(done, key) for key in done.__dataclass_fields__}}


def _prepare(review: RouterImport, zone: str, plan: str, include: str) -> None:
    """The choices for all rows. Refused where zone or plan is unknown."""
    zone_id = routers.find_zone(zone).id if zone else None
    service.fill(review, zone_id=zone_id, plan_id=plans.find(plan).id if plan else None)
    wanted = [status.strip() for status in include.split(",") if status.strip()]
    strange = [status for status in wanted if status not in texts.STATUSES]
    if strange:
        raise click.BadParameter(f"{strange[0]}: one of {', '.join(texts.STATUSES)}", param_hint="--include")
    if wanted:
        for status in texts.STATUSES:
            service.tick(review, status, status in wanted)


def register() -> None:
    """Put the command into the group of the routers."""
    group.add_command(import_command)
