"""What a client needs on its router: one object in one menu. Pure: values in, values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wisp.gateway import canonical_address, menus

MARK = "wisp:"
"""Begins the comment of an object of ours; the client's code follows."""
PLAN_MARK = "wisp-plan:"
"""Begins the comment of a profile of ours; the plan's id follows."""
MENU = {"static": menus.QUEUE, "pppoe": menus.SECRET, "hotspot": menus.HOTSPOT_USER, "dhcp": menus.LEASE}
"""Where the object of each kind of connection stands."""
PROFILES = {menus.SECRET: menus.PROFILE, menus.HOTSPOT_USER: menus.HOTSPOT_PROFILE}
"""Where the profiles of users stand."""
_OURS = re.compile(r"wisp:([A-Za-z0-9._@-]{1,64})")
_PLAN = re.compile(r"wisp-plan:([0-9]{1,18})")
_NAME = re.compile(r"wisp-plan-([0-9]{1,18})")


@dataclass(frozen=True)
class Service:
    """What a client has bought and how it is attached. ``up`` and ``down`` in bit/s, 0 = no limit. ``password`` None:
    not known; ``fresh``: the router has not been given this one yet. ``profile``: the plan's own on the routers.

    ``lever``: what of it a cut or a notice holds at present (models.Access).
    """

    code: str
    connection: str
    plan_id: int
    address: str | None = None
    address6: str | None = None
    mac: str = ""
    username: str = ""
    password: str | None = None
    fresh: bool = True
    up: int = 0
    down: int = 0
    profile: str = ""
    lever: str = ""


@dataclass(frozen=True)
class Profile:
    """A profile that a user needs. ``limit`` empty: one that the router has already; else ours, a copy of ``base``
    with that limit."""

    menu: str
    name: str
    base: str = ""
    limit: str = ""
    plan_id: int = 0


@dataclass(frozen=True)
class Object:
    """What should stand in ``menu`` for a client. ``values`` by property; an empty one should not be set.

    ``password`` is apart: the router may not show it. ``held``: the lever for whose sake the profile is not touched
    now. ``profile`` is what the user needs, ``holds`` what nobody else in the menu may have.
    """

    menu: str
    code: str
    values: Mapping[str, str]
    holds: Mapping[str, str] = field(default_factory=dict)
    password: str | None = None
    fresh: bool = False
    profile: Profile | None = None
    held: str = ""

    @property
    def comment(self) -> str:
        """Our mark on it."""
        return MARK + self.code


@dataclass(frozen=True)
class Need:
    """What a client needs: an object, or nothing; ``problem`` says why it can't be made, ``note`` why it needs none
    (codes of texts)."""

    object: Object | None = None
    problem: str = ""
    note: str = ""


def code_of(comment: str) -> str | None:
    """The client whose object this is, by its comment; None for somebody else's."""
    found = _OURS.fullmatch(comment)
    return found[1] if found else None


def plan_of(menu: str, row: Mapping[str, str]) -> int | None:
    """The plan whose profile this is; None for somebody else's. By its comment, in the hotspot's menu, which has no
    comments, by its name."""
    found = (
        _NAME.fullmatch(row.get("name", ""))
        if menu == menus.HOTSPOT_PROFILE
        else _PLAN.fullmatch(row.get("comment", ""))
    )
    return int(found[1]) if found else None


def need(service: Service, *, ppp_base: str = "default", hotspot_base: str = "default") -> Need:
    """What ``service`` needs on a router whose profiles are made from these two."""
    if service.connection == "static":
        return _queue(service)
    if service.connection == "pppoe":
        return _secret(service, ppp_base)
    if service.connection == "hotspot":
        return _user(service, hotspot_base)
    return _lease(service)


def limit(service: Service) -> str:
    """Upload/download in bit/s as a queue, profile or lease takes it; empty where the plan has no speed."""
    return f"{service.up}/{service.down}" if service.up or service.down else ""


def _queue(service: Service) -> Need:
    addresses = [canonical_address(a) for a in (service.address, service.address6) if a]
    if not addresses:
        return Need(note="no_address")
    if not limit(service):
        return Need(note="no_speed")
    target = ",".join(_with_length(address) for address in addresses)
    name = f"wisp-{service.code}"
    return Need(
        Object(
            menus.QUEUE, service.code, {"name": name, "target": target, "max-limit": limit(service), "disabled": "no"},
            {"name": name, "target": target},
        )
    )  # fmt: skip


def _with_length(address: str) -> str:
    if "/" in address:
        return address
    return f"{address}/{128 if ':' in address else 32}"


def _secret(service: Service, base: str) -> Need:
    if not service.username:
        return Need(problem="no_username")
    values = {
        "name": service.username,
        "service": "pppoe",
        "remote-address": service.address or "",
        "remote-ipv6-prefix": _with_length(canonical_address(service.address6)) if service.address6 else "",
    }
    return Need(_user_object(service, menus.SECRET, values, base))


def _user(service: Service, base: str) -> Need:
    if not service.username:
        return Need(problem="no_username")
    values = {"name": service.username, "mac-address": service.mac, "address": service.address or ""}
    return Need(_user_object(service, menus.HOTSPOT_USER, values, base))


def _user_object(service: Service, menu: str, values: dict[str, str], base: str) -> Object:
    held = service.lever if menu == menus.SECRET else ""
    profile = _profile(service, PROFILES[menu], base)
    return Object(
        menu, service.code, {**values, "profile": profile.name}, {"name": service.username}, service.password,
        service.fresh, profile, held,
    )  # fmt: skip


def _profile(service: Service, menu: str, base: str) -> Profile:
    if service.profile:
        return Profile(menu, service.profile)
    if not limit(service):
        return Profile(menu, base)
    return Profile(menu, f"wisp-plan-{service.plan_id}", base, limit(service), service.plan_id)


def _lease(service: Service) -> Need:
    if not service.mac:
        return Need(problem="no_mac")
    holds = {"mac-address": service.mac} | ({"address": service.address} if service.address else {})
    return Need(Object(menus.LEASE, service.code, {**holds, "rate-limit": limit(service)}, holds))
