"""Promises to pay: granting them within bounds, how earlier ones ended, and what a promise that ends comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from wisp.access import service as access
from wisp.access.holds.service import schedule_of
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.invoices import service as invoices
from wisp.invoices.models import Promise
from wisp.routers.models import Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings

CHUNK = 1_000
SHOWN = 12
"""Earlier promises shown where one is granted."""


@dataclass(frozen=True)
class Granted:
    """A promise, and whether it lifted a suspension."""

    promise: Promise
    reactivated: bool


@dataclass(frozen=True)
class Allowance:
    """What may still be promised: ``today`` and the last day that may be named, both by the client's date; ``used`` of
    ``limit`` in this calendar year."""

    today: date
    last: date
    used: int
    limit: int

    @property
    def left(self) -> int:
        """How many more this year."""
        return max(0, self.limit - self.used)


def grant(client: Client, until: date) -> Granted:
    """A promise to pay until a date (included): till then the client is neither notified nor cut; takes the place of
    an earlier one. Lifts a suspension for debt, one taken over from another system, and the notice.

    Refused: promises.past, .too_long, .too_many, and .no_debt where nothing is owed.
    """
    invoices.lock_account(client.id)
    allowed = allowance(client)
    if until < allowed.today:
        raise Refused("promises.past")
    if until > allowed.last:
        raise Refused("promises.too_long", last=allowed.last.isoformat(), days=settings.company().promise_days)
    if not allowed.left:
        raise Refused("promises.too_many", client=client.code, limit=allowed.limit, year=allowed.today.year)
    if invoices.debt_of(client.id).open <= 0 and access.state_of(client.id).reason != "imported":
        raise Refused("promises.no_debt", client=client.code)
    spared = _replace(client.id)
    promise = Promise(client_id=client.id, until=until, actor=audit.actor().name, created_at=clock.now())
    session().add(promise)
    lifted = access.lift([client.id], reasons=access.FOR_DEBT)
    access.forget_imported([client.id])
    promise.spared = spared or lifted.suspended > 0
    session().flush()
    if lifted.suspended or lifted.notice:
        access.request_sync_of([client.id])
    after = {"client": client.code, "until": until.isoformat(), "reactivated": lifted.suspended > 0}
    audit.record("promise.grant", f"client:{client.code}", None, after)
    return Granted(promise, lifted.suspended > 0)


def _replace(client_id: int) -> bool:
    """End the promise that is alive, and let one that was broken wait no longer for its follow-up: whether a cut was
    spared because of them, which the new one then answers for."""
    mine = sa.and_(Promise.client_id == client_id, sa.or_(Promise.ended_at.is_(None), Promise.follow_on.is_not(None)))
    spared = False
    for old in session().scalars(sa.select(Promise).where(mine).with_for_update()):
        spared = spared or old.spared
        old.follow_on = None
        if old.ended_at is None:
            old.ended_at, old.outcome = clock.now(), "replaced"
    session().flush()
    return spared


def allowance(client: Client) -> Allowance:
    """What the client may still promise."""
    firm = settings.company()
    timezone = schedules.timezone_of(schedule_of(client))
    today = clock.today(timezone)
    begin = calendar.occurrence_at(date(today.year, 1, 1), calendar.When(1, 0), timezone)
    used = session().scalar(
        sa.select(sa.func.count()).where(Promise.client_id == client.id, Promise.created_at >= begin)
    )
    return Allowance(today, today + timedelta(days=firm.promise_days), used or 0, firm.promises_a_year)


def promise_of(client_id: int) -> Promise | None:
    """The client's promise that is alive."""
    query = sa.select(Promise).where(
        Promise.client_id == client_id, Promise.ended_at.is_(None), Promise.until >= settings.today()
    )
    return session().scalars(query.order_by(Promise.id.desc()).limit(1)).one_or_none()


def earlier(client_id: int) -> Sequence[Promise]:
    """The client's promises that have ended, the last first."""
    query = sa.select(Promise).where(Promise.client_id == client_id, Promise.ended_at.is_not(None))
    return session().scalars(query.order_by(Promise.id.desc()).limit(SHOWN)).all()


def end_due() -> int:
    """End the promises whose last day is over where the client is; how many.

    Broken where more than the tolerance is overdue then, else kept. Of whom a broken one had spared a cut, the cut
    follows from the next day on (tasks.followups).
    """
    now = clock.now()
    today = invoices.local_today(now)
    over = (
        sa.select(Promise, Client.code, Client.cancelled_at, invoices.owed(Client.id, today).overdue_debt)
        .join(Client, Client.id == Promise.client_id)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
        .where(Promise.ended_at.is_(None), Promise.until < today)
        .order_by(Promise.id)
        .limit(CHUNK)
        .with_for_update(of=Promise, skip_locked=True)
    )
    rows = session().execute(over).all()
    for promise, code, cancelled_at, overdue in rows:
        broken = overdue > settings.company().tolerance
        promise.ended_at, promise.outcome = now, "broken" if broken else "kept"
        if broken and promise.spared and cancelled_at is None:
            promise.follow_on = promise.until + timedelta(days=1)
        after = {"until": promise.until.isoformat(), "outcome": promise.outcome}
        audit.record("promise.end", f"client:{code}", None, after)
    session().flush()
    return len(rows)
