"""Numbers of the first page: few statements, each over an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select

from wisp.access.models import Access, RouterDifference, RouterVerdict
from wisp.clients.listing import only_listed
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session
from wisp.core.scope import Scope
from wisp.invoices.models import Invoice, Payment
from wisp.routers.models import Router, Zone
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.settings import service as settings


@dataclass(frozen=True)
class Clients:
    """How many clients there are, by what their routers have confirmed; what is only wanted yet is counted apart.
    ``listed``: they stand on the list of the suspended, but their router does not apply it."""

    active: int
    suspended: int
    listed: int
    notice: int
    cuts_waiting: int
    releases_waiting: int


def clients(scope: Scope) -> Clients:
    """The clients inside ``scope``."""
    everybody = select(func.count()).select_from(Client).where(Client.cancelled_at.is_(None))
    listed = only_listed()
    standing = (
        select(
            func.count().filter(Access.applied_suspended, ~listed),
            func.count().filter(listed),
            func.count().filter(Access.applied_notice),
            func.count().filter(Access.suspended, ~Access.applied_suspended),
            func.count().filter(~Access.suspended, Access.applied_suspended),
        )
        .select_from(Access)
        .join(Client, Client.id == Access.client_id)
        .outerjoin(RouterVerdict, RouterVerdict.router_id == Access.applied_router_id)
        .where(Client.cancelled_at.is_(None), or_(Access.suspended, Access.applied_suspended, Access.applied_notice))
    )
    if scope.zone_ids is not None:
        everybody = everybody.where(Client.zone_id.in_(scope.zone_ids))
        standing = standing.where(Access.client_id.in_(_inside(scope)))
    cut, listed_only, *others = session().execute(standing).one()
    return Clients((session().scalar(everybody) or 0) - cut, cut, listed_only, *others)


def _inside(scope: Scope) -> Any:
    return select(Client.id).where(Client.zone_id.in_(scope.zone_ids or ()))


@dataclass(frozen=True)
class Month:
    """Invoiced and collected since the first of the month, in minor units, and the number of documents."""

    first: date
    invoiced: int
    invoices: int
    collected: int
    payments: int


def month(scope: Scope) -> Month:
    """How the present month goes, by the company's calendar. Void ones and credits do not count."""
    first = settings.today().replace(day=1)
    issued = select(func.coalesce(func.sum(Invoice.total), 0), func.count()).where(
        Invoice.issued >= first, Invoice.state != "void", Invoice.kind == "recurring"
    )
    paid = select(func.coalesce(func.sum(Payment.amount), 0), func.count()).where(
        Payment.paid_on >= first, Payment.voided_at.is_(None), Payment.method != "credit"
    )
    if scope.zone_ids is not None:
        issued = issued.where(Invoice.client_id.in_(_inside(scope)))
        paid = paid.where(Payment.client_id.in_(_inside(scope)))
    invoiced, invoices = session().execute(issued).one()
    collected, payments = session().execute(paid).one()
    return Month(first, invoiced, invoices, collected, payments)


def routers_off(scope: Scope) -> Sequence[Router]:
    """The routers that do not answer, the longest off first."""
    query = select(Router).where(Router.archived_at.is_(None), Router.online.is_(False)).order_by(Router.offline_since)
    if scope.zone_ids is not None:
        query = query.where(Router.id.in_(select(Zone.router_id).where(Zone.id.in_(scope.zone_ids))))
    return session().scalars(query).all()


@dataclass(frozen=True)
class Differences:
    """What the last count of each router found: the sums, how many could not be read, and the routers concerned, the
    worst first. ``counted_at``: the newest count."""

    counted_at: datetime
    sums: dict[str, int]
    unread: int
    routers: Sequence[Any]
    more: int


COUNTS = ("missing", "extra", "stale", "foreign")
RECENT = timedelta(days=2)
"""Counts are made every night; older ones say nothing of a router any more."""


