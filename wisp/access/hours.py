"""Cuts that wait for the hours in which clients may be cut. Reactivations and notices never wait for them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

import sqlalchemy as sa

from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import clock
from wisp.core.db import session
from wisp.invoices import service as invoices
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.models import BillingSchedule
from wisp.settings import service as settings

HOURS = frozenset({"cut_from", "cut_until", "cut_days", "timezone"})
"""The company's values on which these hours depend."""


def opens_at(timezone: str) -> datetime | None:
    """When a client whose schedule is in this time zone ("" = the company's) may next be cut, by its clock; None where
    it may be cut now."""
    allowed, now = settings.cut_hours(), clock.now()
    tz = schedules.stored_zone(timezone)
    return None if allowed.always or allowed.allow(now, tz) else allowed.next_allowed(now, tz).astimezone(tz)


def held(router_id: int) -> dict[int, datetime]:
    """Clients of a router who are to be cut for debt and may not be cut now, each with the moment when they may.

    Whoever is cut already stays so, and a cut whose command went out in time is brought to its end.
    """
    return {client_id: until for _router_id, client_id, until in _held([router_id])}


def count_held(router_ids: Collection[int]) -> Counter[int]:
    """How many such clients each of these routers has."""
    return Counter(router_id for router_id, _client_id, _until in _held(router_ids))


def _held(router_ids: Collection[int]) -> Iterator[tuple[int, int, datetime]]:
    """Router, client, and the moment when it may be cut."""
    if settings.cut_hours().always:
        return
    query = (
        sa.select(Access.router_id, Access.client_id, BillingSchedule.timezone)
        .join(Client, Client.id == Access.client_id)
        .join(Zone, Zone.id == Client.zone_id)
        .join(BillingSchedule, invoices.schedule_of_client())
        .where(
            Access.router_id.in_(router_ids),
            Access.suspended,
            Access.reason == "debt",
            ~Access.applied_suspended,
            Access.sent_version != Access.wanted_version,
            Client.cancelled_at.is_(None),
        )
    )
    moments: dict[str, datetime | None] = {}
    for router_id, client_id, timezone in session().execute(query):
        if timezone not in moments:
            moments[timezone] = opens_at(timezone)
        if (until := moments[timezone]) is not None:
            yield router_id, client_id, until


def routers_with_cuts_open() -> list[int]:
    """Routers with a cut that is not on them yet."""
    query = sa.select(Access.router_id).where(Access.suspended, ~Access.applied_suspended).distinct()
    return list(session().scalars(query))


def earliest(held: Mapping[int, datetime], planned: datetime | None) -> datetime | None:
    """When to look at a router again: at ``planned``, or sooner where a cut that waits may be made sooner."""
    moments = [*held.values(), *([planned] if planned is not None else [])]
    return min(moments, default=None)
