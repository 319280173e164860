"""Times in which a router cannot be used: what waits for it, and the e-mails about it. Each thing is told once.

Three kinds of e-mail go to the alert addresses: ``alert_router_waiting`` (work of a task waits; those that begin
together are told together), ``alert_router_off`` (off for longer than the company's setting) and
``alert_router_back`` (over, with what was applied). Attempts that fail again send none.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from wisp.access import ordering
from wisp.access.domain import Outcome
from wisp.access.models import Outage, OutageTask, RouterSync
from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import after_commit, insert_into, session
from wisp.outbox import service as outbox
from wisp.routers.models import Router, Zone
from wisp.schedules.models import PeriodicTask
from wisp.settings import service as settings

TOGETHER = timedelta(seconds=60)
"""How long an e-mail waits at most for others that begin with it."""
NAMED = 20
"""How many clients an e-mail names."""
ALERTS = "access.alerts"

_run = sa.table("task_run", sa.column("id"), sa.column("task_id"), sa.column("state"))
_item = sa.table("run_item", sa.column("run_id"), sa.column("client_id"), sa.column("state"))


def current(router_id: int) -> Outage | None:
    """The outage that this router is in."""
    return session().scalar(sa.select(Outage).where(Outage.router_id == router_id, Outage.ended_at.is_(None)))


def begin(router_id: int, error: str, since: datetime) -> Outage:
    """The router's open outage: the one that is there, or a new one since that moment."""
    values = {"router_id": router_id, "started_at": since, "error": error[:16]}
    session().execute(insert_into(Outage).values(values).on_conflict_do_nothing())
    outage = current(router_id)
    if outage is None:  # only one writer at a time ends or begins an outage of a router
        raise RuntimeError(f"no outage of router {router_id} after making one")
    return outage


def note_waiting(
    router_id: int, task_id: int, run_id: int, client_ids: Collection[int] | sa.Select[Any] | None = None
) -> None:
    """Work of this task waits for the router: the alert addresses are told once in this outage.

    ``client_ids``: who waits; None = those whose items of the run wait. Tell again as often as you like; outside
    an outage one begins.
    """
    outage = current(router_id) or begin(router_id, "", clock.now())
    if client_ids is None:
        client_ids = sa.select(_item.c.client_id).where(_item.c.run_id == run_id, _item.c.state == "waiting")
    count, codes = _who(client_ids)
    values = {
        "outage_id": outage.id, "task_id": task_id, "run_id": run_id, "waiting": count, "clients": codes,
        "noted_at": clock.now(),
    }  # fmt: skip
    session().execute(insert_into(OutageTask).values(values).on_conflict_do_nothing())
    after_commit(_enqueue_alerts)


def _enqueue_alerts() -> None:
    queue.enqueue(ALERTS, key=ALERTS)


def _who(client_ids: Collection[int] | sa.Select[Any]) -> tuple[int, list[str]]:
    """How many clients wait, and the codes of the first of them."""
    some = client_ids if isinstance(client_ids, sa.Select) else sorted(client_ids)[:NAMED]
    query = sa.select(Client.code).where(Client.id.in_(some)).order_by(Client.code).limit(NAMED)
    codes = list(session().scalars(query))
    if not isinstance(client_ids, sa.Select):
        return len(client_ids), codes
    everybody = sa.select(sa.func.count()).select_from(Client).where(Client.id.in_(client_ids))
    return session().scalar(everybody) or 0, codes


def tell_waiting(outage_id: int | None = None) -> None:
    """One e-mail for all work that waits and was not told yet (of one outage, where given, and then at once).

    While something is under way that may find a router off in the same minute, its news is waited for.
    """
    query = (
        sa.select(OutageTask)
        .where(OutageTask.alerted_at.is_(None))
        .order_by(OutageTask.id)
        .with_for_update(skip_locked=True)
    )
    if outage_id is not None:
        query = query.where(OutageTask.outage_id == outage_id)
    news = session().scalars(query).all()
    if not news or (outage_id is None and _wait_for_more(news[0].noted_at)):
        return
    now = clock.now()
    for item in news:
        item.alerted_at = now
    session().flush()
    _alert("alert_router_waiting", _describe(news))


def _alert(kind: str, routers: list[dict[str, Any]]) -> None:
    """One e-mail about these routers: the first in the data itself, the others under ``more``."""
    if routers:
        outbox.alert(kind, {**routers[0], "more": routers[1:]})


def _wait_for_more(since: datetime) -> bool:
    now = clock.now()
    if clock.since(since, TOGETHER):
        return False
    at_work = sa.or_(sa.and_(RouterSync.requested > RouterSync.done, RouterSync.error == ""), ~ordering.unleased(now))
    runs = (
        sa.select(_run.c.id)
        .join(PeriodicTask, PeriodicTask.id == _run.c.task_id)
        .where(_run.c.state.in_(("queued", "running")), PeriodicTask.kind.in_(("notice", "cut")))
    )
    for query in (sa.select(RouterSync.router_id).where(at_work), runs):
        if session().scalar(query.limit(1)) is not None:
            return True
    return False


