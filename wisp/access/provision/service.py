"""What each client needs on its router, as the database sees it: orders, plans, records. Never talks to a router.

Level-triggered like the synchronisation, whose lease it shares: a change of a client marks its row and orders its
router; what it needs is read when the work begins. Every function works inside the caller's transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlalchemy.sql import ColumnElement

from wisp.access import ordering
from wisp.access.domain import SyncReport
from wisp.access.models import Access, ClientProvision, RouterProvision, RouterSync
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.db import after_commit, dialect, insert_into, session
from wisp.core.errors import Refused
from wisp.routers.models import Router

JOB, JOB_AWAY, LET_GO = "access.provision", "access.provision_away", "access.provision_let_go"
REQUEST = "access.provision_request"
LONGEST, JITTER = 3600, 0.2
"""Seconds between two attempts at what a router refuses, at most; the share by which they are spread."""
LONGEST_PAUSE = timedelta(seconds=LONGEST * (1 + JITTER))
SERVED = frozenset({"connection", "address", "address6", "mac", "username", "password", "plan"})
"""What of a client its object on the router depends on."""
SERVING = frozenset({"provision", "ppp_base", "hotspot_base"})
"""The same of a router."""
_CHUNK = 5_000


# Marks and orders ------------------------------------------------------------------------------------


def want(*where: ColumnElement[bool]) -> None:
    """Mark these clients (not the cancelled) on their routers: what they need there is to be looked at."""
    found = sa.select(Client.id, Client.router_id).where(Client.cancelled_at.is_(None), *where).order_by(Client.id)
    statement = insert_into(ClientProvision).from_select(["client_id", "router_id"], found)
    session().execute(
        statement.on_conflict_do_update(
            index_elements=[ClientProvision.client_id, ClientProvision.router_id],
            set_={"wanted_version": ClientProvision.wanted_version + 1},
        )
    )


def _mark_rows(*where: ColumnElement[bool]) -> None:
    """Mark rows that are there already, whether or not their clients still are; locked in one order."""
    if dialect() == "postgresql":
        rows = sa.select(ClientProvision.client_id).where(*where)
        locked = rows.order_by(ClientProvision.client_id, ClientProvision.router_id).with_for_update().subquery()
        session().execute(sa.select(sa.func.count()).select_from(locked))
    session().execute(
        sa.update(ClientProvision)
        .where(*where)
        .values(wanted_version=ClientProvision.wanted_version + 1)
        .execution_options(synchronize_session=False)
    )


def request(router_ids: Iterable[int], *, whole: bool = False) -> dict[int, int]:
    """Order that these routers be provisioned; returns the number of the order of each. Routers on which nothing is to
    be written are left out.

    ``whole``: compare everything, also what nobody has any more. Many orders are one round of work.
    """
    wanted = sa.select(Router.id).where(Router.id.in_(sorted(set(router_ids))), Router.archived_at.is_(None))
    ids = list(session().scalars(wanted.where(Router.provision).order_by(Router.id)))
    if not ids:
        return {}
    if whole:
        for router_id in ids:
            want(Client.router_id == router_id)
            _mark_rows(ClientProvision.router_id == router_id, _left())
    changes: dict[str, Any] = {"requested": RouterProvision.requested + 1}
    if whole:
        changes["whole"] = RouterProvision.requested + 1
    rows = [{"router_id": router_id, "requested": 1, "whole": int(whole)} for router_id in ids]
    statement = insert_into(RouterProvision).values(rows)
    statement = statement.on_conflict_do_update(index_elements=[RouterProvision.router_id], set_=changes)
    orders = dict(session().execute(statement.returning(RouterProvision.router_id, RouterProvision.requested)).all())
    enqueue(ids, force=True)
    return orders


def enqueue(router_ids: Collection[int], *, force: bool) -> None:
    """Enqueue the work at routers, one waiting job for each; those that did not answer last time come after all others,
    and are asked together whether they do now. ``force``: without regard to a pause. To be called inside the
    transaction; it takes effect after the commit."""
    kind = "now" if force else "due"
    off = set(session().scalars(sa.select(Router.id).where(Router.id.in_(router_ids), Router.online.is_(False))))
    calls: list[queue.Call] = [
        (JOB_AWAY if router_id in off else JOB, (router_id, force), f"provision-{router_id}-{kind}")
        for router_id in router_ids
    ]
    queue.enqueue_after_commit(calls)


def go_on(router_id: int, after: int, order: int) -> None:
    """Enqueue the rest of a round: the clients behind ``after``."""
    queue.enqueue(JOB, router_id, True, after, order, key=f"provision-{router_id}-{after}")


def go_on_at(router_ids: Iterable[int]) -> None:
    """Order that these routers be provisioned, in a transaction of its own. Lost, the nightly comparison does it."""
    for router_id in router_ids:
        queue.enqueue(REQUEST, router_id, key=f"{REQUEST}-{router_id}")


def write_client(client: Client) -> bool:
    """Order that one client be written to its router; False where nothing is written there."""
    want(Client.id == client.id)
    return bool(request([client.router_id]))


def write_clients(router_id: int, client_ids: Sequence[int]) -> None:
    """Order that clients of a router be written to it."""
    for part in _parts(client_ids):
        want(Client.id.in_(part), Client.router_id == router_id)
    if client_ids:
        request([router_id])


def write_router(router: Router) -> int:
    """Order that a whole router be compared and put right; the number of the order.

    Refused("access.provision_off") where nothing is to be written there.
    """
    order = request([router.id], whole=True).get(router.id)
    if order is None:
        raise Refused("access.provision_off", router=router.name)
    audit.record("router.provision", f"router:{router.name}")
    return order


def _left() -> ColumnElement[bool]:
    """True for rows of clients who are not, or no longer, on that router."""
    there = aliased(Client)  # by another name: the statement around it may hold the client too
    here = sa.select(there.id).where(
        there.id == ClientProvision.client_id,
        there.router_id == ClientProvision.router_id,
        there.cancelled_at.is_(None),
    )
    return ~here.exists()


def _parts(ids: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    for at in range(0, len(ordered), _CHUNK):
        yield ordered[at : at + _CHUNK]


def pending(now: datetime) -> ColumnElement[bool]:
    """True for routers at which there is something to do now."""
    at = RouterProvision.next_attempt_at
    return sa.and_(
        sa.or_(RouterProvision.requested > RouterProvision.done, RouterProvision.next_attempt_at.is_not(None)),
        sa.or_(at.is_(None), clock.due(at, LONGEST_PAUSE, now)),
        RouterProvision.router_id.in_(sa.select(Router.id).where(Router.archived_at.is_(None), Router.provision)),
    )


def due(now: datetime) -> list[int]:
    """Routers whose work is to be started: something is to do, no pause runs, and nobody works at them."""
    busy = sa.select(RouterSync.router_id).where(~ordering.unleased(now))
    query = sa.select(RouterProvision.router_id).where(pending(now), RouterProvision.router_id.not_in(busy))
    return list(session().scalars(query.order_by(RouterProvision.router_id)))


# Receivers of events ---------------------------------------------------------------------------------


def client_saved(client_ids: Collection[int], changed: Collection[str] | None = None, **_: Any) -> None:
    """Receiver: clients were added or edited."""
    if changed is not None and not SERVED & set(changed):
        return
    routers: set[int] = set()
    for part in _parts(client_ids):
        want(Client.id.in_(part))
        routers |= set(session().scalars(sa.select(Client.router_id).where(Client.id.in_(part)).distinct()))
    request(routers)


def client_moved(client_ids: Collection[int], old_router_id: int, new_router_id: int, **_: Any) -> None:
    """Receiver: clients are on another router now; the old one is to lose what it has of them."""
    if old_router_id == new_router_id:
        return
    for part in _parts(client_ids):
        want(Client.id.in_(part))
        _mark_rows(ClientProvision.client_id.in_(part), ClientProvision.router_id == old_router_id)
    request({old_router_id, new_router_id})


def clients_cancelled(client_ids: Collection[int], **_: Any) -> None:
    """Receiver: no router is to have anything of these clients."""
    routers: set[int] = set()
    for part in _parts(client_ids):
        mine = ClientProvision.client_id.in_(part)
        _mark_rows(mine)
        routers |= set(session().scalars(sa.select(ClientProvision.router_id).where(mine).distinct()))
    request(routers)


def plan_changed(plan_id: int, **_: Any) -> None:
    """Receiver: a plan has another speed or profile: all its clients, on every router."""
    want(Client.plan_id == plan_id)
    request(session().scalars(sa.select(Client.router_id).where(Client.plan_id == plan_id).distinct()).all())


def router_changed(router_id: int, changed: Collection[str], **_: Any) -> None:
    """Receiver: something is to be written to a router again, or its profiles come from others."""
    if SERVING & set(changed):
        request([router_id], whole=True)


def router_returned(router_id: int, **_: Any) -> None:
    """Receiver: a router answers again; what waits for it is written at once."""
    row = session().get(RouterProvision, router_id)
    if row is not None and (row.requested > row.done or row.next_attempt_at is not None):
        enqueue([router_id], force=True)


def router_synced(router_id: int, report: SyncReport, **_: Any) -> None:
    """Receiver: a synchronisation has ended and gives the router's lease back. What it held of users and has let go is
    looked at again, once that is written down."""
    freed = {client_id for client_id, outcome in report.outcomes.items() if outcome.wanted != "cut"}
    if freed and freed.intersection(session().scalars(sa.select(ClientProvision.client_id).where(_held(router_id)))):
        after_commit(lambda: _enqueue_let_go(router_id))
    if session().scalar(sa.select(RouterProvision.router_id).where(pending(clock.now()), _of(router_id))):
        enqueue([router_id], force=False)


def _enqueue_let_go(router_id: int) -> None:
    queue.enqueue(LET_GO, router_id, key=f"let-go-{router_id}")


def _held(router_id: int) -> ColumnElement[bool]:
    """True for rows of users whose profile waits for a lever."""
    row = ClientProvision
    return sa.and_(row.router_id == router_id, row.state == "waiting", row.detail == "held")


def let_go(router_id: int) -> None:
    """Look again at users whose profile waited for a lever that stands no more."""
    free = sa.select(Access.client_id).where(Access.router_id == router_id, Access.lever == "")
    where = sa.and_(_held(router_id), ClientProvision.client_id.in_(free))
    if session().scalar(sa.select(ClientProvision.client_id).where(where).limit(1)):
        _mark_rows(where)
        request([router_id])


def _of(router_id: int) -> ColumnElement[bool]:
    return RouterProvision.router_id == router_id


def all_routers() -> list[int]:
    """Ids of the routers on which something is written."""
    query = sa.select(Router.id).where(Router.archived_at.is_(None), Router.provision)
    return list(session().scalars(query.order_by(Router.id)))


# What people see -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How a client stands on its router. ``state``: ``off`` (nothing is written there), ``pending`` (not yet written),
    ``done``, ``waiting``, ``foreign`` or ``failed``; ``detail`` a code of texts; ``at``: when it was last so."""

    state: str
    detail: str = ""
    at: datetime | None = None


