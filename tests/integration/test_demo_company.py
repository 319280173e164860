"""The demo company and its router fit together: what its clients need stands there, beside what is somebody else's."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask, current_app

from tests.support.provision import WRITING, doing
from wisp.access import service as access
from wisp.access.importing import service as importing
from wisp.access.importing.domain import DISABLED
from wisp.access.importing.talk import read
from wisp.access.models import ClientProvision
from wisp.access.provision import service
from wisp.clients.models import Client
from wisp.core import queue
from wisp.core.db import session
from wisp.core.scope import EVERYTHING
from wisp.demo import seed, tower
from wisp.demo.connections import BY_OTHERS, NEW_DEVICE
from wisp.demo.routeros import Router, SimulatorServer
from wisp.routers import service as routers
from wisp.routers.models import Router as RouterRow

CLIENTS = 120
LEASE = "/ip/dhcp-server/lease"
KINDS = {"static", "pppoe", "hotspot", "dhcp"}


@pytest.fixture
def demo(app: Flask) -> Iterator[SimulatorServer]:
    """The demo's router and company, so many clients of it."""
    router = Router(users={seed.ROUTER_USER: seed.ROUTER_PASSWORD}, dial_in=0)
    tower.fill(router, CLIENTS)
    with SimulatorServer(router) as server, app.app_context():
        seed.fill(app, server.port, CLIENTS)
        yield server


def compare(server: SimulatorServer) -> dict[str, int]:
    """Compare and write everything; the commands by which something was changed, with their numbers."""
    with doing():
        server.counters.reset()
        service.write_router(session().scalars(sa.select(RouterRow)).one())
    paths = server.counters.by_path.items()
    return {path: count for path, count in paths if path.rpartition("/")[2] in WRITING}


def test_the_router_holds_what_the_clients_need(demo: SimulatorServer) -> None:
    assert compare(demo) == {f"{LEASE}/make-static": 1, f"{LEASE}/set": 1}
    (kept,) = [row for row in demo.router.snapshot(LEASE) if row.get("comment") == f"wisp:C{NEW_DEVICE:05}"]
    assert (kept["dynamic"], kept["status"]) == ("false", "bound")
    assert compare(demo) == {}
    rows = session().execute(sa.select(Client.code, Client.connection, ClientProvision.state).join(ClientProvision))
    stands = {code: (connection, state) for code, connection, state in rows}
    assert len(stands) == CLIENTS
    assert {connection for connection, _state in stands.values()} == KINDS
    assert {code for code, (_connection, state) in stands.items() if state != "done"} == {f"C{BY_OTHERS:05}"}


def test_a_router_that_is_as_new_is_given_everything_again(demo: SimulatorServer) -> None:
    compare(demo)
    router = session().scalars(sa.select(RouterRow)).one()
    with doing():
        access.want_suspended(sa.select(Client.id))
        access.request_sync([router.id])
    wanted = {
        menu: demo.router.tally(menu) for menu in ("/ip/firewall/address-list", "/ip/hotspot/user", "/ppp/secret")
    }
    fresh = Router(users={seed.ROUTER_USER: seed.ROUTER_PASSWORD}, dial_in=0)
    tower.fill(fresh, CLIENTS)
    with SimulatorServer(fresh) as server, queue.inline():
        assert not seed.fill(current_app, server.port, CLIENTS)
    assert {menu: fresh.tally(menu) for menu in wanted} == wanted


def test_what_we_cut_is_not_taken_for_the_work_of_another_system(demo: SimulatorServer) -> None:
    compare(demo)
    router = session().scalars(sa.select(RouterRow)).one()
    with doing():
        access.want_suspended(sa.select(Client.id))
        access.request_sync([router.id])
    off = [row["name"] for row in demo.router.snapshot("/ip/hotspot/user") if row["disabled"] == "true"]
    assert off == ["hot00015", "hot00115"]  # those who owe
    router = session().scalars(sa.select(RouterRow)).one()
    found = importing.prepare(router.id, read(routers.target(router)), EVERYTHING)
    assert found.lists == {DISABLED: 1, "Aviso": 2, "Morosos": 2, "soporte": 1, "wisp-overdue": 1}
    known = [proposal for proposal in found.proposals if proposal.client is not None]
    assert [entry.list for proposal in known for entry in proposal.entries] == ["Aviso"]


def test_what_the_program_does_not_know_can_be_imported(demo: SimulatorServer) -> None:
    router = session().scalars(sa.select(RouterRow)).one()
    found = importing.prepare(router.id, read(routers.target(router)), EVERYTHING)
    known = {proposal.client.code: proposal.changes for proposal in found.proposals if proposal.client is not None}
    changed = {code: changes for code, changes in known.items() if changes}
    # A lease for the moment only has an address to import; that of a lease of ours (C00027) is the router's choice.
    assert changed == {f"C{NEW_DEVICE:05}": ["address"]}
    assert known["C00027"] == []
    assert len(known) == CLIENTS
    new = {proposal.name: proposal for proposal in found.proposals if proposal.client is None}
    assert {"Lucía Méndez Ibáñez", "Farmacia Ávila", "Café La Montaña", "Escuela Benito Juárez - dirección"} <= set(new)
    assert {proposal.source for proposal in new.values()} == {"secret", "lease", "user", "queue"}
    assert (found.lists["Morosos"], found.lists["Aviso"]) == (2, 2)
