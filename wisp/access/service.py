"""What each client should have on its router, and the orders to make it so.

Every function works inside the caller's transaction and on whole sets of clients. None of them talks to a router:
that is done by the synchronisation (wisp.access.sync), which reads what is wanted at that moment.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

from wisp.access import hours, left, ordering, outages
from wisp.access.domain import Outcome, SyncReport
from wisp.access.models import Access, RouterSync, RouterVerdict
from wisp.access.ordering import SYNC, SYNC_AWAY, enqueue_syncs, enqueue_syncs_after_commit, silent
from wisp.access.outages import note_waiting
from wisp.access.waiting import Waiting, unsettled, waiting
from wisp.access.warrant import FOR_DEBT, cut_settled, notice_settled, spared, within_tolerance
from wisp.clients import csvimport
from wisp.clients import listing as client_lists
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import dialect, insert_into, session
from wisp.invoices import service as invoices
from wisp.routers.models import Router, Zone
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings

__all__ = [
    "FOR_DEBT", "SYNC", "SYNC_AWAY", "Lifted", "Outcome", "State", "SyncReport", "Waiting", "client_moved",
    "client_saved", "clients_cancelled", "clients_imported", "concerned", "cut_settled", "due_syncs", "enqueue_syncs",
    "enqueue_syncs_after_commit", "ensure_rows", "ensure_sync", "keep_suspended", "lift", "lock", "note_waiting",
    "notice_settled", "recheck", "request_sync", "request_sync_of", "router_returned", "routers_of", "settings_changed",
    "silent", "spared", "state_of", "states", "unsettled", "unwarranted", "waiting", "want_notice", "want_suspended",
    "within_tolerance",
]  # fmt: skip

ClientIds = Collection[int] | sa.Select[Any]
"""Clients by id, or a query of one column that gives the ids."""

_Condition = ColumnElement[bool] | InstrumentedAttribute[bool]
SUSPENSIONS = (*FOR_DEBT, "manual", "pause")
FREE: dict[str, Any] = {
    "suspended": False, "reason": "", "basis": "overdue", "keep": False, "suspended_at": None, "why": "",
    "pause_until": None, "resume": "",
}  # fmt: skip
"""A client whom nothing suspends."""
_CHUNK = 5_000  # ids in one statement: both databases limit the number of parameters


@dataclass(frozen=True)
class Lifted:
    """How many suspensions and notices were taken back."""

    suspended: int = 0
    notice: int = 0


def want_suspended(
    client_ids: ClientIds, *, basis: str = "overdue", reason: str = "debt", planned_at: datetime | None = None
) -> int:
    """Suspend these clients, except the cancelled; returns how many were not suspended before.

    ``basis``: the debt that justifies it, ``overdue`` or ``open``. A suspension takes the notice off. One for another
    reason than debt takes the place of the one that stands; one for debt, also one taken over (``imported``), leaves
    it, and only ends a ``keep``. ``planned_at``: when that was decided; who got the service back by hand since is left
    alone.
    """
    unheld: list[_Condition] = [~Access.suspended, _alive()]
    if planned_at is not None:
        unheld.append(sa.or_(Access.reactivated_at.is_(None), Access.reactivated_at <= planned_at))
    new = _change(
        client_ids,
        unheld,
        suspended=True, reason=reason, basis=basis, keep=False, suspended_at=clock.now(), notice=False,
    )  # fmt: skip
    if reason == "debt":
        kept = (Access.suspended, Access.reason == "debt", Access.keep)
        _change(client_ids, kept, version=False, locked=True, keep=False, basis=basis)
    elif reason not in FOR_DEBT:
        other = (Access.suspended, Access.reason != reason)
        _change(
            client_ids, other, version=False, locked=True,
            reason=reason, keep=False, why="", pause_until=None, resume="",
        )  # fmt: skip
    return new


def want_notice(client_ids: ClientIds) -> int:
    """Put the payment notice on these clients' screens, except the suspended and the cancelled; how many are new."""
    return _change(client_ids, [~Access.notice, ~Access.suspended, _alive()], notice=True)


def _alive() -> ColumnElement[bool]:
    """Over Access: the client is not cancelled. As a look-up for each row: as a list of ids SQLite would read the whole
    table of clients for it, however few rows are meant."""
    return sa.select(sa.literal(1)).where(Client.id == Access.client_id, Client.cancelled_at.is_(None)).exists()


