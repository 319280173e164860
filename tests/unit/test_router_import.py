"""What the objects on a router say about clients, and which clients those are already."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wisp.access.importing import domain
from wisp.access.importing.domain import DISABLED, Found, KnownClient, KnownPlan, Proposal, Tables
from wisp.access.importing.matching import plan_of, propose

PLANS = [
    KnownPlan(1, "Básico", 10_000_000, 3_000_000),
    KnownPlan(2, "Hogar", 20_000_000, 5_000_000),
    KnownPlan(3, "Hogar viejo", 20_000_000, 5_000_000, "viejos"),
    KnownPlan(4, "Fibra", 0, 0, "fibra"),
]


def found(known: list[KnownClient] | None = None, codes: list[str] | None = None, **menus: Any) -> Found:
    clients = known or []
    return propose(Tables(**menus), clients, PLANS, [*(client.code for client in clients), *(codes or [])])


def one(known: list[KnownClient] | None = None, codes: list[str] | None = None, **menus: Any) -> Proposal:
    proposals = found(known, codes, **menus).proposals
    assert len(proposals) == 1, proposals
    return proposals[0]


# Objects ---------------------------------------------------------------------------------------------


def test_a_secret_and_its_queue_are_one_client() -> None:
    secret = {
        "name": "ana", "password": "clave", "profile": "casa", "remote-address": "10.0.0.5", "comment": "Ana Núñez",
        "caller-id": "aa-bb-cc-dd-ee-ff", "remote-ipv6-prefix": "2001:DB8:1::/56",
    }  # fmt: skip
    queue = {"name": "q1", "target": "10.0.0.5/32", "max-limit": "3000000/10000000"}
    made = one(secrets=[secret], queues=[queue])
    assert (made.name, made.code, made.connection, made.username) == ("Ana Núñez", "ana", "pppoe", "ana")
    assert (made.password, made.address, made.mac) == ("clave", "10.0.0.5", "AA:BB:CC:DD:EE:FF")
    assert (made.address6, made.speed, made.plan_id) == ("2001:db8:1::/56", (3_000_000, 10_000_000), 1)


@pytest.mark.parametrize("service, kept", [("pppoe", 1), ("any", 1), ("", 1), ("l2tp", 0), ("ovpn", 0)])
def test_other_users_than_pppoe_are_passed_over(service: str, kept: int) -> None:
    result = found(secrets=[{"name": "ana", "service": service}])
    assert len(result.proposals) == kept
    assert result.passed_over["service"] == 1 - kept


def test_a_hidden_password_and_a_pool_say_nothing() -> None:
    made = one(secrets=[{"name": "ana", "password": "*****", "remote-address": "pool1"}])
    assert (made.password, made.address) == ("", "")


def test_how_many_passwords_were_not_shown_is_said() -> None:
    secrets = [{"name": "ana", "password": "*****"}, {"name": "eva"}, {"name": "luis", "password": "clave"}]
    users = [{"name": "a", "password": "****"}, {"name": "02:00:00:00:00:0A"}]
    assert found(secrets=secrets, users=users).passed_over["password"] == 3


def test_leases() -> None:
    static = {"address": "10.0.0.7", "mac-address": "aabbccddeeff", "comment": "Luis", "dynamic": "false"}
    passing = {"address": "10.0.0.8", "mac-address": "aabbccddee00", "host-name": "android", "dynamic": "true"}
    queue = {"name": "q", "target": "10.0.0.7/32", "max-limit": "5M/20M"}
    luis, android = found(leases=[passing, static], queues=[queue]).proposals
    assert (luis.name, luis.connection, luis.mac, luis.dynamic) == ("Luis", "dhcp", "AA:BB:CC:DD:EE:FF", False)
    assert luis.speed == (5_000_000, 20_000_000)
    assert (android.name, android.dynamic) == ("android", True)


def test_a_queue_for_an_address_that_is_leased_for_the_moment_is_a_lease() -> None:
    lease = {"address": "10.0.0.8", "mac-address": "aabbccddee00", "dynamic": "true"}
    made = one(leases=[lease], queues=[{"name": "Eva", "target": "10.0.0.8/32", "max-limit": "3M/10M"}])
    assert (made.name, made.connection, made.mac, made.dynamic) == ("Eva", "dhcp", "AA:BB:CC:DD:EE:00", False)


def test_queues_alone() -> None:
    result = found(
        queues=[
            {"name": "Casa 4", "target": "10.0.0.9/32,2001:db8:4::/64", "max-limit": "3M/10M"},
            {"name": "todos", "target": "10.0.0.0/24"},
            {"name": "puerto", "target": "ether2"},
            {"name": "dos", "target": "10.0.0.10/32,10.0.0.11/32"},
            {"name": "<pppoe-eva>", "target": "<pppoe-eva>", "dynamic": "true"},
        ]
    )
    made, two = result.proposals
    assert (made.name, made.connection, made.code) == ("Casa 4", "static", "casa-4")
    assert (made.address, made.address6, made.networks) == ("10.0.0.9", "2001:db8:4::/64", ())
    assert (two.address, two.networks) == ("10.0.0.10", ("10.0.0.11",))
    assert (result.passed_over["target"], result.passed_names) == (2, ["todos", "puerto"])


def test_what_a_secret_routes_belongs_to_its_client() -> None:
    secret = SECRET | {"routes": "203.0.113.8/29 10.0.0.1 1, 203.0.113.99", "ipv6-routes": "2001:db8:77::/48"}
    queue = {"name": "q", "target": "10.0.0.5/32,198.51.100.0/30", "max-limit": "5M/20M"}
    everything = ("203.0.113.8/29", "203.0.113.99", "2001:db8:77::/48", "198.51.100.0/30")
    assert one(secrets=[secret], queues=[queue]).networks == everything
    known = replace(ANA, networks=everything)
    assert "networks" not in one([known], secrets=[secret], queues=[queue]).changes
    assert "networks" in one([ANA], secrets=[secret], queues=[queue]).changes


def test_a_queue_for_the_session_of_a_secret_is_its_own() -> None:
    made = one(
        secrets=[{"name": "ana"}], queues=[{"name": "q", "target": "<pppoe-ana>", "max-limit": "5000000/20000000"}]
    )
    assert made.speed == (5_000_000, 20_000_000)


def test_hotspot_users_without_the_default_and_dynamic_ones() -> None:
    users = [{"name": "default-trial"}, {"name": "x", "dynamic": "true"}, {"name": "eva", "profile": "oro"}]
    made = one(users=users, user_profiles=[{"name": "oro", "rate-limit": "3M/10M 6M/20M 3M/10M 8/8"}])
    assert (made.connection, made.username, made.plan_id) == ("hotspot", "eva", 1)


@pytest.mark.parametrize("comment, name", [
    ("Ana Núñez", "Ana Núñez"), ("  dos \r\n líneas ", "dos líneas"), ("", "ana"), ("wisp:C9", "ana"),
    ("x" * 300, "x" * 120),
])  # fmt: skip
def test_the_name_is_the_comment_else_the_objects(comment: str, name: str) -> None:
    made = one(secrets=[{"name": "ana", "comment": comment}])
    assert made.name == name
    assert made.comment == comment


# Speeds and plans ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, speed", [
    ("5M/20M", (5_000_000, 20_000_000)), ("5000000/20000000", (5_000_000, 20_000_000)),
    ("512k/1500k", (512_000, 1_500_000)),
    ("10M", (10_000_000, 10_000_000)), ("5M/20M 8M/30M 4M/15M 10/10 8 1M/4M", (5_000_000, 20_000_000)), ("0/0", None),
    ("", None), ("rápido", None), ("0/20M", (0, 20_000_000)),
])  # fmt: skip
def test_speeds_are_upload_first(text: str, speed: tuple[int, int] | None) -> None:
    assert domain.speed(text) == speed


@pytest.mark.parametrize("profile, speed, plan", [
    ("", (3_000_000, 10_000_000), 1),
    ("", (5_000_000, 20_000_000), 0),  # two plans have it
    ("viejos", (5_000_000, 20_000_000), 3),
    ("HOGAR", (5_000_000, 20_000_000), 2),
    ("fibra", None, 4),
    ("Fibra", None, 4),
    ("fibra", (1_000, 1_000), 0),  # held down at present: a person decides
    ("", None, 0),
])  # fmt: skip
def test_the_plan_is_that_of_the_speed_else_that_of_the_profile(
    profile: str, speed: tuple[int, int] | None, plan: int
) -> None:
    assert plan_of(Proposal("secret", "x", "pppoe", profile=profile, speed=speed), PLANS) == plan


# Matching --------------------------------------------------------------------------------------------

ANA = KnownClient(1, "C1", "Ana", "pppoe", "10.0.0.5", "", "", "ana", "clave", 1)
LUIS = KnownClient(2, "C2", "Luis", "static", "10.0.0.6", "", "AA:BB:CC:DD:EE:FF", "", "", 2)
SECRET = {"name": "ana", "password": "clave", "remote-address": "10.0.0.5"}


def test_what_is_there_already_is_equal() -> None:
    made = one([ANA], secrets=[SECRET], queues=[{"name": "q", "target": "10.0.0.5/32", "max-limit": "3M/10M"}])
    assert (made.status, made.code, made.changes, made.client) == ("same", "C1", [], ANA)


@pytest.mark.parametrize("row, changes", [
    ({"remote-address": "10.0.0.50"}, ["address"]), ({"password": "otra"}, ["password"]), ({"password": "*****"}, []),
    ({"caller-id": "aa:bb:cc:00:00:01"}, ["mac"]), ({"remote-ipv6-prefix": "2001:db8::/56"}, ["address6"]),
])  # fmt: skip
def test_what_would_change_is_named(row: dict[str, str], changes: list[str]) -> None:
    made = one([ANA], secrets=[SECRET | row])
    assert (made.status, made.changes) == ("changed" if changes else "same", changes)


def test_another_speed_is_another_plan() -> None:
    made = one([LUIS], queues=[{"name": "q", "target": "10.0.0.6/32", "max-limit": "3M/10M"}])
    assert (made.status, made.changes, made.plan_id) == ("changed", ["plan"], 1)


def test_a_queue_does_not_say_how_a_client_is_attached() -> None:
    made = one([ANA], queues=[{"name": "q", "target": "10.0.0.5/32", "max-limit": "3M/10M"}])
    assert (made.status, made.client) == ("same", ANA)


def test_our_mark_and_the_device_name_a_client_too() -> None:
    by_mark = one([ANA], secrets=[{"name": "ana2", "comment": "wisp:C1"}])
    assert (by_mark.client, by_mark.changes) == (ANA, ["username"])
    by_device = one([LUIS], leases=[{"address": "10.0.0.77", "mac-address": "aabbccddeeff"}])
    assert (by_device.client, by_device.changes) == (LUIS, ["address", "connection"])


def test_conflicts_name_the_other() -> None:
    two = one([ANA, LUIS], secrets=[SECRET | {"remote-address": "10.0.0.6"}])
    assert (two.status, two.reason, two.values) == (
        "conflict", "address_taken", {"value": "10.0.0.6", "code": "C2", "name": "Luis"},
    )  # fmt: skip
    other = one([ANA], secrets=[SECRET | {"name": "eva"}])
    assert (other.status, other.reason, other.client) == ("conflict", "address_taken", None)
    assert other.code == "eva"
    gone = one([], ["C9"], secrets=[{"name": "eva", "comment": "wisp:C9"}])
    assert (gone.status, gone.reason, gone.code) == ("conflict", "elsewhere", "C9-2")


def test_two_objects_for_the_same_client_or_address() -> None:
    first, second = found([ANA], secrets=[SECRET, {"name": "x", "comment": "wisp:C1"}]).proposals
    assert (first.status, second.status, second.reason) == ("same", "conflict", "client_twice")
    first, second = found(
        secrets=[{"name": "a", "remote-address": "10.1.1.1"}, {"name": "b", "remote-address": "10.1.1.1"}]
    ).proposals
    assert (first.status, second.reason, second.values["name"]) == ("new", "address_twice", "a")


def test_clients_of_other_zones_are_neither_shown_nor_named() -> None:
    hidden = KnownClient(3, "C3", "Oculto", "static", "10.0.0.6", hidden=True)
    result = found([ANA, hidden], queues=[{"name": "q", "target": "10.0.0.6/32"}])
    assert (result.proposals, result.passed_over["hidden"]) == ([], 1)
    mine = {"name": "oculto", "comment": "wisp:C3", "remote-address": "10.0.0.99"}
    twice = one([hidden], secrets=[mine], leases=[{"address": "10.0.0.99", "comment": "Visible"}])
    assert (twice.reason, twice.values) == ("address_twice", {"value": "10.0.0.99", "name": ""})
    made = one([ANA, hidden], secrets=[SECRET | {"remote-address": "10.0.0.6"}])
    assert (made.reason, made.values) == ("address_taken", {"value": "10.0.0.6", "code": "", "name": ""})


# Codes -----------------------------------------------------------------------------------------------


def test_codes_are_free_and_unlike_each_other() -> None:
    rows = [
        {"name": "ana", "comment": "Ana"}, {"name": "señor lópez"}, {"name": "Ana", "comment": "wisp:K7"},
        {"name": "ñ"}, {"name": "名前"},
    ]  # fmt: skip
    codes = [made.code for made in found(codes=["ana"], secrets=rows).proposals]
    assert codes == ["ana-2", "senor-lopez", "K7", "n", "cliente"]


@given(st.lists(st.text(min_size=1, max_size=80), max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_every_code_is_valid_and_never_taken(names: list[str], taken: list[str]) -> None:
    codes = [made.code for made in found(codes=taken, secrets=[{"name": name} for name in names]).proposals]
    assert all(domain.clients.CODE.fullmatch(code) for code in codes)
    assert len({code.casefold() for code in codes}) == len(codes)
    assert not {code.casefold() for code in codes} & {code.casefold() for code in taken}


# Lists -----------------------------------------------------------------------------------------------


def test_lists_of_others_by_address_session_profile_and_switch() -> None:
    result = found(
        secrets=[
            {"name": "ana", "remote-address": "10.0.0.5"},
            {"name": "eva", "profile": "corte"},
            {"name": "iván", "disabled": "true"},
            {"name": "luz"},
        ],
        profiles=[{"name": "corte", "address-list": "Morosos"}],
        sessions=[{"name": "luz", "address": "10.9.9.9"}],
        lists=[
            {"list": "Morosos", "address": "10.0.0.5", "comment": "viejo"},
            {"list": "Avisos", "address": "10.9.9.9"},
            {"list": "Morosos", "address": "10.0.0.5", "comment": "wisp:C1"},
            {"list": "Morosos", "address": "10.0.0.77", "dynamic": "true"},
            {"list": "Morosos", "address": "10.0.0.0/8"},
            {"list": "wisp-dns", "address": "10.0.0.1", "comment": "wisp-rule:resolver"},
            {"list": "Morosos", "address": "10.9.9.9", "disabled": "true"},
        ],
    )
    where = {made.name: [(entry.list, entry.fixed) for entry in made.entries] for made in result.proposals}
    assert where == {
        "ana": [("Morosos", True)], "eva": [("Morosos", False)], "iván": [(DISABLED, False)], "luz": [("Avisos", True)],
    }  # fmt: skip
    assert result.lists == {DISABLED: 1, "Avisos": 1, "Morosos": 3}


def test_the_ipv6_list() -> None:
    made = one(
        secrets=[{"name": "ana", "remote-ipv6-prefix": "2001:db8:7::/56"}],
        lists6=[{"list": "Morosos", "address": "2001:DB8:7::/56"}],
    )
    assert [(entry.list, entry.ipv6) for entry in made.entries] == [("Morosos", True)]
