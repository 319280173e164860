"""Whether the rules do on a router what they are for: one verdict for each thing that can be in the way. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wisp.access.rules.comparing import Difference, Row, Tables, anchor, is_on, ours
from wisp.access.rules.wanted import FILTER, FILTER6, LIST, LIST6, NAT, RAW, Rule, Settings, family

GOOD, WARNING, BAD, UNKNOWN = "good", "warning", "bad", "unknown"


@dataclass(frozen=True)
class Verdict:
    """``key`` names what was checked, ``state`` is good, warning, bad or unknown, ``reason`` why (a code whose sentence
    ``values`` fill)."""

    key: str
    state: str
    reason: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """Everything that the checks look at. ``duplicates``: addresses that several clients of the router share, each
    with their codes; the rest as in ``talk``."""

    settings: Settings
    rules: Sequence[Rule]
    tables: Tables
    difference: Difference
    addresses: Sequence[str] = ()
    addresses6: Sequence[str] = ()
    answers_dns: bool | None = None
    proxy: bool = False
    proxy_port: str = ""
    ping: bool | None = None
    duplicates: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def row(self, menu: str, key: str) -> Row | None:
        """The enabled rule of ours with that key."""
        return next((row for row in self.tables.get(menu, ()) if ours(row) == key and not is_on(row, "disabled")), None)

    def enabled(self, menu: str) -> list[Row]:
        """The rows of a menu that are not switched off."""
        return [row for row in self.tables.get(menu, ()) if not is_on(row, "disabled")]


class Applied(NamedTuple):
    """Which lists do anything on a router: whether whoever stands on the list of the suspended is cut (IPv4, IPv6), and
    whether whoever stands on the list of notices is shown one."""

    cut: bool
    cut6: bool
    notice: bool


_REFUSING = ("drop", "reject", "tarpit", "jump")
_PASSING = ("accept", "return", "notrack")
_SENDING = ("dst-nat", "redirect", "netmap", "jump")


def applied(settings: Settings, tables: Tables) -> Applied:
    """Which of our lists a router's rules apply, ours or others'. A list that only FastTrack, a counter or a log reads
    cuts nobody, and neither does a rule about what is meant for the router itself."""
    cut = settings.cut
    return Applied(
        cut=any(_refuses(row, cut) for menu in (FILTER, RAW) for row in tables.get(menu, ())),
        cut6=any(_refuses(row, cut) for row in tables.get(FILTER6, ())),
        notice=any(_sends(row, settings.notice) for row in tables.get(NAT, ())),
    )


def _refuses(row: Row, name: str) -> bool:
    """Whether a rule refuses what comes from (or goes to) the addresses of a list, or lets past all but them."""
    if is_on(row, "disabled") or row.get("chain") in ("input", "output"):
        return False
    named = {row.get("src-address-list"), row.get("dst-address-list")}
    action = row.get("action", "accept")
    return (name in named and action in _REFUSING) or (f"!{name}" in named and action in _PASSING)


def _sends(row: Row, name: str) -> bool:
    """Whether a rule sends what the addresses of a list ask for elsewhere."""
    return (
        not is_on(row, "disabled") and row.get("src-address-list") == name and row.get("action", "accept") in _SENDING
    )


def check(subject: Subject) -> list[Verdict]:
    """All verdicts, in the order in which they are shown."""
    tests = (_order, _fasttrack, _dns, _server, _kept, _ipv6, _unread, _open, _own, _proxy, _duplicates)
    return [test(subject) for test in tests]


def _order(s: Subject) -> Verdict:
    if s.difference.misplaced:
        return Verdict("order", BAD, "misplaced", {"rules": _some(rule.key for rule in s.difference.misplaced)})
    if s.difference.missing or s.difference.changed:
        wrong = [rule.key for rule in (*s.difference.missing, *(rule for rule, _row in s.difference.changed))]
        return Verdict("order", BAD, "incomplete", {"rules": _some(wrong)})
    return Verdict("order", GOOD, "order")


def _fasttrack(s: Subject) -> Verdict:
    """FastTrack lets connections past every rule: the cut must stand above it."""
    found = False
    for menu, key in ((FILTER, "fwd-overdue"), (FILTER6, "fwd-overdue6")):
        rows = [row for row in s.enabled(menu) if row.get("chain") == "forward"]
        fast = [row for row in rows if row.get("action") == "fasttrack-connection" and not is_on(row, "dynamic")]
        jump = s.row(menu, key)
        found |= bool(fast)
        if fast and (jump is None or rows.index(fast[0]) < rows.index(jump)):
            if fast[0].get("src-address-list") == f"!{s.settings.cut}":
                continue
            return Verdict("fasttrack", BAD, "fasttrack_first")
    return Verdict("fasttrack", GOOD, "fasttrack_below" if found else "fasttrack_none")


def _dns(s: Subject) -> Verdict:
    """Without names no site is asked for, and no page appears."""
    if s.settings.resolvers:
        held = all(s.row(FILTER, f"ov-dns-{protocol}") is not None for protocol in ("udp", "tcp"))
        held = held and not any(rule.key.startswith("resolver-") for rule in s.difference.missing)
        return Verdict("dns", GOOD, "dns_named") if held else Verdict("dns", BAD, "dns_rules")
    if s.answers_dns:
        return Verdict("dns", GOOD, "dns_router")
    return Verdict("dns", UNKNOWN, "not_read") if s.answers_dns is None else Verdict("dns", BAD, "dns_none")


def _server(s: Subject) -> Verdict:
    page = s.settings.page
    if not page:
        return Verdict("server", WARNING, "server_none")
    if s.ping is None:
        return Verdict("server", UNKNOWN, "not_read")
    found = (GOOD, "server_answers") if s.ping else (BAD, "server_silent")
    return Verdict("server", *found, {"address": page})


def _kept(s: Subject) -> Verdict:
    """The page knows a client by its address: no masquerade may come first, and it must not be a neighbour's."""
    page = s.settings.page
    if not page:
        return Verdict("kept", WARNING, "server_none")
    rows = [row for row in s.enabled(NAT) if row.get("chain") == "srcnat"]
    keep = s.row(NAT, "keep-client-address")
    other = anchor(NAT, "srcnat", rows)
    if keep is None or (other is not None and rows.index(other) < rows.index(keep)):
        return Verdict("kept", BAD, "masqueraded")
    near = next((text for text in s.addresses if _covers(text, page)), "")
    return Verdict("kept", WARNING, "same_network", {"network": near}) if near else Verdict("kept", GOOD, "kept")


