"""How the rules on a router differ from those that belong there, and where they belong. Pure."""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wisp.access.rules.wanted import FILTER, FILTER6, LISTS, NAT, Rule, key_of

Row = Mapping[str, str]
"""A row as read: ``.id``, ``comment``, ``disabled``, ``dynamic`` and its properties; what is not set is absent."""
Tables = Mapping[str, Sequence[Row]]
"""The rows of each menu in their order. A menu that this router does not have is absent."""

MATCHERS = (
    "protocol", "src-address", "dst-address", "src-address-list", "dst-address-list", "src-port", "dst-port", "port",
    "in-interface", "out-interface", "in-interface-list", "out-interface-list", "src-mac-address", "connection-mark",
    "packet-mark", "connection-state", "connection-nat-state", "connection-type", "connection-rate",
    "connection-limit", "dst-limit", "limit", "hotspot", "time", "content", "layer7-protocol", "icmp-options", "dscp",
    "ttl", "nth", "random", "tls-host",
)  # fmt: skip
"""What narrows a rule down. One that is set on a rule of ours and does not belong there makes it another rule."""
RULE_PROPERTIES = (
    ".id", "chain", "action", *MATCHERS, "to-addresses", "to-ports", "jump-target", "reject-with", "address-list",
    "address-list-timeout", "comment", "disabled", "dynamic",
)  # fmt: skip
LIST_PROPERTIES = (".id", "list", "address", "comment", "disabled", "dynamic")
_UNIT = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DESTINATION_NAT = ("dst-nat", "redirect", "netmap", "jump")
_SOURCE_NAT = ("masquerade", "src-nat", "netmap", "same", "jump")


@dataclass
class Difference:
    """What is missing, what stands otherwise than wanted, whose order or place is wrong, what of ours is too much.

    ``extra`` and the second of ``changed`` are rows of ours by menu; rows of others are only counted.
    """

    missing: list[Rule] = field(default_factory=list)
    changed: list[tuple[Rule, Row]] = field(default_factory=list)
    misplaced: list[Rule] = field(default_factory=list)
    extra: list[tuple[str, Row]] = field(default_factory=list)
    foreign: int = 0

    @property
    def empty(self) -> bool:
        """The router has exactly what belongs there."""
        return not (self.missing or self.changed or self.misplaced or self.extra)


def ours(row: Row) -> str | None:
    """The key of a row of ours; None for another's. A dynamic row is the router's own whatever it says."""
    return None if is_on(row, "dynamic") else key_of(row.get("comment", ""))


def is_on(row: Row, name: str) -> bool:
    """A yes-or-no property; absent is no."""
    return row.get(name, "") in ("true", "yes")


def difference(wanted: Sequence[Rule], tables: Tables) -> Difference:
    """Compare by key. The first row with a key counts, others with the same key are too many."""
    found = Difference()
    by_key = {(rule.menu, rule.key): rule for rule in wanted}
    standing: dict[tuple[str, str], Row] = {}
    for menu, rows in tables.items():
        for row in rows:
            key = ours(row)
            if key is None:
                found.foreign += not is_on(row, "dynamic")
            elif (menu, key) not in by_key or (menu, key) in standing:
                found.extra.append((menu, row))
            else:
                standing[menu, key] = row
    served = {place for menu in LISTS for place in _foreign_entries(menu, tables.get(menu, ()))}
    for place, rule in by_key.items():
        row_found = standing.get(place)
        if row_found is None:
            if rule.menu not in LISTS or _entry(rule.menu, rule.says) not in served:
                found.missing.append(rule)
        elif not same(rule, row_found):
            found.changed.append((rule, row_found))
    found.misplaced = _misplaced(wanted, tables, {id(row) for row in standing.values()})
    return found


def _entry(menu: str, row: Row) -> tuple[str, str, str]:
    return menu, row.get("list", ""), normal("address", row.get("address", ""))


def _foreign_entries(menu: str, rows: Iterable[Row]) -> set[tuple[str, str, str]]:
    """What others put on a list, for good or for a time: the router takes an address once per list, so ours is neither
    needed nor possible there. Once such an entry has run out, ours is missing."""
    return {_entry(menu, row) for row in rows if not is_on(row, "disabled") and ours(row) is None}


def same(rule: Rule, row: Row) -> bool:
    """Whether a row does what the rule says: every property of it, no further matcher, enabled."""
    if is_on(row, "disabled"):
        return False
    names = {*rule.says, *(() if rule.menu in LISTS else MATCHERS)}
    return all(normal(name, rule.says.get(name, "")) == normal(name, row.get(name, "")) for name in names)


def normal(name: str, value: str) -> str:
    """A value as it can be compared: addresses and times have several spellings."""
    if name in ("address", "dst-address", "src-address", "to-addresses"):
        try:
            return str(ipaddress.ip_network(value, strict=False))
        except ValueError:
            return value.lower()
    if name == "address-list-timeout":
        return str(sum(int(count) * _UNIT[unit] for count, unit in re.findall(r"(\d{1,9})([wdhms])", value)) or value)
    return value


def anchor(menu: str, chain: str, rows: Iterable[Row]) -> Row | None:
    """The row before which our rules of a chain belong; None: anywhere, in their mutual order.

    In ``forward`` the first that fasttracks or accepts established connections (or everything), in ``dstnat`` the first
    that redirects, in ``srcnat`` the first that gives connections another source. Dynamic rows do not count: nothing
    can be put before those that keep themselves on top.
    """
    for row in rows:
        if row.get("chain") == chain and not is_on(row, "dynamic") and ours(row) is None and _binds(menu, chain, row):
            return row
    return None


def _binds(menu: str, chain: str, row: Row) -> bool:
    action = row.get("action", "accept")
    if menu in (FILTER, FILTER6) and chain == "forward":
        return action == "fasttrack-connection" or (action == "accept" and _established(row))
    if menu == NAT and chain == "dstnat":
        return action in _DESTINATION_NAT
    return menu == NAT and chain == "srcnat" and action in _SOURCE_NAT


def _established(row: Row) -> bool:
    state = row.get("connection-state", "")
    if state:
        return not state.startswith("!") and "established" in state.split(",")
    return not any(row.get(name) for name in MATCHERS)


def groups(wanted: Iterable[Rule]) -> dict[tuple[str, str], list[Rule]]:
    """The rules whose mutual order matters: those of one chain."""
    found: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for rule in wanted:
        if rule.chain:
            found[rule.menu, rule.chain].append(rule)
    return found


def _misplaced(wanted: Sequence[Rule], tables: Tables, counted: set[int]) -> list[Rule]:
    """The rules of every chain in which ours are not in order, or not all above what they belong above."""
    wrong: list[Rule] = []
    for (menu, chain), rules in groups(wanted).items():
        rows = tables.get(menu, ())
        present = [key for row in rows if id(row) in counted and (key := ours(row)) is not None]
        present = [key for key in present if key in {rule.key for rule in rules}]
        order = [rule for rule in rules if rule.key in set(present)]
        limit = anchor(menu, chain, rows)
        below = {ours(row) for row in rows[rows.index(limit) + 1 :]} if limit is not None else set()
        if present != [rule.key for rule in order] or below & set(present):
            wrong += order
    return wrong
