"""What routers have not yet confirmed, and why it waits."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

from wisp.access import hours
from wisp.access.models import Access, RouterSync
from wisp.core.db import session
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers.models import Router, Zone


def unsettled() -> ColumnElement[bool]:
    """True for access rows whose router has not yet confirmed what is wanted."""
    return Access.wanted_version != Access.applied_version


@dataclass(frozen=True)
class Waiting:
    """What waits for one router: clients to cut, to notify, to release; why, and when it is tried again. ``held``: of
    the cuts, those that wait for the hours in which they are allowed."""

    router_id: int
    router: str
    cut: int
    notice: int
    release: int
    error: str
    next_attempt_at: datetime | None
    held: int = 0

    @property
    def only_held(self) -> bool:
        """Nothing waits but cuts for their hours."""
        return self.held > 0 and self.held == self.cut + self.notice + self.release


def waiting(scope: Scope = EVERYTHING) -> list[Waiting]:
    """The routers that have not yet got everything that is wanted, by name."""
    count = _count_where
    query = (
        sa.select(
            Router.id, Router.name,
            count(Access.suspended), count(Access.notice), count(sa.and_(~Access.suspended, ~Access.notice)),
            sa.func.coalesce(sa.func.max(RouterSync.error), ""), sa.func.max(RouterSync.next_attempt_at),
        )
        .select_from(Access)
        .join(Router, Router.id == Access.router_id)
        .outerjoin(RouterSync, RouterSync.router_id == Router.id)
        .where(unsettled())
        .group_by(Router.id, Router.name)
        .order_by(sa.func.lower(Router.name))
    )  # fmt: skip
    if scope.zone_ids is not None:
        query = query.where(Router.id.in_(sa.select(Zone.router_id).where(Zone.id.in_(scope.zone_ids))))
    rows = session().execute(query).all()
    held = hours.count_held([row[0] for row in rows])
    return [Waiting(*row, held=held.get(row[0], 0)) for row in rows]


def _count_where(condition: ColumnElement[bool] | InstrumentedAttribute[bool]) -> ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)