def _ipv6(s: Subject) -> Verdict:
    """Whoever has IPv6 that stays open is not suspended."""
    used = [text for text in s.addresses6 if not ipaddress.ip_interface(text).ip.is_link_local]
    if FILTER6 not in s.tables or not used:
        return Verdict("ipv6", GOOD, "ipv6_none")
    if s.row(FILTER6, "fwd-overdue6") is None:
        return Verdict("ipv6", BAD, "ipv6_open")
    cut4, cut6 = (_members(s, menu, s.settings.cut) for menu in (LIST, LIST6))
    ours = [row for row in cut4 if row.get("comment", "").startswith("wisp:")]
    if ours and not cut6:
        return Verdict("ipv6", WARNING, "ipv6_empty", {"list": s.settings.cut})
    return Verdict("ipv6", GOOD, "ipv6_closed")


def _unread(s: Subject) -> Verdict:
    """A list that no rule applies does nothing. To send web pages elsewhere is not yet to cut."""
    cut, notice, found = s.settings.cut, s.settings.notice, applied(s.settings, s.tables)
    places = ((LIST, cut, found.cut, ""), (LIST, notice, found.notice, ""), (LIST6, cut, found.cut6, " (IPv6)"))
    unread = [name + mark for menu, name, does, mark in places if not does and _members(s, menu, name)]
    return Verdict("unread", BAD, "unread", {"lists": ", ".join(unread)}) if unread else Verdict("unread", GOOD, "read")


def _open(s: Subject) -> Verdict:
    """What suspended clients need to pay stands on the list of what stays open."""
    if not s.settings.payments:
        return Verdict("payments", WARNING, "payments_none")
    missing = {rule.says["address"] for rule in s.difference.missing if rule.key.startswith("payment-")}
    missing |= {rule.says["address"] for rule, _row in s.difference.changed if rule.key.startswith("payment-")}
    if missing or s.row(FILTER, "ov-allowed") is None:
        return Verdict("payments", BAD, "payments_closed", {"sites": _some(sorted(missing or s.settings.payments))})
    return Verdict("payments", GOOD, "payments_open")


def _own(s: Subject) -> Verdict:
    """Nothing of the provider's own may stand on the list of the suspended."""
    own = [*(text.partition("/")[0] for text in (*s.addresses, *s.addresses6)), *s.settings.servers]
    own += [address for address in s.settings.resolvers if family(address)]
    cut = [row.get("address", "") for menu in (LIST, LIST6) for row in _members(s, menu, s.settings.cut)]
    hit = sorted({address for address in own if any(_covers(entry, address) for entry in cut)})
    if hit:
        return Verdict("own", BAD, "own_cut", {"addresses": _some(hit), "list": s.settings.cut})
    return Verdict("own", GOOD, "own_free")


def _proxy(s: Subject) -> Verdict:
    """A proxy that everybody may use is abused within hours."""
    if not s.proxy:
        return Verdict("proxy", GOOD, "proxy_off")
    guards = [
        row
        for row in s.enabled(FILTER)
        if row.get("chain") == "input" and row.get("action") in ("drop", "reject", "tarpit")
        and row.get("dst-port", s.proxy_port) in (s.proxy_port, "")
        and row.get("protocol", "tcp") == "tcp" and not row.get("connection-state")
    ]  # fmt: skip
    return Verdict("proxy", WARNING if guards else BAD, "proxy_guarded" if guards else "proxy_open",
                   {"port": s.proxy_port})  # fmt: skip


def _duplicates(s: Subject) -> Verdict:
    if not s.duplicates:
        return Verdict("duplicates", GOOD, "single")
    shown = _some(f"{address} ({', '.join(codes)})" for address, codes in sorted(s.duplicates.items()))
    return Verdict("duplicates", BAD, "shared", {"addresses": shown})


def _members(s: Subject, menu: str, name: str) -> list[Row]:
    return [row for row in s.enabled(menu) if row.get("list") == name]


def _covers(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _some(items: Iterable[str]) -> str:
    """The first of them, and that there are more."""

    def shown() -> Iterator[str]:
        for number, item in enumerate(items):
            if number == 5:
                yield "…"
                return
            yield item

    return ", ".join(shown())