def lift(
    client_ids: ClientIds, suspended: bool = True, notice: bool = True, reasons: Collection[str] = ("debt",)
) -> Lifted:
    """Take back suspensions (only those for these ``reasons``) and notices; returns how many there were.

    A suspension that was to be kept although paid is lifted too. ``request_sync`` is left to the caller.
    """
    cut = notices = 0
    if suspended:
        cut = _change(client_ids, [Access.suspended, Access.reason.in_(reasons)], **FREE)
    if notice:
        notices = _change(client_ids, [Access.notice], notice=False)
    return Lifted(cut, notices)


def keep_suspended(client_ids: ClientIds) -> int:
    """Paid with "solo registrar": these clients stay suspended until ``lift`` is called again; how many."""
    for_debt = Access.reason.in_(FOR_DEBT)
    return _change(client_ids, [Access.suspended, for_debt, ~Access.keep], version=False, keep=True)


def forget_imported(client_ids: ClientIds) -> int:
    """A suspension taken over, which would come back after a pause, is settled; how many."""
    return _change(client_ids, [Access.resume == "imported"], version=False, resume="")


def _change(
    client_ids: ClientIds, where: Sequence[_Condition], *, version: bool = True, locked: bool = False, **values: Any
) -> int:
    """UPDATE the rows of these clients that ``where`` selects; how many. ``version``: a wanted column changes.
    ``locked``: this transaction has their locks already."""
    if version:
        values["wanted_version"] = Access.wanted_version + 1
    count = 0
    for group in _groups(client_ids):
        if not locked:
            lock(group)
        statement = sa.update(Access).where(group, *where).values(values).execution_options(synchronize_session=False)
        count += session().execute(statement).rowcount  # type: ignore[attr-defined]
    return count


def _groups(client_ids: ClientIds) -> Iterator[ColumnElement[bool]]:
    if isinstance(client_ids, sa.Select):
        yield Access.client_id.in_(client_ids)
        return
    ids = sorted(client_ids)
    for at in range(0, len(ids), _CHUNK):
        yield Access.client_id.in_(ids[at : at + _CHUNK])


def lock(group: ColumnElement[bool]) -> None:
    """Take the locks of all these rows of Access in one order before any is changed: sets of changes that overlap then
    wait for one another instead of blocking one another."""
    if dialect() == "postgresql":
        rows = sa.select(Access.client_id).where(group).order_by(Access.client_id).with_for_update().subquery()
        session().execute(sa.select(sa.func.count()).select_from(rows))


def lock_all(client_ids: ClientIds) -> None:
    """Take the locks of the rows of all these clients in one order, for a transaction that changes several sets of
    them one after the other, or all at once in no order. Nothing on SQLite, where one writes at a time."""
    for group in _groups(client_ids):
        lock(group)


# Orders ----------------------------------------------------------------------------------------------


def request_sync(router_ids: Iterable[int]) -> dict[int, int]:
    """Order the synchronisation of these routers; returns the number of the order of each.

    An order is done once RouterSync.done has reached it. Many orders are one synchronisation. It is tried as soon
    as the present transaction has committed, even in a pause between attempts; where Redis is away, the next tick
    takes it.
    """
    ids = sorted(set(router_ids))
    if not ids:
        return {}
    rows = [_fresh_sync(router_id) | {"requested": 1} for router_id in ids]
    statement = insert_into(RouterSync).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=[RouterSync.router_id], set_={"requested": RouterSync.requested + 1}
    ).returning(RouterSync.router_id, RouterSync.requested)
    orders = dict(session().execute(statement).all())
    enqueue_syncs_after_commit(ids, force=True)
    return orders


def ensure_sync(router_id: int) -> bool:
    """Give a router that nothing was asked of yet its RouterSync; whether that was so."""
    row = insert_into(RouterSync).values(_fresh_sync(router_id)).on_conflict_do_nothing()
    return session().scalar(row.returning(RouterSync.router_id)) is not None


def _fresh_sync(router_id: int) -> dict[str, object]:
    company = settings.company()
    lists = json.dumps([company.list_overdue, company.list_notice])
    return {"router_id": router_id, "requested": 0, "done": 0, "attempts": 0, "lists": lists}


def request_sync_of(client_ids: ClientIds) -> dict[int, int]:
    """``request_sync`` of the routers of these clients."""
    return request_sync(routers_of(client_ids))


def routers_of(client_ids: ClientIds) -> list[int]:
    """The routers on which these clients are, or may still have an entry."""
    found: set[int] = set()
    for group in _groups(client_ids):
        for row in session().execute(sa.select(Access.router_id, Access.applied_router_id).where(group).distinct()):
            found |= {router_id for router_id in row if router_id is not None}
    return sorted(found)


