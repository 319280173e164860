"""``flask routers`` and ``flask zones``."""

from typing import Any

import click
from flask.cli import AppGroup

from wisp.core.commands import command, emit, fail, json_option, password_option, read_password
from wisp.core.db import session, transaction
from wisp.routers import health, service, texts
from wisp.routers.models import Router, Zone
from wisp.routers.service import RouterValues
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind

group = AppGroup("routers", help="Routers: add, list, check.")
zones_group = AppGroup("zones", help="Billing zones and their schedules.")


def shown(router: Router) -> dict[str, Any]:
    """A router as JSON; never its password."""
    return {
        "name": router.name,
        "host": router.host,
        "port": router.port,
        "username": router.username,
        "tls": router.tls,
        "online": router.online,
        "offline_since": router.offline_since,
        "answered": router.online_at,
        "checked": router.checked_at,
        "version": router.version,
        "identity": router.identity,
        "board": router.board,
        "cpu_load": router.cpu_load,
        "clock_offset": router.clock_offset,
        "error": router.error,
        "provision": router.provision,
        "pppoe_cut": router.pppoe_cut,
        "ppp_base": router.ppp_base,
        "hotspot_base": router.hotspot_base,
    }


@group.command("add")
@click.option("--name", required=True)
@click.option("--host", required=True, help="IP address or host name.")
@click.option("--port", type=int, help="Default: 8728, with --tls 8729.")
@click.option("--username", required=True, help="A user of the router's API.")
@click.option("--tls", is_flag=True, help="API-SSL.")
@click.option("--fingerprint", default="", help="SHA-256 of the router's certificate, for one that nobody signed.")
@click.option("--provision/--no-provision", default=True, help="Write each client's queue, user or lease to it.")
@click.option("--pppoe-cut", type=click.Choice(service.PPPOE_CUTS), default="profile")
@click.option("--ppp-base", default="default", help="The PPP profile that ours are copies of.")
@click.option("--hotspot-base", default="default", help="The hotspot profile that ours are copies of.")
@password_option
@json_option
@command
def add_router(
    name: str, host: str, port: int | None, username: str, tls: bool, fingerprint: str, provision: bool,
    pppoe_cut: str, ppp_base: str, hotspot_base: str, password_stdin: bool, as_json: bool,
) -> None:  # fmt: skip
    """Save a router. It is not asked: see ``flask routers check``."""
    password = read_password()
    with transaction():
        values = RouterValues(
            name, host, port or (8729 if tls else 8728), username, password, tls, fingerprint, provision, pppoe_cut,
            ppp_base, hotspot_base,
        )  # fmt: skip
        answer = shown(service.add_router(values))
    emit(answer, as_json, f"{name} added")


@group.command("list")
@json_option
@command
def list_routers(as_json: bool) -> None:
    """All routers as they were last found."""
    emit([shown(router) for router in service.routers()], as_json)


@group.command("check")
@click.argument("name")
@json_option
@command
def check(name: str, as_json: bool) -> None:
    """Ask a router now; exit 1 with the likely cause where it cannot be used."""
    router_id = service.find_router(name).id
    wanted = health.targets([router_id])
    session().rollback()
    lacking: tuple[str, ...] = ()
    for known_id, found, asked_at in health.ask_all(wanted, policies=True):
        lacking = found.lacking
        with transaction():
            health.record(known_id, found, asked_at)
    router = service.find_router(name)
    if router.error and not as_json:
        fail(f"{name}: {texts.cause(router.error)} {router.error_detail}")
    said = f"{name}: {router.identity}, RouterOS {router.version}. {texts.lacking(lacking)}".strip()
    emit({**shown(router), "lacking": lacking}, as_json, said)
    if router.error:
        fail(f"{name}: {texts.cause(router.error)}")


