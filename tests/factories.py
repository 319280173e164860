"""Rows for tests, as plain functions: each writes straight to the tables and returns the object (or the ids).

They may be called inside ``transaction()`` or outside, where they open one. Values that a test does not name
are made up and unique. Passwords of routers need an application context (they are encrypted).
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from ipaddress import IPv4Address
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from wisp.access.models import Access
from wisp.clients.models import Client, Plan
from wisp.core import clock
from wisp.core.crypto import encrypt
from wisp.core.db import session, transaction
from wisp.invoices.models import Invoice, InvoiceLine, InvoiceSeries
from wisp.routers.models import Router, Zone
from wisp.schedules import domain
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings.models import Company

MOMENTS: dict[str, tuple[int, int]] = {"invoices": (15, 720), "notice": (18, 540), "cut": (22, 480)}
"""Kind -> (day of the month, minutes from midnight): the 15th at 12:00, the 18th at 9:00, the 22nd at 8:00."""

_serial = itertools.count(1)
_FIRST_ADDRESS = int(IPv4Address("10.0.0.0"))


@contextmanager
def writing() -> Iterator[Session]:
    """The present transaction, or a new one where none is open."""
    s = session()
    if s.info.get("writing"):
        yield s
        s.flush()
    else:
        with transaction() as s:
            yield s


def make_company(**values: Any) -> Company:
    """The one company row, with these columns changed."""
    with writing() as s:
        company = s.get(Company, 1)
        if company is None:
            company = Company(id=1, name="Red del Valle")
            s.add(company)
        for name, value in values.items():
            setattr(company, name, value)
    return company


def make_plan(**values: Any) -> Plan:
    """A plan of 350.00, 20/5 Mbit/s."""
    plan = Plan(**{"name": f"Plan {next(_serial)}", "price": 35_000, "down": 20_000_000, "up": 5_000_000, **values})
    with writing() as s:
        s.add(plan)
    return plan


def make_router(*, password: str = "secret", **values: Any) -> Router:
    """A router on a loopback port where nothing listens; ``host`` and ``port`` for one that does."""
    n = next(_serial)
    defaults = {"name": f"Router {n}", "host": "127.0.0.1", "port": 9, "username": "wisp", "created_at": clock.now()}
    router = Router(**{**defaults, "password": encrypt(password), **values})
    with writing() as s:
        s.add(router)
    return router


def make_schedule(
    *,
    billing_type: str = "prepaid",
    due_day: int = 20,
    timezone: str = "",
    moments: Mapping[str, tuple[int, int]] = MOMENTS,
    enabled: bool = True,
) -> BillingSchedule:
    """A schedule with its three tasks; each one's next run is the first moment after now."""
    schedule = BillingSchedule(billing_type=billing_type, due_day=due_day, timezone=timezone)
    with writing() as s:
        tz = ZoneInfo(timezone or s.scalar(sa.select(Company.timezone)) or "America/Mexico_City")
        days = domain.Timetable(billing_type, due_day, moments["invoices"], moments["notice"], moments["cut"])
        for kind in ("invoices", "notice", "cut"):
            day, minute = moments[kind]
            month = domain.next_month(clock.now(), days.when(kind), tz)
            moment = domain.occurrence_at(month, days.when(kind), tz) if enabled else None
            schedule.tasks.append(
                PeriodicTask(kind=kind, day=day, minute=minute, enabled=enabled, next_month=month, next_at=moment)
            )
        s.add(schedule)
    return schedule


def make_zone(router: Router | None = None, *, name: str | None = None, **schedule: Any) -> Zone:
    """A billing zone (of a new router where none is given); ``schedule`` goes to ``make_schedule``."""
    with writing() as s:
        router = router or make_router()
        zone = Zone(
            router_id=router.id,
            name=name or f"Zona {next(_serial)}",
            schedule_id=make_schedule(**schedule).id,
            created_at=clock.now(),
        )
        s.add(zone)
    return zone


