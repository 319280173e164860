"""Exporting clients as a CSV that can be imported again."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from wisp.clients import csvfile, listing, networks, plans
from wisp.clients.listing import Filters
from wisp.clients.models import Client
from wisp.core import crypto
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers import service as routers

ALL = Filters(state="all")
_STATES = {"cutting": "suspended", "reactivating": "active"}


def export(scope: Scope = EVERYTHING, filters: Filters = ALL, *, passwords: bool = False) -> Iterator[str]:
    """The file in pieces of text. Without ``passwords`` their column is empty, which on import keeps the present
    ones. The balance is not in it: it belongs to the account. A zone is "Router/Zone" where its name is not enough."""
    zones = routers.zones(scope)
    names = Counter(zone.name for zone in zones)
    called = {zone.id: zone.name if names[zone.name] == 1 else routers.label(zone) for zone in zones}
    prices = {plan.id: plan.name for plan in plans.plans()}
    return csvfile.write(_with_state(listing.everything(scope, filters), passwords), called, prices)


def _with_state(clients: Iterator[Client], passwords: bool) -> Iterable[tuple[Client, dict[str, Any]]]:
    while part := list(islice(clients, listing.CHUNK)):
        standings, further = listing.standings(part), networks.of([client.id for client in part])
        for client in part:
            state = standings[client.id].state
            password = crypto.decrypt(client.password) if passwords else ""
            more = {"state": _STATES.get(state, state), "password": password, "networks": further.get(client.id, ())}
            yield client, more
