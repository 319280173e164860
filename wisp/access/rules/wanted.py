"""The rules that belong on a router. Pure: settings in, rules out."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

TAG = "wisp-rule:"
_OURS = re.compile(r"wisp-rule:([A-Za-z0-9.:_-]{1,300})")

LIST, NAT, FILTER = "/ip/firewall/address-list", "/ip/firewall/nat", "/ip/firewall/filter"
RAW = "/ip/firewall/raw"
LIST6, FILTER6 = "/ipv6/firewall/address-list", "/ipv6/firewall/filter"
MENUS = (LIST, LIST6, NAT, FILTER, FILTER6)
"""The menus that hold rules of ours."""
LISTS = (LIST, LIST6)

CUT_CHAIN, NOTICE_CHAIN = "wisp-overdue", "wisp-notice"
"""Chains of our own. They keep their names however the lists are called, so that none meets another system's chain."""


@dataclass(frozen=True)
class Settings:
    """What the rules are made of. ``servers``: addresses of the page's server, the first IPv4 one is where clients are
    sent (none: the cut shows no page); ``payments``: addresses, prefixes or names that stay open to suspended
    clients; ``resolvers``: name servers that they may ask; ``seen_hours``: how long a notice stays away after it
    was shown."""

    cut: str = "wisp-overdue"
    notice: str = "wisp-notice"
    seen: str = "wisp-seen"
    allowed: str = "wisp-allowed"
    dns: str = "wisp-dns"
    servers: Sequence[str] = ()
    payments: Sequence[str] = ()
    resolvers: Sequence[str] = ()
    cut_port: int = 8081
    notice_port: int = 8082
    seen_hours: int = 2

    @property
    def page(self) -> str:
        """The IPv4 address of the page's server; empty where none is known."""
        return next((address for address in self.servers if family(address) == 4), "")


@dataclass(frozen=True)
class Rule:
    """A rule or list entry of ours: its menu, its key, and what it says (without comment)."""

    menu: str
    key: str
    says: dict[str, str] = field(hash=False)

    @property
    def comment(self) -> str:
        """Our mark on it, by which it is found again."""
        return TAG + self.key

    @property
    def chain(self) -> str:
        """Its chain; empty for an entry of a list."""
        return self.says.get("chain", "")


def key_of(comment: str) -> str | None:
    """The key of a rule of ours by its comment; None where it is not ours."""
    found = _OURS.fullmatch(comment)
    return found[1] if found else None


def family(address: str) -> int:
    """4 or 6 for an address or prefix of that family, 0 for a name."""
    try:
        return ipaddress.ip_network(address, strict=False).version
    except ValueError:
        return 0


def generate(settings: Settings, release: tuple[int, ...] = (7,), *, ipv6: bool | None = None) -> list[Rule]:
    """All rules in their order. ``release``: the router's version; ``ipv6``: whether it has the IPv6 menus
    (None: version 7 has them, version 6 only with a package).

    What does not depend on the version is the same text on 6 and 7. IPv6 is refused, never redirected: version 6 has no
    NAT for it, and a phone that is refused falls back to IPv4, where the page is.
    """
    with_ipv6 = release >= (7,) if ipv6 is None else ipv6
    rules = [*_entries(settings, LIST, 4), *_nat(settings), *_filter(settings, FILTER, bool(settings.page))]
    if with_ipv6:
        rules += [*_entries(settings, LIST6, 6), *_filter(settings, FILTER6, False)]
    order = {menu: number for number, menu in enumerate(MENUS)}
    return sorted(rules, key=lambda rule: order[rule.menu])


def _entries(settings: Settings, menu: str, version: int) -> Iterator[Rule]:
    groups = (
        (settings.allowed, "server", settings.servers),
        (settings.allowed, "payment", settings.payments),
        (settings.dns, "resolver", settings.resolvers),
    )
    seen: set[tuple[str, str]] = set()
    for name, kind, addresses in groups:
        for address in addresses:
            if family(address) in (0, version) and (name, address) not in seen:
                seen.add((name, address))
                key = f"{kind}-{address.replace('/', '_')}"
                yield Rule(menu, key, {"list": name, "address": address})


def _nat(settings: Settings) -> Iterator[Rule]:
    """Suspended clients see the page in place of any plain HTTP site, those with a notice see theirs once."""
    if not settings.page:
        return

    def rule(key: str, chain: str, **says: str) -> Rule:
        return Rule(NAT, key, {"chain": chain, **{name.replace("_", "-"): value for name, value in says.items()}})

    http = {"protocol": "tcp", "dst_port": "80"}
    yield rule(
        "nat-allowed", "dstnat", src_address_list=settings.cut, dst_address_list=settings.allowed, action="accept"
    )
    yield rule(
        "nat-overdue", "dstnat", src_address_list=settings.cut, **http, action="dst-nat",
        to_addresses=settings.page, to_ports=str(settings.cut_port),
    )  # fmt: skip
    yield rule(
        "nat-notice", "dstnat", src_address_list=settings.notice, dst_address_list=f"!{settings.allowed}", **http,
        action="jump", jump_target=NOTICE_CHAIN,
    )  # fmt: skip
    yield rule("nat-notice-seen", NOTICE_CHAIN, src_address_list=settings.seen, action="return")
    yield rule(
        "nat-notice-page", NOTICE_CHAIN, **http, action="dst-nat",
        to_addresses=settings.page, to_ports=str(settings.notice_port),
    )  # fmt: skip
    yield rule("keep-client-address", "srcnat", dst_address=settings.page, action="accept")


def _filter(settings: Settings, menu: str, page: bool) -> Iterator[Rule]:
    """Suspended clients reach the page, what stays open and the resolvers; the rest is refused."""
    mark = "" if menu == FILTER else "6"

    def rule(key: str, chain: str, **says: str) -> Rule:
        named = {name.replace("_", "-"): value for name, value in says.items()}
        return Rule(menu, f"{key}{mark}", {"chain": chain, **named})

    yield rule("fwd-overdue", "forward", src_address_list=settings.cut, action="jump", jump_target=CUT_CHAIN)
    if page:
        yield rule(
            "fwd-seen", "forward", src_address_list=settings.notice, dst_address=settings.page, protocol="tcp",
            dst_port=str(settings.notice_port), action="add-src-to-address-list", address_list=settings.seen,
            address_list_timeout=f"{settings.seen_hours}h",
        )  # fmt: skip
    yield rule("ov-allowed", CUT_CHAIN, dst_address_list=settings.allowed, action="accept")
    for protocol in ("udp", "tcp"):
        yield rule(
            f"ov-dns-{protocol}", CUT_CHAIN, protocol=protocol, dst_port="53", dst_address_list=settings.dns,
            action="accept",
        )  # fmt: skip
    if page:
        yield rule("ov-page", CUT_CHAIN, connection_nat_state="dstnat", action="accept")
    yield rule("ov-reset", CUT_CHAIN, protocol="tcp", action="reject", reject_with="tcp-reset")
    yield rule("ov-drop", CUT_CHAIN, action="drop" if menu == FILTER else "reject")
