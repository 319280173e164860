"""The difference between what a router's lists hold and what is wanted: for people to see, to repair, to count."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import sqlalchemy as sa

from wisp.access import domain, sync
from wisp.access.conversation import DEADLINE, Conversation, Plan
from wisp.access.domain import TAG, Add, Change, Difference
from wisp.access.models import RouterDifference
from wisp.clients.models import Client, ClientNetwork
from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.gateway import Entry, ErrorCode, GatewayError, Status, connect, menus
from wisp.routers.models import Router

KEPT = timedelta(days=400)
"""How long counts are kept."""


@dataclass(frozen=True)
class Line:
    """One entry that differs, or that is not ours.

    ``why``: ``absent``, ``disabled``, ``lever`` (the ``address`` is the user or the device whose row does not say what
    is wanted); ``free``, ``other_list``, ``address``, ``gone``, ``moved``; empty for a foreign one. ``code``: its
    client; for a foreign one the client of this router who has the address (empty: nobody, so it cannot be adopted).
    ``lever``: it is no entry, but the row of a user or a device.
    """

    list: str
    address: str
    code: str = ""
    why: str = ""
    id: str = ""
    comment: str = ""
    disabled: bool = False
    lever: bool = False


@dataclass
class Found:
    """What differs on a router, in four groups; ``foreign`` entries are never touched unless a person adopts one."""

    missing: list[Line] = field(default_factory=list)
    extra: list[Line] = field(default_factory=list)
    stale: list[Line] = field(default_factory=list)
    foreign: list[Line] = field(default_factory=list)
    ipv6: bool = False
    """Entries of ours stand on the IPv6 lists."""
    orphans: bool = False
    """Users stand on profiles of ours whom nobody knows of."""

    @property
    def empty(self) -> bool:
        """There is nothing to repair."""
        return not (self.missing or self.extra or self.stale)

    def counts(self) -> dict[str, int]:
        """How many of each group."""
        return {name: len(getattr(self, name)) for name in ("missing", "extra", "stale", "foreign")}


@dataclass(frozen=True)
class Reading:
    """What was read of a router: its lists, and levers to be ``put`` or taken ``back`` as Leverage.as_entries says."""

    plan: Plan
    difference: Difference
    entries: Sequence[Entry]
    put: Sequence[Add] = ()
    back: Sequence[Change] = ()


def read(plan: Plan) -> Reading:
    """Read a router's lists of both families, and levers, and compare; nothing is changed. Network only. Raises
    GatewayError."""
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk = Conversation(replace(plan, ipv6=True))
    with connect(plan.target, deadline=DEADLINE) as connection:
        talk.compare(connection)
    return Reading(plan, talk.both(), talk.entries, *talk.levers.as_entries())


def look(router_id: int) -> Found:
    """Read the router now. Ends the present read transaction before the network. Raises GatewayError."""
    plan = sync.read_plan(router_id)
    session().rollback()
    reading = read(plan)
    codes = {change.code for change in reading.difference.remove}
    addresses = [domain.normal(entry.address) for entry in reading.entries if _foreign(entry)]
    return sort(reading, fates(router_id, codes), owners(router_id, addresses))


def sort(reading: Reading, fates: Mapping[str, str], owners: Mapping[str, str]) -> Found:
    """The difference in groups. ``fates`` of codes: ``here`` or ``moved``, none where the client is gone; ``owners``:
    codes by address. Pure."""
    found = Found(ipv6=any(":" in entry.address and domain.code_of(entry) for entry in reading.entries))
    wanted = {subject.code: reading.plan.list_of(subject.wanted) for subject in reading.plan.subjects}
    found.orphans = any(e.client_id is None and not e.code for e in reading.back)
    found.missing = [Line(e.list, e.address, e.code, "absent") for e in reading.difference.add]
    found.missing += [Line(e.list, e.address, e.code, "disabled", e.id) for e in reading.difference.enable]
    found.missing += [Line(e.list, e.address, e.code, "lever", lever=True) for e in reading.put]
    for e in reading.back:
        here = e.client_id is not None
        why = "free" if here else "moved" if e.code else "gone"
        line = Line(e.list, e.address, e.code, why, e.id, lever=True)
        (found.extra if here else found.stale).append(line)
    for change in reading.difference.remove:
        why = _why(change, wanted, fates)
        group = found.extra if why in ("free", "other_list") else found.stale
        group.append(Line(change.list, change.address, change.code, why, change.id))
    found.foreign = [
        Line(
            entry.list, domain.normal(entry.address), owners.get(domain.normal(entry.address), ""), "", entry.id,
            entry.comment, entry.disabled,
        )
        for entry in reading.entries
        if _foreign(entry)
    ]  # fmt: skip
    return found


def _foreign(entry: Entry) -> bool:
    return not entry.dynamic and domain.code_of(entry) is None


def _why(change: Change, wanted: Mapping[str, str], fates: Mapping[str, str]) -> str:
    name = wanted.get(change.code)
    if name:
        return "address" if name == change.list else "other_list"
    fate = fates.get(change.code, "gone")
    return "free" if fate == "here" else fate


def fates(router_id: int, codes: Collection[str]) -> dict[str, str]:
    """What became of clients: ``here`` (on this router) or ``moved``; a cancelled or unknown one is left out."""
    rows: list[tuple[str, int]] = []
    for part in _parts(sorted(codes)):
        query = sa.select(Client.code, Client.router_id).where(Client.code.in_(part), Client.cancelled_at.is_(None))
        rows += [(code, place) for code, place in session().execute(query)]
    return {code: "here" if place == router_id else "moved" for code, place in rows}


def owners(router_id: int, addresses: Collection[str]) -> dict[str, str]:
    """The clients of a router by fixed address."""
    found: dict[str, str] = {}
    for part in _parts(sorted(set(addresses))):
        for column in (Client.address, Client.address6):
            query = sa.select(column, Client.code).where(
                Client.router_id == router_id, column.in_(part), Client.cancelled_at.is_(None)
            )
            found |= {domain.normal(str(address)): code for address, code in session().execute(query)}
        query = (
            sa.select(ClientNetwork.network, Client.code)
            .join(Client, Client.id == ClientNetwork.client_id)
            .where(ClientNetwork.router_id == router_id, ClientNetwork.network.in_(part))
        )
        found |= {domain.normal(network): code for network, code in session().execute(query)}
    return found


def _parts(values: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    return [values[at : at + size] for at in range(0, len(values), size)]


# Adopting --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Adoption:
    """An entry that a person wants to be ours: as it was shown, and the client who has its address."""

    plan: Plan
    entry_id: str
    list: str
    address: str
    code: str


def adoption(router_id: int, entry_id: str, list_name: str, address: str) -> Adoption:
    """What is needed to adopt a foreign entry. Refused where no client of the router has its address."""
    code = owners(router_id, [address]).get(address)
    if code is None:
        raise Refused("access.no_owner", address=address)
    return Adoption(sync.read_plan(router_id), entry_id, list_name, address, code)


def adopt(wish: Adoption) -> str:
    """Write our mark on the entry, if it still is what was shown; its earlier comment. Network only.

    Raises GatewayError, and Refused where the entry is another by now.
    """
    if wish.plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    with connect(wish.plan.target, deadline=DEADLINE) as connection:
        ipv6 = ":" in wish.address
        entries = {entry.id: entry for entry in connection.read_lists(wish.plan.lists.names, ipv6=ipv6)}
        entry = entries.get(wish.entry_id)
        shown = (wish.list, wish.address)
        if entry is None or not _foreign(entry) or (entry.list, domain.normal(entry.address)) != shown:
            raise Refused("access.entry_changed", address=wish.address)
        menu = menus.LISTS6 if ipv6 else menus.LISTS
        outcome = connection.set(menu, [entry.id], {"comment": TAG + wish.code})[0]
        if connection.error is not None:
            raise connection.error
        if outcome.status is not Status.ok:
            raise GatewayError(outcome.code or ErrorCode.trap, outcome.text)
        return entry.comment


def record_adoption(router: Router, wish: Adoption, comment: str) -> None:
    """A line in the audit log: whose entry it was by its comment, and whose it is."""
    audit.record(
        "router.adopt_entry",
        f"router:{router.name}",
        {"list": wish.list, "address": wish.address, "comment": comment},
        {"comment": TAG + wish.code},
    )


# Counting --------------------------------------------------------------------------------------------


def record(router_id: int, found: Found | None, error: str = "") -> None:
    """Keep the counts of a router; forget those that are too old. ``found`` None: it could not be read."""
    now = clock.now()
    counts = found.counts() if found is not None else {}
    session().add(RouterDifference(router_id=router_id, counted_at=now, error=error[:16], **counts))
    session().execute(
        sa.delete(RouterDifference).where(
            RouterDifference.router_id == router_id, RouterDifference.counted_at < now - KEPT
        )
    )


def history(router_id: int, limit: int = 30) -> list[RouterDifference]:
    """The last counts of a router, the newest first."""
    query = (
        sa.select(RouterDifference)
        .where(RouterDifference.router_id == router_id)
        .order_by(RouterDifference.counted_at.desc(), RouterDifference.id.desc())
        .limit(limit)
    )
    return list(session().scalars(query))
