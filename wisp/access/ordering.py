"""How the order to synchronise a router reaches a worker, and when one may begin."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from wisp.access.models import RouterSync
from wisp.core import clock, queue
from wisp.core.db import session
from wisp.core.lease import LEASE
from wisp.routers.models import Router

SYNC, SYNC_AWAY = "access.sync", "access.sync_away"
LONGEST_PAUSE = timedelta(minutes=20)
"""After a failure, with its spread."""
LONGEST_HOURS = timedelta(days=8)
"""What is not failed but waits for the hours in which cuts are allowed may do so for a week."""


def enqueue_syncs(router_ids: Collection[int], *, force: bool) -> None:
    """Enqueue the synchronisation of routers, one waiting job for each; those that did not answer last time come after
    all others, and are asked together whether they do now. ``force``: without regard to a pause."""
    queue.enqueue_many(_calls(router_ids, force))


def enqueue_syncs_after_commit(router_ids: Collection[int], *, force: bool) -> None:
    """The same once the present transaction has committed; nothing is read then any more."""
    queue.enqueue_after_commit(_calls(router_ids, force))


def _calls(router_ids: Collection[int], force: bool) -> list[queue.Call]:
    kind, off = "now" if force else "due", silent(router_ids)
    return [
        (SYNC_AWAY if router_id in off else SYNC, (router_id, force), f"sync-{router_id}-{kind}")
        for router_id in router_ids
    ]


def silent(router_ids: Collection[int]) -> set[int]:
    """Those of these routers that did not answer last time."""
    return set(session().scalars(sa.select(Router.id).where(Router.id.in_(router_ids), Router.online.is_(False))))


def unleased(now: datetime | None = None) -> ColumnElement[bool]:
    """Over RouterSync: nobody works at the router."""
    return sa.or_(RouterSync.lease_until.is_(None), clock.due(RouterSync.lease_until, LEASE, now))


def rested(now: datetime | None = None) -> ColumnElement[bool]:
    """Over RouterSync: no pause runs."""
    at, failed = RouterSync.next_attempt_at, RouterSync.attempts > 0
    return sa.or_(
        at.is_(None),
        sa.and_(failed, clock.due(at, LONGEST_PAUSE, now)),
        sa.and_(~failed, clock.due(at, LONGEST_HOURS, now)),
    )
