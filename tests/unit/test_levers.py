"""Levers as rows in and rows out: what is chosen, what is copied, what is put back."""

import pytest

from wisp.access.domain import Lists
from wisp.access.ending import _matcher
from wisp.access.levers import Desk, Facts, Lever, Problem, base_of, choose, copy_of, holding, repairs

CUT, NOTICE = "corte", "aviso"
LISTS = Lists(CUT, NOTICE, former=("corte:viejo",))
ORO = {".id": "*1", "name": "oro", "rate-limit": "1M/2M", "use-ipv6": "yes", "on-up": "a\xf1o", "default": "false"}


def ppp(profile: str = "oro", **more: str) -> Facts:
    secret = {".id": "*1", "name": "ana", "profile": profile, "disabled": "false", **more}
    return Facts(secrets={"ana": secret}, profiles={"oro": ORO})


@pytest.mark.parametrize(
    ("connection", "wanted", "address", "mode", "chosen"),
    [
        ("static", "cut", "10.0.0.1", "profile", (True, "10.0.0.1", "", "")),
        ("pppoe", "cut", "10.0.0.1", "profile", (True, "10.0.0.1", "", "")),
        ("pppoe", "cut", None, "profile", (False, None, "profile", "")),
        ("pppoe", "notice", None, "profile", (False, None, "profile", "")),
        ("pppoe", "cut", None, "disable", (False, None, "disable", "")),
        ("pppoe", "notice", None, "disable", (False, None, "", "no_session")),
        ("hotspot", "cut", None, "profile", (False, None, "", "no_user")),
        ("hotspot", "cut", "10.0.0.1", "profile", (True, "10.0.0.1", "", "")),
        ("hotspot", "notice", None, "profile", (False, None, "", "no_session")),
        ("dhcp", "cut", None, "profile", (False, None, "", "no_lease")),
        ("dhcp", "notice", "10.0.0.1", "profile", (True, "10.0.0.1", "", "")),
    ],
)
def test_what_is_chosen(connection, wanted, address, mode, chosen):
    found = choose(connection, wanted, address, "ana", ppp(), mode)
    assert (found.listed, found.address, found.kind, found.problem) == chosen


def test_only_an_enabled_lease_moves_lists():
    lease = {".id": "*1", "mac-address": "M", "disabled": "true"}
    assert choose("dhcp", "cut", None, "M", Facts(leases={"M": [lease]}), "profile").problem == "no_lease"
    assert choose("dhcp", "cut", None, "M", Facts(leases={"M": [lease, {".id": "*2"}]}), "profile").kind == "lease"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("corte:oro", (CUT, "oro")),
        ("aviso:corte:oro", (NOTICE, "corte:oro")),
        ("corte:viejo:oro", ("corte:viejo", "oro")),
        ("corte:", None),
        ("corte", None),
        ("otro:oro", None),
    ],
)
def test_a_name_of_ours_tells_the_list_and_the_profile(name, found):
    assert base_of(name, LISTS) == found


def test_a_copy_has_what_decides_and_nothing_else():
    copy = copy_of({**ORO, "comment": "x", "address-list": "vip", "unknown": "1"}, CUT)
    assert copy == {
        "name": "corte:oro", "rate-limit": "1M/2M", "use-ipv6": "yes", "on-up": "a\xf1o", "address-list": CUT,
        "comment": "wisp:profile",
    }  # fmt: skip
    assert repairs({".id": "*9", **copy, "idle-timeout": "5m", "other": "1"}, copy) == {"idle-timeout": ""}
    assert repairs({**copy, "address-list": ""}, copy) == {"address-list": CUT}


@pytest.mark.parametrize(
    ("profile", "recorded", "becomes", "before"),
    [
        ("oro", Lever(), "corte:oro", "oro"),
        ("aviso:oro", Lever("profile", "ana", "oro"), "corte:oro", "oro"),
        ("corte:plata", Lever("profile", "ana", "oro"), "corte:oro", "oro"),
        ("aviso:oro", Lever(), "corte:oro", "oro"),
        ("oro", Lever("profile", "ana", "plata"), "corte:oro", "oro"),
    ],
)
def test_a_profile_is_moved_and_the_one_below_remembered(profile, recorded, becomes, before):
    desk = Desk(ppp(profile), LISTS)
    assert desk.move("profile", "ana", recorded, CUT) == Lever("profile", "ana", before)
    assert desk.rows("profile", "ana")[0]["profile"] == becomes


def test_what_can_not_be_put_back_is_said():
    with pytest.raises(Problem, match="no_profile: plata"):
        Desk(ppp("corte:plata"), LISTS).put_back(Lever("profile", "ana", "plata"))


def lease(lists: str) -> Facts:
    return Facts(leases={"M": [{".id": "*1", "mac-address": "M", "address-lists": lists, "disabled": "false"}]})


@pytest.mark.parametrize(
    ("lists", "recorded", "becomes", "before"),
    [
        ("", Lever(), "corte", ""),
        ("tv, x,,", Lever(), "tv, x,,,corte", ""),
        ("tv,aviso", Lever("lease", "M"), "tv,corte", ""),
        ("aviso,tv", Lever(), "aviso,tv,corte", "aviso"),
        ("corte", Lever(), "corte", "corte"),
        ("corte", Lever("lease", "M"), "corte", ""),
    ],
)
def test_lists_of_a_lease_are_moved_and_others_kept(lists, recorded, becomes, before):
    desk = Desk(lease(lists), LISTS)
    lever = desk.move("lease", "M", recorded, CUT)
    assert (desk.rows("lease", "M")[0]["address-lists"], lever.before) == (becomes, before)
    back = Desk(lease(becomes), LISTS)
    back.put_back(lever)
    theirs = ",".join(name for name in lists.split(",") if name not in (CUT, NOTICE) or name in before.split(","))
    assert back.rows("lease", "M")[0]["address-lists"] == theirs


def test_only_what_we_switched_off_is_switched_on():
    users = [
        {".id": f"*{n}", "name": "ana", "server": f"hs{n}", "disabled": off} for n, off in enumerate(("true", "false"))
    ]
    desk = Desk(Facts(users={"ana": users}), LISTS)
    lever = desk.move("hotspot", "ana", Lever(), CUT)
    assert lever.before == "disabled:hs0"
    off = [{**user, "disabled": "true"} for user in users]
    assert holding("hotspot", off, lever, LISTS) == CUT
    assert holding("hotspot", off, Lever(), LISTS) == ""
    back = Desk(Facts(users={"ana": off}), LISTS)
    back.put_back(lever)
    assert [row["disabled"] for row in back.rows("hotspot", "ana")] == ["true", "false"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("10.0.0.5:80", True),
        ("10.0.0.5", True),
        ("10.0.0.55:80", False),
        ("10.0.0.50:5", False),
        ("[2001:db8:5::7]:443", True),
        ("2001:db8:5::7/128", True),
        ("2001:db8:6::7", False),
        ("2001:db8::1:443", True),
        ("", False),
        ("x", False),
    ],
)
def test_a_connection_is_known_by_its_source(source, found):
    assert _matcher({"10.0.0.5", "2001:db8:5::/64", "2001:db8::1"})(source) is found
