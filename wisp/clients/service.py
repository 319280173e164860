"""Use cases of clients: add, edit, move, cancel, own billing. Lists are in listing, files in csvcheck, csvimport."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from wisp.clients import domain, networks, search
from wisp.clients.models import Client, Plan
from wisp.core import audit, clock, crypto, events
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind, Timetable, month_of
from wisp.schedules.models import BillingSchedule

EDITABLE = (
    "name", "email", "phone", "phone2", "language", "legal_name", "tax_id", "fiscal_address", "service_address",
    "coordinates", "note", "connection", "address", "address6", "networks", "mac", "username", "password",
    "installed_on", "billed_through", "free", "no_notice", "no_cut", "no_cut_until",
)  # fmt: skip
SEARCHED = {"name", "address", "address6", "networks", "phone", "phone2", "username", "email"}


def find(code: str, scope: Scope = EVERYTHING) -> Client:
    """The client of that code, cancelled or not, with zone, plan and own schedule. Refused("clients.unknown")."""
    client = session().scalar(
        sa.select(Client)
        .where(Client.code == code)
        .options(
            joinedload(Client.zone).joinedload(Zone.router),
            joinedload(Client.plan),
            selectinload(Client.schedule).selectinload(BillingSchedule.tasks),
        )
    )
    if client is None or not scope.allows(client.zone_id):
        raise Refused("clients.unknown", client=code)
    return client


def add(*, code: str, zone: Zone, plan: Plan, **values: Any) -> Client:
    """A new client of ``zone``. Text values are read by domain.READERS; EDITABLE names them.

    Refused("clients.value") for one that cannot be right, "clients.code_taken" (also by a cancelled client),
    "clients.address_taken" and "clients.username_taken" naming the other. Emits client_saved.
    """
    code = _read("code", code)
    values = _read_all({"name": "", "connection": "", **values})
    further = values.pop("networks", ())
    client = Client(code=code, zone=zone, router_id=zone.router_id, plan=plan, created_at=clock.now())
    for name, value in values.items():
        setattr(client, name, crypto.encrypt(value) if name == "password" else value)
    if session().scalar(sa.select(Client.id).where(Client.code == code)):
        raise Refused("clients.code_taken", client=code)
    check_connection(values["connection"], values.get("username", ""))
    _check_free(zone.router_id, None, {**values, "networks": further})
    session().add(client)
    _flush(client, further)
    search.index([client.id])
    audit.record("client.add", f"client:{code}", None, describe(client))
    events.client_saved.emit(client_ids=[client.id])
    return client


def edit(
    client: Client, *, zone: Zone | None = None, plan: Plan | None = None, gap: str = "bill", **values: Any
) -> set[str]:
    """Change what differs and return the names of what did; only those columns are written.

    An empty or absent password keeps the present one. Another zone is a move: emits client_moved too, and
    billing_changed, with ``gap``, where the client is billed with its zone.
    """
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    values = _read_all(values)
    old_router_id, before = client.router_id, describe(client)
    billed_so_far = schedules.terms(client.zone.schedule, with_missed=False)
    password = values.pop("password", None)
    present = networks.of([client.id]).get(client.id, ())
    further = values.pop("networks", present)
    changed = {name for name, value in values.items() if getattr(client, name) != value}
    router_id = zone.router_id if zone is not None else client.router_id
    future = {
        name: values.get(name, getattr(client, name)) for name in ("connection", "address", "address6", "username")
    }
    check_connection(future["connection"], future["username"])
    further_changed = further != present
    if changed & set(future) or further_changed or router_id != client.router_id:
        _check_free(router_id, client.id, {**future, "networks": further})
    for name in changed:
        setattr(client, name, values[name])
    if password and not crypto.is_same(client.password, password):
        client.password = crypto.encrypt(password)
        changed.add("password")
    if plan is not None and plan.id != client.plan_id:
        client.plan = plan
        changed.add("plan")
    if zone is not None and zone.id != client.zone_id:
        client.zone, client.router_id = zone, zone.router_id
        changed.add("zone")
    if further_changed:
        changed.add("networks")
    if not changed:
        return changed
    _flush(client, further if "networks" in changed else None)
    if changed & SEARCHED:
        search.index([client.id])
    after = describe(client) | ({"password": "… (changed)"} if "password" in changed else {})
    audit.record("client.edit", f"client:{client.code}", before, after)
    if "zone" in changed:
        events.client_moved.emit(client_ids=[client.id], old_router_id=old_router_id, new_router_id=client.router_id)
    events.client_saved.emit(client_ids=[client.id], changed=changed)
    if "zone" in changed and not client.own_billing:
        events.billing_changed.emit(
            schedule_id=client.zone.schedule_id, before=billed_so_far, gap=gap, client_ids=[client.id]
        )
    return changed


def choose_gap(client: Client, gap: str) -> None:
    """Charge the days without an invoice that the client has at present, or do not ("bill", "waive")."""
    schedule = client.schedule if client.own_billing and client.schedule else client.zone.schedule
    terms = schedules.terms(schedule, with_missed=False)
    events.billing_changed.emit(schedule_id=schedule.id, before=terms, gap=gap, client_ids=[client.id])


def move(client: Client, zone: Zone) -> bool:
    """Give the client to another zone; True where it was not there yet."""
    return bool(edit(client, zone=zone))


def cancel(client: Client) -> None:
    """End the client's contract: the history is kept, the code stays taken, the address becomes free.

    Own billing's tasks are archived. Emits client_cancelled. Refused("clients.cancelled") where it already is.
    """
    _hold(client)
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    client.cancelled_at = clock.now()
    networks.release(client.id)
    if client.own_billing and client.schedule is not None:
        schedules.archive([client.schedule])
    session().flush()
    audit.record("client.cancel", f"client:{client.code}", {"cancelled": False}, {"cancelled": True})
    events.client_cancelled.emit(client_ids=[client.id])


def own_billing(
    client: Client,
    *,
    billing_type: str,
    due_day: int,
    moments: Mapping[Kind, tuple[int, int]],
    timezone: str = "",
    this_month: schedules.ThisMonth = None,
    may_apply: bool = True,
    gap: str = "bill",
) -> None:
    """Give the client a schedule of its own, with its three tasks, or change the one it has.

    Where it had one before, that one is taken out again with its runs. A new one has switched off what the zone has:
    nobody is cut because a person who may not switch tasks gave own billing. A client that was billed with its zone
    begins with the next future dates; of what ``begin_choices`` names is applied at once what ``this_month`` says
    "run" for, nothing where it is absent; Refused("schedules.needs_choice") where it names others only. For one that
    has own billing already ``this_month`` is as in ``schedules.service.change``, and so are ``may_apply`` and ``gap``.
    """
    _hold(client)
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    had, own = client.own_billing, client.schedule
    before = schedules.terms(client.zone.schedule, with_missed=False)
    values: dict[str, Any] = {"billing_type": billing_type, "due_day": due_day, "timezone": timezone}
    if had and own is not None:
        schedules.change(own, **values, moments=moments, this_month=this_month, may_apply=may_apply, gap=gap)
        return
    asked = begin_choices(client, schedules.timetable_of(billing_type, due_day, moments), timezone)
    at_once = schedules.chosen(asked, "skip" if this_month is None else this_month)
    if own is None:
        own = client.schedule = schedules.create(**values, moments=moments)
        schedules.switch([own], {Kind(task.kind): task.enabled for task in client.zone.schedule.tasks})
    else:
        schedules.revive(own)
        schedules.change(own, **values, moments=moments, this_month="skip")
    schedules.run_this_month(own, at_once)
    if not may_apply:
        schedules.refuse_at_once([own])
    client.own_billing = True
    session().flush()
    after = {"own_billing": True, **schedules.describe(own)}
    audit.record("client.billing", f"client:{client.code}", {"own_billing": False}, after)
    events.billing_changed.emit(schedule_id=own.id, before=before, gap=gap, client_ids=[client.id])


def begin_choices(client: Client, days: Timetable, timezone: str) -> list[Kind]:
    """The kinds that own billing from now on would pass over this month: their day has gone by, neither the zone's task
    nor an earlier one of the client's own has run this month, nor has the client its invoice. A person decides: apply
    them, or begin next month.
    """
    own = [client.schedule.id] if client.schedule is not None else []
    begins_with = client.schedule or client.zone.schedule
    off = {task.kind for task in begins_with.tasks if not task.enabled}
    gone = schedules.gone_by(timezone, days, schedules.claimed([client.zone.schedule_id, *own]))
    month = month_of(clock.today(schedules.zone_info(timezone)))
    return [
        Kind(task.kind)
        for task in client.zone.schedule.tasks
        if task.kind in gone and task.kind not in off and schedules.concerns(task, month, client.id)
    ]


def zone_billing(client: Client, gap: str = "bill") -> None:
    """Bill the client with its zone again; the tasks of its own schedule are archived, their runs kept. ``gap``: see
    billing_changed.

    Refused("clients.cancelled") for a cancelled client.
    """
    _hold(client)
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    if not client.own_billing:
        return
    client.own_billing = False
    before = schedules.terms(client.schedule or client.zone.schedule, with_missed=False)
    if client.schedule is not None:
        schedules.archive([client.schedule])
    session().flush()
    audit.record("client.billing", f"client:{client.code}", {"own_billing": True}, {"own_billing": False})
    events.billing_changed.emit(schedule_id=client.zone.schedule_id, before=before, gap=gap, client_ids=[client.id])


def switch(client: Client, kinds: Mapping[Kind, bool]) -> int:
    """Switch the client's own tasks on or off; how many changed.

    Refused("clients.no_own_billing") for a client that is billed with its zone: its tasks are the zone's.
    """
    _hold(client)
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    if not client.own_billing or client.schedule is None:
        raise Refused("clients.no_own_billing", client=client.code)
    schedules.lock([client.schedule.id])
    changed = schedules.switch([client.schedule], kinds)
    session().flush()
    return changed


def _hold(client: Client) -> None:
    """Keep the client to ourselves until the end, and read it as it stands now: of two people who give it own billing
    at once the second one finds the first one's schedule, and none is left without an owner."""
    session().flush()
    session().execute(
        sa.select(Client)
        .where(Client.id == client.id)
        .options(selectinload(Client.schedule).selectinload(BillingSchedule.tasks))
        .with_for_update(of=Client)
        .execution_options(populate_existing=True)
    ).all()


