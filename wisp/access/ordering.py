"""How the order to synchronise a router reaches a worker."""

from collections.abc import Collection

import sqlalchemy as sa

from wisp.core import queue
from wisp.core.db import session
from wisp.routers.models import Router

SYNC, SYNC_AWAY = "access.sync", "access.sync_away"


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
