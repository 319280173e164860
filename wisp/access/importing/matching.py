"""Which clients the proposals are already, what would change, which plan fits, which code a new one gets. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wisp.access.importing.domain import Found, KnownClient, KnownPlan, Proposal, Tables, memberships, objects
from wisp.clients import domain as clients

_NOT_CODE = re.compile(r"[^A-Za-z0-9._@-]+")
CODE_LENGTH = 40


def propose(tables: Tables, known: Sequence[KnownClient], plans: Sequence[KnownPlan], codes: Iterable[str]) -> Found:
    """What the router's objects suggest, in the order secrets, leases, users, queues, dynamic leases.

    ``codes``: every code that is taken, also by cancelled clients and on other routers.
    """
    found = Found()
    found.proposals = objects(tables, found)
    taken = set(codes)
    kept = []
    found.proposals = list(_matched(found.proposals, _Index(known), taken))
    memberships(found, tables)
    for proposal in found.proposals:
        if proposal.client is not None and proposal.client.hidden:
            found.passed_over["hidden"] += 1
            continue
        proposal.plan_id = plan_of(proposal, plans)
        _compare(proposal, {plan.id: plan for plan in plans})
        kept.append(proposal)
    _suggest_codes(kept, taken)
    found.proposals = kept
    return found


def plan_of(proposal: Proposal, plans: Sequence[KnownPlan]) -> int:
    """The plan with the proposal's speeds; where there are several or none, the one that its profile names; else 0."""
    named = [p for p in plans if proposal.profile and proposal.profile in (p.profile, p.name)] or [
        p for p in plans if proposal.profile and clients.fold(proposal.profile) == clients.fold(p.name)
    ]
    fitting = [p for p in plans if proposal.speed is not None and (p.up, p.down) == proposal.speed]
    if len(fitting) == 1:
        return fitting[0].id
    both = [p for p in fitting if p in named]
    if len(both) == 1:
        return both[0].id
    return named[0].id if len(named) == 1 and not fitting and proposal.speed is None else 0


class _Index:
    """The router's clients by what may name them."""

    def __init__(self, known: Sequence[KnownClient]) -> None:
        self.by_code = {client.code: client for client in known}
        self.by_username = {(client.connection, client.username): client for client in known if client.username}
        self.by_address = {client.address: client for client in known if client.address}
        self.by_address6 = {client.address6: client for client in known if client.address6}
        self.by_mac: dict[str, KnownClient | None] = {}
        for client in known:
            if client.mac:  # two clients with one device: it names neither
                self.by_mac[client.mac] = None if client.mac in self.by_mac else client

    def owners(self, proposal: Proposal) -> list[tuple[str, str, KnownClient]]:
        """Which clients the proposal may be, the surest sign first: (field, value, client)."""
        signs: list[tuple[str, str, KnownClient | None]] = [
            ("code", proposal.tag, self.by_code.get(proposal.tag)),
            ("username", proposal.username, self.by_username.get((proposal.connection, proposal.username))),
            ("address", proposal.address, self.by_address.get(proposal.address)),
            ("address6", proposal.address6, self.by_address6.get(proposal.address6)),
        ]
        found = [(name, value, client) for name, value, client in signs if client is not None]
        by_mac = self.by_mac.get(proposal.mac)
        return found or ([("mac", proposal.mac, by_mac)] if by_mac is not None else [])


