"""IPv6 address of clients, profile of plans, switches of routers: saved, refused, imported, exported, found."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests import factories
from wisp.clients import csvcheck, csvexport, csvfile, csvimport, listing, plans
from wisp.clients import service as clients
from wisp.clients.listing import Filters
from wisp.clients.models import Client
from wisp.core import events
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING
from wisp.routers import service as routers
from wisp.routers.models import Router, Zone

pytestmark = pytest.mark.usefixtures("ctx")


def refused(code: str) -> Any:
    return pytest.raises(Refused, check=lambda error: error.code == code)


def add(code: str, zone: Zone, **values: Any) -> Client:
    with transaction():
        return clients.add(code=code, zone=zone, plan=factories.make_plan(), name=code, connection="static", **values)


def test_an_ipv6_address_is_one_clients_alone_on_its_router() -> None:
    zone, elsewhere = factories.make_zone(), factories.make_zone()
    add("A", zone, address6="2001:DB8::5")
    with refused("clients.address6_taken") as caught:
        add("B", zone, address6="2001:db8:0::5/128")
    assert (caught.value.values["client"], caught.value.values["address"]) == ("A", "2001:db8::5")
    session().rollback()
    add("B", elsewhere, address6="2001:db8::5")
    with transaction(), refused("clients.address6_taken"):
        clients.move(clients.find("B"), session().get_one(Zone, zone.id))
    session().rollback()
    found = session().scalars(listing.query(EVERYTHING, Filters(text="2001:db8::5"))).all()
    assert {client.code for client in found} == {"A", "B"}
    with transaction():
        clients.cancel(clients.find("A"))
        clients.edit(clients.find("B"), address6="")
    assert clients.find("B").address6 is None


def test_the_csv_may_bring_ipv6_addresses_and_gives_them_back(ctx: Flask, tmp_path: Path) -> None:
    zone, plan = factories.make_zone(name="Norte"), factories.make_plan(name="Casa")
    header = ",".join((*csvfile.BASE, "address6"))

    def line(code: str, address6: str) -> str:
        return f"{code},{code},,,{zone.name},{plan.name},static,,,,,,,{address6}"

    def read(*lines: str) -> csvcheck.Review:
        session().rollback()
        return csvcheck.check("\n".join([header, *lines]).encode())

    with transaction():
        csvimport.apply(csvcheck.check("\n".join([header, line("A", "2001:DB8::A"), line("B", "")]).encode()))
    review = read(line("A", "2001:db8::a/128"), line("B", ""))
    assert (review.problems, review.unchanged) == ([], 2)
    problems = read(line("C", "10.0.0.1"), line("D", "2001:db8::d"), line("E", "2001:db8::d"), line("F", "2001:db8::a"))
    found = {(problem.line, problem.column, problem.reason) for problem in problems.problems}
    assert found == {
        (2, "address6", "address6"),
        (4, "address6", "address6_twice"),
        (5, "address6", "address6_taken"),
        (5, "address6", "network_taken"),
    }
    session().rollback()
    with transaction():  # two clients swap theirs
        csvimport.apply(csvcheck.check("\n".join([header, line("A", ""), line("B", "2001:db8::a")]).encode()))
    assert [clients.find(code).address6 for code in "AB"] == [None, "2001:db8::a"]
    text = "".join(csvexport.export())
    assert ",tax_id,address6" in text.splitlines()[0]
    assert (csvcheck.check(text.encode()).unchanged, "2001:db8::a" in text) == (2, True)
    shown = ctx.test_cli_runner().invoke(args=["clients", "show", "B", "--json"])
    assert json.loads(shown.output)["address6"] == "2001:db8::a"


def test_a_plan_has_a_profile_and_tells_when_what_routers_need_changes() -> None:
    told: list[int] = []

    def receive(plan_id: int) -> None:
        told.append(plan_id)

    events.plan_changed.connect(receive)
    try:
        with transaction():
            plan = plans.add("Casa", 100, 10, 5, " casa 10M ")
            assert plan.router_profile == "casa 10M"
            values = {"name": "Casa", "down": 10, "up": 5}
            plans.edit(plan, **values, price=200)
            assert told == []
            plans.edit(plan, **values, price=200, router_profile="otro")
            plans.edit(plan, **{**values, "up": 6}, price=200)
            assert plan.router_profile == "otro"
        assert told == [plan.id, plan.id]
        with transaction(), refused("plans.router_profile"):
            plans.add("X", 1, 1, 1, "x" * 65)
    finally:
        events.plan_changed._receivers.remove(receive)


def test_a_router_says_what_is_done_on_it_for_its_clients(ctx: Flask) -> None:
    arguments = ["routers", "add", "--name", "T", "--host", "10.0.0.1", "--username", "u", "--password-stdin"]
    options = ["--no-provision", "--pppoe-cut", "disable", "--ppp-base", "clientes", "--hotspot-base", "", "--json"]
    result = ctx.test_cli_runner().invoke(args=[*arguments, *options], input="secret\n")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    names = ("provision", "pppoe_cut", "ppp_base", "hotspot_base")
    assert [shown[name] for name in names] == [False, "disable", "clientes", "default"]
    values = routers.RouterValues("T", "10.0.0.1", 8728, "u")
    for wrong, code in (({"pppoe_cut": "x"}, "routers.pppoe_cut"), ({"ppp_base": "x" * 65}, "routers.base")):
        with refused(code):
            routers.normal(routers.RouterValues("T", "10.0.0.1", 8728, "u", **wrong))
    told: list[set[str]] = []

    def receive(router_id: int, changed: set[str]) -> None:
        told.append(changed)

    events.router_changed.connect(receive)
    try:
        session().rollback()
        with transaction():
            router = routers.find_router("T")
            routers.edit_router(router, values)
            routers.edit_router(router, routers.RouterValues("T2", "10.0.0.1", 8728, "u"))
    finally:
        events.router_changed._receivers.remove(receive)
    assert told == [{"provision", "pppoe_cut", "ppp_base"}, {"name"}]
    assert isinstance(session().get_one(Router, router.id).provision, bool)
