"""Suspending, pausing and giving back by hand, and the end of a pause.

Locks in the order of a cut run: its runs and items (by the receivers of ``client_reactivated``), then access.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client, ClientPause
from wisp.core import audit, clock, events
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.invoices import service as invoices
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings

LONGEST = timedelta(days=365)
"""From the day on which a pause begins to its last day."""
WHY = 200
CHUNK = 1_000


@dataclass(frozen=True)
class Hold:
    """What holds a client: ``reason`` as in Access, empty for nothing; ``until``: the last day of a pause; ``paid``:
    the debt that it was cut for is settled, and it was to stay suspended."""

    reason: str = ""
    why: str = ""
    since: datetime | None = None
    until: date | None = None
    paid: bool = False


def of(client_id: int) -> Hold:
    """What holds this client now."""
    row = session().execute(
        sa.select(Access.reason, Access.why, Access.suspended_at, Access.pause_until, Access.keep).where(
            Access.client_id == client_id
        )
    ).one_or_none()  # fmt: skip
    if row is None or not row.reason:
        return Hold()
    paid = row.keep and invoices.debt_of(client_id).overdue <= settings.company().tolerance
    return Hold(row.reason, row.why, row.suspended_at, row.pause_until, paid)


def schedule_of(client: Client) -> BillingSchedule:
    """The schedule that counts for the client."""
    return client.schedule if client.own_billing and client.schedule is not None else client.zone.schedule


def today_of(client: Client) -> date:
    """The local date of the client."""
    return clock.today(schedules.timezone_of(schedule_of(client)))


# Orders ----------------------------------------------------------------------------------------------


def suspend(client: Client, why: str) -> None:
    """Take the service until a person gives it back, in place of whatever suspended the client before; once more with
    the same reason changes nothing. Refused("holds.why") without a reason, Refused("clients.cancelled")."""
    why = _why(why)
    row = _lock(client)
    if (row.reason, row.why) == ("manual", why):
        return
    if row.reason == "pause":
        _end_pauses([client.id], today_of(client))
    _hold(client, row, "client.suspend", reason="manual", why=why, pause_until=None, resume="")


def pause(client: Client, until: date, why: str = "") -> None:
    """Let the service rest through ``until`` (today to 365 days ahead, by the client's date), or change until when.

    It ends by itself; a suspension that stood before comes back then, one for debt only where it is still owed.
    Refused("holds.pause_days"), Refused("clients.cancelled").
    """
    why, row, today = _why(why, needed=False), _lock(client), today_of(client)
    open_ = session().scalar(_pauses([client.id]).with_for_update())
    last = (open_.first_day if open_ is not None else today) + LONGEST
    if not today <= until <= last:
        raise Refused("holds.pause_days", first=today.isoformat(), last=last.isoformat())
    if row.reason == "pause" and (row.pause_until, row.why) == (until, why or row.why):
        return
    if open_ is None:
        session().add(ClientPause(client_id=client.id, first_day=today, last_day=until))
    else:
        open_.last_day = until
    again = row.reason == "pause"
    resume = row.resume if again else row.reason
    why = why or (row.why if again else "")
    _hold(client, row, "client.pause", reason="pause", why=why, pause_until=until, resume=resume)


def reactivate(client: Client, why: str = "") -> bool:
    """Give the service back, whatever holds the client and whatever it owes; False where nothing holds it.

    What earlier cut runs have left open for it, and the follow-up of its promises, is off; the next cut run planned
    from now on treats it like anybody. Refused("clients.cancelled").
    """
    why = _why(why, needed=False)
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    if not of(client.id).reason:
        return False
    events.client_reactivated.emit(client_ids=[client.id])
    row = _lock(client)
    if not row.suspended:  # somebody else was quicker
        return False
    if row.reason == "pause":
        _end_pauses([client.id], today_of(client) - timedelta(days=1))
    invoices.forgive_promises([client.id])
    before = _describe(row)
    _write([client.id], **access.FREE, reactivated_at=clock.now())
    audit.record("client.reactivate", f"client:{client.code}", before, {"suspension": "", "until": None, "why": why})
    access.request_sync_of([client.id])
    return True


def _why(text: str, needed: bool = True) -> str:
    text = text.strip()
    if len(text) > WHY or (needed and not text):
        raise Refused("holds.why", limit=WHY)
    return text


def _lock(client: Client) -> Access:
    """The client's access row, ours until the end and as it stands now."""
    if client.cancelled_at is not None:
        raise Refused("clients.cancelled", client=client.code)
    query = sa.select(Access).where(Access.client_id == client.id).with_for_update()
    return session().scalars(query.execution_options(populate_existing=True)).one()


def _hold(client: Client, row: Access, action: str, **values: Any) -> None:
    before, new = _describe(row), not row.suspended
    if row.reason != values["reason"]:
        values["suspended_at"] = clock.now()
    _write([client.id], changes=new, suspended=True, notice=False, keep=False, **values)
    until = values["pause_until"]
    after = {"suspension": values["reason"], "why": values["why"], "until": until.isoformat() if until else None}
    audit.record(action, f"client:{client.code}", before, after)
    access.request_sync_of([client.id])


def _describe(row: Access) -> dict[str, Any]:
    until = row.pause_until
    return {"suspension": row.reason, "why": row.why, "until": until.isoformat() if until else None}


def _write(client_ids: Collection[int], changes: bool = True, **values: Any) -> None:
    """``changes``: what is wanted on the router is another thing from now on."""
    if changes:
        values["wanted_version"] = Access.wanted_version + 1
    statement = sa.update(Access).where(Access.client_id.in_(client_ids)).values(values)
    session().execute(statement.execution_options(synchronize_session=False))


def _pauses(client_ids: Collection[int]) -> sa.Select[ClientPause]:
    return sa.select(ClientPause).where(ClientPause.client_id.in_(client_ids), ClientPause.ended_at.is_(None))


def _end_pauses(client_ids: Collection[int], last: date | None = None) -> None:
    """The pauses are over; ``last``: sooner than was meant, this was their last day."""
    for row in session().scalars(_pauses(client_ids)):
        row.ended_at = clock.now()
        row.last_day = row.last_day if last is None else min(row.last_day, last)
    session().flush()


def cancelled(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: the pause of a cancelled client ends with its contract."""
    _end_pauses(client_ids, settings.today())


# The end of a pause ----------------------------------------------------------------------------------


def end_pauses() -> int:
    """End the pauses whose last day is over where the client is; how many.

    What was suspended before is so again: by hand always, for debt where more than the tolerance is still due and
    nothing spares the client. Everybody else has the service back.
    """
    now = clock.now()
    today = invoices.local_today(now)
    over = (
        sa.select(Access.client_id, Client.code, Access.resume, Access.pause_until, _again(today).label("again"),
                  access.spared(today).label("spared"))
        .join(Client, Client.id == Access.client_id)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
        .where(Access.pause_until.is_not(None), Access.pause_until < today)
        .order_by(Access.client_id)
        .limit(CHUNK)
        .with_for_update(of=Access, skip_locked=True)
    )  # fmt: skip
    rows = session().execute(over).all()
    if not rows:
        return 0
    after = {row.client_id: _after(row) for row in rows}
    _end_pauses(list(after))
    for reason in sorted(set(after.values())):
        ids = [client_id for client_id, found in after.items() if found == reason]
        again = {"reason": reason, "resume": "", "why": "", "pause_until": None, "suspended_at": now}
        values = again if reason else access.FREE
        _write(ids, **values)
    invoices.note_spared([row.client_id for row in rows if row.resume == "debt" and row.again and row.spared])
    for row in rows:
        before = {"suspension": "pause", "until": row.pause_until.isoformat()}
        audit.record(
            "client.pause_end", f"client:{row.code}", before, {"suspension": after[row.client_id], "until": None}
        )
    access.request_sync_of(list(after))
    return len(rows)


def _again(today: Any) -> sa.ColumnElement[bool]:
    """The debt of its basis, which the client was cut for, still exceeds the tolerance."""
    return ~access.within_tolerance(invoices.owed(Access.client_id, today))


def _after(row: Any) -> str:
    if row.resume == "debt":
        return "debt" if row.again and not row.spared else ""
    return str(row.resume)


# What comes next -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outlook:
    """What the next cut would do to a client with its service back: ``amount`` is what would be due by ``at``;
    ``at`` None: no cut runs by itself."""

    amount: int = 0
    at: datetime | None = None


def outlook(client: Client) -> Outlook:
    """What the next cut would find; nothing where the client would be within the tolerance, or is spared until then."""
    schedule = schedule_of(client)
    task = next(task for task in schedule.tasks if task.kind == Kind.cut)
    timezone = schedules.timezone_of(schedule)
    at = task.next_at.astimezone(timezone) if task.next_at is not None else None
    day = at.date() if at is not None else clock.today(timezone)
    query = sa.select(invoices.balance_of(client.id, day), access.spared(sa.literal(day))).where(Client.id == client.id)
    amount, spared = session().execute(query).one()
    if spared or amount <= settings.company().tolerance:
        return Outlook()
    return Outlook(amount, at)