def due_syncs(now: datetime) -> list[int]:
    """Routers whose synchronisation is to be started: something is ordered or to be looked at again, nobody works at it
    and no pause runs."""
    query = (
        sa.select(RouterSync.router_id)
        .join(Router, Router.id == RouterSync.router_id)
        .where(
            Router.archived_at.is_(None),
            sa.or_(RouterSync.requested > RouterSync.done, RouterSync.next_attempt_at.is_not(None)),
            ordering.rested(now),
            ordering.unleased(now),
        )
        .order_by(RouterSync.router_id)
    )
    return list(session().scalars(query))


def unwarranted(router_id: int) -> list[tuple[int, bool, bool]]:
    """(client, cut, notice) of those on this router whose suspension for debt, or whose notice, what they owe no longer
    justifies. Only reads.

    A suspension for debt, unless kept, is to go where the debt of its basis is within the tolerance; a notice where the
    open debt is below the notice minimum. What is not yet on the router is to go also where the client has been
    excluded or has promised to pay since, by the local date of its schedule.
    """
    now = clock.now()
    today = invoices.local_today(now)
    cut = sa.and_(Access.suspended, Access.reason == "debt", ~Access.keep)
    owed = invoices.owed(Access.client_id, today)
    unwarned = sa.or_(Client.free, invoices.promised(Client.id, today), Client.no_notice)
    no_cut = sa.and_(cut, sa.or_(cut_settled(owed), sa.and_(~Access.applied_suspended, spared(today))))
    no_notice = sa.and_(Access.notice, sa.or_(notice_settled(owed), sa.and_(~Access.applied_notice, unwarned)))
    query = (
        sa.select(Access.client_id, no_cut, no_notice)
        .join(Client, Client.id == Access.client_id)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
        .where(Access.router_id == router_id, sa.or_(Access.notice, cut), sa.or_(no_cut, no_notice))
        .order_by(Access.client_id)
    )
    return [(client_id, bool(of_cut), bool(of_notice)) for client_id, of_cut, of_notice in session().execute(query)]


def recheck(router_id: int) -> Lifted:
    """Lift what is ``unwarranted`` on this router; before anything is sent to it."""
    found = unwarranted(router_id)
    lock_all([client_id for client_id, _cut, _notice in found])
    cuts, notices = [row[0] for row in found if row[1]], [row[0] for row in found if row[2]]
    return Lifted(lift(cuts, notice=False).suspended, lift(notices, suspended=False).notice)


# Receivers of events ---------------------------------------------------------------------------------


def ensure_rows(client_ids: ClientIds) -> None:
    """Give every client its access row; rows of clients who are on another router now follow them.

    Who is on a list is looked at again: the address or the user may be another one.
    """
    groups = [Client.id.in_(client_ids)] if isinstance(client_ids, sa.Select) else _client_groups(client_ids)
    routers: set[int] = set()
    for group in groups:
        missing = sa.select(Client.id, Client.router_id).where(group)
        session().execute(insert_into(Access).from_select(["client_id", "router_id"], missing).on_conflict_do_nothing())
        lock(Access.client_id.in_(sa.select(Client.id).where(group)))
        routers |= _follow(group)
        routers |= _look_again(group)
    request_sync(routers)


def _client_groups(client_ids: Collection[int]) -> list[ColumnElement[bool]]:
    ids = sorted(client_ids)
    return [Client.id.in_(ids[at : at + _CHUNK]) for at in range(0, len(ids), _CHUNK)]


def _follow(group: ColumnElement[bool]) -> set[int]:
    """Take the access rows of clients to the router that they are on; the routers concerned, where anything stands."""
    something = sa.or_(
        Access.suspended, Access.notice, Access.applied_suspended, Access.applied_notice, Access.lever != ""
    )
    moved = (
        sa.select(Access.client_id, something, Access.router_id, Access.applied_router_id, Client.router_id)
        .join(Client, Client.id == Access.client_id)
        .where(group, Access.router_id != Client.router_id)
    )
    concerned: set[int] = set()
    by_new: dict[int, list[int]] = {}
    for client_id, stands, old, applied, new in session().execute(moved):
        by_new.setdefault(new, []).append(client_id)
        concerned |= {router_id for router_id in (old, applied, new) if stands and router_id is not None}
    for new, ids in sorted(by_new.items()):
        left.leave_all(ids)
        _change(ids, [something])
        _change(ids, [], version=False, router_id=new)
    return concerned


