"""What the objects on a router say about clients. Pure: values in, values out.

A PPP secret, a static lease, a hotspot user or a queue makes one proposal each; a queue for the address of one of the
others belongs to that one. Texts are the router's, made readable; what stands on the router is never changed here.
"""

import ipaddress
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wisp.clients import domain as clients

Row = Mapping[str, str]
DISABLED = ""
"""The name under which the objects that are switched off on the router are counted like a list."""
_OURS = re.compile(r"wisp:([A-Za-z0-9._@-]{1,64})")
_RULE = "wisp-rule:"
_PPP_SERVICES = ("", "any", "pppoe")
_TRIALS = ("default", "default-trial")


@dataclass(frozen=True)
class Tables:
    """What was read of a router, menu by menu; empty where it has no such menu."""

    secrets: Sequence[Row] = ()
    profiles: Sequence[Row] = ()
    sessions: Sequence[Row] = ()
    queues: Sequence[Row] = ()
    leases: Sequence[Row] = ()
    users: Sequence[Row] = ()
    user_profiles: Sequence[Row] = ()
    lists: Sequence[Row] = ()
    lists6: Sequence[Row] = ()


@dataclass(frozen=True)
class KnownClient:
    """A client of the router, not cancelled, as the program has it. ``hidden``: of a zone that this person may not
    see. ``held``: lists that we put its own objects on, to cut it or to show it a notice (DISABLED: we switched them
    off)."""

    id: int
    code: str
    name: str
    connection: str
    address: str = ""
    address6: str = ""
    mac: str = ""
    username: str = ""
    password: str = ""
    plan_id: int = 0
    hidden: bool = False
    held: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownPlan:
    """A plan: speeds in bit/s, 0 = no limit; ``profile`` the router's profile that it uses."""

    id: int
    name: str
    down: int
    up: int
    profile: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of a list that is not ours and holds the address of a proposed client. ``fixed``: an entry that may be
    taken away alone; not so where a profile or a lease puts the address on the list."""

    list: str
    address: str = ""
    ipv6: bool = False
    comment: str = ""
    fixed: bool = False


@dataclass
class Proposal:
    """A client that the router suggests. ``speed`` (up, down) in bit/s; ``status`` new, changed, same or conflict."""

    source: str
    name: str
    connection: str
    username: str = ""
    password: str = ""
    address: str = ""
    address6: str = ""
    mac: str = ""
    profile: str = ""
    speed: tuple[int, int] | None = None
    comment: str = ""
    tag: str = ""
    disabled: bool = False
    dynamic: bool = False
    queues: int = 0
    lists: tuple[str, ...] = ()
    session: str = ""
    code: str = ""
    plan_id: int = 0
    status: str = "new"
    client: KnownClient | None = None
    changes: list[str] = field(default_factory=list)
    reason: str = ""
    values: dict[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Found:
    """All proposals; how many entries each list has that is not ours; and how many objects were passed over, by why:
    ``service`` (a secret of another kind than PPPoE), ``target`` (a queue for no single address), ``hidden``;
    ``password``: of how many users the password was not shown. ``passed_names``: the queues passed over."""

    proposals: list[Proposal] = field(default_factory=list)
    lists: dict[str, int] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    passed_names: list[str] = field(default_factory=list)


# Objects to proposals --------------------------------------------------------------------------------


def objects(tables: Tables, found: Found) -> list[Proposal]:
    """A proposal for each object, in the order secrets, leases, users, queues, dynamic leases; what is passed over is
    noted in ``found``."""
    passed_over = found.passed_over
    profiles = {row.get("name", ""): row for row in tables.profiles}
    user_profiles = {row.get("name", ""): row for row in tables.user_profiles}
    sessions = {row.get("name", ""): row.get("address", "") for row in tables.sessions}
    proposals: list[Proposal] = []
    for row in tables.secrets:
        if row.get("service", "") not in _PPP_SERVICES:
            passed_over["service"] += 1
        elif row.get("name"):
            passed_over["password"] += not _password(row)
            proposals.append(_secret(row, profiles.get(row.get("profile", ""), {}), sessions))
    dynamic = [row for row in tables.leases if _flag(row, "dynamic")]
    proposals += [_lease(row) for row in tables.leases if not _flag(row, "dynamic")]
    for row in tables.users:
        if row.get("name") and not _flag(row, "dynamic") and row["name"] not in _TRIALS:
            passed_over["password"] += _hidden(row)
            proposals.append(_user(row, user_profiles.get(row.get("profile", ""), {})))
    proposals += _queues(tables.queues, proposals, dynamic, found)
    used = {proposal.address for proposal in proposals} | {proposal.mac for proposal in proposals if proposal.mac}
    for row in dynamic:
        proposal = _lease(row)
        if proposal.address not in used and proposal.mac not in used:
            proposals.append(proposal)
    return [_named(proposal) for proposal in proposals]


def _flag(row: Row, name: str) -> bool:
    return row.get(name, "") in ("true", "yes")


def _secret(row: Row, profile: Row, sessions: Mapping[str, str]) -> Proposal:
    name = row["name"]
    return Proposal(
        "secret", _line(row.get("comment", "")) or _line(name), "pppoe", name, _password(row),
        address(row.get("remote-address", "")), prefix6(row.get("remote-ipv6-prefix", "")),
        mac(row.get("caller-id", "")), row.get("profile", ""), speed(profile.get("rate-limit", "")),
        row.get("comment", ""), _tag(row), _flag(row, "disabled"), lists=_names(profile.get("address-list", "")),
        session=address(sessions.get(name, "")), code=name,
        networks=(*_routes(row.get("routes", "")), *_routes(row.get("ipv6-routes", ""))),
    )  # fmt: skip


def _lease(row: Row) -> Proposal:
    where, hardware = address(row.get("address", "")), mac(row.get("mac-address", ""))
    host = row.get("host-name", "")
    return Proposal(
        "lease", _line(row.get("comment", "")) or _line(host) or hardware or where, "dhcp", address=where, mac=hardware,
        speed=speed(row.get("rate-limit", "")), comment=row.get("comment", ""), tag=_tag(row),
        disabled=_flag(row, "disabled"), dynamic=_flag(row, "dynamic"), lists=_names(row.get("address-lists", "")),
        code=host or hardware,
    )  # fmt: skip


def _user(row: Row, profile: Row) -> Proposal:
    return Proposal(
        "user", _line(row.get("comment", "")) or _line(row["name"]), "hotspot", row["name"], _password(row),
        address(row.get("address", "")), mac=mac(row.get("mac-address", "")), profile=row.get("profile", ""),
        speed=speed(profile.get("rate-limit", "")), comment=row.get("comment", ""), tag=_tag(row),
        disabled=_flag(row, "disabled"), lists=_names(profile.get("address-list", "")), code=row["name"],
    )  # fmt: skip


def _queues(rows: Sequence[Row], proposals: Sequence[Proposal], dynamic: Sequence[Row], found: Found) -> list[Proposal]:
    """Give each proposal its queue; what is left and serves an address is a client with a static one. A queue for a
    network alone may be one for many clients: it is passed over, by name."""
    by_target: dict[str, Proposal] = {}
    for proposal in proposals:
        keys = [proposal.address, proposal.address6]
        keys += [f"<pppoe-{proposal.username}>"] if proposal.source == "secret" else []
        for key in filter(None, keys):
            by_target.setdefault(key, proposal)
    leased = {where: row for row in dynamic if (where := address(row.get("address", "")))}
    alone: list[Proposal] = []
    for row in rows:
        if _flag(row, "dynamic"):
            continue
        targets = [part.strip() for part in row.get("target", "").split(",")]
        hosts = [where for part in targets if (where := address(part))]
        nets6 = [where for part in targets if (where := prefix6(part))]
        nets4 = [where for part in targets if (where := prefix4(part))]
        owner = next((by_target[key] for key in (*hosts, *nets6, *targets) if key in by_target), None)
        if owner is not None:
            _attach(owner, row, hosts, nets4, nets6)
        elif len(targets) == len(hosts) + len(nets4) + len(nets6) and (hosts or (nets6 and not nets4)):
            made = _of_queue(row, hosts, nets4, nets6, leased)
            alone.append(made)
            for key in (*hosts, *nets6):
                by_target.setdefault(key, made)
        else:
            found.passed_over["target"] += 1
            found.passed_names.append(row.get("name", ""))
    return alone


def _of_queue(
    row: Row, hosts: Sequence[str], nets4: Sequence[str], nets6: Sequence[str], leased: Mapping[str, Row]
) -> Proposal:
    """A queue that no other object explains. Where its address is leased for the moment, it is a lease's client."""
    where = hosts[0] if hosts else ""
    lease = leased.get(where)
    made = Proposal("queue", "", "dhcp" if lease is not None else "static", address=where)
    made.mac = mac(lease.get("mac-address", "")) if lease is not None else ""
    _attach(made, row, hosts, nets4, nets6)
    made.name, made.code = _line(row.get("comment", "")) or _line(row.get("name", "")), row.get("name", "")
    made.disabled = _flag(row, "disabled")
    return made


