"""The synchronisation of a router, as the database sees it: claim, plan, record. The jobs put the talking between.

Level-triggered: nothing says which clients changed. What is wanted is read when the work begins, so a hundred orders
are one synchronisation, and an order that comes meanwhile makes one more round. The lease lets one job at a time in;
whoever lost it (its time ran out) records nothing.
"""

import json
import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import cast

import sqlalchemy as sa

from wisp.access import answers, hours, left, ordering, outages, service
from wisp.access.domain import Lists, Outcome, SyncReport, pause
from wisp.access.knocking import PATIENCE
from wisp.access.levers import Lever
from wisp.access.models import Access, RouterSync
from wisp.access.plan import Applied, Left, Plan, Record, Result, Subject
from wisp.access.rules import verdicts
from wisp.clients.models import Client, ClientNetwork
from wisp.core import clock, events, queue
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import NOBODY, after_commit, session, update_each
from wisp.core.lease import LEASE
from wisp.gateway import ErrorCode, Target
from wisp.routers import health
from wisp.routers import service as routers
from wisp.routers.models import Router, Zone
from wisp.settings import service as settings

_KEPT_OUT = frozenset(code.value for code in (
    ErrorCode.unreachable, ErrorCode.refused, ErrorCode.silent, ErrorCode.login, ErrorCode.tls,
))  # fmt: skip
"""Errors of a connection that could not be opened: after a break the next one may fail so."""
_REFUSED = frozenset((ErrorCode.trap.value, ErrorCode.permission.value))
"""The router answered: it is there, but will not."""
_RECORDED = (
    "applied_version", "applied_suspended", "applied_notice", "applied_address", "applied_address6",
    "applied_router_id", "foreign", "error",
)  # fmt: skip
"""What is recorded of a client beside its lever, in the order of ``_values``."""
SESSION_PAUSE = timedelta(seconds=30)
WAIT_PAUSE = timedelta(minutes=15)
"""How often it is looked whether somebody has logged in who is to see a notice."""
JITTER = 0.2


class LeaseLost(Exception):
    """Another job works at this router now; what this one learned counts no more."""


def claim(router_id: int, owner: str, *, force: bool) -> int | None:
    """Take the lease of a router; the number of the last order, or None where there is nothing for us to do.

    Nothing to do: all orders are done, another job is at it (it will see the new orders), a pause runs and
    ``force`` is not given, or the router is archived.
    """
    order = _take(router_id, owner, force=force)
    if order is None and service.ensure_sync(router_id):
        order = _take(router_id, owner, force=force)
    return order


def _take(router_id: int, owner: str, *, force: bool) -> int | None:
    free = sa.or_(ordering.unleased(), RouterSync.lease_owner == owner)
    rested = sa.or_(ordering.rested(), sa.literal(force))
    something = sa.or_(RouterSync.requested > RouterSync.done, RouterSync.next_attempt_at.is_not(None))
    alive = RouterSync.router_id.in_(sa.select(Router.id).where(Router.archived_at.is_(None)))
    return session().scalar(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id, free, rested, something, alive)
        .values(lease_owner=owner, lease_until=clock.now() + LEASE)
        .returning(RouterSync.requested)
        .execution_options(synchronize_session=False)
    )


def renew(router_id: int, owner: str) -> None:
    """Keep the lease. Raises LeaseLost."""
    _update_own(router_id, owner, lease_until=clock.now() + LEASE)


def release(router_id: int, owner: str) -> None:
    """Give the lease back where it is still ours, after an error of our own."""
    session().execute(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id, RouterSync.lease_owner == owner)
        .values(lease_owner="", lease_until=None)
        .execution_options(synchronize_session=False)
    )


def _update_own(router_id: int, owner: str, **values: object) -> int:
    requested = session().scalar(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id, RouterSync.lease_owner == owner)
        .values(**values)
        .returning(RouterSync.requested)
        .execution_options(synchronize_session=False)
    )
    if requested is None:
        raise LeaseLost(router_id)
    return requested


# Planning --------------------------------------------------------------------------------------------


def unnoted(plan: Plan) -> dict[str, object]:
    """What must be noted of a router before anything is sent to it, where it is not yet.

    The names of the lists, so that lists renamed later are emptied; and that the IPv6 lists hold something, so that
    they are read until they do not.
    """
    ipv6 = plan.ipv6 or any(subject.wanted != "none" and subject.has_ipv6 for subject in plan.subjects)
    lists = json.dumps(plan.lists.names)
    return {} if (lists, ipv6) == (plan.noted, plan.ipv6) else {"lists": lists, "ipv6": ipv6}