def check_connection(connection: str, username: str) -> None:
    """Refused("clients.username_required") where a connection by user has none."""
    if domain.missing_username(connection, username):
        raise Refused("clients.username_required")


def describe(client: Client) -> dict[str, Any]:
    """The client's values, plain, for the audit log; never the password."""
    values = {name: getattr(client, name) for name in EDITABLE if name not in ("password", "networks")}
    values["networks"] = list(networks.of([client.id]).get(client.id, ()))
    dates = {name: value.isoformat() for name, value in values.items() if isinstance(value, date)}
    return {**values, **dates, "zone": client.zone.name, "plan": client.plan.name}


def _read(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name not in domain.READERS:
        return value
    try:
        return domain.READERS[name](value)
    except ValueError as error:
        raise Refused("clients.value", field=name, reason=str(error)) from None


def _read_all(values: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(values) - set(EDITABLE)
    if unknown:
        raise TypeError(f"not a value of a client: {', '.join(sorted(unknown))}")
    return {name: _read(name, value) for name, value in values.items()}


def _check_free(router_id: int, own_id: int | None, values: Mapping[str, Any]) -> None:
    """Refuse an address or a user that another client of the router has, and name that client."""
    active = sa.select(Client.code, Client.name).where(Client.router_id == router_id, Client.cancelled_at.is_(None))
    if own_id is not None:
        active = active.where(Client.id != own_id)
    for name, column in (("address", Client.address), ("address6", Client.address6)):
        if values.get(name):
            other = session().execute(active.where(column == values[name])).first()
            if other:
                raise Refused(f"clients.{name}_taken", address=values[name], client=other.code, name=other.name)
    if values.get("username"):
        same = active.where(Client.connection == values["connection"], Client.username == values["username"])
        other = session().execute(same).first()
        if other:
            raise Refused("clients.username_taken", username=values["username"], client=other.code, name=other.name)
    networks.check_free(router_id, own_id, values)


def _flush(client: Client, further: Iterable[str] | None) -> None:
    """Write, with the client's networks where they are given; where another transaction took code, address, network or
    user a moment ago the database says so."""
    try:
        session().flush()
        if further is not None:
            networks.replace(client, further)
    except IntegrityError:
        raise Refused("clients.conflict") from None
