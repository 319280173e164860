"""``flask clients`` and ``flask plans``."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from wisp.clients import (
    changeover,
    csvcheck,
    csvexport,
    csvimport,
    domain,
    listing,
    networks,
    plans,
    service,
    texts,
)
from wisp.clients.models import Client, Plan
from wisp.core import money, queue, sheets
from wisp.core.commands import command, emit, fail, json_option, wait_option
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.routers import service as routers
from wisp.routers.cli import KINDS, ON_OFF, gap_option, moments_of, schedule_options
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.settings import service as settings

group = AppGroup("clients", help="Clients: import, export, list, show, cancel, own billing.")
plans_group = AppGroup("plans", help="Plans: add, list.")


def following(wait: bool) -> AbstractContextManager[None]:
    """What follows from the block (what is written to routers) is done in this process where somebody waits for it."""
    return queue.inline() if wait else nullcontext()


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@wait_option
@json_option
@command
def import_file(file: Path, wait: bool, as_json: bool) -> None:
    """Import a CSV or a spreadsheet (.xlsx, .xls, .ods). All rows are checked first; any error writes nothing and is
    listed with line, column, reason."""
    with file.open("rb") as stream:
        data = stream.read(sheets.MAX_BYTES + 1)
    with following(wait), transaction():
        review = csvcheck.check(data)
        if not review.problem_count:
            csvimport.apply(review)
    errors = [{"line": found.line, "column": found.column, "reason": texts.problem(found)} for found in review.problems]
    answer = {
        "added": len(review.added), "changed": len(review.changed), "unchanged": review.unchanged,
        "passwords": review.passwords, "ignored": review.ignored, "next_run": review.next_run,
    }  # fmt: skip
    notes = [{"line": note.line, "column": note.column, "reason": texts.problem(note)} for note in review.notes]
    if not errors:
        emit({**answer, "notes": notes, "errors": []}, as_json)
        return
    nothing: dict[str, Any] = dict.fromkeys(answer, 0) | {"notes": []}
    emit({**nothing, "errors": errors}, as_json, "\n".join(_error_line(error) for error in errors))
    fail(f"nothing was written: {review.problem_count} errors, the first in line {errors[0]['line']}")


def _error_line(error: dict[str, Any]) -> str:
    return f"line {error['line']}, {error['column'] or 'line'}: {error['reason']}"


@group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@json_option
@command
def export_file(file: Path, as_json: bool) -> None:
    """Write all clients into a CSV that imports again. It holds passwords: only its owner may read the file."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    with file.open("w", encoding="utf-8", newline="") as stream:
        for text in csvexport.export(passwords=True):
            stream.write(text)
    emit({"file": str(file)}, as_json, f"written to {file}")


more: list[Callable[[Sequence[Client], bool], dict[int, dict[str, Any]]]] = []
"""What higher slices add to clients as JSON: from clients, and whether one is shown whole, to values by id."""


def _add(clients: Sequence[Client], answers: list[dict[str, Any]], whole: bool = False) -> None:
    """Add to the documents of these clients what holds them, and what higher slices know of them."""
    holds = listing.holds(clients)
    for client, answer in zip(clients, answers, strict=True):
        hold = holds[client.id]
        answer |= {"suspension": hold.reason or None, "since": hold.since, "pause_until": hold.until}
        answer["promise"] = hold.promise
    for known in more:
        found = known(clients, whole)
        for client, answer in zip(clients, answers, strict=True):
            answer |= found.get(client.id, {})


def shown(
    client: Client, standing: listing.Standing, zones: dict[int, str], plan_names: dict[int, str],
    further: Mapping[int, Sequence[str]],
) -> dict[str, Any]:  # fmt: skip
    """A client as JSON; never its password."""
    return {
        "code": client.code,
        "name": client.name,
        "email": client.email,
        "phone": client.phone,
        "phone2": client.phone2,
        "zone": zones.get(client.zone_id, ""),
        "plan": plan_names.get(client.plan_id, ""),
        "connection": client.connection,
        "address": client.address,
        "address6": client.address6,
        "networks": list(further.get(client.id, ())),
        "mac": client.mac,
        "username": client.username,
        "language": client.language,
        "installed_on": client.installed_on,
        "billed_through": client.billed_through,
        "legal_name": client.legal_name,
        "tax_id": client.tax_id,
        "fiscal_address": client.fiscal_address,
        "service_address": client.service_address,
        "coordinates": client.coordinates,
        "note": client.note,
        "billing": "own" if client.own_billing else "zone",
        "state": standing.state,
        "reason": standing.reason,
        "free": client.free,
        "no_notice": client.no_notice,
        "no_cut": client.no_cut_until.isoformat() if client.no_cut_until else client.no_cut,
    }