def note(plan: Plan, owner: str, values: dict[str, object]) -> None:
    """Note it. Raises LeaseLost."""
    _update_own(plan.router_id, owner, **values)


def read_plan(router_id: int, order: int = 0) -> Plan:
    """What is wanted on a router now. Only reads."""
    router = session().get_one(Router, router_id)
    company = settings.company()
    query = sa.select(RouterSync.lists, RouterSync.ipv6).where(RouterSync.router_id == router_id)
    known = session().execute(query).one_or_none()
    former, ipv6 = (known.lists, known.ipv6) if known is not None else ("", False)
    lists = Lists(company.list_overdue, company.list_notice, tuple(json.loads(former or "[]")))
    held = hours.held(router_id)
    return Plan(
        router_id, order, _target(router), lists, _subjects(router_id, held), held,
        pppoe_cut=router.pppoe_cut, ipv6=ipv6, left=left.of_router(router_id), noted=former,
    )  # fmt: skip


def mind_ipv6(router_id: int) -> None:
    """Let the next synchronisation look at all: see Plan.ipv6."""
    service.ensure_sync(router_id)
    session().execute(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id)
        .values(ipv6=True)
        .execution_options(synchronize_session=False)
    )


def _target(router: Router) -> Target | None:
    """Where to reach the router; with little patience where it did not answer last time, as it may fall silent again
    between the knock and this."""
    try:
        target = routers.target(router)
    except SecretUnreadable:
        return None
    return health.hurried(target, PATIENCE) if router.online is False else target


def _subjects(router_id: int, held: Collection[int]) -> list[Subject]:
    """Everybody on the router who belongs on a list or whose last change it has not confirmed. Whose cut is ``held``
    wants what stands."""
    query = (
        sa.select(
            Access.client_id, Client.code, Client.connection, Client.address, Client.address6, Client.username,
            Client.mac, Client.cancelled_at.is_not(None), Access.suspended, Access.notice, Access.wanted_version,
            Access.applied_version, Access.sent_version, Access.applied_router_id, Access.applied_suspended,
            Access.applied_notice, Access.applied_address, Access.applied_address6, Access.foreign, Access.error,
            Access.lever, Access.lever_name, Access.lever_before,
        )
        .join(Client, Client.id == Access.client_id)
        # The zones say it once more, for PostgreSQL, which would read the whole table of clients instead.
        .where(service.concerned(router_id), Client.zone_id.in_(sa.select(Zone.id).where(Zone.router_id == router_id)))
        .order_by(Access.client_id)
    )  # fmt: skip
    networks: dict[int, list[str]] = defaultdict(list)
    further = sa.select(ClientNetwork.client_id, ClientNetwork.network).where(ClientNetwork.router_id == router_id)
    for client_id, network in session().execute(further.order_by(ClientNetwork.network)):
        networks[client_id].append(network)
    subjects = []
    for (  # taken apart in one go: a row's columns by name take three times as long
        client_id, code, connection, address, address6, username, mac, gone, suspended, notice, version,
        applied_version, sent_version, applied_router_id, applied_cut, applied_notice, applied_address,
        applied_address6, foreign, error, lever, lever_name, lever_before,
    ) in session().connection().execute(query):  # fmt: skip
        here = applied_router_id == router_id
        stands = "notice" if applied_notice else "none"
        belongs = "cut" if suspended else "notice" if notice else "none"
        wanted = "none" if gone else stands if client_id in held else belongs
        subjects.append(
            Subject(
                client_id=client_id,
                code=code,
                connection=connection,
                address=address or None,
                username=username,
                wanted=wanted,
                version=version,
                applied_version=applied_version,
                here=here,
                cut=applied_cut,
                notice=applied_notice,
                applied_address=applied_address if here else None,
                foreign=foreign,
                error=error,
                sent=sent_version == version,
                address6=address6 or None,
                mac=mac,
                applied_address6=applied_address6 if here else None,
                lever=Lever(lever, lever_name, lever_before),
                gone=gone,
                networks=tuple(networks.get(client_id, ())),
            )
        )
    return subjects


