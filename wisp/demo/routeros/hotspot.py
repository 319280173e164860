"""The hotspot: its users, who is logged in, and the cookie that logs a device straight back in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wisp.demo.routeros import values as v
from wisp.demo.routeros.spec import ORDER, READ, WRITE, Menu, Prop, Row, Trap, Unique, read_only

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

USER, USER_PROFILE = "/ip/hotspot/user", "/ip/hotspot/user/profile"
ACTIVE, COOKIE = "/ip/hotspot/active", "/ip/hotspot/cookie"
_TEXT = Prop()
_DISABLED = Prop(v.boolean, default="false")
_DYNAMIC = Prop(v.boolean, default="false", readonly=True)
_BYTES_LEFT = {f"limit-bytes-{way}": Prop(v.number) for way in ("in", "out", "total")}
_COUNTERS = {
    f"{what}-{way}": Prop(default="0", readonly=True) for what in ("bytes", "packets") for way in ("in", "out")
}


def log_in(router: Router, name: str, address: str, mac: str) -> bool:
    """A device logs in as that user; whether it was let in. It then has a session and, where the profile has it, a
    cookie."""
    user = next((row for row in router.table(USER).rows.values() if row["name"] == name), None)
    if user is None or user["disabled"] == "true" or _session(router, name, mac) is not None:
        return False
    profile = _profile(router, user)
    session = {
        "server": user["server"], "user": name, "address": address, "mac-address": mac, "login-by": "http-chap",
        "uptime": "0s", "radius": "false",
    }  # fmt: skip
    row_id = router.table(ACTIVE).add(session, loading=True)
    router.held.put(ACTIVE, row_id, [profile.get("address-list", "")], address)
    cookies = router.table(COOKIE)
    known = any((row["user"], row["mac-address"]) == (name, mac) for row in cookies.rows.values())
    if profile.get("add-mac-cookie", "true") == "true" and not known:
        values = {"user": name, "domain": "", "mac-address": mac, "expires-in": "3d", "mac-cookie": "true"}
        cookies.add(values, loading=True)
    return True


def _session(router: Router, name: str, mac: str) -> str | None:
    sessions = router.table(ACTIVE).rows
    return next((at for at, row in sessions.items() if (row["user"], row["mac-address"]) == (name, mac)), None)


def _profile(router: Router, user: Row) -> Row:
    return next((row for row in router.table(USER_PROFILE).rows.values() if row["name"] == user["profile"]), {})


def _session_removed(router: Router, table: Table, row_id: str, row: Row) -> None:
    """A session has ended; a device with a cookie is back at once."""
    router.held.drop(ACTIVE, row_id)
    name, mac = row["user"], row["mac-address"]
    if any((cookie["user"], cookie["mac-address"]) == (name, mac) for cookie in router.table(COOKIE).rows.values()):
        log_in(router, name, row["address"], mac)


def _keep_default(row: Row, changes: Row) -> None:
    if not changes and row["name"] == "default":
        raise Trap("failure: can not remove default profile")


HOTSPOT = (
    Menu(
        "/ip/hotspot",
        {
            "name": Prop(required=True),
            "interface": Prop(v.interface, required=True),
            "address-pool": Prop(default="none"),
            "profile": Prop(default="default"),
            "addresses-per-mac": Prop(default="2"),
            "idle-timeout": Prop(default="5m"),
            "keepalive-timeout": Prop(default="none"),
            "invalid": Prop(v.boolean, default="false", readonly=True),
            "disabled": _DISABLED,
        },
        uniques=(Unique(("name",), "failure: already have such name"),),
        named=True,
    ),
    Menu(
        USER_PROFILE,
        {
            "name": Prop(required=True),
            "address-pool": Prop(default="none"),
            "session-timeout": Prop(v.duration),
            "idle-timeout": Prop(default="none"),
            "keepalive-timeout": Prop(v.duration, default="2m"),
            "status-autorefresh": Prop(v.duration, default="1m"),
            "shared-users": Prop(default="1"),
            "add-mac-cookie": Prop(v.boolean, default="true"),
            "mac-cookie-timeout": Prop(v.duration, default="3d"),
            "address-list": Prop(default=""),
            "rate-limit": _TEXT,
            "parent-queue": _TEXT,
            "queue-type": _TEXT,
            "insert-queue-before": _TEXT,
            "transparent-proxy": Prop(v.boolean, default="false"),
            "open-status-page": Prop(default="always"),
            "on-login": Prop(default=""),
            "on-logout": Prop(default=""),
            "default": Prop(v.boolean, default="false", readonly=True),
        },
        uniques=(Unique(("name",), "failure: already have such name"),),
        verbs=READ | WRITE - {"enable", "disable"},
        named=True,
        guard=_keep_default,
        first_id=0,
        initial=({".id": "*0", "name": "default", "default": "true"},),
    ),
    Menu(
        USER,
        {
            "server": Prop(default="all"),
            "name": Prop(required=True),
            "password": _TEXT,
            "address": Prop(v.address_or_pool),
            "mac-address": Prop(v.mac),
            "profile": Prop(v.reference(USER_PROFILE), default="default"),
            "routes": _TEXT,
            "email": _TEXT,
            "limit-uptime": Prop(v.duration),
            **_BYTES_LEFT,
            "uptime": Prop(default="0s", readonly=True),
            **_COUNTERS,
            "comment": _TEXT,
            "dynamic": _DYNAMIC,
            "disabled": _DISABLED,
        },
        uniques=(Unique(("name", "server"), "failure: already have user with this name for this server"),),
        named=True,
    ),
    Menu(
        ACTIVE,
        read_only(
            "server user address mac-address login-by uptime idle-time keepalive-timeout bytes-in bytes-out"
            " packets-in packets-out radius"
        ),
        verbs=READ | {"remove"},
        not_found="no such item (4)",
        removed=_session_removed,
    ),
    Menu(
        COOKIE,
        read_only("user domain mac-address expires-in mac-cookie"),
        verbs=READ | {"remove"},
    ),
    Menu(
        "/ip/hotspot/ip-binding",
        {
            "mac-address": Prop(v.mac),
            "address": _TEXT,
            "to-address": _TEXT,
            "server": Prop(default="all"),
            "type": Prop(v.one_of("regular", "bypassed", "blocked"), default="regular"),
            "comment": _TEXT,
            "disabled": _DISABLED,
        },
        verbs=READ | WRITE | ORDER,
    ),
)
