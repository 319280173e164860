"""Lists of clients: what a page asks for, with the same few statements at any number of clients."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from wisp.clients import search
from wisp.clients.models import Client
from wisp.core.db import Base, session
from wisp.core.scope import EVERYTHING, Scope

SUSPENDED_BY = ("debt", "imported", "manual", "pause")
STATES = ("current", "active", "suspended", *(f"suspended_{why}" for why in SUSPENDED_BY), "cancelled", "all")
DEBTS = ("owes", "overdue")
CHUNK = 2_000
SORTS: dict[str, Any] = {"name": Client.name_key, "code": Client.code, "newest": Client.created_at}


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to: ``state`` one of STATES (current: not cancelled; suspended_debt: for that reason),
    ``billing`` "", "zone", "own"; ``debt`` "" or one of DEBTS."""

    text: str = ""
    zone_id: int | None = None
    state: str = "current"
    billing: str = ""
    plan_id: int | None = None
    debt: str = ""


@dataclass(frozen=True)
class Accounts:
    """What the slice of invoices knows of clients' debts. ``owing(overdue)``: a condition over Client; ``debts(ids)``:
    what each owes (``open``, ``overdue``), in as many statements however many they are."""

    owing: Callable[[bool], sa.ColumnElement[bool]]
    debts: Callable[[Collection[int]], dict[int, Any]]


accounts: Accounts | None = None
"""Filled in by the slice of invoices."""


@dataclass(frozen=True)
class Standing:
    """Where a client stands on its router. ``state``: active, suspended, listed (on the list of the suspended, which
    the router does not apply), cutting (ordered, not yet on the router), reactivating (the reverse, also where nobody
    knows whether a cut reached the router) or cancelled; ``reason`` of a suspension; ``error``: what the router last
    answered."""

    state: str
    reason: str = ""
    error: str = ""


def query(scope: Scope, filters: Filters) -> sa.Select[Client]:
    """The clients inside ``scope`` that ``filters`` leaves, unordered."""
    found = sa.select(Client)
    if scope.zone_ids is not None:
        found = found.where(Client.zone_id.in_(scope.zone_ids))
    if filters.zone_id is not None:
        found = found.where(Client.zone_id == filters.zone_id)
    if filters.billing:
        found = found.where(Client.own_billing.is_(filters.billing == "own"))
    if filters.plan_id is not None:
        found = found.where(Client.plan_id == filters.plan_id)
    if filters.debt and accounts is not None:
        found = found.where(accounts.owing(filters.debt == "overdue"))
    if filters.state == "cancelled":
        found = found.where(Client.cancelled_at.is_not(None))
    elif filters.state != "all":
        found = found.where(Client.cancelled_at.is_(None))
    access = Base.metadata.tables["access"]
    suspended = sa.select(access.c.client_id).where(access.c.suspended)
    state, _by, why = filters.state.partition("_")
    if state == "suspended":
        found = found.where(Client.id.in_(suspended.where(access.c.reason == why) if why else suspended))
    elif filters.state == "active":
        found = found.where(~suspended.where(access.c.client_id == Client.id).exists())
    condition = search.matching(filters.text)
    return found if condition is None else found.where(condition)


def standings(clients: Iterable[Client]) -> dict[int, Standing]:
    """Where these clients stand, by id; one statement for up to CHUNK of them. Access is of a higher slice:
    asked by table name."""
    by_id = {client.id: client for client in clients}
    access, verdict = Base.metadata.tables["access"], Base.metadata.tables["router_verdict"]
    rows = session().execute(
        sa.select(
            access.c.client_id,
            access.c.suspended,
            access.c.applied_suspended,
            access.c.reason,
            access.c.error,
            access.c.wanted_version,
            access.c.applied_version,
            access.c.sent_version,
            only_listed().label("listed"),
        )
        .outerjoin(verdict, verdict.c.router_id == access.c.applied_router_id)
        .where(access.c.client_id.in_(by_id))
    )
    found = {row.client_id: row for row in rows}
    return {client_id: _standing(client, found.get(client_id)) for client_id, client in by_id.items()}


def only_listed() -> sa.ColumnElement[bool]:
    """Over access and router_verdict (outer joined): the client stands on the list of the suspended, and the router's
    rules are known not to apply it. Whose user is switched off there is cut without the list."""
    access, verdict = Base.metadata.tables["access"].c, Base.metadata.tables["router_verdict"].c
    by6 = sa.and_(access.lever == "", access.applied_address.is_(None))
    applied = sa.case((by6, verdict.cut6), else_=verdict.cut)
    switched_off = access.lever.in_(("disable", "hotspot"))
    return sa.and_(access.applied_suspended, ~switched_off, sa.func.coalesce(applied, sa.true()).is_(False))


def _standing(client: Client, row: Any) -> Standing:
    if client.cancelled_at is not None:
        return Standing("cancelled")
    if row is None:
        return Standing("active")
    if row.suspended:
        state = "listed" if row.listed else "suspended" if row.applied_suspended else "cutting"
        return Standing(state, row.reason, row.error)
    perhaps = row.applied_version < row.sent_version < row.wanted_version
    return Standing("reactivating" if row.applied_suspended or perhaps else "active", "", row.error)


@dataclass(frozen=True)
class Hold:
    """What suspends a client, since when, until when (of a pause), and until when it has promised to pay."""

    reason: str = ""
    since: datetime | None = None
    until: date | None = None
    promise: date | None = None


def holds(clients: Iterable[Client]) -> dict[int, Hold]:
    """What holds these clients, by id; one statement for up to CHUNK of them, of tables of higher slices."""
    ids = [client.id for client in clients]
    access, promise = Base.metadata.tables["access"], Base.metadata.tables["promise"]
    alive = sa.and_(promise.c.client_id == access.c.client_id, promise.c.ended_at.is_(None))
    query = sa.select(
        access.c.client_id, access.c.reason, access.c.suspended_at, access.c.pause_until,
        sa.select(sa.func.max(promise.c.until)).where(alive).scalar_subquery(),
    ).where(access.c.client_id.in_(ids))  # fmt: skip
    return dict.fromkeys(ids, Hold()) | {client_id: Hold(*values) for client_id, *values in session().execute(query)}


def everything(scope: Scope = EVERYTHING, filters: Filters = Filters(state="all")) -> Iterator[Client]:
    """All clients that ``filters`` leaves, in the order of their ids, a few thousand in memory at a time."""
    base, last = query(scope, filters).order_by(Client.id).limit(CHUNK), 0
    while rows := session().scalars(base.where(Client.id > last)).all():
        last = rows[-1].id
        yield from rows
