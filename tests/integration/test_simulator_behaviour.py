"""What the simulated router does by itself: lists that sessions and leases hold, devices that come back, its clock."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.test_simulator_menus import ACTIVE, LEASE, LISTS, PROFILE, SECRET, USER, Client
from wisp.demo.routeros import Router, SimulatorServer
from wisp.gateway import GatewayError, Status, Target, bytes_of, connect, menus, text_of

HOT, COOKIE = "/ip/hotspot/active", "/ip/hotspot/cookie"
MAC = "02:00:00:00:00:05"


@pytest.fixture
def client() -> Client:
    return Client()


def members(client: Client) -> list[tuple[str, str, str]]:
    return [(row["list"], row["address"], row["dynamic"]) for row in client.rows(LISTS)]


def test_a_bound_static_lease_holds_its_lists(client: Client) -> None:
    client.router.load(LEASE, [{"address": "10.0.0.5", "mac-address": MAC, "status": "bound", "dynamic": "true"}])
    assert client.do(f"{LEASE}/make-static", "=.id=*1") == ""
    client.do(f"{LEASE}/set", "=.id=*1", address_lists="a,b")
    assert members(client) == [("a", "10.0.0.5", "true"), ("b", "10.0.0.5", "true")]
    client.router.lose_power()
    assert members(client) == [("a", "10.0.0.5", "true"), ("b", "10.0.0.5", "true")]
    client.do(f"{LEASE}/set", "=.id=*1", address_lists="b")
    assert members(client) == [("b", "10.0.0.5", "true")]
    client.do(f"{LEASE}/disable", "=.id=*1")
    assert members(client) == []


def test_a_lease_that_waits_holds_nothing(client: Client) -> None:
    client.do(f"{LEASE}/add", address="10.0.0.5", mac_address=MAC, address_lists="a")
    assert members(client) == []


def test_a_lease_that_goes_takes_its_entry_along_and_leaves_the_others(client: Client) -> None:
    client.do(f"{LISTS}/add", list="a", address="10.0.0.5", comment="theirs")
    client.router.load(LEASE, [{"address": "10.0.0.5", "mac-address": MAC, "status": "bound", "address-lists": "a,b"}])
    assert members(client) == [("a", "10.0.0.5", "false"), ("b", "10.0.0.5", "true")]
    client.do(f"{LEASE}/remove", "=.id=*1")
    assert members(client) == [("a", "10.0.0.5", "false")]


def test_ppp_clients_come_back_with_the_next_address_of_the_pool() -> None:
    client = Client(dial_in=0.0)
    client.do("/ip/pool/add", name="p", ranges="10.9.0.2-10.9.0.4")
    client.do(f"{PROFILE}/add", name="gold", remote_address="p", address_list="a")
    client.do(f"{SECRET}/add", name="ana", profile="gold")
    assert client.column(ACTIVE, "address") == ["10.9.0.2"]
    assert members(client) == [("a", "10.9.0.2", "true")]
    client.do(f"{ACTIVE}/remove", "=.id=*80000001")
    assert client.column(ACTIVE, "address") == ["10.9.0.3"]
    assert members(client) == [("a", "10.9.0.3", "true")]


def test_a_cookie_logs_a_device_straight_back_in(client: Client) -> None:
    client.do(f"{USER}/add", name="ana")
    assert client.router.hotspot_login("ana", "10.5.0.2", MAC)
    assert not client.router.hotspot_login("bea", "10.5.0.3", MAC)
    client.do(f"{HOT}/remove", "=.id=*1")
    assert [(row[".id"], row["user"], row["address"]) for row in client.rows(HOT)] == [("*2", "ana", "10.5.0.2")]
    client.do(f"{COOKIE}/remove", "=.id=*1")
    client.do(f"{HOT}/remove", "=.id=*2")
    assert client.rows(HOT) == []


def test_a_disabled_hotspot_user_stays_logged_in_and_does_not_come_back(client: Client) -> None:
    client.do(f"{USER}/add", name="ana")
    client.router.hotspot_login("ana", "10.5.0.2", MAC)
    client.do(f"{USER}/disable", "=.id=*1")
    assert len(client.rows(HOT)) == 1
    client.do(f"{HOT}/remove", "=.id=*1")
    assert client.rows(HOT) == []
    assert not client.router.hotspot_login("ana", "10.5.0.2", MAC)


def test_hotspot_profiles_are_referred_to_and_may_hold_a_list(client: Client) -> None:
    assert client.do(f"{USER}/add", name="x", profile="gold") == "category=1 input does not match any value of profile"
    client.do(f"{USER}/profile/add", name="gold", address_list="h", add_mac_cookie="no")
    client.do(f"{USER}/add", name="ana", profile="gold")
    client.router.hotspot_login("ana", "10.5.0.2", MAC)
    assert (members(client), client.rows(COOKIE)) == ([("h", "10.5.0.2", "true")], [])
    client.do(f"{HOT}/remove", "=.id=*1")
    assert members(client) == []


@pytest.mark.parametrize("menu", ["/ip/dhcp-server", "/ip/pool", "/ip/proxy/access", "/ip/hotspot/ip-binding"])
def test_empty_menus_are_there(client: Client, menu: str) -> None:
    assert client.sentences(f"{menu}/print") == [["!empty"], ["!done"]]


def test_users_are_printed_without_passwords_and_groups_stay_while_used(client: Client) -> None:
    client.do("/user/add", name="eve", group="read", password="x")
    assert [(row["name"], row["group"]) for row in client.rows("/user")] == [("wisp", "full"), ("eve", "read")]
    assert "password" not in client.rows("/user")[1]
    assert client.do("/user/group/remove", "=.id=read") == "failure: group has some users"
    assert "!policy" in (client.rows("/user/group", "?name=write")[0]["policy"]).split(",")


@pytest.mark.parametrize(("version", "offset"), [("7.20.6", "+00:00"), ("7.9", "-05:00"), ("6.49.19", "+05:30")])
def test_the_clock_may_be_wrong_and_elsewhere(version: str, offset: str) -> None:
    with SimulatorServer(Router(version=version)) as server:
        server.switch(clock_ahead=3600)
        with connect(Target(server.host, server.port, "wisp", "secret"), deadline=10) as connection:
            connection.set("/system/clock", ["*0"], {"gmt-offset": offset})
            found = connection.clock()
    assert found is not None
    assert abs(found - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=60)


def test_without_ipv6_none_of_its_menus_is_there() -> None:
    with (
        SimulatorServer(Router(version="6.49.19", ipv6=False)) as server,
        connect(Target(server.host, server.port, "wisp", "secret"), deadline=10) as connection,
    ):
        for menu in (menus.LISTS6, menus.CONNECTIONS6):
            with pytest.raises(GatewayError) as caught:
                connection.read(menu, [".id"])
            assert caught.value.code == "trap"


# The gateway's general helpers


def test_a_copy_keeps_every_byte_and_nothing_is_cast() -> None:
    script = bytes(range(1, 256))
    router = Router()
    router.load(PROFILE, [{"name": "señal".encode("cp1252"), "on-up": script, "rate-limit": "0123"}])
    with (
        SimulatorServer(router) as server,
        connect(Target(server.host, server.port, "wisp", "secret"), deadline=10) as connection,
    ):
        row = next(row for row in connection.read_whole(menus.PROFILE) if row["name"] == "se\xf1al")
        copy = {"name": bytes_of("año:") + row["name"], "on-up": row["on-up"], "rate-limit": row["rate-limit"]}
        outcomes = connection.add(menus.PROFILE, [copy, copy], raw=True)
        assert [outcome.status for outcome in outcomes] == [Status.ok, Status.exists]
        assert connection.change(menus.PROFILE, [(outcomes[0].ret, {"on-down": script.decode("latin-1")})], raw=True)
        assert text_of(row["name"]) == "señal"
    stored = router.table(PROFILE).rows[outcomes[0].ret]
    assert stored["name"].encode("latin-1") == "año:".encode() + "señal".encode("cp1252")
    assert stored["on-up"].encode("latin-1") == stored["on-down"].encode("latin-1") == script
    assert stored["rate-limit"] == "0123"


def test_leases_are_made_static_each_with_its_own_outcome() -> None:
    router = Router()
    ids = router.load(LEASE, [{"address": "10.0.0.5", "mac-address": MAC, "dynamic": "true"}])
    with (
        SimulatorServer(router) as server,
        connect(Target(server.host, server.port, "wisp", "secret"), deadline=10) as connection,
    ):
        outcomes = connection.make_static([*ids, "*99"])
    assert [outcome.status for outcome in outcomes] == [Status.ok, Status.gone]
    assert router.snapshot(LEASE)[0]["dynamic"] == "false"
