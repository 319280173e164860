"""The verdict on each router's rules: looked at every night, after each installation and for a new router, and kept.

A list that no rule applies cuts nobody, however the router confirms the entries: whoever shows a cut asks here.
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wisp.access.models import RouterVerdict
from wisp.access.rules import checks, service, talk
from wisp.access.rules.wanted import RAW
from wisp.core import clock, events, queue
from wisp.core.db import Rows, insert_into, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.gateway import GatewayError
from wisp.routers.models import Router, Zone

LOOK = "access.rules_look"
_ELSEWHERE = {"host", "port", "list_overdue", "list_notice"}
"""What makes a verdict that of another router, or of other lists."""


@dataclass(frozen=True)
class Standing:
    """What is known of a router's rules. ``cut``, ``cut6``, ``notice``: whether the lists do anything, None where that
    was never read; ``worst``: of the verdicts, ``good``, ``warning`` or ``bad``; ``found``: those verdicts."""

    router_id: int = 0
    router: str = ""
    cut: bool | None = None
    cut6: bool | None = None
    notice: bool | None = None
    worst: str = ""
    checked_at: datetime | None = None
    error: str = ""
    found: list[checks.Verdict] = field(default_factory=list)

    def applies(self, kind: str) -> bool | None:
        """Whether the list of a kind of task (``cut``, ``notice``) does anything; None where that was never read."""
        return self.cut if kind == "cut" else self.notice

    @property
    def unread(self) -> frozenset[str]:
        """The lists that are known to do nothing: of ``cut``, ``cut6``, ``notice``."""
        return frozenset(name for name in ("cut", "cut6", "notice") if getattr(self, name) is False)


UNKNOWN = Standing()


def of_router(router_id: int) -> Standing:
    """What is known of one router's rules."""
    return of_routers([router_id]).get(router_id, UNKNOWN)


def of_routers(router_ids: Collection[int]) -> dict[int, Standing]:
    """What is known of the rules of these routers, by id; those never looked at are absent. One statement."""
    query = _standings().where(RouterVerdict.router_id.in_(list(router_ids)))
    return {found.router_id: found for found in map(_standing, session().execute(query))}


def not_applied(scope: Scope = EVERYTHING) -> list[Standing]:
    """The routers with zones whose rules are known not to apply the list of the suspended, by name."""
    zones = sa.select(Zone.router_id)
    if scope.zone_ids is not None:
        zones = zones.where(Zone.id.in_(scope.zone_ids))
    query = _standings().where(Router.archived_at.is_(None), RouterVerdict.cut.is_(False), Router.id.in_(zones))
    return [_standing(row) for row in session().execute(query.order_by(sa.func.lower(Router.name)))]


def _standings() -> Rows:
    query: Rows = sa.select(RouterVerdict, Router.name).join(Router, Router.id == RouterVerdict.router_id)
    return query


def _standing(row: Any) -> Standing:
    kept, name = row
    found = [checks.Verdict(**one) for one in kept.checks or ()]
    states = {one.state for one in found}
    worst = next((state for state in ("bad", "warning", "good") if state in states), "")
    return Standing(
        kept.router_id, name, kept.cut, kept.cut6, kept.notice, worst, kept.checked_at, kept.error, found
    )  # fmt: skip


# Looking -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What one look read of a router: ``look`` None where it could not be read, and why."""

    look: talk.Look | None = None
    verdicts: list[checks.Verdict] = field(default_factory=list)
    error: str = ""
    detail: str = ""


def look(router_id: int) -> Seen:
    """Read a router's rules now. Ends the present read transaction before the network."""
    router = session().get_one(Router, router_id)
    target, wanted, duplicates = service.target(router), service.settings(), service.duplicates(router_id)
    session().rollback()
    if target is None:
        return Seen(error=service.UNREADABLE)
    try:
        found = talk.read(target, wanted, facts=True)
    except GatewayError as error:
        return Seen(error=error.code.value, detail=error.detail)
    return judge(found, duplicates)


def judge(look: talk.Look, duplicates: dict[str, list[str]]) -> Seen:
    """The verdicts on what was read of a router."""
    return Seen(look, service.verdicts(look, service.settings(), duplicates))


def record(router_id: int, seen: Seen) -> None:
    """Keep what a look found; where the router could not be read, what was known stays. Emits lists_applied for the
    lists that a router is found to apply and did not before."""
    now, before = clock.now(), of_router(router_id)
    values: dict[str, Any] = {"looked_at": now, "error": seen.error[:16]}
    if seen.look is not None:
        does = checks.applied(service.settings(), {**seen.look.tables, RAW: list(seen.look.facts.raw)})
        kept = [asdict(one) for one in seen.verdicts]
        values |= {**does._asdict(), "checked_at": now, "checks": kept}
    statement = insert_into(RouterVerdict).values(router_id=router_id, **values)
    session().execute(statement.on_conflict_do_update(index_elements=[RouterVerdict.router_id], set_=values))
    fresh = before.unread - of_router(router_id).unread
    if fresh:
        events.lists_applied.emit(router_id=router_id, lists=fresh)


def unlooked() -> list[int]:
    """Routers that answer and whose rules nobody has looked at yet."""
    known = sa.select(RouterVerdict.router_id)
    query = sa.select(Router.id).where(Router.archived_at.is_(None), Router.online.is_(True), Router.id.not_in(known))
    return list(session().scalars(query.order_by(Router.id)))


def enqueue(router_ids: Iterable[int]) -> None:
    """Have a worker look at the rules of these routers; one waiting job for each is enough."""
    queue.enqueue_many([(LOOK, (router_id,), f"rules-look-{router_id}") for router_id in router_ids])


def changed(changed: Collection[str], router_id: int | None = None, **_: Any) -> None:
    """Receiver: a router is another device by now, or the lists have other names: what was read says nothing more."""
    if _ELSEWHERE & set(changed):
        of_it = RouterVerdict.router_id == router_id if router_id is not None else sa.true()
        session().execute(sa.delete(RouterVerdict).where(of_it).execution_options(synchronize_session="fetch"))