def rehearse() -> None:
    """Put to the database what a synchronisation asks of it, for no router. See queue.rehearsal."""
    _take(NOBODY, "", force=True)
    service.unwarranted(NOBODY)
    session().get(Router, NOBODY)
    _subjects(NOBODY, ())
    left.of_router(NOBODY)
    outages.current(NOBODY)
    _store(Plan(NOBODY, 0, None, Lists("", ""), ()), Result(reached=True), ())


# Recording -------------------------------------------------------------------------------------------


def remember(plan: Plan, owner: str, records: Sequence[Record]) -> list[Left]:
    """Write down levers before they are moved (see left.write_down). Raises LeaseLost."""
    found = left.write_down(plan.router_id, records)
    renew(plan.router_id, owner)  # after the clients' rows, as everybody who locks both
    return found


def changes(plan: Plan, result: Result) -> list[dict[str, object]]:
    """What is to be written of each client whose row says something else than the router confirmed. Apart from
    ``record``, so that it is reckoned before the lock for writing is taken."""
    found = []
    for subject in plan.subjects if result.reached else ():
        applied = result.clients.get(subject.client_id)
        if applied is None or subject.client_id in plan.held:  # those who are held only kept what stood
            continue
        new = _values(plan, subject, applied)
        if new is not None:
            found.append({"client_id": subject.client_id, **new})
    return found


def record(plan: Plan, result: Result, changed: Sequence[dict[str, object]], owner: str, *, keep: bool = True) -> bool:
    """Write down what came of it (``changed``: see ``changes``), in one transaction with what follows from it (the
    event, outage, e-mails).

    True where more was ordered meanwhile: with ``keep`` the lease stays ours and another round is due.
    Raises LeaseLost.
    """
    row = (
        session()
        .execute(
            sa.select(RouterSync.attempts, RouterSync.next_attempt_at, RouterSync.requested).where(
                RouterSync.router_id == plan.router_id, RouterSync.lease_owner == owner
            )
        )
        .one_or_none()
    )
    if row is None:
        raise LeaseLost(plan.router_id)
    left_over = result.leftovers or any(applied.outcome.state == "failed" for applied in result.clients.values())
    for client_id in plan.held:
        result.clients.pop(client_id, None)
    outcomes = _outcomes(plan, result)
    if result.reached:
        outages.end(plan.router_id, outcomes.values(), len(plan.held))
    else:
        _not_reached(plan, result)
    events.router_synced.emit(
        router_id=plan.router_id,
        report=SyncReport(plan.order, result.reached, result.error, result.detail, outcomes, plan.held),
    )
    if result.reached:
        answers.record(plan, outcomes)
        _store(plan, result, changed)
    else:
        _mark_sent(plan, result)
    again = result.reached and row.requested > plan.order and keep
    values = _next_attempt(row.attempts, row.next_attempt_at, result)
    if result.reached and plan.held:
        planned = cast(datetime | None, values.get("next_attempt_at", row.next_attempt_at))
        values["next_attempt_at"] = hours.earliest(plan.held, planned)
    if result.reached:
        values |= {
            "done": plan.order,
            "synced_at": clock.now(),
            "lists": json.dumps([plan.lists.cut, plan.lists.notice]),
            "ipv6": result.ipv6,
        }
        if left_over:  # a list that was renamed may still hold what could not be taken off
            values["lists"] = json.dumps(plan.lists.names)
    if not again:
        values |= {"lease_owner": "", "lease_until": None}
    requested = _update_own(plan.router_id, owner, **values)
    if not again and requested > plan.order:
        # Ordered meanwhile, and its own job found the lease taken: it is to have its answer too, at once.
        service.enqueue_syncs_after_commit([plan.router_id], force=True)
    return again


SWITCHES = ("disable", "hotspot")
"""Levers that cut by themselves, the user being switched off; the others only put an address on a list."""


def _outcomes(plan: Plan, result: Result) -> dict[int, Outcome]:
    """What was done for each client, and whether the router's rules do anything about it."""
    unread = verdicts.of_router(plan.router_id).unread
    found = {client_id: applied.outcome for client_id, applied in result.clients.items()}
    for client_id, applied in result.clients.items() if unread else ():
        outcome = applied.outcome
        name = "cut6" if outcome.wanted == "cut" and not outcome.address and not applied.lever.kind else outcome.wanted
        if name in unread and outcome.state in ("written", "unchanged") and applied.lever.kind not in SWITCHES:
            found[client_id] = outcome._replace(enforced=False)
    return found