@group.command("list")
@click.option("--zone", help="Only this billing zone.")
@click.option("--state", type=click.Choice(listing.STATES), default="all")
@click.option("--debt", type=click.Choice(listing.DEBTS), help="Only who owes, or whose debt is overdue.")
@click.option("--plan", help="Only this plan.")
@click.option("--search", default="", help="Name, code, address, phone, user or invoice number.")
@json_option
@command
def list_clients(zone: str | None, state: str, debt: str | None, plan: str | None, search: str, as_json: bool) -> None:
    """All clients."""
    zone_id = routers.find_zone(zone).id if zone else None
    names = {found.id: found.name for found in routers.zone_names()}
    plan_names = {plan.id: plan.name for plan in plans.plans()}
    plan_id = plans.find(plan).id if plan else None
    filters = listing.Filters(text=search, zone_id=zone_id, state=state, plan_id=plan_id, debt=debt or "")
    clients = list(listing.everything(filters=filters))
    answer = []
    for start in range(0, len(clients), listing.CHUNK):
        part = clients[start : start + listing.CHUNK]
        standings, further = listing.standings(part), networks.of([client.id for client in part])
        documents = [shown(client, standings[client.id], names, plan_names, further) for client in part]
        _add(part, documents)
        answer += documents
    emit(answer, as_json)


@group.command("show")
@click.argument("code")
@json_option
@command
def show(code: str, as_json: bool) -> None:
    """One client, with the schedule that counts for it."""
    client = service.find(code)
    names, plan_names = {client.zone_id: client.zone.name}, {client.plan_id: client.plan.name}
    answer = shown(client, listing.standings([client])[client.id], names, plan_names, networks.of([client.id]))
    schedule = client.schedule if client.own_billing and client.schedule else client.zone.schedule
    tz = schedules.timezone_of(schedule)
    answer["schedule"] = {"type": schedule.billing_type, "due": schedule.due_day, "timezone": tz.key} | {
        task.kind: schedules.format_moment(task.day, task.minute) for task in schedule.tasks
    }
    _add([client], [answer], whole=True)
    emit(answer, as_json)


def _no_cut(_context: Any, _option: Any, value: str | None) -> dict[str, Any]:
    """What --no-cut says, as the columns hold it."""
    if value is None:
        return {}
    if value == "yes":
        return {"no_cut": True}
    try:
        return {"no_cut": False, "no_cut_until": None if value == "no" else domain.read_date(value)}
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither yes, no nor a date like 2027-01-31") from None