def _look_again(group: ColumnElement[bool]) -> set[int]:
    clients = sa.select(Client.id).where(group)
    wanted = sa.or_(Access.suspended, Access.notice)
    if not _change(clients, [wanted]):
        return set()
    query = sa.select(Access.router_id).where(Access.client_id.in_(clients), wanted).distinct()
    return set(session().scalars(query))


def client_saved(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: clients were added or edited."""
    ensure_rows(client_ids)


def client_moved(client_ids: Collection[int], old_router_id: int, new_router_id: int, **_: Any) -> None:
    """Receiver: clients are on another router now. The old one is to lose their entries, the new one to get them."""
    ensure_rows(client_ids)
    request_sync({old_router_id, new_router_id})


def clients_cancelled(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: cancelled clients want nothing on any router, whatever the reason of their suspension was."""
    lift(client_ids, reasons=SUSPENSIONS)
    _change(client_ids, [sa.or_(Access.applied_suspended, Access.applied_notice, Access.lever != "")])
    request_sync_of(client_ids)


def clients_imported(rows: Iterable[csvimport.Imported], **_: Any) -> None:
    """Receiver: who was suspended in the system that the provider comes from is suspended here too.

    It is ``imported``: for a debt that may come into these books only later. A balance that comes in counts for it
    whether or not it is due yet: there it was.
    """
    rows = list(rows)
    suspended = [row.client_id for row in rows if row.state == "suspended"]
    owing = [row.client_id for row in rows if (row.balance or 0) > 0]
    lock_all({*suspended, *owing})
    if suspended:
        want_suspended(suspended, reason="imported")
        request_sync_of(suspended)
    _change(owing, [Access.reason == "imported"], version=False, locked=True, basis="open")


def settings_changed(changed: Collection[str], **_: Any) -> None:
    """Receiver: lists that have another name now must be moved, on every router; cuts that wait for the hours in which
    they are allowed may be allowed now."""
    if {"list_overdue", "list_notice"} & set(changed):
        request_sync(all_routers())
    elif hours.HOURS & set(changed):
        request_sync(hours.routers_with_cuts_open())


def router_returned(router_id: int, **_: Any) -> None:
    """Receiver: a router answers again. Where its outage is open, or something waits, synchronise it at once."""
    sync = session().get(RouterSync, router_id)
    waits = sync is not None and (sync.requested > sync.done or sync.next_attempt_at is not None)
    if waits or outages.current(router_id) is not None:
        request_sync([router_id])


def all_routers() -> list[int]:
    """Ids of the routers that are not archived."""
    return list(session().scalars(sa.select(Router.id).where(Router.archived_at.is_(None)).order_by(Router.id)))


# Queries ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """How a client stands: what is wanted, and whether its router has confirmed it.

    ``kind``: ``active``, ``suspended`` or ``cancelled``. ``pending``: the router does not yet have what is wanted.
    ``on_router``: what stands there, ``cut``, ``notice`` or ``none``. ``error``: a code of wisp.access.texts.
    ``enforced`` False: cut only by a list that the router's rules are known not to apply.
    """

    kind: str
    reason: str = ""
    keep: bool = False
    notice: bool = False
    since: datetime | None = None
    pending: bool = False
    on_router: str = "none"
    foreign: bool = False
    error: str = ""
    enforced: bool = True


def states(client_ids: Collection[int]) -> dict[int, State]:
    """How these clients stand, by id."""
    found: dict[int, State] = {}
    for group in _groups(client_ids):
        rows = session().execute(
            sa.select(Access, Client.cancelled_at, client_lists.only_listed())
            .join(Client, Client.id == Access.client_id)
            .outerjoin(RouterVerdict, RouterVerdict.router_id == Access.applied_router_id)
            .where(group)
        )
        for access, cancelled_at, listed in rows:
            kind = "cancelled" if cancelled_at else "suspended" if access.suspended else "active"
            standing = "cut" if access.applied_suspended else "notice" if access.applied_notice else "none"
            found[access.client_id] = State(
                kind, access.reason, access.keep, access.notice, access.suspended_at,
                access.wanted_version != access.applied_version, standing, access.foreign, access.error, not listed,
            )  # fmt: skip
    return found


def state_of(client_id: int) -> State:
    """How one client stands."""
    return states([client_id]).get(client_id, State("active"))


def concerned(router_id: int) -> ColumnElement[bool]:
    """Over Access: who belongs on a list of the router, or whose last change it has not confirmed. Each case in full,
    so that each is looked up in its index: most clients of a router are none of them."""
    here = Access.router_id == router_id
    return sa.or_(
        sa.and_(here, Access.suspended),
        sa.and_(here, ~Access.suspended, Access.notice),
        sa.and_(here, unsettled()),
    )
