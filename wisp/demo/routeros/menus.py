"""The menus that are simulated, as tables of properties. The rules stand in the manual; see docs."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from wisp.demo.routeros import values as v
from wisp.demo.routeros.dhcp import DHCP
from wisp.demo.routeros.firewall import FILTER, FILTER6, NAT, RAW
from wisp.demo.routeros.hotspot import HOTSPOT
from wisp.demo.routeros.ppp import session_removed
from wisp.demo.routeros.spec import (
    ORDER,
    READ,
    RO,
    WRITE,
    Menu,
    Normalise,
    Prop,
    Row,
    Trap,
    Unique,
    read_only,
)

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

_TEXT = Prop()
_COMMENT = Prop()
_DISABLED = Prop(v.boolean, default="false")
_DYNAMIC = Prop(v.boolean, default="false", readonly=True)
_ALREADY = "failure: already have such entry"
_SESSION = READ | {"remove"}


def _timed(router: Router, table: Table, row_id: str, row: Row) -> None:
    """A row with a time to live is dynamic and runs out."""
    row.setdefault("creation-time", router.now())
    if "timeout" in row:
        table.expires[row_id] = monotonic() + v.seconds_of(row.pop("timeout"))
        row["dynamic"] = "true"


def _timed_not_disabled(router: Router, table: Table, row_id: str | None, row: Row) -> None:
    timed = "timeout" in row or (row_id is not None and row_id in table.expires)
    if timed and row["disabled"] == "true":
        raise Trap("failure: cannot have disabled dynamic entry")


def _address_list(path: str, normalise: Normalise) -> Menu:
    return Menu(
        path,
        {
            "list": Prop(required=True),
            "address": Prop(normalise, required=True),
            "creation-time": RO,
            "timeout": Prop(v.duration),
            "comment": _COMMENT,
            "dynamic": _DYNAMIC,
            "disabled": _DISABLED,
        },
        uniques=(Unique(("list", "address"), _ALREADY, enabled_only=True),),
        check=_timed_not_disabled,
        added=_timed,
        changed=_timed,
    )


_BY_NAME = Unique(("name",), "failure: already have such name")

_SINGLE = frozenset({"print", "getall", "get", "set"})


def _single(path: str, props: dict[str, Prop], initial: Row, verbs: frozenset[str] = _SINGLE) -> Menu:
    return Menu(path, props, single=True, verbs=verbs, initial=({".id": "*0", **initial},))


_SYSTEM = (
    _single("/system/identity", {"name": _TEXT}, {"name": "MikroTik"}),
    _single(
        "/system/resource",
        read_only(
            "uptime version build-time factory-software free-memory total-memory cpu cpu-count cpu-frequency"
            " cpu-load free-hdd-space total-hdd-space architecture-name board-name platform"
        ),
        {
            "uptime": "0s",
            "version": "7.20.6 (stable)",
            "factory-software": "7.1",
            "free-memory": "805306368",
            "total-memory": "1073741824",
            "cpu": "ARM64",
            "cpu-count": "4",
            "cpu-frequency": "1400",
            "cpu-load": "7",
            "free-hdd-space": "1000341504",
            "total-hdd-space": "1073741824",
            "architecture-name": "arm64",
            "board-name": "RB5009UG+S+",
            "platform": "MikroTik",
        },
        verbs=frozenset({"print", "getall", "get"}),
    ),
    _single(
        "/system/clock",
        {
            "date": RO,
            "time": RO,
            "gmt-offset": Prop(default="+00:00"),
            "time-zone-name": Prop(default="UTC"),
            "time-zone-autodetect": Prop(v.boolean, default="true"),
            "dst-active": Prop(v.boolean, default="false", readonly=True),
        },
        {},
    ),
)


_POLICIES = "local telnet ssh ftp reboot read write policy test winbox password web sniff sensitive api romon rest-api"


def _policies(*granted: str) -> str:
    return ",".join(name if name in granted else f"!{name}" for name in _POLICIES.split())


def _group_used(router: Router, table: Table, row_id: str, row: Row) -> None:
    if any(user["group"] == row["name"] for user in router.table("/user").rows.values()):
        raise Trap("failure: group has some users")


_USERS = (
    Menu(
        "/user/group",
        {"name": Prop(required=True), "policy": Prop(default=_policies()), "skin": Prop(default="default"),
         "comment": _COMMENT},
        uniques=(Unique(("name",), "failure: already have such name"),),
        verbs=READ | WRITE - {"enable", "disable"},
        named=True,
        initial=(
            {"name": "read", "policy": _policies("local", "ssh", "read", "test", "winbox", "api")},
            {"name": "write", "policy": _policies("local", "ssh", "read", "write", "test", "winbox", "api")},
            {"name": "full", "policy": _policies(*_POLICIES.split())},
        ),
        removing=_group_used,
    ),
    Menu(
        "/user",
        {
            "name": Prop(required=True),
            "group": Prop(v.reference("/user/group"), required=True),
            "address": Prop(default=""),
            "password": Prop(default=""),
            "last-logged-in": RO,
            "expired": Prop(v.boolean, default="false", readonly=True),
            "comment": _COMMENT,
            "disabled": _DISABLED,
        },
        uniques=(Unique(("name",), "failure: user with the same name already exists"),),
        named=True,
        never_printed=frozenset({"password"}),
    ),
)  # fmt: skip


def _secret_changed(router: Router, table: Table, row_id: str, row: Row) -> None:
    """A running session stays as it is; only a client without one can dial in with the new values."""
    if row["disabled"] == "false":
        router.dialer.expect(row["name"])


def _keep_default(row: Row, changes: Row) -> None:
    if not changes and row["name"] in ("default", "default-encryption"):
        raise Trap("failure: can not remove default profile")


_LIMITS = {"limit-bytes-in": Prop(v.number, default="0"), "limit-bytes-out": Prop(v.number, default="0")}

_PPP = (
    Menu(
        "/ppp/profile",
        {
            "name": Prop(required=True),
            "local-address": Prop(v.address_or_pool),
            "remote-address": Prop(v.address_or_pool),
            "bridge": _TEXT,
            "session-timeout": Prop(v.duration),
            "idle-timeout": Prop(v.duration),
            "use-mpls": Prop(default="default"),
            "use-compression": Prop(default="default"),
            "use-encryption": Prop(default="default"),
            "use-ipv6": Prop(default="yes"),
            "use-upnp": Prop(default="default"),
            "only-one": Prop(v.one_of("yes", "no", "default"), default="default"),
            "change-tcp-mss": Prop(v.one_of("yes", "no", "default"), default="yes"),
            "rate-limit": _TEXT,
            "address-list": Prop(default=""),
            "dns-server": _TEXT,
            "parent-queue": _TEXT,
            "queue-type": _TEXT,
            "insert-queue-before": _TEXT,
            "incoming-filter": _TEXT,
            "outgoing-filter": _TEXT,
            "interface-list": _TEXT,
            "on-up": Prop(default=""),
            "on-down": Prop(default=""),
            "comment": _COMMENT,
            "default": Prop(v.boolean, default="false", readonly=True),
        },
        uniques=(_BY_NAME,),
        verbs=READ | WRITE - {"enable", "disable"},
        named=True,
        guard=_keep_default,
        first_id=0,
        initial=(
            {".id": "*0", "name": "default", "default": "true"},
            {".id": "*FFFFFFFE", "name": "default-encryption", "use-encryption": "yes", "default": "true"},
        ),
    ),
    Menu(
        "/ppp/secret",
        {
            "name": Prop(required=True),
            "service": Prop(v.one_of("any", "async", "l2tp", "ovpn", "pppoe", "pptp", "sstp"), default="any"),
            "caller-id": Prop(default=""),
            "password": Prop(default=""),
            "profile": Prop(v.reference("/ppp/profile"), default="default"),
            "local-address": Prop(v.address_or_pool),
            "remote-address": Prop(v.address_or_pool),
            "remote-ipv6-prefix": _TEXT,
            "routes": Prop(default=""),
            "ipv6-routes": Prop(default=""),
            **_LIMITS,
            "last-logged-out": RO,
            "last-caller-id": RO,
            "last-disconnect-reason": RO,
            "comment": _COMMENT,
            "disabled": _DISABLED,
        },
        uniques=(Unique(("name",), "failure: secret with the same name already exists"),),
        named=True,
        added=_secret_changed,
        changed=_secret_changed,
    ),
    Menu(
        "/ppp/active",
        read_only("name service caller-id address uptime encoding session-id radius")
        | {name: Prop(v.number, default="0", readonly=True) for name in _LIMITS},
        verbs=_SESSION,
        first_id=0x80000001,
        not_found="no such item (4)",
        removed=session_removed,
    ),
)


def _queue_check(router: Router, table: Table, row_id: str | None, row: Row) -> None:
    if "name" not in row:
        taken = {other.get("name") for other in table.rows.values()}
        row["name"] = next(name for name in (f"queue{number}" for number in range(1, 10**6)) if name not in taken)
    parent = row["parent"]
    if parent != "none" and not table.has_name(parent):
        raise v.no_match("parent")
    for way, limit, most in zip(
        ("upload", "download"), row["limit-at"].split("/"), row["max-limit"].split("/"), strict=True
    ):
        if int(most) and int(limit) > int(most):
            raise Trap(f"failure: {way}-max-limit less than {way}-limit")


_RATES = Prop(v.pair(v.rate), default="0/0")
_QUEUE = Menu(
    "/queue/simple",
    {
        "name": _TEXT,
        "target": Prop(v.targets, required=True),
        "dst": _TEXT,
        "parent": Prop(default="none"),
        "packet-marks": Prop(default=""),
        "priority": Prop(v.pair(v.number), default="8/8"),
        "queue": Prop(default="default-small/default-small"),
        "limit-at": _RATES,
        "max-limit": _RATES,
        "burst-limit": _RATES,
        "burst-threshold": _RATES,
        "burst-time": Prop(v.pair(v.duration), default="0s/0s"),
        "bucket-size": Prop(default="0.1/0.1"),
        "total-queue": _TEXT,
        "total-max-limit": _TEXT,
        "time": _TEXT,
        "bytes": Prop(default="0/0", readonly=True),
        "packets": Prop(default="0/0", readonly=True),
        "rate": Prop(default="0/0", readonly=True),
        "comment": _COMMENT,
        "invalid": Prop(v.boolean, default="false", readonly=True),
        "dynamic": _DYNAMIC,
        "disabled": _DISABLED,
    },
    uniques=(_BY_NAME,),
    verbs=READ | WRITE | ORDER,
    named=True,
    check=_queue_check,
)


def _connections(path: str) -> Menu:
    return Menu(
        path,
        read_only(
            "protocol src-address dst-address reply-src-address reply-dst-address tcp-state timeout fasttrack srcnat"
            " dstnat assured seen-reply orig-bytes repl-bytes"
        ),
        verbs=_SESSION,
    )


_LOG = Menu("/log", read_only("time topics message"), verbs=READ)


def _addresses(path: str) -> Menu:
    return Menu(
        path,
        {
            "address": Prop(v.interface_address, required=True),
            "interface": Prop(v.interface, required=True),
            "comment": _COMMENT,
            "dynamic": _DYNAMIC,
            "disabled": _DISABLED,
        },
    )


_PROXY_MATCHERS = ("src-address", "dst-address", "dst-host", "dst-port", "path", "method", "local-port")
_OWN = (
    _addresses("/ip/address"),
    _addresses("/ipv6/address"),
    _single(
        "/ip/dns",
        {"servers": Prop(default=""), "allow-remote-requests": Prop(v.boolean), "dynamic-servers": RO},
        {"allow-remote-requests": "true"},
    ),
    _single(
        "/ip/proxy",
        {"enabled": Prop(v.boolean), "port": Prop(v.number, default="8080"), "anonymous": Prop(v.boolean)},
        {"enabled": "false", "anonymous": "false"},
    ),
    Menu(
        "/ip/proxy/access",
        {
            **dict.fromkeys(_PROXY_MATCHERS, _TEXT),
            "action": Prop(v.one_of("allow", "deny", "redirect"), default="allow"),
            "action-data": _TEXT,
            "redirect-to": _TEXT,
            "hits": Prop(default="0", readonly=True),
            "comment": _COMMENT,
            "disabled": _DISABLED,
        },
        verbs=READ | WRITE | ORDER,
    ),
)

MENUS: tuple[Menu, ...] = (
    *_SYSTEM,
    *_OWN,
    _address_list("/ip/firewall/address-list", v.list_address),
    _address_list("/ipv6/firewall/address-list", v.list_address6),
    FILTER,
    RAW,
    FILTER6,
    NAT,
    _connections("/ip/firewall/connection"),
    _connections("/ipv6/firewall/connection"),
    *_PPP,
    _QUEUE,
    *HOTSPOT,
    *DHCP,
    *_USERS,
    _LOG,
)
