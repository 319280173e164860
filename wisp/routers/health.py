"""How routers are: asking them (network, never inside a transaction) and writing down what was found."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa

from wisp.core import clock, events
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import session
from wisp.gateway import Connection, ErrorCode, GatewayError, Target, connect
from wisp.routers import service
from wisp.routers.models import Router
from wisp.settings import service as settings

DEADLINE = 15.0
"""Seconds that one router may take to say how it is."""
PATIENCE = 5.0
"""Seconds for an answer of one that did not answer last time."""
LEASE = timedelta(seconds=DEADLINE + 5)
"""How long a router that is being asked is left alone by others; whoever was killed meanwhile holds it no longer."""
RETRY = 30
"""Seconds between two looks at a router that does not answer, where the set interval is longer: what waits for it is to
be done within a minute of its return."""
TICK = 10
"""Seconds between two looks at who is due."""
AT_ONCE = 128
CLOCK_WARNING = 60
"""Seconds of difference between a router's clock and ours from which on the pages say so."""
UNREADABLE = "unreadable"
"""Code of a router that cannot be asked: its password was encrypted with another key."""
POLICIES = ("read", "write", "api", "test", "sensitive")
"""What our user's group on the router needs. Without `sensitive` passwords cannot be read."""
TURNED_AWAY = (ErrorCode.login.value, ErrorCode.permission.value, UNREADABLE)
"""Errors of a router that is there and does not want us: waiting brings nothing."""


@dataclass(frozen=True)
class Health:
    """What a router answered when it was asked how it is; ``error`` (an ErrorCode) is empty where all is well.

    ``cpu_load`` in per cent; ``clock_offset``: by how many seconds its clock is ahead of ours. None: it did not say.
    ``lacking``: policies that our user's group should have and has not, where that was asked.
    """

    identity: str = ""
    version: str = ""
    board: str = ""
    error: str = ""
    detail: str = ""
    cpu_load: int | None = None
    clock_offset: int | None = None
    lacking: tuple[str, ...] = ()

    @property
    def online(self) -> bool:
        """True where the router let us in and answered."""
        return not self.error


def ask(target: Target, deadline: float = DEADLINE, *, policies: bool = False) -> Health:
    """Log in and read name, version, load and clock; a failure is an answer too. One session, at most ``deadline``
    seconds. ``policies``: ask also what our user may do."""
    try:
        with connect(target, deadline=deadline) as connection:
            offset = _clock_offset(connection)
            resource = connection.resource()
            return Health(
                connection.identity(), resource.version, resource.board,
                cpu_load=resource.cpu_load, clock_offset=offset,
                lacking=_lacking(connection, target.username) if policies else (),
            )  # fmt: skip
    except GatewayError as error:
        return Health(error=error.code.value, detail=error.detail)


def _lacking(connection: Connection, username: str) -> tuple[str, ...]:
    try:
        granted = connection.policies(username)
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return ()
        raise
    return () if granted is None else tuple(name for name in POLICIES if name not in granted)


def _clock_offset(connection: Connection) -> int | None:
    """By how many seconds the router's clock is ahead of ours, at the moment of its answer."""
    try:
        told = connection.clock()
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return None
        raise
    return None if told is None else round((told - clock.now()).total_seconds())


def due() -> list[int]:
    """The routers that are to be asked again by the company's setting and whom nobody is asking; those that answered
    last time first, so that a crowd of dead ones never stands before them."""
    query = sa.select(Router.id).where(_due(clock.now())).order_by(Router.online.is_(False), Router.checked_at)
    return list(session().scalars(query))


def _due(now: datetime) -> sa.ColumnElement[bool]:
    interval = settings.company().probe_seconds
    return sa.and_(
        _free(now),
        sa.or_(
            Router.checked_at.is_(None),
            _since(interval, now),
            # A refused log-in is a line in the router's log, too: only who says nothing at all is asked more often.
            sa.and_(
                Router.online.is_(False), Router.error.not_in(TURNED_AWAY),
                _since(min(interval, RETRY), now),
            ),
        ),
    )  # fmt: skip


def _since(seconds: int, now: datetime) -> sa.ColumnElement[bool]:
    """Half a tick of tolerance: else who was asked a moment after a tick would be passed over at every second one."""
    span = timedelta(seconds=seconds - TICK / 2)
    return cast(sa.ColumnElement[bool], clock.due(Router.checked_at, span, now - span))


