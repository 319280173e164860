"""How routers are: asking them (network, never inside a transaction) and writing down what was found."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from wisp.core import clock, events
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import session
from wisp.gateway import GatewayError, Target, connect
from wisp.routers import service
from wisp.routers.models import Router

DEADLINE = 15.0
"""Seconds that one router may take to say how it is."""
AT_ONCE = 32
UNREADABLE = "unreadable"
"""Code of a router that cannot be asked: its password was encrypted with another key."""


@dataclass(frozen=True)
class Health:
    """What a router answered when it was asked how it is; ``error`` (an ErrorCode) is empty where all is well."""

    identity: str = ""
    version: str = ""
    board: str = ""
    error: str = ""
    detail: str = ""

    @property
    def online(self) -> bool:
        """True where the router let us in and answered."""
        return not self.error


def ask(target: Target, deadline: float = DEADLINE) -> Health:
    """Log in and read name and version; a failure is an answer too. One session, at most ``deadline`` seconds."""
    try:
        with connect(target, deadline=deadline) as connection:
            resource = connection.resource()
            return Health(connection.identity(), resource.version, resource.board)
    except GatewayError as error:
        return Health(error=error.code.value, detail=error.detail)


def targets(router_ids: list[int] | None = None) -> dict[int, Target | None]:
    """Where to reach these routers (all that are not archived, where None); None for one whose password was
    saved with another key: asking it would only fill its log with failed log-ins."""
    query = sa.select(Router).where(Router.archived_at.is_(None))
    if router_ids is not None:
        query = query.where(Router.id.in_(router_ids))
    return {router.id: _target_or_none(router) for router in session().scalars(query)}


def _target_or_none(router: Router) -> Target | None:
    try:
        return service.target(router)
    except SecretUnreadable:
        return None


def ask_all(wanted: Mapping[int, Target | None]) -> Iterator[tuple[int, Health, datetime]]:
    """Ask many routers at once; each answer (id, health, moment of the question) comes as soon as it is there."""
    if not wanted:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted)), thread_name_prefix="probe") as pool:
        asked = {pool.submit(_timed, target): router_id for router_id, target in wanted.items()}
        for done in as_completed(asked):
            health, moment = done.result()
            yield asked[done], health, moment


def _timed(target: Target | None) -> tuple[Health, datetime]:
    moment = clock.now()
    return (Health(error=UNREADABLE) if target is None else ask(target)), moment


def record(router_id: int, health: Health, asked_at: datetime) -> None:
    """Write down what was found at ``asked_at``. An answer older than the one already known is dropped.

    Emits router_returned where the router had been offline, in the same transaction.
    """
    router = session().get(Router, router_id, with_for_update=True, populate_existing=True)
    if router is None or (router.checked_at is not None and router.checked_at > asked_at):
        return
    returned = health.online and router.online is False
    if health.online:
        router.identity, router.version = health.identity[:120], health.version[:64]
        router.offline_since, router.online_at = None, asked_at
    elif router.online is not False:
        router.offline_since = asked_at
    router.online, router.checked_at = health.online, asked_at
    router.error, router.error_detail = health.error, health.detail[:500]
    session().flush()
    if returned:
        events.router_returned.emit(router_id=router.id)