def make_client(
    zone: Zone | None = None, plan: Plan | None = None, *, own: Mapping[str, Any] | None = None, **values: Any
) -> Client:
    """An active client with a static address, and its access row.

    ``own`` gives it own billing: the arguments of ``make_schedule``, an empty dictionary for the usual days.
    """
    n = next(_serial)
    with writing() as s:
        zone, plan = zone or make_zone(), plan or make_plan()
        defaults: dict[str, Any] = {
            "code": f"C{n:06}",
            "name": f"Cliente {n}",
            "email": f"cliente{n}@example.com",
            "connection": "static",
            "address": str(IPv4Address(_FIRST_ADDRESS + n)),
            "installed_on": date(2020, 1, 1),
            "created_at": clock.now(),
        }
        client = Client(**{**defaults, "zone_id": zone.id, "router_id": zone.router_id, "plan_id": plan.id, **values})
        if own is not None:
            client.own_billing, client.schedule_id = True, make_schedule(**own).id
        s.add(client)
        s.flush()
        s.add(Access(client_id=client.id, router_id=client.router_id))
    return client


def make_clients(
    count: int, zone: Zone | None = None, plan: Plan | None = None, *, prefix: str | None = None, **values: Any
) -> list[int]:
    """``count`` clients of one zone in two bulk statements; returns their ids in order.

    ``prefix`` begins their codes (``P00001`` …). Values are the same for all; addresses differ.
    """
    with writing() as s:
        zone, plan = zone or make_zone(), plan or make_plan()
        prefix = prefix or f"B{next(_serial)}-"
        before = s.scalar(sa.select(sa.func.max(Client.id))) or 0
        base = _FIRST_ADDRESS + (1 << 20) + before
        common = {
            "zone_id": zone.id, "router_id": zone.router_id, "plan_id": plan.id, "connection": "static",
            "installed_on": date(2020, 1, 1), "created_at": clock.now(), **values,
        }  # fmt: skip
        rows = [
            {
                "code": f"{prefix}{n:05}",
                "name": f"Cliente {prefix}{n:05}",
                "email": f"{prefix}{n:05}@example.com".lower(),
                "address": str(IPv4Address(base + n)),
                **common,
            }
            for n in range(1, count + 1)
        ]
        if rows:
            s.execute(sa.insert(Client), rows)
        made = sa.select(Client.id).where(Client.id > before, Client.zone_id == zone.id).order_by(Client.id)
        ids = list(s.scalars(made))
        if ids:
            s.execute(sa.insert(Access), [{"client_id": i, "router_id": zone.router_id} for i in ids])
    return ids


def moment(text: str, timezone: str = "America/Mexico_City") -> datetime:
    """ "2026-03-15 12:00" on the wall of ``timezone``, as an aware moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def make_invoice(
    client: Client, total: int = 35_000, *, due: date = date(2026, 11, 20), month: date | None = None, **values: Any
) -> Invoice:
    """An invoice with one line; recurring where ``month`` is given, else an opening balance. Numbered without gaps."""
    with writing() as s:
        series = s.scalars(sa.select(InvoiceSeries).limit(1)).one()
        number, series.next_number = series.next_number, series.next_number + 1
        period = {"period_from": month, "period_to": month} if month else {}
        defaults: dict[str, Any] = {
            "series_id": series.id, "number": number, "label": f"{series.prefix}{number:06}", "client_id": client.id,
            "kind": "recurring" if month else "opening", "month": month, **period, "issued": due, "due": due,
            "currency": "MXN", "customer": client.name, "tax_bp": 0, "net": total, "tax": 0, "total": total,
            "state": "paid" if total == 0 else "pending", "created_at": clock.now(),
        }  # fmt: skip
        invoice = Invoice(**{**defaults, **values})
        s.add(invoice)
        s.flush()
        s.add(InvoiceLine(invoice_id=invoice.id, position=1, description="Plan", net=total, tax=0, total=total))
    return invoice