def _attach(proposal: Proposal, row: Row, hosts: Sequence[str], nets4: Sequence[str], nets6: Sequence[str]) -> None:
    """The router takes the first queue that fits, so the first one's speed holds. Whatever else it serves is the
    client's too."""
    proposal.queues += 1
    own6 = proposal.address6 or (nets6[0] if nets6 else "")
    more = [place for place in (*hosts, *nets4, *nets6) if place not in (proposal.address, own6, *proposal.networks)]
    proposal.networks = (*proposal.networks, *dict.fromkeys(more))
    if proposal.queues > 1:
        return
    proposal.speed = speed(row.get("max-limit", "")) or proposal.speed
    proposal.tag = proposal.tag or _tag(row)
    proposal.address6 = proposal.address6 or (nets6[0] if nets6 else "")
    if not proposal.comment:
        proposal.comment = row.get("comment", "")
        proposal.name = _line(proposal.comment) or proposal.name


def _named(proposal: Proposal) -> Proposal:
    proposal.name = proposal.name or proposal.address or proposal.address6 or proposal.mac
    return proposal


def _tag(row: Row) -> str:
    """The code that our own comment names."""
    match = _OURS.fullmatch(row.get("comment", ""))
    return match[1] if match else ""


def is_ours(row: Row) -> bool:
    """Whether our comment stands on it, for a client or for a rule."""
    return bool(_tag(row)) or row.get("comment", "").startswith(_RULE)