def _describe(news: Iterable[OutageTask]) -> list[dict[str, Any]]:
    """For the e-mail: each outage with its router and its tasks; a task names its zone, or its client's."""
    own = sa.orm.aliased(Zone)
    query = (
        sa.select(OutageTask, Outage, Router, PeriodicTask, sa.func.coalesce(Zone.name, own.name), Client.code)
        .join(Outage, Outage.id == OutageTask.outage_id)
        .join(Router, Router.id == Outage.router_id)
        .join(PeriodicTask, PeriodicTask.id == OutageTask.task_id)
        .outerjoin(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
        .outerjoin(Client, Client.schedule_id == PeriodicTask.schedule_id)
        .outerjoin(own, own.id == Client.zone_id)
        .where(OutageTask.id.in_([item.id for item in news]))
        .order_by(sa.func.lower(Router.name), OutageTask.id)
    )
    outages: dict[int, dict[str, Any]] = {}
    for item, outage, router, task, zone, client in session().execute(query):
        told = outages.setdefault(outage.id, {**_router(router, outage), "tasks": []})
        told["tasks"].append(
            {
                "kind": task.kind, "zone": zone or "", "client": client or "", "run": item.run_id,
                "clients": item.waiting, "codes": item.clients or [],
            }
        )  # fmt: skip
    return list(outages.values())


def _router(router: Router, outage: Outage) -> dict[str, Any]:
    return {
        "router": router.name, "host": router.host, "since": outage.started_at.isoformat(),
        "error": outage.error or router.error, "detail": router.error_detail,
    }  # fmt: skip


def end(router_id: int, outcomes: Collection[Outcome] = (), held: int = 0) -> None:
    """The router was synchronised: its outage, if any, is over. Tell what was applied, where the outage was told.

    ``held``: cuts that still wait, for the hours in which they are allowed.
    """
    outage = current(router_id)
    if outage is None:
        return
    tell_waiting(outage.id)
    outage.ended_at = clock.now()
    session().flush()
    tasks = session().scalars(sa.select(OutageTask).where(OutageTask.outage_id == outage.id)).all()
    if outage.alerted_at is None and not tasks:
        return
    written = Counter(outcome.wanted for outcome in outcomes if outcome.state == "written")
    described = _describe(tasks)
    router = session().get_one(Router, router_id)
    told = {
        **_router(router, outage), "until": outage.ended_at.isoformat(),
        "cut": written["cut"], "notified": written["notice"], "restored": written["none"],
        "lapsed": sum(outcome.state == "unchanged" and outcome.wanted == "none" for outcome in outcomes),
        "not_enforced": sum(outcome.state == "written" and not outcome.enforced for outcome in outcomes),
        "failed": sum(outcome.state == "failed" for outcome in outcomes), "held": held,
        "tasks": described[0]["tasks"] if described else [],
    }  # fmt: skip
    _alert("alert_router_back", [told])


def watch() -> list[int]:
    """What each tick does: outages begin for routers found off, and long ones are told in one e-mail.

    Returns the routers that answer again although their outage stands open with nothing on its way to end it.
    """
    now = clock.now()
    off = sa.select(Router).where(Router.archived_at.is_(None), Router.online.is_(False))
    open_ones = sa.select(Outage.router_id).where(Outage.ended_at.is_(None))
    for router in session().scalars(off.where(Router.id.not_in(open_ones)).order_by(Router.id)):
        begin(router.id, router.error, router.offline_since or now)
    archived = sa.select(Router.id).where(Router.archived_at.is_not(None))
    session().execute(
        sa.update(Outage)
        .where(Outage.ended_at.is_(None), Outage.router_id.in_(archived))
        .values(ended_at=now)
        .execution_options(synchronize_session=False)
    )
    _tell_off(now)
    tell_waiting()
    idle = sa.or_(
        RouterSync.router_id.is_(None),
        sa.and_(RouterSync.requested <= RouterSync.done, RouterSync.next_attempt_at.is_(None)),
    )
    answering = (
        sa.select(Router.id)
        .join(Outage, Outage.router_id == Router.id)
        .outerjoin(RouterSync, RouterSync.router_id == Router.id)
        .where(Outage.ended_at.is_(None), Router.online.is_(True), idle)
    )
    return list(session().scalars(answering))


def _tell_off(now: datetime) -> None:
    long_enough = clock.since(Outage.started_at, timedelta(minutes=settings.company().outage_minutes))
    query = (
        sa.select(Outage, Router)
        .join(Router, Router.id == Outage.router_id)
        .where(Outage.ended_at.is_(None), Outage.alerted_at.is_(None), long_enough)
        .order_by(sa.func.lower(Router.name))
        .with_for_update(of=Outage, skip_locked=True)
    )
    told = []
    for outage, router in session().execute(query):
        outage.alerted_at = now
        told.append({**_router(router, outage), "minutes": int((now - outage.started_at).total_seconds() // 60)})
    session().flush()
    _alert("alert_router_off", told)
