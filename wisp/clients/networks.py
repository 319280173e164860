"""The further addresses and prefixes of clients ("redes"): keeping them, and all that a client has on its router."""

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from wisp.clients.models import Client, ClientNetwork
from wisp.core.db import Base, session
from wisp.core.errors import Refused

CHUNK = 5_000


def of(client_ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The networks of these clients by client, sorted; who has none is not there."""
    found: dict[int, list[str]] = defaultdict(list)
    ids = sorted(client_ids)
    for start in range(0, len(ids), CHUNK):
        query = sa.select(ClientNetwork.client_id, ClientNetwork.network)
        for client_id, network in session().execute(
            query.where(ClientNetwork.client_id.in_(ids[start : start + CHUNK]))
        ):
            found[client_id].append(network)
    return {client_id: tuple(sorted(networks)) for client_id, networks in found.items()}


def everything() -> sa.CompoundSelect[Any]:
    """All that clients who are not cancelled have: (client_id, router_id, value), a row for each address (IPv4 and
    IPv6), prefix and network. To be narrowed as a subquery."""
    here = Client.cancelled_at.is_(None)
    own = [
        sa.select(Client.id.label("client_id"), Client.router_id, column.label("value")).where(
            here, column.is_not(None)
        )
        for column in (Client.address, Client.address6)
    ]
    further = sa.select(ClientNetwork.client_id, ClientNetwork.router_id, ClientNetwork.network)
    return sa.union_all(*own, further.where(ClientNetwork.router_id.is_not(None)))


def replace(client: Client, networks: Iterable[str]) -> None:
    """Let the client have these networks and no others."""
    session().execute(sa.delete(ClientNetwork).where(ClientNetwork.client_id == client.id))
    rows = [{"client_id": client.id, "network": network, "router_id": client.router_id} for network in networks]
    insert(rows)


def insert(rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of ``client_network``."""
    if rows:
        session().execute(Base.metadata.tables["client_network"].insert(), rows)


def release(client_id: int) -> None:
    """Let others have the networks of a client that is cancelled; its own history keeps them."""
    session().execute(sa.update(ClientNetwork).where(ClientNetwork.client_id == client_id).values(router_id=None))


def check_free(router_id: int, own_id: int | None, values: Mapping[str, Any]) -> None:
    """Refused("clients.network_taken") where an address or network of ``values`` and one that another client of the
    router has lie in one another. Equal single addresses are not looked for here: an index finds them."""
    mine = [values[name] for name in ("address", "address6") if values.get(name)]
    ranges = [*values.get("networks", ()), *(value for value in mine if ":" in value)]
    others = sa.select(ClientNetwork.client_id, ClientNetwork.network).where(ClientNetwork.router_id == router_id)
    theirs = [(row.client_id, row.network) for row in session().execute(others)]
    found = _overlap([*mine, *values.get("networks", ())], theirs, own_id)
    if found is None and ranges:
        all_ = everything().subquery()
        query = sa.select(all_.c.client_id, all_.c.value).where(all_.c.router_id == router_id)
        if all(":" in value for value in ranges):
            query = query.where(all_.c.value.contains(":"))
        found = _overlap(ranges, [(row.client_id, row.value) for row in session().execute(query)], own_id)
    if found is not None:
        other = session().get_one(Client, found[1])
        raise Refused("clients.network_taken", network=found[0], other=found[2], client=other.code, name=other.name)


def _overlap(mine: Sequence[str], theirs: Sequence[tuple[int, str]], own_id: int | None) -> tuple[str, int, str] | None:
    """The first of mine that shares an address with one of theirs, whose that is, and it."""
    wanted = [(text, ipaddress.ip_network(text)) for text in mine]
    if not wanted:
        return None
    for client_id, text in theirs:
        if client_id == own_id:
            continue
        network = ipaddress.ip_network(text)
        for own_text, own in wanted:
            if own.version == network.version and own.overlaps(network):
                return own_text, client_id, text
    return None
