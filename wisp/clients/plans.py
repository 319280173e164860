"""Use cases of plans: what clients buy. Prices in minor units, speeds in bit/s."""

import sqlalchemy as sa

from wisp.clients.models import Client, Plan
from wisp.core import audit, events
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.money import MAX_MINOR

_counted = (
    sa.select(Client.plan_id, sa.func.count().label("clients"))
    .where(Client.cancelled_at.is_(None))
    .group_by(Client.plan_id)
    .subquery()
)
COUNT = sa.func.coalesce(_counted.c.clients, 0)


def add(name: str, price: int, down: int = 0, up: int = 0, router_profile: str = "") -> Plan:
    """A new plan. ``price`` in minor units, with or without tax as the company's tax mode says; speed 0 = no limit.

    ``router_profile``: the profile that its PPPoE and hotspot clients get on the routers; empty: we make one.
    """
    name, router_profile = _check(name, price, None), _profile(router_profile)
    plan = Plan(name=name, price=price, down=down, up=up, router_profile=router_profile)
    session().add(plan)
    session().flush()
    audit.record("plan.add", f"plan:{name}", None, _describe(plan))
    return plan


def edit(
    plan: Plan, *, name: str, price: int, down: int, up: int, active: bool = True, router_profile: str | None = None
) -> None:
    """Change a plan. Invoices already issued keep what they say; an inactive plan is not offered any more.

    An absent ``router_profile`` stays. Emits plan_changed where speed or profile is another one.
    """
    name = _check(name, price, plan.id)
    before, served = _describe(plan), (plan.down, plan.up, plan.router_profile)
    plan.name, plan.price, plan.down, plan.up, plan.active = name, price, down, up, active
    if router_profile is not None:
        plan.router_profile = _profile(router_profile)
    session().flush()
    audit.record("plan.edit", f"plan:{name}", before, _describe(plan))
    if served != (plan.down, plan.up, plan.router_profile):
        events.plan_changed.emit(plan_id=plan.id)


def find(name: str) -> Plan:
    """The plan of that name. Refused("plans.unknown")."""
    plan = session().scalar(sa.select(Plan).where(Plan.name == name))
    if plan is None:
        raise Refused("plans.unknown", name=name)
    return plan


def get(plan_id: int) -> Plan | None:
    """A plan by its id."""
    return session().get(Plan, plan_id)


def plans() -> list[Plan]:
    """All plans, by name."""
    return list(session().scalars(sa.select(Plan).order_by(sa.func.lower(Plan.name), Plan.id)))


def listing(text: str = "") -> sa.Select[Plan, int]:
    """(plan, how many clients that are not cancelled have it), those whose name holds ``text``; unordered."""
    query = sa.select(Plan, COUNT).outerjoin(_counted, _counted.c.plan_id == Plan.id)
    return query.where(Plan.name.icontains(text, autoescape=True)) if text else query


def clients_by_plan() -> dict[int, int]:
    """How many clients that are not cancelled have each plan, by plan id."""
    counted = session().execute(
        sa.select(Client.plan_id, sa.func.count()).where(Client.cancelled_at.is_(None)).group_by(Client.plan_id)
    )
    return dict(counted.all())


def _check(name: str, price: int, own_id: int | None) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Refused("plans.name")
    if not 0 <= price <= MAX_MINOR:
        raise Refused("plans.price")
    if session().scalar(sa.select(Plan.id).where(Plan.name == name)) not in (None, own_id):
        raise Refused("plans.name_taken", name=name)
    return name


def _profile(name: str) -> str:
    name = name.strip()
    if len(name) > 64 or not name.isprintable():
        raise Refused("plans.router_profile")
    return name


def _describe(plan: Plan) -> dict[str, object]:
    names = ("name", "price", "down", "up", "active", "router_profile")
    return {name: getattr(plan, name) for name in names}
