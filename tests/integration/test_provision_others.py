"""What others wrote on a router stays as it is, and what a router that is switched off for it keeps."""

import json

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_plan
from tests.support import provision as p
from tests.support.provision import MENU, OTHER_PLACE, Tower, only
from wisp.access.provision import adopting, service
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import GatewayError, menus
from wisp.routers.models import Router

pytestmark = pytest.mark.usefixtures("ctx")


@pytest.fixture
def tower(router_sim: SimulatorServer) -> Tower:
    p.company()
    return Tower(router_sim)


# What is not ours ------------------------------------------------------------------------------------


THEIRS: dict[str, dict[str, str | bytes]] = {
    "static": {"name": "señor".encode("cp1252"), "target": "10.9.0.5/32", "max-limit": "1M/1M"},
    "pppoe": {"name": "ana", "password": "suya", "service": "any", "comment": "año: otro".encode("cp1252")},
    "hotspot": {"name": "ana", "password": "suya", "comment": "wisp"},
    "dhcp": {"address": "10.9.0.99", "mac-address": "02:00:00:00:00:0A", "comment": b"wisp:\xf1"},
}


@pytest.mark.parametrize("kind", list(p.KINDS))
def test_what_is_not_ours_is_never_touched_and_can_be_adopted(tower: Tower, kind: str) -> None:
    (row_id,) = tower.server.router.load(MENU[kind], [THEIRS[kind]])
    before = dict(tower.server.router.table(MENU[kind]).rows[row_id])
    client = p.add(tower, **p.KINDS[kind])
    assert p.provision_of(client).state == "foreign"
    tower.whole()
    p.edit("C1", **OTHER_PLACE[kind])  # elsewhere there is room
    assert p.provision_of(client).state == "done"
    p.edit("C1", **{**dict.fromkeys(OTHER_PLACE[kind], ""), **p.KINDS[kind]})
    assert p.provision_of(client).state == "foreign"
    assert tower.server.router.table(MENU[kind]).rows[row_id] == before
    assert service.counts(tower.router_id)["foreign"] == 1
    assert [code for _row, code, _name in service.listed(tower.router_id, "foreign")] == ["C1"]

    plan = adopting.plan(session().get_one(Router, tower.router_id), [clients.find("C1")])
    session().rollback()
    found = adopting.adopt(plan)
    assert (list(found.taken), found.gone, found.failed) == ([client.id], [], {})
    with p.doing():
        adopting.record(session().get_one(Router, tower.router_id), found)
    assert p.provision_of(client).state == "done"
    assert [row["comment"] for row in tower.rows(MENU[kind])] == ["wisp:C1"]
    session().rollback()
    assert adopting.adopt(plan) == adopting.Adopted(gone=[client.id])


def _with_theirs(tower: Tower, count: int = 3) -> list[Client]:
    """Clients whose queues stand there already, written by somebody else."""
    tower.server.router.load(
        menus.QUEUE, [{"name": f"q{n}", "target": f"10.9.0.{n}/32", "comment": f"Cliente {n}"} for n in range(1, 9)]
    )
    plan = make_plan()
    return [p.add(tower, plan, f"C{n}", connection="static", address=f"10.9.0.{n}") for n in range(1, count + 1)]


def test_many_are_adopted_at_once_and_nothing_else(tower: Tower) -> None:
    theirs = _with_theirs(tower)
    others = [row for row in tower.rows(menus.QUEUE) if row["name"] in ("q4", "q5", "q6", "q7", "q8")]
    chosen = [clients.find(f"C{n}") for n in (1, 2, 3)]
    plan = adopting.plan(session().get_one(Router, tower.router_id), chosen)
    session().rollback()
    with p.doing():
        adopting.record(session().get_one(Router, tower.router_id), adopting.adopt(plan))
    assert [p.provision_of(one).state for one in theirs] == ["done"] * 3
    rows = {row["target"]: row for row in tower.rows(menus.QUEUE)}
    assert [rows[f"10.9.0.{n}/32"]["name"] for n in (1, 2, 3)] == ["wisp-C1", "wisp-C2", "wisp-C3"]
    assert [row for row in tower.rows(menus.QUEUE) if row["name"].startswith("q")] == others
    entries = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "router.adopt_object")).all()
    assert sorted(entry.before["comment"] for entry in entries) == ["Cliente 1", "Cliente 2", "Cliente 3"]


def test_the_command_adopts_the_named_or_all(ctx: Flask, tower: Tower) -> None:
    _with_theirs(tower)
    name = session().get_one(Router, tower.router_id).name
    session().rollback()
    runner = ctx.test_cli_runner()
    assert runner.invoke(args=["routers", "adopt", name]).exit_code == 2
    assert runner.invoke(args=["routers", "adopt", name, "--client", "NADIE"]).exit_code == 1
    result = runner.invoke(args=["routers", "adopt", name, "--client", "C2", "--json"])
    assert json.loads(result.output) == {
        "router": name,
        "adopted": ["C2"],
        "failed": {},
        "unknown": [],
        "unchanged": [],
    }
    result = runner.invoke(args=["routers", "adopt", name, "--client", "C2", "--json"])
    assert json.loads(result.output) == {
        "router": name,
        "adopted": [],
        "failed": {},
        "unknown": [],
        "unchanged": ["C2"],
    }
    tower.server.fault("trap", f"{menus.QUEUE}/set", message="failure: busy")
    result = runner.invoke(args=["routers", "adopt", name, "--all", "--json"])
    assert result.exit_code == 1
    assert '"C1": "failure: busy"' in result.output
    p.add(tower, None, "C4", connection="static", address="10.9.0.4")
    tower.server.fault("drop_before", f"{menus.QUEUE}/set", after=1)
    result = runner.invoke(args=["routers", "adopt", name, "--client", "C1", "--client", "C4", "--json"])
    assert result.exit_code == 1
    assert '"adopted": [\n    "C1"\n  ]' in result.output
    assert '"unknown": [\n    "C4"\n  ]' in result.output
    assert [row["comment"] for row in tower.rows(menus.QUEUE)][:4] == ["wisp:C1", "wisp:C2", "wisp:C3", "Cliente 4"]