def _next_attempt(attempts: int, planned: datetime | None, result: Result) -> dict[str, object]:
    """When to try again by itself: growing pauses while something fails. An attempt that a person ordered in a pause
    makes the pause neither longer nor shorter."""
    now = clock.now()
    failed = (
        not result.reached
        or result.leftovers
        or any(applied.outcome.state == "failed" for applied in result.clients.values())
    )
    values: dict[str, object] = {"error": result.error[:16], "error_detail": result.detail[:500]}
    if not failed:
        waits = any(applied.outcome.state == "waits" for applied in result.clients.values())
        rest = SESSION_PAUSE if result.look_again else WAIT_PAUSE if waits else None
        return values | {"attempts": 0, "next_attempt_at": None if rest is None else now + rest}
    if planned is not None and planned > now and attempts:
        return values
    seconds = pause(attempts + 1) * (1 + JITTER * random.random())  # noqa: S311  (spreads the load, keeps no secret)
    return values | {"attempts": attempts + 1, "next_attempt_at": now + timedelta(seconds=seconds)}


def _not_reached(plan: Plan, result: Result) -> None:
    """Write down that the router is off, where it let us in no more; where it broke off in the middle, ask it."""
    now = clock.now()
    if not result.logged_in or result.error in _KEPT_OUT:
        health.record(plan.router_id, health.Health(error=result.error, detail=result.detail), now)
    elif result.error not in _REFUSED:
        after_commit(lambda: _enqueue_probe(plan.router_id))
    router = session().get_one(Router, plan.router_id)
    outages.begin(plan.router_id, result.error, router.offline_since or now)


def _store(plan: Plan, result: Result, changed: Sequence[dict[str, object]]) -> None:
    """Write what the router confirmed."""
    now = clock.now()
    # Nobody else settles a change, so that those who were read are still among these.
    service.lock(service.concerned(plan.router_id))
    # A client who moved meanwhile is the other router's to record.
    update_each(Access, changed, Access.router_id == plan.router_id, by=["client_id"], applied_at=now)
    if result.undone:
        left.forget(plan.router_id, result.undone)
    if not result.leftovers:
        # Clients who are on another router by now have nothing left here.
        session().execute(
            sa.update(Access)
            .where(Access.applied_router_id == plan.router_id, Access.router_id != Access.applied_router_id)
            .values(
                applied_suspended=False,
                applied_notice=False,
                applied_address=None,
                applied_address6=None,
                applied_router_id=None,
            )
            .execution_options(synchronize_session=False)
        )
    if health.seen(plan.router_id):  # the probe writes what it is called now
        after_commit(lambda: _enqueue_probe(plan.router_id))


def _enqueue_probe(router_id: int) -> None:
    queue.enqueue("routers.probe", router_id, key=f"probe-{router_id}")


def _values(plan: Plan, subject: Subject, applied: Applied) -> dict[str, object] | None:
    """The recorded state of a client after this synchronisation; None where the record says so already.

    Settled is only what the router confirmed in the version that was read: a change since then stays open.
    """
    outcome = applied.outcome
    failed = outcome.state in ("failed", "waits")
    version = subject.version
    if failed:
        version = subject.applied_version if not subject.settled else subject.version - 1
    stands = applied.cut or applied.notice
    new = (
        version, applied.cut, applied.notice, outcome.address if stands else None,
        applied.address6 if stands else None, plan.router_id if stands else None, outcome.foreign, outcome.detail,
    )  # fmt: skip
    old = (
        subject.applied_version, subject.cut, subject.notice, subject.applied_address,
        subject.applied_address6, plan.router_id if subject.here else None, subject.foreign, subject.error,
    )  # fmt: skip
    if new == old and applied.lever == subject.lever:
        return None
    return {**dict(zip(_RECORDED, new, strict=True)), **left.values_of(applied.lever)}


def _mark_sent(plan: Plan, result: Result) -> None:
    """Remember for whom commands went out unconfirmed: what is found as wanted next time is our own work."""
    marks = [
        {"client_id": s.client_id, "sent_version": s.version}
        for s in plan.subjects
        if s.client_id in result.sent and not s.settled and s.client_id not in plan.held
    ]
    service.lock_all([mark["client_id"] for mark in marks])
    update_each(Access, marks, by=["client_id"])
