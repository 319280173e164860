"""Use cases of routers and billing zones. Talking to a router happens in wisp.routers.health, never here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager, selectinload

from wisp.core import audit, clock, crypto, events
from wisp.core.db import Base, session
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.gateway import Target
from wisp.routers.models import Router, Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]{0,251}[A-Za-z0-9:])?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SERVING = ("provision", "pppoe_cut", "ppp_base", "hotspot_base")
"""What is done on the router for its clients, and how."""
_AUDITED = ("name", "host", "port", "username", "tls", "fingerprint", *_SERVING)
PPPOE_CUTS = ("profile", "disable")


@dataclass(frozen=True)
class RouterValues:
    """What a person says about a router. ``password`` None = keep the present one. The last four are explained at
    models.Router."""

    name: str
    host: str
    port: int
    username: str
    password: str | None = None
    tls: bool = False
    fingerprint: str = ""
    provision: bool = True
    pppoe_cut: str = "profile"
    ppp_base: str = "default"
    hotspot_base: str = "default"


def normal(values: RouterValues) -> RouterValues:
    """``values`` trimmed and checked: Refused("routers.name" | "routers.host" | …) for one that cannot be right."""
    name, host, username = values.name.strip(), values.host.strip(), values.username.strip()
    fingerprint = re.sub(r"[:\s]", "", values.fingerprint).lower()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Refused("routers.name")
    if not _HOST.fullmatch(host):
        raise Refused("routers.host", host=host)
    if not 1 <= values.port <= 65535:
        raise Refused("routers.port", port=values.port)
    if not 1 <= len(username) <= 80 or not username.isprintable():
        raise Refused("routers.username")
    if fingerprint and not _FINGERPRINT.fullmatch(fingerprint):
        raise Refused("routers.fingerprint")
    if values.pppoe_cut not in PPPOE_CUTS:
        raise Refused("routers.pppoe_cut")
    ppp_base, hotspot_base = _base(values.ppp_base), _base(values.hotspot_base)
    return replace(
        values, name=name, host=host, username=username, fingerprint=fingerprint, ppp_base=ppp_base,
        hotspot_base=hotspot_base,
    )  # fmt: skip


def _base(name: str) -> str:
    name = name.strip() or "default"
    if len(name) > 64 or not name.isprintable():
        raise Refused("routers.base")
    return name


def target_of(values: RouterValues, password: str) -> Target:
    """Where and how to reach a router that may not be saved yet."""
    return Target(
        host=values.host,
        port=values.port,
        username=values.username,
        password=password,
        tls=values.tls,
        fingerprint=values.fingerprint or None,
    )


def target(router: Router) -> Target:
    """Where and how to reach a saved router. SecretUnreadable where the key is not the one it was saved with."""
    return Target(
        host=router.host,
        port=router.port,
        username=router.username,
        password=crypto.decrypt(router.password),
        tls=router.tls,
        fingerprint=router.fingerprint or None,
    )


def add_router(values: RouterValues) -> Router:
    """Save a new router; its state is unknown until it is first asked."""
    values = normal(values)
    _free_name(values.name, None)
    router = Router(
        name=values.name,
        host=values.host,
        port=values.port,
        username=values.username,
        password=crypto.encrypt(values.password or ""),
        tls=values.tls,
        fingerprint=values.fingerprint,
        created_at=clock.now(),
        **{name: getattr(values, name) for name in _SERVING},
    )
    session().add(router)
    session().flush()
    audit.record("router.add", f"router:{router.name}", None, _describe(router))
    return router


def edit_router(router: Router, values: RouterValues) -> None:
    """Change what differs. An absent password keeps the present one, but another destination needs it typed again.

    Emits router_changed with the names of what is another thing now.
    """
    values = normal(values)
    password_stays_home(router, values)
    _free_name(values.name, router.id)
    before = _describe(router)
    changed = {name for name in _AUDITED if getattr(router, name) != getattr(values, name)}
    for name in changed:
        setattr(router, name, getattr(values, name))
    if values.password:
        before |= {"password": "…"}  # only that it changed is written down
        router.password = crypto.encrypt(values.password)
    session().flush()
    after = _describe(router) | ({"password": "… (changed)"} if values.password else {})
    audit.record("router.edit", f"router:{router.name}", before, after)
    if changed:
        events.router_changed.emit(router_id=router.id, changed=changed)


def password_stays_home(router: Router, values: RouterValues) -> None:
    """Refused("routers.password_again") where the stored password would be sent to another host, port or user than
    before, or over a line that is secured otherwise (crypto.Destination)."""
    if values.password is None and _destination(values) != _destination(router):
        raise Refused("routers.password_again")


def _destination(router: Router | RouterValues) -> crypto.Destination:
    security = "tls" if router.tls else "none"
    return crypto.Destination(router.host, router.port, router.username, security, router.fingerprint)


def note_test(target: Target, router: Router | None) -> None:
    """Write down that somebody has a connection tested, before it is: to which machine, for which saved router."""
    values = {"host": target.host, "port": target.port, "username": target.username, "tls": target.tls}
    audit.record("router.test", f"router:{router.name if router else target.host}"[:200], None, values)


def archive_router(router: Router) -> None:
    """Put a router away: hidden, its zones' tasks without a next run. Refused while it has active clients."""
    client = Base.metadata.tables["client"]
    active = session().scalar(
        sa.select(sa.func.count()).where(client.c.router_id == router.id, client.c.cancelled_at.is_(None))
    )
    if active:
        raise Refused("routers.has_clients", router=router.name, count=active)
    router.archived_at = clock.now()
    schedules.archive(zone.schedule for zone in zones_of(router))
    audit.record("router.archive", f"router:{router.name}", {"archived": False}, {"archived": True})