def _matched(proposals: Iterable[Proposal], index: _Index, codes: set[str]) -> Iterator[Proposal]:
    """Find out who each proposal is; a conflict where that is not one and the same, or somebody else before it."""
    seen: dict[tuple[str, ...], Proposal] = {}
    for proposal in proposals:
        owners = index.owners(proposal)
        if owners and owners[0][0] in ("address", "address6", "mac") and _contradicts(proposal, owners[0][2]):
            _refuse_taken(proposal, *owners[0])
        elif owners:
            proposal.client = owners[0][2]
            other = next((o for o in owners if o[2].id != owners[0][2].id), None)
            if other is not None:
                _refuse_taken(proposal, *other)
        elif proposal.tag and proposal.tag in codes:
            _refuse(proposal, "elsewhere", code=proposal.tag)
        for key in _keys(proposal):
            first = seen.setdefault(key, proposal)
            if first is not proposal:
                hidden = first.client is not None and first.client.hidden
                _refuse(proposal, f"{key[0]}_twice", value=key[-1], name="" if hidden else first.name)
        yield proposal


def _contradicts(proposal: Proposal, client: KnownClient) -> bool:
    """Another user of the same kind at the client's address is somebody else."""
    users = proposal.username, client.username
    return all(users) and users[0] != users[1] and proposal.connection == client.connection


def _refuse_taken(proposal: Proposal, name: str, value: str, client: KnownClient) -> None:
    if name != "mac":  # a device may serve several
        shown = {"code": "", "name": ""} if client.hidden else {"code": client.code, "name": client.name}
        _refuse(proposal, f"{name}_taken", value=value, **shown)


def _keys(proposal: Proposal) -> list[tuple[str, ...]]:
    """What only one proposal may have."""
    keys: list[tuple[str, ...]] = [("client", proposal.client.code)] if proposal.client is not None else []
    keys += [("address", proposal.address)] if proposal.address else []
    keys += [("address6", proposal.address6)] if proposal.address6 else []
    return keys + ([("username", proposal.connection, proposal.username)] if proposal.username else [])


def _refuse(proposal: Proposal, reason: str, **values: str) -> None:
    if proposal.status != "conflict":
        proposal.status, proposal.reason, proposal.values = "conflict", reason, values


def _compare(proposal: Proposal, plans: Mapping[int, KnownPlan]) -> None:
    """What the router says otherwise than the program, for a client that is there. A queue alone says nothing about how
    the client is attached."""
    client = proposal.client
    if client is None:
        return
    names = ("address", "address6", "mac")
    for name in names if proposal.source == "queue" else (*names, "connection", "username", "password"):
        value = getattr(proposal, name)
        if name == "address" and proposal.source == "lease" and proposal.tag == client.code and not client.address:
            continue  # our own lease: its address is the router's choice
        if value and value != getattr(client, name):
            proposal.changes.append(name)
    if set(proposal.networks) - {*client.networks, client.address, client.address6}:
        proposal.changes.append("networks")
    present, suggested = plans.get(client.plan_id), plans.get(proposal.plan_id)
    if suggested is not None and (present is None or (present.up, present.down) != (suggested.up, suggested.down)):
        proposal.changes.append("plan")
    if proposal.status != "conflict":
        proposal.status = "changed" if proposal.changes else "same"


# Codes -----------------------------------------------------------------------------------------------


def _suggest_codes(proposals: Iterable[Proposal], codes: Iterable[str]) -> None:
    """A code for each new client: our own mark where it is free, else the user or the object's name, else the name."""
    taken = {code.casefold() for code in codes}
    for proposal in proposals:
        if proposal.client is not None:
            proposal.code = proposal.client.code
            continue
        wish = proposal.tag or _as_code(proposal.code) or _as_code(proposal.name) or _as_code(proposal.address)
        proposal.code = _free(wish or "cliente", taken)
        taken.add(proposal.code.casefold())


def _as_code(text: str) -> str:
    if clients.CODE.fullmatch(text) and len(text) <= CODE_LENGTH:
        return text
    return _NOT_CODE.sub("-", clients.fold(text)).strip("-._@")[:CODE_LENGTH].strip("-._@")


def _free(wish: str, taken: set[str]) -> str:
    if wish.casefold() not in taken:
        return wish
    number = 2
    while f"{wish}-{number}".casefold() in taken:
        number += 1
    return f"{wish}-{number}"