def differences(limit: int = 5) -> Differences | None:
    """The differences between routers and program, as last counted; None where nothing was counted lately."""
    since = clock.now() - RECENT
    newest = select(func.max(RouterDifference.id)).where(RouterDifference.counted_at >= since)
    rows = (
        session()
        .execute(
            select(RouterDifference, Router.name)
            .join(Router, Router.id == RouterDifference.router_id)
            .where(Router.archived_at.is_(None), RouterDifference.id.in_(newest.group_by(RouterDifference.router_id)))
        )
        .all()
    )
    if not rows:
        return None
    wrong = [row for row in rows if row[0].error or row[0].missing or row[0].extra or row[0].stale]
    wrong.sort(key=lambda row: (not row[0].error, -row[0].missing - row[0].extra - row[0].stale, row[1]))
    return Differences(
        counted_at=max(count.counted_at for count, _name in rows),
        sums={name: sum(getattr(count, name) for count, _name in rows) for name in COUNTS},
        unread=sum(bool(count.error) for count, _name in rows),
        routers=wrong[:limit],
        more=max(0, len(wrong) - limit),
    )


def missed(scope: Scope, limit: int = 5) -> Sequence[Any]:
    """(PeriodicTask, Zone, Client|None) whose occurrence was too old to run by itself, the newest first."""
    query = (
        select(PeriodicTask, Zone, Client)
        .outerjoin(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .join(Zone, or_(Zone.schedule_id == PeriodicTask.schedule_id, Zone.id == Client.zone_id))
        .where(PeriodicTask.state == "missed", PeriodicTask.archived_at.is_(None), PeriodicTask.enabled)
        .order_by(PeriodicTask.id.desc())
        .limit(limit)
    )
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    return session().execute(query).all()


@dataclass(frozen=True)
class Moment:
    """What runs at one moment: tasks of one kind; ``zones`` and ``clients`` count their owners. ``name`` and
    ``task_id`` where there is only one; ``zone``: the first of the zones, by name."""

    at: datetime
    kind: str
    timezone: str
    zones: int
    clients: int
    task_id: int
    name: str
    zone: str


LOOK_AHEAD = 2000
"""Tasks that are looked at to find the next moments: the cost does not grow with their number."""


def upcoming(scope: Scope, limit: int = 7) -> list[Moment]:
    """The next moments at which tasks run by themselves, those of one kind and moment together."""
    soon = (
        select(
            PeriodicTask.id, PeriodicTask.kind, PeriodicTask.next_at, BillingSchedule.timezone,
            Client.id.label("client_id"), func.coalesce(Client.name, Zone.name).label("name"),
            Zone.name.label("zone"),
        )
        .join(BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)
        .outerjoin(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .outerjoin(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
        .where(PeriodicTask.next_at.is_not(None))
        .order_by(PeriodicTask.next_at, PeriodicTask.id)
        .limit(LOOK_AHEAD)
    )  # fmt: skip
    if scope.zone_ids is not None:
        soon = soon.where(or_(Zone.id.in_(scope.zone_ids), Client.zone_id.in_(scope.zone_ids)))
    c = soon.subquery().c
    rows = session().execute(
        select(
            c.next_at,
            c.kind,
            c.timezone,
            func.count(),
            func.count(c.client_id),
            func.min(c.id),
            func.min(c.name),
            func.coalesce(func.min(c.zone), ""),
        )
        .group_by(c.next_at, c.kind, c.timezone)
        .order_by(c.next_at, func.min(c.id))
        .limit(limit)
    )
    return [
        Moment(at, kind, timezone, count - own, own, first, name, zone)
        for at, kind, timezone, count, own, first, name, zone in rows
    ]


@dataclass(frozen=True)
class Beginning:
    """What a new installation has already."""

    company: bool
    mail: bool
    router: bool
    zone: bool
    clients: bool
    router_id: int | None

    @property
    def complete(self) -> bool:
        """True where nothing is missing."""
        return self.company and self.mail and self.router and self.zone and self.clients


def beginning(mail: bool) -> Beginning:
    """How far the set-up is; ``mail``: a mail server is named."""
    router_id = session().scalar(select(Router.id).where(Router.archived_at.is_(None)).order_by(Router.id).limit(1))
    return Beginning(
        company=bool(settings.company().name),
        mail=mail,
        router=router_id is not None,
        zone=session().scalar(select(Zone.id).limit(1)) is not None,
        clients=session().scalar(select(Client.id).limit(1)) is not None,
        router_id=router_id,
    )