def _free_name(name: str, own_id: int | None) -> None:
    query = sa.select(Router.id).where(Router.name == name, Router.archived_at.is_(None))
    if session().scalar(query) not in (None, own_id):
        raise Refused("routers.name_taken", name=name)


def _describe(router: Router) -> dict[str, Any]:
    return {name: getattr(router, name) for name in _AUDITED}


def find_router(name: str) -> Router:
    """The router of that name. Refused("routers.unknown")."""
    router = session().scalar(sa.select(Router).where(Router.name == name, Router.archived_at.is_(None)))
    if router is None:
        raise Refused("routers.unknown", name=name)
    return router


def get_router(router_id: int, scope: Scope = EVERYTHING) -> Router | None:
    """A router that is not archived and inside ``scope``, else None."""
    return session().scalar(_visible(scope).where(Router.id == router_id))


def routers(scope: Scope = EVERYTHING) -> list[Router]:
    """All routers inside ``scope``, by name."""
    return list(session().scalars(_visible(scope).order_by(sa.func.lower(Router.name), Router.id)))


def listing(scope: Scope = EVERYTHING, text: str = "") -> sa.Select[Router]:
    """The query of all routers inside ``scope`` whose name, address, identity or version holds ``text``."""
    query = _visible(scope)
    if text:
        columns = (Router.name, Router.host, Router.identity, Router.version, Router.board)
        query = query.where(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    return query


def _visible(scope: Scope) -> sa.Select[Router]:
    query = sa.select(Router).where(Router.archived_at.is_(None))
    if scope.zone_ids is not None:
        query = query.where(Router.id.in_(sa.select(Zone.router_id).where(Zone.id.in_(scope.zone_ids))))
    return query


# Zones -----------------------------------------------------------------------------------------------


def zones(scope: Scope = EVERYTHING) -> list[Zone]:
    """All zones inside ``scope`` with their router, by router and name."""
    query = _zones()
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    return list(session().scalars(query))


class ZoneName(NamedTuple):
    """A zone in a list to choose from."""

    id: int
    name: str
    router_id: int
    router: str


def zone_names(scope: Scope = EVERYTHING) -> list[ZoneName]:
    """All zones inside ``scope``, in the order of ``zones``; the names alone, since there may be thousands."""
    query = sa.select(Zone.id, Zone.name, Zone.router_id, Router.name).join(Router, Router.id == Zone.router_id)
    query = query.where(Router.archived_at.is_(None)).order_by(*_BY_NAME)
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    return [ZoneName(*row) for row in session().execute(query)]


def zones_of(router: Router, scope: Scope = EVERYTHING) -> list[Zone]:
    """The zones of a router inside ``scope`` with their schedules and tasks, by name."""
    query = _zones().where(Zone.router_id == router.id)
    if scope.zone_ids is not None:
        query = query.where(Zone.id.in_(scope.zone_ids))
    return list(session().scalars(query.options(selectinload(Zone.schedule).selectinload(BillingSchedule.tasks))))


def get_zone(zone_id: int, scope: Scope = EVERYTHING) -> Zone | None:
    """A zone of a router that is not archived, inside ``scope``, else None."""
    return session().scalar(_zones().where(Zone.id == zone_id)) if scope.allows(zone_id) else None


_BY_NAME = (sa.func.lower(Router.name), sa.func.lower(Zone.name), Zone.id)


def _zones() -> sa.Select[Zone]:
    return (
        sa.select(Zone)
        .join(Zone.router)
        .where(Router.archived_at.is_(None))
        .options(contains_eager(Zone.router))
        .order_by(*_BY_NAME)
    )


def label(zone: Zone) -> str:
    """How a zone is named where its name alone is not enough: "Router/Zone"."""
    return f"{zone.router.name}/{zone.name}"


def find_zone(name: str) -> Zone:
    """The zone of that name, or of "Router/Zone". Refused("routers.zone_unknown" | "routers.zone_ambiguous")."""
    found = pick_zone(zones(), name)
    if not found:
        raise Refused("routers.zone_unknown", name=name)
    if len(found) > 1:
        raise Refused("routers.zone_ambiguous", name=name, names=", ".join(label(zone) for zone in found))
    return found[0]


def pick_zone(among: Sequence[Zone], name: str) -> list[Zone]:
    """The zones that ``name`` may mean: those so named, else that of "Router/Zone"."""
    return [zone for zone in among if zone.name == name] or [zone for zone in among if label(zone) == name]


def add_zone(
    router: Router,
    name: str,
    *,
    billing_type: str,
    due_day: int,
    moments: Mapping[Kind, tuple[int, int]],
    timezone: str = "",
) -> Zone:
    """A new billing zone with its schedule and its three tasks, in one transaction."""
    name = _zone_name(router.id, name, None)
    schedule = schedules.create(billing_type=billing_type, due_day=due_day, timezone=timezone, moments=moments)
    zone = Zone(router_id=router.id, name=name, schedule_id=schedule.id, created_at=clock.now())
    session().add(zone)
    session().flush()
    audit.record("zone.add", f"zone:{router.name}/{name}", None, schedules.describe(schedule))
    return zone


def edit_zone(
    zone: Zone,
    *,
    name: str | None = None,
    billing_type: str | None = None,
    due_day: int | None = None,
    timezone: str | None = None,
    moments: Mapping[Kind, tuple[int, int]] | None = None,
    this_month: schedules.ThisMonth = None,
    may_apply: bool = True,
    gap: str = "bill",
) -> None:
    """Change a zone's name and schedule; see ``schedules.service.change`` for what the last three say."""
    if name is not None and name.strip() != zone.name:
        before = zone.name
        zone.name = _zone_name(zone.router_id, name, zone.id)
        audit.record("zone.rename", f"zone:{label(zone)}", {"name": before}, {"name": zone.name})
    schedules.change(
        zone.schedule,
        billing_type=billing_type,
        due_day=due_day,
        timezone=timezone,
        moments=moments,
        this_month=this_month,
        may_apply=may_apply,
        gap=gap,
    )
    session().flush()


def switch_zone(zone: Zone, kinds: Mapping[Kind, bool]) -> int:
    """Switch the zone's tasks on or off, never those of its clients with own billing; how many changed."""
    schedules.lock([zone.schedule_id])
    changed = schedules.switch([zone.schedule], kinds)
    session().flush()
    return changed


def _zone_name(router_id: int, name: str, own_id: int | None) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Refused("routers.zone_name")
    if session().scalar(sa.select(Zone.id).where(Zone.router_id == router_id, Zone.name == name)) not in (None, own_id):
        raise Refused("routers.zone_name_taken", name=name)
    return name
