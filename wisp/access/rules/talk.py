"""Talking to a router about its rules. Network only: knows no tables of ours, opens no transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from wisp.access.rules import comparing
from wisp.access.rules.comparing import LIST_PROPERTIES, RULE_PROPERTIES, Difference, Row, difference, groups, ours
from wisp.access.rules.wanted import FILTER6, LISTS, MENUS, NAT, RAW, Rule, Settings, generate
from wisp.gateway import Command, Connection, ErrorCode, GatewayError, Status, Target, connect

DEADLINE = 60.0
"""Seconds that reading or changing the rules of one router may take in all."""
LOOKS = 5
"""How often the tables are read at most while they are put right."""


@dataclass(frozen=True)
class Facts:
    """What else the checks want to know of a router. Empty where a menu is absent or may not be read; ``ping``
    None = not asked or not answered, else whether the page's server replied. ``raw``: rules before the filter."""

    addresses: Sequence[str] = ()
    addresses6: Sequence[str] = ()
    answers_dns: bool | None = None
    proxy: bool = False
    proxy_port: str = ""
    ping: bool | None = None
    raw: Sequence[Row] = ()


@dataclass(frozen=True)
class Look:
    """What was read: the router's version, its tables, what belongs there, and how the two differ."""

    release: tuple[int, ...]
    tables: dict[str, list[Row]]
    rules: list[Rule]
    difference: Difference
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Done:
    """How an installation or a removal ended. ``failures``: what the router refused, in its own words, by key."""

    look: Look
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Read back on the router as wanted."""
        return self.look.difference.empty


def read(target: Target, settings: Settings, *, facts: bool = False) -> Look:
    """How the router's rules stand; nothing is changed. Raises GatewayError."""
    with connect(target, deadline=DEADLINE) as connection:
        return _look(connection, settings, facts=facts)


def install(target: Target, settings: Settings) -> Done:
    """Put every rule where it belongs, and read them back. Raises GatewayError.

    It may run twice or break anywhere: each look sends only what still differs.
    """
    with connect(target, deadline=DEADLINE) as connection:
        failures: dict[str, str] = {}
        look = _look(connection, settings)
        for _ in range(LOOKS):
            if look.difference.empty:
                return Done(_look(connection, settings, facts=True))
            failures = _repair(connection, look)
            look = _look(connection, settings)
        return Done(_look(connection, settings, facts=True), failures)


def uninstall(target: Target) -> Done:
    """Take every rule of ours away and nothing else. Raises GatewayError."""
    with connect(target, deadline=DEADLINE) as connection:
        failures: dict[str, str] = {}
        look = _read(connection, [])
        for _ in range(LOOKS):
            if look.difference.empty:
                break
            # What leads into our chains goes before what stands in them: no half chain ever works.
            rows = sorted(look.difference.extra, key=lambda found: found[1].get("action") != "jump")
            failures = _remove(connection, [row for row in rows if row[0] not in LISTS])
            failures |= _remove(connection, [row for row in rows if row[0] in LISTS])
            look = _read(connection, [])
        return Done(look, failures)


# Reading ---------------------------------------------------------------------------------------------


def _look(connection: Connection, settings: Settings, *, facts: bool = False) -> Look:
    release = connection.resource().release
    tables = _tables(connection)
    rules = generate(settings, release, ipv6=FILTER6 in tables)
    found = _facts(connection, settings) if facts else Facts()
    return Look(release, tables, rules, difference(rules, tables), found)


def _read(connection: Connection, rules: list[Rule]) -> Look:
    tables = _tables(connection)
    return Look((), tables, rules, difference(rules, tables))


def _tables(connection: Connection) -> dict[str, list[Row]]:
    """The rows of the menus that hold rules; of the lists only what is not a client's entry. A menu that the router
    does not have is left out."""
    tables: dict[str, list[Row]] = {}
    for menu in MENUS:
        found = _rows(connection, menu, LIST_PROPERTIES if menu in LISTS else RULE_PROPERTIES)
        if found is not None:
            tables[menu] = found
    if NAT not in tables:
        raise GatewayError(ErrorCode.permission, NAT)
    return tables


def _rows(connection: Connection, menu: str, properties: Sequence[str]) -> list[Row] | None:
    """The rows of a menu; None where this router has no such menu."""
    try:
        return list(connection.print(menu, properties))
    except GatewayError as error:
        if error.code is ErrorCode.trap and error.detail.startswith("no such command"):
            return None
        raise


