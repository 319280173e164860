"""Who is looking at a client page, what there is to say to it, and "Entendido".

A client is known by the address it comes from or by a signed link. An address that two clients have tells nobody
apart, and is answered like an unknown one. An address that a session was given (PPPoE, hotspot without a fixed one)
may be another's by now: such a visitor learns why the page is there, but neither name nor amount.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import ColumnElement

from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.db import dialect, insert_into, session
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice
from wisp.portal import domain
from wisp.portal.models import PortalPause, PortalVisit
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings
from wisp.settings.models import Company
from wisp.tasks.domain import ItemState
from wisp.tasks.hooks import Look, Window
from wisp.tasks.models import RunItem

SEEN_PAUSE = timedelta(minutes=5)
"""A page that is loaded again within this time is not counted again: a storm of reloads writes nothing."""

CHUNK = 5_000
_ON_SCREEN = (ItemState.DONE.value, ItemState.UNCHANGED.value)


@dataclass(frozen=True)
class Visitor:
    """A client in front of its page. ``state``: ``cut``, ``notice`` or ``none``; money in minor units.

    ``personal``: name and amounts may be shown. ``may_confirm``: "Entendido" would take the notice off.
    ``day``: the company's today.
    """

    client_id: int
    name: str
    language: str
    state: str
    reason: str
    debt: int
    due: date | None
    personal: bool
    may_confirm: bool
    confirmed_at: datetime | None
    back_at: datetime | None
    seen_at: datetime | None
    day: date
    added_at: datetime
    notice_seen_at: datetime | None = None


def by_address(address: str | None, firm: Company) -> Visitor | None:
    """The one client that has this address (as domain.normal writes it); None where there is none or several."""
    if address is None:
        return None
    found = _visitors(firm, address=address)
    return found[0] if len(found) == 1 else None


def by_id(client_id: int | None, firm: Company, there_at: datetime | None = None) -> Visitor | None:
    """The client of a signed link, wherever it is opened; None where it has been cancelled, or was added after
    ``there_at``, the second in which the link was made."""
    found = _visitors(firm, client_id=client_id)
    if not found or (there_at is not None and found[0].added_at >= there_at + timedelta(seconds=1)):
        return None
    return found[0]


def listed(address: str | None) -> str | None:
    """What brings the screen of a client with this address here: ``cut``, else ``notice``; empty for nothing, None
    where no client is known to have it."""
    if address is None:
        return None
    names = domain.prefixes(address)
    found = set(session().scalars(_kinds(bool(names)), {"address": address, "prefixes": names}))
    return next((kind for kind in ("cut", "notice", "") if kind in found), None)


# The statements are made once: in a storm that is a quarter of the time that a page takes.


@cache
def _kinds(prefixes: bool) -> sa.Select[str]:
    kinds = sa.case((Access.suspended, "cut"), (Access.notice, "notice"), else_="")
    return sa.select(kinds).where(Access.client_id.in_(_at(prefixes))).distinct()


def _at(prefixes: bool) -> sa.CompoundSelect[Any]:
    """Ids of the clients with the fixed address :address or one of the :prefixes around it, or whose session had it
    when their router was last looked at."""
    here, address = Client.cancelled_at.is_(None), sa.bindparam("address", type_=sa.String)
    fixed = [sa.select(Client.id).where(Client.address == address, here)]
    if prefixes:
        names = sa.bindparam("prefixes", expanding=True, type_=sa.String)
        fixed.append(sa.select(Client.id).where(Client.address6.in_(names), here))
    given = (
        sa.select(Access.client_id)
        .join(Client, Client.id == Access.client_id)
        .where(Access.applied_address == address, Client.address.is_(None), here)
    )
    return sa.union_all(*fixed, given)


@cache
def _whole(by_client: bool, prefixes: bool) -> sa.Select[*tuple[Any, ...]]:
    """What there is to know of at most two visitors on :day: of the client :client, or of those at :address."""
    due = (
        sa.select(sa.func.min(Invoice.due))
        .where(Invoice.client_id == Client.id, Invoice.state.in_(invoices.OPEN_STATES))
        .scalar_subquery()
    )
    one = sa.and_(Client.id == sa.bindparam("client", type_=sa.Integer), Client.cancelled_at.is_(None))
    day = sa.bindparam("day", type_=sa.Date)
    return (
        sa.select(
            Client.id, Client.name, Client.language, Client.address, Client.address6, Client.created_at,
            Access.suspended, Access.reason, Access.notice,
            invoices.balance_of(Client.id).label("debt"), due.label("due"),
            PortalPause.confirmed_at, PortalPause.back_at, PortalVisit.last_seen_at, PortalVisit.notice_last_at,
        )
        .join(Access, Access.client_id == Client.id)
        .outerjoin(PortalPause, PortalPause.client_id == Client.id)
        .outerjoin(PortalVisit, sa.and_(PortalVisit.client_id == Client.id, PortalVisit.day == day))
        .where(one if by_client else Client.id.in_(_at(prefixes)))
        .limit(2)
    )  # fmt: skip


def _visitors(firm: Company, *, address: str | None = None, client_id: int | None = None) -> Sequence[Visitor]:
    """At most two visitors, in one statement."""
    now, names = clock.now(), domain.prefixes(address or "")
    day = _day(firm, now)
    values = {"day": day, "client": client_id, "address": address, "prefixes": names}
    query = _whole(address is None, bool(names))
    rested = now - timedelta(hours=firm.notice_hours)
    return [
        Visitor(
            client_id=row.id,
            name=row.name,
            language=row.language,
            state="cut" if row.suspended else "notice" if row.notice else "none",
            reason=row.reason,
            debt=row.debt,
            due=row.due,
            personal=address is None or row.address == address or row.address6 in names,
            may_confirm=bool(row.notice) and (row.confirmed_at is None or row.confirmed_at <= rested),
            confirmed_at=row.confirmed_at,
            back_at=row.back_at,
            seen_at=row.last_seen_at,
            day=day,
            added_at=row.created_at,
            notice_seen_at=row.notice_last_at,
        )
        for row in session().execute(query, values)
    ]


def _day(firm: Company, now: datetime) -> date:
    return now.astimezone(clock.zone(firm.timezone)).date()


@dataclass(frozen=True)
class Glance:
    """One look of a client at its page, on a local day of the company; ``notice``: it met a notice there."""

    client_id: int
    day: date
    at: datetime
    notice: bool


def must_count(visitor: Visitor) -> bool:
    """Whether this look is one more to count: none in SEEN_PAUSE, or the first in it that meets a notice."""
    last = visitor.notice_seen_at if visitor.state == "notice" else visitor.seen_at
    return last is None or last <= clock.now() - SEEN_PAUSE


def seen(glances: Collection[Glance]) -> None:
    """Count these looks, each once in SEEN_PAUSE whatever else was written meanwhile. Nobody waits for the disk on
    their account."""
    if dialect() == "postgresql":
        session().execute(sa.text("SET LOCAL synchronous_commit = off"))
    rows = [
        {
            "client_id": glance.client_id, "day": glance.day, "seen": 1, "first_seen_at": glance.at,
            "last_seen_at": glance.at, "notice_first_at": glance.at if glance.notice else None,
            "notice_last_at": glance.at if glance.notice else None, "long_ago": glance.at - SEEN_PAUSE,
        }
        for glance in sorted(glances, key=lambda glance: glance.client_id)  # locked in one order by all processes
    ]  # fmt: skip
    session().connection().execute(_one_more(dialect()), rows)


@cache
def _one_more(_dialect: str) -> Any:
    """Statement of one more look; ``long_ago``: a look since then is the same one, unless this meets the first notice
    since."""
    visit = PortalVisit
    statement = insert_into(cast(sa.Table, visit.__table__)).values(
        {name: sa.bindparam(name) for name in (
            "client_id", "day", "seen", "first_seen_at", "last_seen_at", "notice_first_at", "notice_last_at",
        )}
    )  # fmt: skip
    given, long_ago = statement.excluded, sa.bindparam("long_ago", type_=visit.last_seen_at.type)
    met = sa.and_(
        given.notice_last_at.is_not(None), sa.or_(visit.notice_last_at.is_(None), visit.notice_last_at <= long_ago)
    )
    return statement.on_conflict_do_update(
        index_elements=[visit.client_id, visit.day],
        set_={
            "seen": visit.seen + sa.case((sa.or_(visit.last_seen_at <= long_ago, met), 1), else_=0),
            "last_seen_at": given.last_seen_at,
            "notice_first_at": sa.func.coalesce(visit.notice_first_at, given.notice_first_at),
            "notice_last_at": sa.func.coalesce(given.notice_last_at, visit.notice_last_at),
        },
    )


def confirm(client_id: int) -> bool:
    """ "Entendido": take the notice off this client's screen until ``notice_hours`` have passed.

    At most once in that time, whatever runs meanwhile; False where there is no notice or it was confirmed already.
    It comes back by itself until ``notice_days`` after the first confirmation of the series.
    """
    firm, now = settings.company(), clock.now()
    hours, days = timedelta(hours=firm.notice_hours), timedelta(days=firm.notice_days)
    if not session().scalar(sa.select(Access.notice).where(Access.client_id == client_id)):
        return False
    moment = PortalPause.back_at.type
    back, once = sa.literal(now + hours, moment), hours <= days  # of a new series: whether it comes back at all
    goes_on = sa.and_(~PortalPause.ended, PortalPause.since >= now + hours - days)
    begins = sa.and_(PortalPause.ended, sa.literal(once))
    statement = insert_into(PortalPause).values(
        client_id=client_id, confirmed_at=now, since=now, back_at=now + hours if once else None, ended=not once
    )
    statement = statement.on_conflict_do_update(
        index_elements=[PortalPause.client_id],
        set_={
            "confirmed_at": now,
            "since": sa.case((PortalPause.ended, sa.literal(now, moment)), else_=PortalPause.since),
            "back_at": sa.case((sa.or_(goes_on, begins), back), else_=sa.null()),
            "ended": ~sa.or_(goes_on, begins),
        },
        where=clock.since(PortalPause.confirmed_at, hours),
    ).returning(PortalPause.client_id)
    if session().scalar(statement) is None:
        return False
    _note_confirmed(client_id, _day(firm, now), now)
    access.lift([client_id], suspended=False)
    access.request_sync_of([client_id])
    code = session().scalar(sa.select(Client.code).where(Client.id == client_id))
    audit.record("portal.confirm", f"client:{code}", {"notice": True}, {"notice": False})
    return True


def _note_confirmed(client_id: int, day: date, now: datetime) -> None:
    at = {"last_seen_at": now, "confirmed_at": now}
    row = insert_into(PortalVisit).values(client_id=client_id, day=day, first_seen_at=now, seen=0, **at)
    session().execute(row.on_conflict_do_update(index_elements=[PortalVisit.client_id, PortalVisit.day], set_=at))


def remind() -> tuple[int, int]:
    """Put the notice back where its pause is over and the client still owes the minimum; how many pauses ended (at
    most CHUNK, the rest is for the next call) and how many notices that brought back.

    Not for whoever is cut, cancelled, free, excluded or has promised to pay since.
    """
    now, longest = clock.now(), timedelta(hours=settings.company().notice_hours)
    over = (
        sa.select(PortalPause.client_id).where(clock.due(PortalPause.back_at, longest)).order_by(PortalPause.client_id)
    )
    ended = (
        sa.update(PortalPause)
        .where(PortalPause.client_id.in_(over.limit(CHUNK).with_for_update(skip_locked=True)))
        .values(back_at=None)
        .returning(PortalPause.client_id)
        .execution_options(synchronize_session=False)
    )
    ids = list(session().scalars(ended))  # before the access rows: "Entendido" takes the locks in this order too
    debt = invoices.debts(now, Client.id.in_(ids))
    query = (
        sa.select(Client.id)
        .join(debt, debt.c.client_id == Client.id)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
        .where(
            Client.cancelled_at.is_(None), ~Client.free, ~Client.no_notice,
            debt.c.open_debt >= max(1, settings.company().notice_minimum),
            ~invoices.promised(Client.id, invoices.local_today(now)),
        )
    )  # fmt: skip
    owing = list(session().scalars(query)) if ids else []
    over_for_good = sa.update(PortalPause).where(PortalPause.client_id.in_(set(ids) - set(owing))).values(ended=True)
    session().execute(over_for_good.execution_options(synchronize_session=False))
    count = access.want_notice(owing)
    if count:
        access.request_sync_of(owing)
    return len(ids), count


def visits(client_id: int, limit: int = 60) -> Sequence[PortalVisit]:
    """The last days on which a client saw its page."""
    query = sa.select(PortalVisit).where(PortalVisit.client_id == client_id)
    return session().scalars(query.order_by(PortalVisit.day.desc()).limit(limit)).all()


# The ledger of runs ----------------------------------------------------------------------------------


def count_looks(run_id: int, window: Window) -> tuple[int, int]:
    """How many clients whom a notice run put on the list met the notice in its window, and how many confirmed it."""
    visit, end = PortalVisit, window.end or clock.now() + timedelta(days=1)
    saw = sa.and_(visit.notice_last_at >= window.begin, visit.notice_first_at < end)
    confirmed = sa.and_(visit.confirmed_at >= window.begin, visit.confirmed_at < end)
    query = (
        sa.select(_clients(saw), _clients(confirmed))
        .join(RunItem, RunItem.client_id == visit.client_id)
        .where(RunItem.run_id == run_id, RunItem.state.in_(_ON_SCREEN), *_around(window))
    )
    seen, done = session().execute(query).one()
    return max(seen, done), done


def _clients(what: ColumnElement[bool]) -> ColumnElement[int]:
    """How many clients have a line like this."""
    return sa.func.count(sa.distinct(sa.case((what, PortalVisit.client_id))))


def looks(windows: Mapping[tuple[int, int], Window]) -> dict[tuple[int, int], Look]:
    """By (client, run): when the client last met the notice in that window, and when it confirmed it."""
    if not windows:
        return {}
    span = Window(min(window.begin for window in windows.values()))
    days: dict[int, list[PortalVisit]] = defaultdict(list)
    ids = sorted({client_id for client_id, _run in windows})
    for at in range(0, len(ids), CHUNK):
        some = PortalVisit.client_id.in_(ids[at : at + CHUNK])
        for row in session().scalars(sa.select(PortalVisit).where(some, *_around(span))):
            days[row.client_id].append(row)
    found: dict[tuple[int, int], Look] = {}
    for (client_id, run_id), window in windows.items():
        rows = days.get(client_id, ())
        met = [at for row in rows for at in (row.notice_first_at, row.notice_last_at) if window.holds(at)]
        done = [row.confirmed_at for row in rows if window.holds(row.confirmed_at)]
        if met or done:
            found[client_id, run_id] = Look(max(filter(None, met or done)), max(filter(None, done), default=None))
    return found


def _around(window: Window) -> list[ColumnElement[bool]]:
    """The days that a window can touch in any time zone: what an index finds."""
    day = timedelta(days=1)
    found = [PortalVisit.day >= (window.begin - day).date()]
    return found if window.end is None else [*found, PortalVisit.day <= (window.end + day).date()]


def pause_of(client_id: int) -> PortalPause | None:
    """The client's last confirmation."""
    return session().get(PortalPause, client_id)
