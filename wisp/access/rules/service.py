"""Orders for the rules of a router, and what they are made of. Never commits, never talks to a router."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from wisp.access.models import Access, RouterRules
from wisp.access.rules import checks, talk
from wisp.access.rules.wanted import RAW, Rule, Settings, generate
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import after_commit, insert_into, session
from wisp.gateway import GatewayError, Resource, Target
from wisp.routers import service as routers
from wisp.routers.models import Router
from wisp.settings import service as company_settings

JOB = "access.rules"
UNREADABLE = "unreadable"
"""Code of a router whose password was saved with another key."""
PATIENCE = 600
"""Seconds after which an order that nobody has worked on is shown as lost."""


@dataclass(frozen=True)
class Order:
    """The last order for a router's rules as a page shows it. ``failures``: what the router refused, by key."""

    action: str
    open: bool
    asked_at: datetime
    done_at: datetime | None
    good: bool
    error: str
    detail: str
    failures: dict[str, str]


def settings() -> Settings:
    """What the rules are made of, by the company's settings."""
    company = company_settings.company()
    return Settings(
        cut=company.list_overdue,
        notice=company.list_notice,
        seen=company.list_seen,
        allowed=company.list_allowed,
        dns=company.list_dns,
        servers=company.page_servers.split(),
        payments=company.payment_hosts.split(),
        resolvers=company.resolvers.split(),
        cut_port=company.page_port_cut,
        notice_port=company.page_port_notice,
        seen_hours=company.seen_hours,
    )


def rules_of(router: Router) -> list[Rule]:
    """The rules for a router by the version that it last told; version 7 where it was never asked."""
    release = Resource(router.version, "", "", None).release or (7,)
    return generate(settings(), release)


def order(router: Router, action: str) -> None:
    """Order that the rules of a router be installed (``install``) or taken away (``remove``), by a job."""
    now = clock.now()
    statement = insert_into(RouterRules).values(
        router_id=router.id, action=action, asked=1, done=0, asked_at=now, good=False, error="", detail=""
    )
    session().execute(
        statement.on_conflict_do_update(
            index_elements=[RouterRules.router_id],
            set_={"action": action, "asked": RouterRules.asked + 1, "asked_at": now},
        )
    )
    audit.record(f"router.rules_{action}", f"router:{router.name}")
    router_id = router.id
    after_commit(lambda: enqueue([router_id]))


def enqueue(router_ids: Iterable[int]) -> None:
    """Have a worker carry out the orders of these routers; one waiting job for each is enough."""
    queue.enqueue_many([(JOB, (router_id,), f"rules-{router_id}") for router_id in router_ids])


def last_order(router_id: int) -> Order | None:
    """The last order; None where there was none."""
    row = session().get(RouterRules, router_id, populate_existing=True)
    if row is None:
        return None
    waits = row.asked > row.done
    lost = waits and clock.since(row.asked_at, timedelta(seconds=PATIENCE))
    return Order(
        row.action, waits and not lost, row.asked_at, row.done_at, row.good and not lost,
        "lost" if lost else row.error, row.detail, row.failures or {},
    )  # fmt: skip


def unfinished() -> list[int]:
    """Routers with an order that is not worked on yet: its job may have been lost."""
    return list(session().scalars(sa.select(RouterRules.router_id).where(RouterRules.asked > RouterRules.done)))


@dataclass(frozen=True)
class Task:
    """What a job needs to carry out an order. ``target`` None: the router's password cannot be read."""

    router_id: int
    number: int
    action: str
    target: Target | None
    settings: Settings


def task(router_id: int) -> Task | None:
    """The open order of a router; None where it is done. Only reads."""
    row = session().get(RouterRules, router_id, populate_existing=True)
    if row is None or row.asked <= row.done:
        return None
    return Task(router_id, row.asked, row.action, target(session().get_one(Router, router_id)), settings())


def target(router: Router) -> Target | None:
    """Where to reach a router; None where its password cannot be read."""
    try:
        return routers.target(router)
    except SecretUnreadable:
        return None


def carry_out(task: Task) -> dict[str, Any]:
    """Talk to the router as ordered; how it ended, as columns of RouterRules. Network only."""
    if task.target is None:
        return {"good": False, "error": UNREADABLE, "detail": "", "failures": None}
    try:
        done = talk.install(task.target, task.settings) if task.action == "install" else talk.uninstall(task.target)
    except GatewayError as error:
        return {"good": False, "error": error.code.value, "detail": error.detail[:500], "failures": None}
    return {"good": done.good, "error": "", "detail": "", "failures": done.failures or None}


def record(task: Task, outcome: dict[str, Any]) -> None:
    """Write down how an order ended, unless a later one has been dealt with already."""
    session().execute(
        sa.update(RouterRules)
        .where(RouterRules.router_id == task.router_id, RouterRules.done < task.number)
        .values(done=task.number, done_at=clock.now(), **outcome)
        .execution_options(synchronize_session=False)
    )


def duplicates(router_id: int) -> dict[str, list[str]]:
    """Addresses that several clients of a router have, fixed or as last written there; each with their codes."""
    alive = sa.and_(Client.router_id == router_id, Client.cancelled_at.is_(None))
    fixed = sa.select(Client.address.label("address"), Client.code).where(alive, Client.address.is_not(None))
    applied = (
        sa.select(Access.applied_address, Client.code)
        .join(Client, Client.id == Access.client_id)
        .where(alive, Access.applied_router_id == router_id, Client.address.is_(None))
        .where(Access.applied_address.is_not(None))
    )
    both = sa.union(fixed, applied).subquery()
    shared = sa.select(both.c.address).group_by(both.c.address).having(sa.func.count() > 1)
    query = sa.select(both.c.address, both.c.code).where(both.c.address.in_(shared)).order_by(both.c.code)
    found: dict[str, list[str]] = defaultdict(list)
    for address, code in session().execute(query):
        found[address].append(code)
    return dict(found)


def verdicts(look: talk.Look, settings: Settings, duplicates: dict[str, list[str]]) -> list[checks.Verdict]:
    """The verdicts on what was read of a router."""
    facts = look.facts
    return checks.check(
        checks.Subject(
            settings, look.rules, {**look.tables, RAW: list(facts.raw)}, look.difference, facts.addresses,
            facts.addresses6, facts.answers_dns,
            facts.proxy, facts.proxy_port, facts.ping, duplicates,
        )
    )  # fmt: skip