def _optional(connection: Connection, menu: str, properties: Sequence[str]) -> list[Row]:
    try:
        return _rows(connection, menu, properties) or []
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return []
        raise


def _facts(connection: Connection, settings: Settings) -> Facts:
    dns = next(iter(_optional(connection, "/ip/dns", ["allow-remote-requests"])), None)
    proxy = next(iter(_optional(connection, "/ip/proxy", ["enabled", "port"])), {})
    return Facts(
        addresses=_addresses(connection, "/ip/address"),
        addresses6=_addresses(connection, "/ipv6/address"),
        answers_dns=None if dns is None else comparing.is_on(dns, "allow-remote-requests"),
        proxy=comparing.is_on(proxy, "enabled"),
        proxy_port=proxy.get("port", ""),
        ping=_ping(connection, settings.page),
        raw=tuple(_optional(connection, RAW, RULE_PROPERTIES)),
    )


def _addresses(connection: Connection, menu: str) -> list[str]:
    rows = _optional(connection, menu, ["address", "disabled"])
    return [row["address"] for row in rows if row.get("address") and not comparing.is_on(row, "disabled")]


def _ping(connection: Connection, address: str) -> bool | None:
    """Whether the router reaches an address; None where it does not say."""
    if not address:
        return None
    try:
        rows = connection.query(Command("/ping", {"address": address, "count": "2"}))
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return None
        raise
    counts = [row["received"] for row in rows if row.get("received", "").isdecimal()]
    return int(counts[-1]) > 0 if counts else None


# Changing --------------------------------------------------------------------------------------------


def _repair(connection: Connection, look: Look) -> dict[str, str]:
    """Send what differs; what was refused, by key. Order is put right once everything is there."""
    found = look.difference
    if not (found.missing or found.changed or found.extra):
        return _move(connection, look)
    old = [*((rule.menu, row) for rule, row in found.changed), *found.extra]
    failures = _remove(connection, [row for row in old if row[0] in LISTS])
    new = {(rule.menu, rule.key) for rule in (*found.missing, *(rule for rule, _ in found.changed))}
    # Chains of our own first, what leads into them after: no half chain ever works.
    ordered = [rule for rule in look.rules if (rule.menu, rule.key) in new]
    for rule in sorted(ordered, key=lambda rule: rule.chain in ("forward", "dstnat", "srcnat")):
        failures |= _add(connection, rule, look)
    # Only now what it replaces: there is no moment without the rule.
    return failures | _remove(connection, [row for row in old if row[0] not in LISTS])


def _add(connection: Connection, rule: Rule, look: Look) -> dict[str, str]:
    """One rule at a time: the order of the commands is the order of the rules."""
    says = {**rule.says, "comment": rule.comment}
    before = comparing.anchor(rule.menu, rule.chain, look.tables[rule.menu]) if rule.chain else None
    if before is not None:
        says["place-before"] = before[".id"]
    outcome = connection.run([Command(f"{rule.menu}/add", says)])[0]
    _check(connection)
    # "gone": what it was to stand before has vanished meanwhile; the next look finds another place.
    return {rule.key: outcome.text} if outcome.status in (Status.failed, Status.exists, Status.gone) else {}


def _move(connection: Connection, look: Look) -> dict[str, str]:
    """Put the rules of each chain that is out of order before their anchor, one by one and so in order."""
    failures: dict[str, str] = {}
    for (menu, chain), rules in groups(look.difference.misplaced).items():
        rows = look.tables[menu]
        ids = {ours(row): row[".id"] for row in reversed(rows) if ours(row) is not None}
        before = comparing.anchor(menu, chain, rows)
        for rule in rules:
            says = {".id": ids[rule.key]}
            if before is not None:
                says["destination"] = before[".id"]
            outcome = connection.run([Command(f"{menu}/move", says)])[0]
            _check(connection)
            if outcome.status is not Status.ok:
                failures[rule.key] = outcome.text
    return failures


def _remove(connection: Connection, rows: Sequence[tuple[str, Row]]) -> dict[str, str]:
    failures: dict[str, str] = {}
    for menu in dict.fromkeys(menu for menu, _row in rows):
        mine = [row for place, row in rows if place == menu]
        for row, outcome in zip(mine, connection.remove(menu, [row[".id"] for row in mine]), strict=True):
            if outcome.status is Status.failed:
                failures[ours(row) or row[".id"]] = outcome.text
        _check(connection)
    return failures


def _check(connection: Connection) -> None:
    if connection.error is not None:
        raise connection.error