def shown_zone(zone: Zone) -> dict[str, Any]:
    """A zone as JSON: days and hours as the options take them, the next run of each task in local time."""
    tz = schedules.timezone_of(zone.schedule)
    answer: dict[str, Any] = {
        "name": zone.name,
        "router": zone.router.name,
        "type": zone.schedule.billing_type,
        "due": zone.schedule.due_day,
        "timezone": tz.key,
    }
    for task in zone.schedule.tasks:
        answer[task.kind] = schedules.format_moment(task.day, task.minute)
    answer["next"] = {
        task.kind: task.next_at.astimezone(tz).isoformat() if task.next_at else None for task in zone.schedule.tasks
    }
    answer["enabled"] = {task.kind: task.enabled for task in zone.schedule.tasks}
    return answer


gap_option = click.option(
    "--gap", type=click.Choice(["bill", "waive"]), default="bill", show_default=True,
    help="Days that fall between the old periods and the new ones.",
)  # fmt: skip


def schedule_options(required: bool) -> Any:
    """The options of a schedule, as ``zones add``, ``zones set`` and ``clients own-billing`` take them."""
    moment = 'day and hour, like "15 12:00"'
    options = [
        click.option("--type", "billing_type", type=click.Choice(["prepaid", "postpaid"]), required=required),
        click.option("--invoice", required=required, help=f"Invoices: {moment}."),
        click.option("--due", type=click.IntRange(1, 31), required=required, help="Payment day."),
        click.option("--notice", required=required, help=f"Payment notice: {moment}."),
        click.option("--cut", required=required, help=f"Cut: {moment}."),
        click.option("--timezone", help="Time zone; the company's where absent."),
    ]

    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def moments_of(invoice: str | None, notice: str | None, cut: str | None) -> dict[Kind, tuple[int, int]]:
    """The moments of those options that were given."""
    given = {Kind.invoices: invoice, Kind.notice: notice, Kind.cut: cut}
    return {kind: schedules.parse_moment(text) for kind, text in given.items() if text is not None}


@zones_group.command("add")
@click.option("--router", required=True)
@click.option("--name", required=True)
@schedule_options(required=True)
@json_option
@command
def add_zone(
    router: str, name: str, billing_type: str, invoice: str, due: int, notice: str, cut: str, timezone: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Add a billing zone with its three tasks."""
    moments = moments_of(invoice, notice, cut)
    with transaction():
        zone = service.add_zone(
            service.find_router(router), name, billing_type=billing_type, due_day=due, moments=moments,
            timezone=timezone or "",
        )  # fmt: skip
        answer = shown_zone(zone)
    emit(answer, as_json, f"{name} added to {router}")


@zones_group.command("set")
@click.argument("zone")
@click.option("--name", help="A new name.")
@schedule_options(required=False)
@click.option("--this-month", type=click.Choice(["run", "skip"]), help="Where the new day has gone by this month.")
@gap_option
@json_option
@command
def set_zone(
    zone: str, name: str | None, billing_type: str | None, invoice: str | None, due: int | None, notice: str | None,
    cut: str | None, timezone: str | None, this_month: str | None, gap: str, as_json: bool,
) -> None:  # fmt: skip
    """Change a zone; what is not named stays. Takes effect at once."""
    moments = moments_of(invoice, notice, cut)
    with transaction():
        found = service.find_zone(zone)
        service.edit_zone(
            found, name=name, billing_type=billing_type, due_day=due, timezone=timezone, moments=moments,
            this_month=this_month, gap=gap,
        )  # fmt: skip
        answer = shown_zone(found)
    emit(answer, as_json, f"{found.name} changed")


KINDS = click.Choice([kind.value for kind in Kind])
ON_OFF = click.Choice(["on", "off"])


@zones_group.command("switch")
@click.argument("zone")
@click.argument("kind", type=KINDS)
@click.argument("state", type=ON_OFF)
@json_option
@command
def switch_zone(zone: str, kind: str, state: str, as_json: bool) -> None:
    """Switch a task of a zone on or off; clients with own billing are not touched."""
    with transaction():
        found = service.find_zone(zone)
        service.switch_zone(found, {Kind(kind): state == "on"})
        answer = shown_zone(found)
    emit(answer, as_json, f"{found.name}: {kind} is {state}")


@zones_group.command("list")
@json_option
@command
def list_zones(as_json: bool) -> None:
    """All billing zones with their schedules."""
    emit([shown_zone(zone) for zone in service.zones()], as_json)