def test_one_that_the_router_refuses_does_not_keep_the_others(tower: Tower) -> None:
    theirs = _with_theirs(tower)
    chosen = [clients.find(f"C{n}") for n in (1, 2, 3)]
    plan = adopting.plan(session().get_one(Router, tower.router_id), chosen)
    session().rollback()
    tower.server.fault("trap", f"{menus.QUEUE}/set", message="failure: busy")
    found = adopting.adopt(plan)
    assert found.failed == {theirs[0].id: "failure: busy"}
    assert sorted(found.taken) == [one.id for one in theirs[1:]]


def test_where_the_line_breaks_what_is_ours_is_known_by_the_next_look(tower: Tower) -> None:
    theirs = _with_theirs(tower)
    chosen = [clients.find(f"C{n}") for n in (1, 2, 3)]
    plan = adopting.plan(session().get_one(Router, tower.router_id), chosen)
    session().rollback()
    tower.server.fault("drop_after", f"{menus.QUEUE}/set")
    with pytest.raises(GatewayError):
        adopting.adopt(plan)
    again = adopting.adopt(plan)
    assert sorted([*again.taken, *again.gone]) == [one.id for one in theirs]
    assert again.gone  # done before the line broke, and not a second time
    with p.doing():
        adopting.record(session().get_one(Router, tower.router_id), again)
    tower.whole()
    assert [p.provision_of(one).state for one in theirs] == ["done"] * 3


def test_objects_of_others_beside_ours_stay_to_the_byte(tower: Tower) -> None:
    others = {
        menus.QUEUE: [
            {"name": "oficina", "target": "10.9.0.0/24", "comment": "wisp:C1 copia"}, {"name": "x", "target": "ether1"},
        ],
        menus.SECRET: [{"name": "otra", "comment": "ñ".encode("cp1252"), "profile": "default"}],
        menus.HOTSPOT_USER: [{"name": "invitado", "comment": "WISP:C1"}],
        menus.LEASE: [{"address": "10.9.0.200", "mac-address": "02:00:00:00:00:FF", "comment": "impresora"}],
        menus.PROFILE: [{"name": "wisp-plan-99", "comment": "de otro"}],
    }  # fmt: skip
    for menu, rows in others.items():
        tower.server.router.load(menu, rows)
    before = tower.everything()
    for number, (kind, values) in enumerate(p.KINDS.items()):
        p.add(tower, None, f"K{number}", **{**values, **({"address": "10.9.1.1"} if kind == "dhcp" else {})})
    tower.whole()
    for number in range(4):
        p.cancel(f"K{number}")
    tower.whole()
    assert tower.everything() == before


def test_a_profile_of_somebody_else_with_our_name_is_not_used(tower: Tower) -> None:
    plan = make_plan()
    tower.server.router.load(menus.PROFILE, [{"name": f"wisp-plan-{plan.id}", "rate-limit": "1M/1M"}])
    client = p.add(tower, plan, **p.KINDS["pppoe"])
    assert (p.provision_of(client).state, p.provision_of(client).detail) == (
        "failed", f"foreign_profile: wisp-plan-{plan.id}",
    )  # fmt: skip
    assert tower.rows(menus.SECRET) == []


def test_a_comparison_of_everything_removes_what_nobody_has_and_doubles(tower: Tower) -> None:
    p.add(tower, **p.KINDS["static"])
    tower.server.router.load(
        menus.QUEUE,
        [
            {"name": "a", "target": "10.9.0.5/32", "comment": "wisp:C1"},
            {"name": "b", "target": "10.9.0.6/32", "comment": "wisp:SE-FUE"},
        ],
    )
    tower.server.router.load(menus.SECRET, [{"name": "vieja", "comment": "wisp:C1"}])
    done = tower.whole()
    assert done.removed == 3
    assert only(tower.rows(menus.QUEUE))["name"] == "wisp-C1"
    assert tower.rows(menus.SECRET) == []


# Switched off ----------------------------------------------------------------------------------------


def switch(tower: Tower, on: bool) -> None:
    from wisp.routers.service import RouterValues, edit_router

    with p.doing():
        router = session().get_one(Router, tower.router_id)
        edit_router(router, RouterValues(router.name, router.host, router.port, router.username, None, provision=on))


def test_switched_off_nothing_is_written_or_removed_and_switched_on_everything_is(tower: Tower) -> None:
    p.add(tower, None, "C1", **p.KINDS["static"])
    switch(tower, False)
    p.cancel("C1")
    p.add(tower, None, "C2", connection="static", address="10.9.0.6")
    assert [row["comment"] for row in tower.rows(menus.QUEUE)] == ["wisp:C1"]
    assert service.standing(clients.find("C2")).state == "off"
    with transaction(), pytest.raises(Refused):
        service.write_router(session().get_one(Router, tower.router_id))
    switch(tower, True)
    assert [row["comment"] for row in tower.rows(menus.QUEUE)] == ["wisp:C2"]
    assert service.standing(clients.find("C2")).state == "done"
