"""What a client needs on its router, when two values are the same, what is never touched. No database, no router."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.access.provision import profiles
from wisp.access.provision.comparing import Claim, Difference, difference
from wisp.access.provision.normal import same
from wisp.access.provision.wanted import MENU, Profile, Service, code_of, need, plan_of
from wisp.clients import domain
from wisp.gateway import menus


def service(**values: Any) -> Service:
    return Service(
        **{"code": "C1", "connection": "static", "plan_id": 7, "up": 5_000_000, "down": 20_000_000, **values}
    )


def claim(client_id: int = 1, **values: Any) -> Claim:
    found = service(**values)
    return Claim(client_id, found.code, MENU[found.connection], need(found))


def gone(client_id: int = 1, code: str = "C1", menu: str = menus.QUEUE) -> Claim:
    return Claim(client_id, code, menu, None)


@pytest.mark.parametrize(
    ("values", "note"), [({}, "no_address"), ({"address": "10.0.0.1", "up": 0, "down": 0}, "no_speed")]
)
def test_a_fixed_address_without_speed_or_address_needs_nothing(values: dict[str, Any], note: str) -> None:
    found = need(service(**values))
    assert (found.object, found.problem, found.note) == (None, "", note)


@pytest.mark.parametrize(
    ("values", "problem"), [
        ({"connection": "pppoe"}, "no_username"), ({"connection": "hotspot"}, "no_username"),
        ({"connection": "dhcp", "address": "10.0.0.1"}, "no_mac"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_says_why(values: dict[str, Any], problem: str) -> None:
    assert need(service(**values)).problem == problem


def test_upload_comes_first_and_both_addresses_are_targets() -> None:
    found = need(service(address="10.0.0.1", address6="2001:db8:1::/56")).object
    assert found is not None
    assert found.values["target"] == "10.0.0.1/32,2001:db8:1::/56"
    assert found.values["max-limit"] == "5000000/20000000"


def test_a_users_profile_is_the_plans_own_else_ours_else_the_base() -> None:
    def name(**values: Any) -> str:
        found = need(service(connection="pppoe", username="a", **values), ppp_base="base").object
        assert found is not None
        return found.values["profile"]

    assert [name(profile="casa"), name(), name(up=0, down=0)] == ["casa", "wisp-plan-7", "base"]


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("max-limit", "5M/20M", "5000000/20000000", True), ("rate-limit", "10M", "10000000/10000000", True),
        ("rate-limit", "1M/2M 3M/4M", "1M/2M", False), ("rate-limit", "", "0/0", True),
        ("target", "10.0.0.1", "10.0.0.1/32", True),
        ("target", "10.0.0.1/32,2001:DB8::1/128", "2001:db8::1,10.0.0.1", True),
        ("target", "10.0.0.1", "10.0.0.2", False), ("mac-address", "aa:bb:cc:dd:ee:ff", "AA:BB:CC:DD:EE:FF", True),
        ("mac-address", "00:00:00:00:00:00", "", True), ("remote-address", "10.0.0.1/32", "10.0.0.1", True),
        ("disabled", "no", "false", True), ("disabled", "", "false", True), ("disabled", "yes", "false", False),
        ("name", "Ana", "ana", False),
    ],
)  # fmt: skip
def test_values_are_compared_as_the_router_prints_them(name: str, one: str, other: str, equal: bool) -> None:
    assert same(name, one, other) is equal


def test_only_a_whole_comment_is_our_mark() -> None:
    assert [code_of(text) for text in ("wisp:C1", "wisp:C1 x", "Wisp:C1", "", "wisp:")] == [
        "C1",
        None,
        None,
        None,
        None,
    ]
    comments = ("wisp-plan:7", "wisp-plan:x", "wisp:7", "wisp:profile")
    assert [plan_of(menus.PROFILE, {"name": "x", "comment": text}) for text in comments] == [7, None, None, None]
    names = ("wisp-plan-7", "wisp-plan-x", "wisp-plan-7b", "default")
    assert [plan_of(menus.HOTSPOT_PROFILE, {"name": name}) for name in names] == [7, None, None, None]


def test_a_missing_object_is_added_a_different_one_changed_an_equal_one_left() -> None:
    one = claim(address="10.0.0.1")
    found = difference([one], {menus.QUEUE: []})
    assert [change.values["target"] for change in found.add] == ["10.0.0.1/32"]
    row = {".id": "*1", "name": "wisp-C1", "target": "10.0.0.1/32", "max-limit": "1/1", "comment": "wisp:C1"}
    assert [change.values for change in difference([one], {menus.QUEUE: [row]}).change] == [
        {"max-limit": "5000000/20000000"}
    ]
    assert difference([one], {menus.QUEUE: [{**row, "max-limit": "5M/20M"}]}).empty


def test_what_somebody_has_no_more_goes() -> None:
    row = {".id": "*1", "name": "wisp-C1", "target": "10.0.0.1/32", "comment": "wisp:C1"}
    assert [change.id for change in difference([gone()], {menus.QUEUE: [row]}).remove] == ["*1"]
    assert difference([], {menus.QUEUE: [row]}).empty
    assert difference([], {menus.QUEUE: [row]}, everybody={"C1": menus.QUEUE}).empty
    assert not difference([], {menus.QUEUE: [row]}, everybody={"C1": menus.LEASE}).empty


def test_of_two_queues_for_an_address_the_upper_one_counts() -> None:
    one = claim(address="10.0.0.1")
    mine = {
        ".id": "*1", "name": "wisp-C1", "target": "10.0.0.1/32", "max-limit": "5M/20M", "comment": "wisp:C1",
    }  # fmt: skip
    theirs = {".id": "*2", "name": "x", "target": "10.0.0.1/32", "disabled": "false"}
    assert difference([one], {menus.QUEUE: [mine, theirs]}).verdicts[1].state == "done"
    assert difference([one], {menus.QUEUE: [theirs, mine]}).verdicts[1].state == "foreign"
    assert difference([one], {menus.QUEUE: [{**theirs, "disabled": "true"}, mine]}).verdicts[1].state == "done"


def test_two_clients_with_one_mac_are_told_and_neither_takes_it_from_the_other() -> None:
    mac = "02:00:00:00:00:01"
    one = claim(1, code="A", connection="dhcp", address="10.0.0.1", mac=mac)
    two = claim(2, code="B", connection="dhcp", address="10.0.0.2", mac=mac)
    row = {
        ".id": "*1", "address": "10.0.0.1", "mac-address": mac, "rate-limit": "5M/20M", "comment": "wisp:A",
        "dynamic": "false",
    }  # fmt: skip
    found = difference([one, two], {menus.LEASE: [row]})
    assert found.empty
    assert [found.verdicts[1].state, found.verdicts[2].detail] == ["done", "shared: A"]


def test_a_pool_by_name_is_not_a_fixed_address_to_be_taken_away() -> None:
    one = claim(connection="pppoe", username="ana", password="x", fresh=False)
    row = {
        ".id": "*1", "name": "ana", "service": "pppoe", "profile": "wisp-plan-7", "remote-address": "clientes",
        "comment": "wisp:C1",
    }  # fmt: skip
    assert difference([one], {menus.SECRET: [row]}).empty
    fixed = difference([one], {menus.SECRET: [{**row, "remote-address": "10.0.0.9"}]})
    assert [change.values for change in fixed.unset] == [{"value-name": "remote-address"}]


def test_a_menu_that_is_not_there_is_said() -> None:
    one = claim(connection="hotspot", username="ana", password="x")
    assert difference([one], {menus.HOTSPOT_USER: None}).verdicts[1].detail == "no_menu"


# Profiles --------------------------------------------------------------------------------------------

OURS = Profile(menus.PROFILE, "wisp-plan-7", "default", "5000000/20000000", 7)
BASE = {".id": "*0", "name": "default", "remote-address": "pool", "only-one": "yes", "rate-limit": "9M/9M"}


def test_our_profile_is_a_copy_of_the_base_but_for_the_speed() -> None:
    found = profiles.compare(menus.PROFILE, [OURS], [BASE])
    (row,) = found.add
    assert row == {
        "name": "wisp-plan-7", "remote-address": "pool", "only-one": "yes", "rate-limit": "5000000/20000000",
        "comment": "wisp-plan:7",
    }  # fmt: skip
    again = profiles.compare(menus.PROFILE, [OURS], [BASE, {**row, ".id": "*1"}])
    assert (again.add, again.change, again.unset) == ([], [], [])
    moved = profiles.compare(menus.PROFILE, [OURS], [{".id": "*0", "name": "default"}, {**row, ".id": "*1"}])
    assert moved.unset == [("*1", "remote-address"), ("*1", "only-one")]


def test_a_profile_in_use_stays_and_one_of_others_is_never_removed() -> None:
    rows = [BASE, {".id": "*1", "name": "wisp-plan-7", "comment": "wisp-plan:7"}, {".id": "*2", "name": "wisp-plan-8"}]
    for kept, before, removed, later in (
        ({"wisp-plan-7"}, set(), [], False), (set(), {"wisp-plan-7"}, [], True), (set(), set(), ["*1"], False),
    ):  # fmt: skip
        found = profiles.Profiles()
        profiles.clear(menus.PROFILE, found, rows, kept, before)
        assert (found.remove, found.later) == (removed, later)


# Whatever others have --------------------------------------------------------------------------------

TEXT = st.sampled_from(["", "ana", "wisp", "wisp-C1", "x", "wisp:", "otro", "wisp:C1 ", "señor"])
ADDRESS = st.sampled_from(["", "10.0.0.1", "10.0.0.2", "10.0.0.1/32", "10.0.0.0/24"])
ROWS = {
    menus.QUEUE: {"name": TEXT, "target": ADDRESS, "comment": TEXT, "disabled": st.sampled_from(["true", "false"])},
    menus.SECRET: {"name": TEXT, "comment": TEXT, "profile": TEXT, "password": TEXT},
    menus.HOTSPOT_USER: {"name": TEXT, "comment": TEXT, "profile": TEXT},
    menus.LEASE: {
        "address": ADDRESS, "mac-address": st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]), "comment": TEXT,
        "dynamic": st.just("false"),
    },
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    menu=st.sampled_from(list(ROWS)), whole=st.booleans(), leaves=st.booleans(), data=st.data(),
)  # fmt: skip
def test_no_command_names_what_is_not_ours(menu: str, whole: bool, leaves: bool, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.fixed_dictionaries(ROWS[menu]), max_size=6))
    table = [{".id": f"*{number}", **row} for number, row in enumerate(rows, 1)]
    connection = next(kind for kind, place in MENU.items() if place == menu)
    one = claim(
        connection=connection, address="10.0.0.1", mac="02:00:00:00:00:01", username="ana", password="secreto"
    )  # fmt: skip
    claims = [gone(menu=menu)] if leaves else [one]
    found = difference(claims, {menu: table}, everybody={"C1": menu} if whole else None)
    assert all(code_of(row["comment"]) is None for row in table), "the strategy makes none of ours"
    touched = _ids(found)
    assert not touched
    assert len(found.add) == (0 if leaves or found.verdicts[1].state == "foreign" else 1)


def _ids(found: Difference) -> set[str]:
    groups = (found.remove, found.release, found.make_static, found.change, found.unset)
    return {change.id for group in groups for change in group}


# The new value of a client ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("2001:0DB8::0005", "2001:db8::5"), ("2001:db8::5/128", "2001:db8::5"),
        ("2001:db8:0:40::9/56", "2001:db8::/56"), (" 2001:db8::/32 ", "2001:db8::/32"),
    ],
)  # fmt: skip
def test_an_ipv6_address_or_prefix_has_one_form(text: str, value: str | None) -> None:
    assert domain.read_address6(text) == value


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "::", "::1", "ff02::1", "2000::/16", "2001:db8::5/129", "fe80::1%eth0", "x"]
)
def test_what_is_no_ipv6_address_of_a_client_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^address6$"):
        domain.read_address6(text)


def test_a_client_is_found_by_its_ipv6_address() -> None:
    terms = domain.search_terms("Ana", "C1", None, "", "", "", "2001:db8::5")
    assert all(any(term.startswith(word) for term in terms) for word in domain.query_terms("2001:db8:"))
