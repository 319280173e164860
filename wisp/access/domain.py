"""What a router's address lists must change so that they say what is wanted. Pure: values in, values out."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Network, ip_network
from socket import AF_INET, inet_pton
from typing import NamedTuple, Protocol

TAG = "wisp:"
_OURS = re.compile(r"wisp:([A-Za-z0-9._@-]{1,64})")


class Row(Protocol):
    """An entry as read from a router's address list."""

    @property
    def id(self) -> str: ...
    @property
    def list(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def comment(self) -> str: ...
    @property
    def disabled(self) -> bool: ...
    @property
    def dynamic(self) -> bool: ...


@dataclass(frozen=True)
class Lists:
    """Names of the list of the suspended and of the list of notices; ``former``: earlier names, to be emptied."""

    cut: str
    notice: str
    former: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every list that may hold entries of ours, each once."""
        return tuple(dict.fromkeys((self.cut, self.notice, *self.former)))


class Wanted(NamedTuple):
    """A client and the list it belongs on; ``list`` empty = on none. ``address`` None = not known at present.

    ``further``: another address or network of a client, beside the one that is its own: it needs an entry too.
    """

    client_id: int
    code: str
    address: str | None
    list: str
    further: bool = False


class Add(NamedTuple):
    """An entry to add for a client."""

    client_id: int
    code: str
    list: str
    address: str

    @property
    def comment(self) -> str:
        """Our mark on it."""
        return TAG + self.code


class Change(NamedTuple):
    """An entry of ours, to be enabled or removed. ``client_id`` None: its client wants nothing here (an orphan)."""

    id: str
    list: str
    address: str
    code: str
    client_id: int | None


class Verdict(NamedTuple):
    """Where a client stands before any command is sent.

    ``problem`` not empty = cannot be as wanted, whatever is sent: ``no_address``, ``not_ipv4``, ``not_ipv6``,
    ``foreign: <list>`` (somebody else's entry holds a client who should be free), ``shared: <code>`` (the address
    is held for another client). ``foreign``: somebody else's entry does the work ("ajena"). ``shared_with``: the
    client whose entry serves this one too. ``held``: an enabled entry of ours was on the wanted list already,
    whatever its address.
    """

    address: str | None = None
    problem: str = ""
    foreign: bool = False
    shared_with: int | None = None
    held: bool = False


@dataclass
class Difference:
    """The commands that make the lists right, in the order remove, enable, add; and a verdict for each client.

    ``foreign`` counts the entries that are not ours: they are never touched.
    """

    remove: list[Change] = field(default_factory=list)
    enable: list[Change] = field(default_factory=list)
    add: list[Add] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    foreign: int = 0

    @property
    def empty(self) -> bool:
        """Nothing to send."""
        return not (self.remove or self.enable or self.add)


def code_of(entry: Row) -> str | None:
    """The code of the client for whom we wrote this entry; None where it is not ours.

    A dynamic row is never ours, whatever it says: the router made it and takes it away again.
    """
    found = None if entry.dynamic else _OURS.fullmatch(entry.comment)
    return found[1] if found else None


def normal(address: str) -> str:
    """An address in one form, however the router prints it: a /32 or a /128 is the bare address, IPv6 is shortened."""
    bare = address.strip()
    if ":" not in bare:
        return bare.removesuffix("/32")
    try:
        return str(IPv6Network(bare, strict=False)).removesuffix("/128")
    except ValueError:
        return bare


def is_ipv4(address: str) -> bool:
    """Whether this is one IPv4 address: the only thing that we put on an IPv4 list."""
    try:
        inet_pton(AF_INET, address)  # as strict as ipaddress, and ten times as fast
    except (OSError, ValueError):
        return False
    return True


def is_ipv6(address: str) -> bool:
    """Whether this is an IPv6 address or prefix: what we put on an IPv6 list."""
    try:
        IPv6Network(address, strict=False)
    except ValueError:
        return False
    return True


def difference(
    wanted: Sequence[Wanted],
    entries: Iterable[Row],
    lists: Lists,
    busy: Collection[str] = frozenset(),
    *,
    ipv6: bool = False,
) -> Difference:
    """Compare what is wanted now with what the router's lists hold, of one family: ``ipv6`` or IPv4.

    ``wanted`` holds everybody who belongs on a list and those whose release is to be judged; an entry of ours
    for anybody else is removed. Two clients on one address share one entry, since the router takes an address
    once per list: it is there while any of them belongs on the list, and whoever of them should be free is
    told so. A client whose address is not known keeps the entry that it has, unless that address is among
    ``busy``: those that somebody else uses now. Of a client with ``further`` addresses there is one verdict: the
    first of its problems, and whether any entry is somebody else's.
    """
    return _Comparison(wanted, entries, lists, busy, ipv6).run()


class _Comparison:
    """The work of ``difference``: choose for each client the entry that serves it, then clear away the rest of ours."""

    def __init__(
        self, wanted: Sequence[Wanted], entries: Iterable[Row], lists: Lists, busy: Collection[str], ipv6: bool
    ) -> None:
        self.ipv6 = ipv6
        self.lists = lists
        self.busy = busy
        self.result = Difference()
        self.wanted = sorted(wanted, key=lambda one: one.further)
        self.owners = {client.code: client.client_id for client in wanted}
        self.networks: dict[str, set[str]] = defaultdict(set)
        for one in self.wanted:
            if one.further and one.address is not None:
                self.networks[one.code].add(normal(one.address))
        self.ours: dict[str, list[Row]] = defaultdict(list)
        self.foreign: dict[tuple[str, str], Row] = {}
        self.claims: dict[tuple[str, str], Wanted] = {}
        self.kept: set[str] = set()
        foreign_addresses: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            if entry.list not in lists.names:
                continue
            code = code_of(entry)
            if code is not None:
                self.ours[code].append(entry)
                continue
            self.result.foreign += 1
            if not entry.disabled:
                self.foreign[entry.list, normal(entry.address)] = entry
                foreign_addresses[entry.list].append(entry.address)
        self.cover = {name: _Cover(addresses) for name, addresses in foreign_addresses.items()}

    def run(self) -> Difference:
        on_a_list = [client for client in self.wanted if client.list]
        found: dict[bool, dict[int, list[Verdict]]] = {False: defaultdict(list), True: defaultdict(list)}
        # Whoever holds the entry of a shared address keeps it: nothing is moved without need.
        for client in sorted(on_a_list, key=lambda c: (not self._holds(c), c.client_id)):
            found[client.further][client.client_id].append(self._place(client))
        for client in self.wanted:
            if not client.list:
                found[client.further][client.client_id].append(self._release(client))
        for client_id in {client.client_id: None for client in self.wanted}:
            self.result.verdicts[client_id] = _one(found[False][client_id], found[True][client_id])
        for code, entries in self.ours.items():
            owner = self.owners.get(code)
            self.result.remove += [
                Change(entry.id, entry.list, normal(entry.address), code, owner)
                for entry in entries
                if entry.id not in self.kept
            ]
        return self.result

    def _holds(self, client: Wanted) -> bool:
        return any(not entry.disabled for entry in self._entries_at(client))

    def _entries_at(self, client: Wanted) -> list[Row]:
        """Our entries for this client on its list: at its address, or anywhere while the address is not known."""
        if client.code not in self.ours:
            return []
        entries = [entry for entry in self.ours[client.code] if entry.list == client.list]
        if client.address is None:
            taken = self.networks.get(client.code, ())
            return [e for e in entries if normal(e.address) not in self.busy and normal(e.address) not in taken]
        return [entry for entry in entries if normal(entry.address) == normal(client.address)]

    def _place(self, client: Wanted) -> Verdict:
        held, candidates = False, self._entries_at(client)
        if client.code in self.ours:
            among = candidates if client.further else self.ours[client.code]
            held = any(e.list == client.list and not e.disabled for e in among)
            candidates.sort(key=lambda entry: entry.disabled)
        if client.address is not None:
            address = normal(client.address)
            fits = (
                is_ipv6(address) if self.ipv6 else is_ipv4(address) or (client.further and _span(address) is not None)
            )
            if not fits:
                return Verdict(address, problem="not_ipv6" if self.ipv6 else "not_ipv4", held=held)
        elif candidates:
            address = normal(candidates[0].address)
        else:
            return Verdict(problem="no_ipv6" if self.ipv6 else "no_address", held=held)
        key = (client.list, address)
        if key in self.claims:
            return Verdict(address, shared_with=self.claims[key].client_id, held=held)
        self.claims[key] = client
        if candidates and not candidates[0].disabled:
            self.kept.add(candidates[0].id)
        elif key in self.foreign:
            return Verdict(address, foreign=True, held=held)
        elif candidates:
            entry = candidates[0]
            self.kept.add(entry.id)
            self.result.enable.append(Change(entry.id, client.list, address, client.code, client.client_id))
        else:
            self.result.add.append(Add(client.client_id, client.code, client.list, address))
        return Verdict(address, held=held)

    def _release(self, client: Wanted) -> Verdict:
        """A client who should be free is not while another entry, not ours to remove, holds its address."""
        if client.address is None:
            return Verdict()
        address = normal(client.address)
        for name in (self.lists.cut, self.lists.notice):
            if name in self.cover and self.cover[name].holds(address):
                return Verdict(address, problem=f"foreign: {name}", foreign=True)
            other = self.claims.get((name, address))
            if other is not None:
                return Verdict(address, problem=f"shared: {other.code}")
        return Verdict(address)


def _one(own: Sequence[Verdict], further: Sequence[Verdict]) -> Verdict:
    """One verdict on a client of those on its own address and on its further ones."""
    first = own[0] if own else Verdict()
    if not further:
        return first
    together = (first, *further)
    return first._replace(
        problem=next((verdict.problem for verdict in together if verdict.problem), ""),
        foreign=any(verdict.foreign for verdict in together),
        held=all(verdict.held for verdict in together),
    )


class _Cover:
    """Which addresses a set of addresses, prefixes and IPv4 ranges covers; names are not followed."""

    def __init__(self, addresses: Iterable[str]) -> None:
        spans = sorted(span for span in map(_span, addresses) if span is not None)
        self._starts: list[_Place] = []
        self._ends: list[_Place] = []
        for start, end in spans:
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def holds(self, address: str) -> bool:
        """Whether any of that address or prefix is covered."""
        span = _span(address)
        if span is None:
            return False
        at = bisect_right(self._starts, span[1]) - 1
        return at >= 0 and span[0] <= self._ends[at]


_Place = tuple[int, int]
"""Family and number of an address."""


def _span(address: str) -> tuple[_Place, _Place] | None:
    """First and last address of an entry; None for a name."""
    try:
        first, dash, last = address.partition("-")
        if dash:
            return (4, int(IPv4Address(first.strip()))), (4, int(IPv4Address(last.strip())))
        network = ip_network(address.strip(), strict=False)
    except ValueError:
        return None
    return (network.version, int(network.network_address)), (network.version, int(network.broadcast_address))


class Outcome(NamedTuple):
    """What a synchronisation did for one client.

    ``state``: ``written`` (a command of ours made it so), ``unchanged`` (read on the router as wanted), ``failed``
    (``detail`` says why: a problem of Verdict, or ``router: <its answer>``) or ``waits`` (``detail`` ``no_session``:
    nobody is logged in who could be shown a notice; looked at again). ``wanted``: ``cut``, ``notice``, ``none``.
    ``enforced`` False: it stands on a list that the router's rules are known not to apply.
    """

    state: str
    wanted: str
    address: str | None = None
    detail: str = ""
    foreign: bool = False
    enforced: bool = True


@dataclass(frozen=True)
class SyncReport:
    """One attempt to synchronise a router.

    ``order``: every order up to this one is dealt with, where ``reached``. Not reached: nothing was recorded as
    applied, ``error`` is the code and ``detail`` the words of what went wrong. ``outcomes`` by client id:
    whoever is wanted on a list or was not settled. ``held``: clients without an outcome because their cut waits for
    the hours in which cuts are allowed, and until when.
    """

    order: int
    reached: bool
    error: str = ""
    detail: str = ""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    held: Mapping[int, datetime] = field(default_factory=dict)


def pause(attempts: int) -> int:
    """Seconds until the next attempt after so many failed ones: 30, doubling, at most 15 minutes."""
    return int(min(900, 30 * 2 ** min(max(attempts - 1, 0), 10)))
