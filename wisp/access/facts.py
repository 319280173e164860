"""Reading what levers need to know of a router: only the menus in question, and only the rows where they are few."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from wisp.access.domain import Lists, is_ipv4
from wisp.access.levers import MARK, Facts, Lever, base_of
from wisp.access.plan import Plan, Subject
from wisp.gateway import Connection, ErrorCode, GatewayError, Row, menus, text_of

FEW = 20
"""Up to so many rows are asked for by name."""
_SECRET = (".id", "name", "profile", "remote-address", "disabled")
_USER = (".id", "name", "server", "disabled")
_LEASE = (".id", "mac-address", "address", "active-address", "address-lists", "dynamic", "disabled")
T = TypeVar("T")


def name_of(subject: Subject) -> str:
    """What the client's own row on the router is found by."""
    return subject.mac.upper() if subject.connection == "dhcp" else subject.username


def read(connection: Connection, plan: Plan, recorded: Mapping[int, Lever], left: Iterable[Lever]) -> Facts:
    """What the levers of these clients look like now. Raises GatewayError where the connection breaks; a menu that is
    not there is empty, one that the router does not let us read is noted (Facts.unread)."""
    facts = Facts()
    known = [*left, *(lever for lever in recorded.values() if lever.kind)]
    here = {s.client_id: s for s in plan.subjects}
    renamed = [here[client_id] for client_id, lever in recorded.items() if lever.kind]
    _read_ppp(connection, plan, facts, known, renamed)
    _read_hotspot(connection, plan, facts, known, renamed)
    macs = _names(plan, "dhcp", known, ("lease",), renamed)
    if macs:
        read_leases(connection, facts, macs)
    return facts


def _names(
    plan: Plan, connection: str, known: Iterable[Lever], kinds: Collection[str], renamed: Iterable[Subject]
) -> set[str]:
    """The names of the rows that matter: of those on a list, of what is remembered, and what its clients are called
    now."""
    names = {name_of(s) for s in plan.subjects if s.connection == connection and s.wanted != "none"}
    names |= {lever.name for lever in known if lever.kind in kinds}
    names |= {name_of(s) for s in renamed if s.connection == connection}
    return names - {""}


def _read_ppp(
    connection: Connection, plan: Plan, facts: Facts, known: Collection[Lever], renamed: Collection[Subject]
) -> None:
    open_ones = {s.username for s in plan.subjects if is_open(s) and s.wanted != "none"}
    moved = [lever for lever in known if lever.kind in ("profile", "disable")]
    names = open_ones | {lever.name for lever in moved}
    names |= {s.username for s in renamed if s.connection == "pppoe"} - {""}
    if not names:
        return
    facts.secrets = {
        text_of(row.get("name", "")): row for row in _some(connection, facts, menus.SECRET, _SECRET, "name", names)
    }
    floating = {name for name in open_ones if not is_ipv4(facts.secrets.get(name, {}).get("remote-address", ""))}
    if floating or (open_ones and moved):
        sessions = _noted(facts, menus.PPP_ACTIVE, connection.active_ppp)
        facts.sessions = {s.name: s.address for s in sessions if s.address}
    by_profile = plan.pppoe_cut == "profile" and any(name in facts.secrets for name in floating)
    if by_profile or any(lever.kind == "profile" for lever in moved):
        rows = _noted(facts, menus.PROFILE, lambda: connection.read_whole(menus.PROFILE))
        facts.profiles = {text_of(row.get("name", "")): row for row in rows}


def orphans(connection: Connection, lists: Lists) -> set[str]:
    """The PPP users whose profile is one of ours, for whatever reason."""
    profiles = optional(lambda: connection.read(menus.PROFILE, (".id", "name", "comment")))
    names = {row["name"] for row in profiles if row.get("comment") == MARK and base_of(text_of(row["name"]), lists)}
    if not names:
        return set()
    rows = optional(lambda: connection.read(menus.SECRET, (".id", "name", "profile")))
    return {text_of(row["name"]) for row in rows if row.get("profile") in names and "name" in row}


def is_open(subject: Subject) -> bool:
    """Whether the client's address is nowhere written down by us."""
    return subject.connection == "pppoe" and subject.address is None and bool(subject.username)


def _read_hotspot(
    connection: Connection, plan: Plan, facts: Facts, known: Collection[Lever], renamed: Collection[Subject]
) -> None:
    names = _names(plan, "hotspot", known, ("hotspot",), renamed)
    if not names:
        return
    for row in _some(connection, facts, menus.HOTSPOT_USER, _USER, "name", names):
        facts.users.setdefault(text_of(row.get("name", "")), []).append(row)
    if any(s.connection == "hotspot" and s.wanted == "notice" and s.address is None for s in plan.subjects):
        place = menus.HOTSPOT_ACTIVE
        for row in _noted(facts, place, lambda: connection.print(place, [".id", "user", "address"])):
            if row.get("address"):
                facts.logged_in.setdefault(row.get("user", ""), []).append(row["address"])


def read_leases(connection: Connection, facts: Facts, macs: Collection[str]) -> None:
    """Read the leases of these devices, again."""
    facts.leases = {}
    for row in _some(connection, facts, menus.LEASE, _LEASE, "mac-address", macs):
        facts.leases.setdefault(text_of(row.get("mac-address", "")).upper(), []).append(row)


def _some(
    connection: Connection, facts: Facts, menu: str, proplist: tuple[str, ...], key: str, names: Collection[str]
) -> list[Row]:
    """The rows with these names among others, in the router's own bytes."""
    queries: list[str] = []
    if len(names) <= FEW and all(name.isascii() for name in names):
        queries = [f"?{key}={name}" for name in sorted(names)] + ["?#|"] * (len(names) - 1)
    return _noted(facts, menu, lambda: connection.read(menu, proplist, *queries))


def _noted(facts: Facts, menu: str, read: Callable[[], list[T]]) -> list[T]:
    """What a menu holds; nothing where this router has none, or where it does not say, which is noted."""
    try:
        return read()
    except GatewayError as error:
        if not is_absent(error):
            facts.unread[menu] = refusal(error)
        return []


def refusal(error: GatewayError) -> str:
    """What the router said to a question that it did not answer. Raises the error where the connection broke."""
    if error.code not in (ErrorCode.trap, ErrorCode.permission):
        raise error
    return error.detail


def is_absent(error: GatewayError) -> bool:
    """Whether the router has no such menu."""
    return error.code is ErrorCode.trap and error.detail.startswith("no such command")


def optional(read: Callable[[], list[T]]) -> list[T]:
    """What a menu holds; nothing where this router has no such menu or does not let us read it."""
    try:
        return read()
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return []
        raise