def _free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        Router.archived_at.is_(None),
        sa.or_(Router.probing_until.is_(None), clock.due(Router.probing_until, LEASE, now)),
    )


def claim(router_ids: list[int], *, only_due: bool) -> list[int]:
    """Take these routers for asking, in the order given: without those that somebody else is asking now and, with
    ``only_due``, those asked a short while ago. ``release`` gives them back."""
    now = clock.now()
    taken = session().scalars(
        sa.update(Router)
        .where(Router.id.in_(router_ids), _due(now) if only_due else _free(now))
        .values(probing_until=now + LEASE)
        .returning(Router.id)
        .execution_options(synchronize_session=False)
    )
    mine = set(taken)
    return [router_id for router_id in router_ids if router_id in mine]


def release(router_id: int) -> None:
    """A claimed router was asked."""
    session().execute(
        sa.update(Router)
        .where(Router.id == router_id)
        .values(probing_until=None)
        .execution_options(synchronize_session=False)
    )


def hurried(target: Target, patience: float) -> Target:
    """The same with less patience, at most ``patience`` seconds for an answer, for a router that did not answer last
    time: it must not keep anybody waiting for long."""
    return replace(
        target,
        connect_timeout=min(3.0, patience, target.connect_timeout),
        reply_timeout=min(patience, target.reply_timeout),
    )


def targets(router_ids: list[int] | None = None, *, patience: float | None = None) -> dict[int, Target | None]:
    """Where to reach these routers (all that are not archived, where None); None for one whose password was
    saved with another key: asking it would only fill its log with failed log-ins. ``patience``: at most so many
    seconds for an answer of those that did not answer last time."""
    query = sa.select(Router).where(Router.archived_at.is_(None))
    if router_ids is not None:
        query = query.where(Router.id.in_(router_ids))
    found = {}
    for router in session().scalars(query):
        target = _target_or_none(router)
        if target is not None and patience is not None and router.online is False:
            target = hurried(target, patience)
        found[router.id] = target
    return {i: found[i] for i in router_ids if i in found} if router_ids is not None else found


def _target_or_none(router: Router) -> Target | None:
    try:
        return service.target(router)
    except SecretUnreadable:
        return None


def ask_all(wanted: Mapping[int, Target | None], *, policies: bool = False) -> Iterator[tuple[int, Health, datetime]]:
    """Ask many routers at once; each answer (id, health, moment of the question) comes as soon as it is there."""
    if not wanted:
        return
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted)), thread_name_prefix="probe") as pool:
        asked = {pool.submit(_timed, target, policies): router_id for router_id, target in wanted.items()}
        for done in as_completed(asked):
            health, moment = done.result()
            yield asked[done], health, moment


def _timed(target: Target | None, policies: bool) -> tuple[Health, datetime]:
    moment = clock.now()
    return (Health(error=UNREADABLE) if target is None else ask(target, policies=policies)), moment


def record(router_id: int, health: Health, asked_at: datetime) -> None:
    """Write down what was found at ``asked_at``. An answer older than the one already known is dropped.

    Emits router_returned where the router had been offline, in the same transaction.
    """
    router = session().get(Router, router_id, with_for_update=True, populate_existing=True)
    if router is None or (router.checked_at is not None and asked_at < router.checked_at <= clock.now()):
        return
    returned = health.online and router.online is False
    if health.online:
        router.identity, router.version = health.identity[:120], health.version[:64]
        router.board = health.board[:64]
        router.offline_since, router.online_at = None, asked_at
    elif router.online is not False:
        router.offline_since = asked_at
    router.online, router.checked_at = health.online, asked_at
    router.cpu_load, router.clock_offset = health.cpu_load, health.clock_offset
    router.error, router.error_detail = health.error, health.detail[:500]
    session().flush()
    if returned:
        events.router_returned.emit(router_id=router.id)


def seen(router_id: int) -> bool:
    """A router that was believed to be off has just done what it was told: it is online. True where that is news.

    Nobody is told that it is back: whoever saw it has already given it what had waited.
    """
    now = clock.now()
    values = {
        "online": True,
        "online_at": now,
        "checked_at": now,
        "offline_since": None,
        "error": "",
        "error_detail": "",
    }
    changed = session().execute(
        sa.update(Router)
        .where(Router.id == router_id, Router.online.is_(False))
        .values(values)
        .execution_options(synchronize_session="fetch")
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]