def standing(client: Client) -> Standing:
    """How a client's object stands on its router, as far as is known."""
    if not session().scalar(sa.select(Router.provision).where(Router.id == client.router_id)):
        return Standing("off")
    row = session().get(ClientProvision, (client.id, client.router_id), populate_existing=True)
    if row is None:
        return Standing("done" if client.cancelled_at is not None else "pending")
    return Standing(_shown(row), row.detail, row.applied_at)


def _shown(row: ClientProvision) -> str:
    """A row that was changed after it was settled waits again; one that failed says so until it is written."""
    still = row.wanted_version == row.applied_version or row.state in ("failed", "waiting")
    return row.state if still and row.state else "pending"


def _still() -> ColumnElement[bool]:
    """``_shown``'s rule in SQL: what was last seen of a row is still what there is to say."""
    return sa.or_(
        ClientProvision.wanted_version == ClientProvision.applied_version,
        ClientProvision.state.in_(("failed", "waiting")),
    )


def counts(router_id: int) -> dict[str, int]:
    """How many clients of a router stand how: ``done``, ``pending``, ``waiting``, ``foreign``, ``failed``."""
    shown = sa.case((sa.and_(_still(), ClientProvision.state != ""), ClientProvision.state), else_="pending")
    query = sa.select(shown, sa.func.count()).where(ClientProvision.router_id == router_id, ~_left()).group_by(shown)
    found = dict.fromkeys(("done", "pending", "waiting", "foreign", "failed"), 0)
    return found | dict(session().execute(query).all())


def listed(router_id: int, state: str, limit: int = 200) -> list[tuple[ClientProvision, str, str]]:
    """(row, code, name) of the first clients of a router in that state, by name."""
    query = (
        sa.select(ClientProvision, Client.code, Client.name)
        .join(Client, Client.id == ClientProvision.client_id)
        .where(ClientProvision.router_id == router_id, ClientProvision.state == state, _still(), ~_left())
        .order_by(Client.name_key, Client.id)
        .limit(limit)
    )
    return [(row, code, name) for row, code, name in session().execute(query)]


def last(router_id: int) -> RouterProvision | None:
    """The work at a router as it stands; None where there never was any."""
    return session().get(RouterProvision, router_id, populate_existing=True)