def _line(text: str) -> str:
    """A text of the router as a name of a client: one line, no more than fits, nothing where it is our own mark."""
    if _OURS.fullmatch(text) or text.startswith(_RULE):
        return ""
    clean = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter for letter in text)
    return " ".join(clean.split())[:120].strip()


def _password(row: Row) -> str:
    """The password; empty where it is not known, which is not the same as an empty one."""
    return "" if _hidden(row) else row.get("password", "")


def _hidden(row: Row) -> bool:
    password = row.get("password", "")
    return bool(password) and not password.strip("*")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _routes(text: str) -> list[str]:
    """The networks that a secret routes to its user: ``203.0.113.8/29 10.0.0.1 1, …``."""
    places = (part.split()[0] for part in text.split(",") if part.strip())
    return [found for place in places if (found := prefix4(place) or address(place) or prefix6(place))]


def prefix4(text: str) -> str:
    """One IPv4 network of more than one address in its usual form; empty for anything else."""
    try:
        net = ipaddress.IPv4Network(text.strip(), strict=False)
    except ValueError:
        return ""
    return str(net) if 0 < net.prefixlen < 32 else ""


def address(text: str) -> str:
    """One IPv4 address, with or without /32, in its usual form; empty for anything else (a pool, a prefix, a name)."""
    try:
        net = ipaddress.IPv4Network(text.strip())
    except ValueError:
        return ""
    usable = net.prefixlen == 32 and not (net.is_unspecified or net.is_loopback or net.is_multicast)
    return str(net.network_address) if usable else ""


def prefix6(text: str) -> str:
    """An IPv6 address or prefix in canonical form; empty for anything else and for the whole of IPv6."""
    try:
        net = ipaddress.IPv6Network(text.strip().partition(",")[0], strict=False)
    except ValueError:
        return ""
    if net.prefixlen < 32 or net.is_multicast or net.is_loopback:
        return ""
    return str(net.network_address) if net.prefixlen == 128 else str(net)


def mac(text: str) -> str:
    """A hardware address in its usual form; empty for anything else."""
    try:
        return clients.read_mac(text)
    except ValueError:
        return ""


def speed(text: str) -> tuple[int, int] | None:
    """``5M/20M`` (upload first), also with bursts behind it, or one number for both, in bit/s; None for no limit."""
    first = text.split()[0] if text.split() else ""
    up, slash, down = first.partition("/")
    try:
        pair = clients.read_speed(up), clients.read_speed(down if slash else up)
    except ValueError:
        return None
    return pair if any(pair) else None


# Lists of others -------------------------------------------------------------------------------------


def memberships(found: Found, tables: Tables) -> None:
    """Note on each proposal the lists of others that it stands on, by its address, its session, its profile or its
    lease. Entries that are switched off, ours, or made by the router itself do not count, nor does what we did to the
    objects of a client ourselves."""
    counts: Counter[str] = Counter()
    entries: dict[str, list[Entry]] = defaultdict(list)
    for rows, ipv6 in ((tables.lists, False), (tables.lists6, True)):
        for row in rows:
            if _flag(row, "dynamic") or _flag(row, "disabled") or is_ours(row):
                continue
            counts[row.get("list", "")] += 1
            where = prefix6(row.get("address", "")) if ipv6 else address(row.get("address", ""))
            if where:
                entries[where].append(
                    Entry(row.get("list", ""), row["address"], ipv6, row.get("comment", ""), fixed=True)
                )
    off = 0
    for proposal in found.proposals:
        places = dict.fromkeys(filter(None, (proposal.address, proposal.address6, proposal.session)))
        proposal.entries = [entry for where in places for entry in entries.get(where, ())]
        there = {entry.list for entry in proposal.entries}
        held = proposal.client.held if proposal.client is not None else frozenset()
        for name in proposal.lists:
            if name not in there and name not in held:
                proposal.entries.append(Entry(name))
                counts[name] += 1
        if proposal.disabled and DISABLED not in held:
            off += 1
            proposal.entries.append(Entry(DISABLED))
    found.lists = {DISABLED: off, **dict(sorted(counts.items()))}