@group.command("set")
@click.argument("code")
@click.option("--zone", help="Move the client to this billing zone.")
@click.option("--plan", "plan_name", help="Give it this plan.")
@click.option("--free", type=click.Choice(["yes", "no"]), help="Never invoiced.")
@click.option("--no-notice", type=click.Choice(["yes", "no"]), help="Excluded from the payment notice.")
@click.option("--no-cut", callback=_no_cut, metavar="yes|no|DATE", help="Excluded from the cut, or until a date.")
@click.option(
    "--gap", type=click.Choice(["bill", "waive"]), help="Days without an invoice: charge them (by itself) or not."
)
@wait_option
@json_option
@command
def set_client(
    code: str, zone: str | None, plan_name: str | None, free: str | None, no_notice: str | None,
    no_cut: dict[str, Any], gap: str | None, wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Change a client; what is not named stays."""
    values = {name: given == "yes" for name, given in (("free", free), ("no_notice", no_notice)) if given} | no_cut
    with following(wait), transaction():
        changed = service.edit(
            service.find(code),
            zone=routers.find_zone(zone) if zone else None,
            plan=plans.find(plan_name) if plan_name else None,
            gap=gap or "bill",
            **values,
        )
        if gap:
            service.choose_gap(service.find(code), gap)
    emit({"code": code, "changed": sorted(changed)}, as_json, f"{code}: {', '.join(sorted(changed)) or 'no change'}")


@group.command("cancel")
@click.argument("code")
@wait_option
@json_option
@command
def cancel(code: str, wait: bool, as_json: bool) -> None:
    """End a client's contract; the history is kept and the code stays taken."""
    with following(wait), transaction():
        service.cancel(service.find(code))
    emit({"code": code, "state": "cancelled"}, as_json, f"{code} cancelled")


@group.command("own-billing")
@click.argument("code")
@schedule_options(required=False)
@click.option("--this-month", type=click.Choice(["run", "skip"]), help="Where the new day has gone by this month.")
@gap_option
@json_option
@command
def own_billing(
    code: str, billing_type: str | None, invoice: str | None, due: int | None, notice: str | None, cut: str | None,
    timezone: str | None, this_month: str | None, gap: str, as_json: bool,
) -> None:  # fmt: skip
    """Give a client a schedule of its own, or change it; what is not named stays, at first as in its zone."""
    moments = moments_of(invoice, notice, cut)
    with transaction():
        client = service.find(code)
        before = changeover.present(client)
        present = client.schedule if client.own_billing and client.schedule else client.zone.schedule
        days = {Kind(task.kind): (task.day, task.minute) for task in present.tasks}
        service.own_billing(
            client,
            billing_type=billing_type or present.billing_type,
            due_day=due or present.due_day,
            moments={**days, **moments},
            timezone=present.timezone if timezone is None else timezone,
            # it begins with the next future dates unless told otherwise
            this_month=this_month or (None if client.own_billing else "skip"),
            gap=gap,
        )
        hole = changeover.unbilled(client, changeover.present(client), before)
    _say_billing({"code": code, "billing": "own", "gap": gap}, hole, as_json, f"{code} has own billing")


def _say_billing(answer: dict[str, Any], hole: changeover.Unbilled | None, as_json: bool, text: str) -> None:
    """The answer, with the days that nobody bills because of the change."""
    days = {"from": hole.start, "to": hole.end} if hole else None
    said = "nobody bills" if answer["gap"] == "waive" else "the next invoice also bills"
    warning = f"; {said} {hole.start} to {hole.end}" if hole else ""
    emit({**answer, "unbilled": days}, as_json, text + warning)


@group.command("zone-billing")
@click.argument("code")
@gap_option
@json_option
@command
def zone_billing(code: str, gap: str, as_json: bool) -> None:
    """Bill a client with its zone again."""
    with transaction():
        client = service.find(code)
        before = changeover.present(client)
        service.zone_billing(client, gap=gap)
        hole = changeover.unbilled(client, changeover.present(client), before)
    _say_billing({"code": code, "billing": "zone", "gap": gap}, hole, as_json, f"{code} is billed with its zone")


@group.command("switch")
@click.argument("code")
@click.argument("kind", type=KINDS)
@click.argument("state", type=ON_OFF)
@json_option
@command
def switch(code: str, kind: str, state: str, as_json: bool) -> None:
    """Switch a task of a client with own billing on or off."""
    with transaction():
        client = service.find(code)
        service.switch(client, {Kind(kind): state == "on"})
        tasks = client.schedule.tasks if client.schedule else []
        answer = {"code": code, "enabled": {task.kind: task.enabled for task in tasks}}
    emit(answer, as_json, f"{code}: {kind} is {state}")


def shown_plan(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "name": plan.name,
        "price": money.plain(plan.price, settings.company().currency),
        "down": domain.write_speed(plan.down),
        "up": domain.write_speed(plan.up),
        "active": plan.active,
        "router_profile": plan.router_profile,
    }


@plans_group.command("add")
@click.option("--name", required=True)
@click.option("--price", required=True, help="Per month, like 350.00.")
@click.option("--down", default="", help="Download speed, like 20M.")
@click.option("--up", default="", help="Upload speed, like 5M.")
@click.option("--router-profile", default="", help="A profile that the routers have already; without it we make one.")
@json_option
@command
def add_plan(name: str, price: str, down: str, up: str, router_profile: str, as_json: bool) -> None:
    """Add a plan."""
    try:
        minor = settings.read_amount(price)
    except Refused as refused:
        raise click.BadParameter(str(refused), param_hint="--price") from None
    try:
        speeds = domain.read_speed(down), domain.read_speed(up)
    except ValueError:
        raise click.BadParameter("speeds are written like 20M or 512k", param_hint="--down, --up") from None
    with transaction():
        answer = shown_plan(plans.add(name, minor, *speeds, router_profile))
    emit(answer, as_json, f"{name} added")


@plans_group.command("list")
@json_option
@command
def list_plans(as_json: bool) -> None:
    """All plans."""
    emit([shown_plan(plan) for plan in plans.plans()], as_json)
