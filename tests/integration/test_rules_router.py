"""Rules installed on a simulated router, read back, and taken away again."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.test_rules_domain import FOREIGN, FULL
from wisp.access.rules import talk
from wisp.access.rules.comparing import ours
from wisp.access.rules.wanted import FILTER, FILTER6, LIST, LIST6, MENUS, NAT
from wisp.demo.routeros import Router, SimulatorServer
from wisp.demo.routeros.faults import Fault
from wisp.demo.routeros.seed import seed
from wisp.gateway import GatewayError, Target


def target(server: SimulatorServer) -> Target:
    return Target(server.host, server.port, "wisp", "secret", connect_timeout=2.0, reply_timeout=2.0)


CLOCKS = ("/system/clock", "/system/resource", "/log")


def everything(router: Router) -> dict[str, Any]:
    """The router as a whole: every row of every menu that it has, with ids and in order; but for the time of day."""
    return {menu: router.snapshot(menu) for menu in sorted(router._tables) if menu not in CLOCKS}


def snapshot(router: Router) -> dict[str, Any]:
    return {menu: router.snapshot(menu) for menu in MENUS if menu in router._tables}


def foreign(router: Router) -> dict[str, Any]:
    return {menu: [row for row in rows if ours(row) is None] for menu, rows in snapshot(router).items()}


VERSIONS = [("6.49.19 (long-term)", False), ("6.49.19 (long-term)", True), ("7.20.6 (stable)", True)]


@pytest.mark.parametrize(("version", "ipv6"), VERSIONS)
def test_installed_twice_is_nothing_to_do_and_removed_is_as_before(version: str, ipv6: bool) -> None:
    router = Router(users={"wisp": "secret"}, version=version, ipv6=ipv6)
    seed(router, 4)
    router.load("/ip/address", [{"address": "10.0.0.1/24", "interface": "bridge"}])
    before, whole = snapshot(router), everything(router)
    assert {"/ip/proxy", "/ppp/secret", "/queue/simple", "/ip/dhcp-server/lease"} <= whole.keys()
    with SimulatorServer(router) as server:
        done = talk.install(target(server), FULL)
        assert done.good, done.failures
        assert foreign(router) == before
        forward = [row.get("comment") or row["action"] for row in router.snapshot(FILTER) if row["chain"] == "forward"]
        assert forward[:3] == ["wisp-rule:fwd-overdue", "wisp-rule:fwd-seen", "fasttrack-connection"]
        srcnat = [row["action"] for row in router.snapshot(NAT) if row["chain"] == "srcnat"]
        assert srcnat == ["accept", "masquerade"]
        assert (FILTER6 in before) is ipv6
        assert bool([row for row in router.snapshot(LIST6) if "wisp-rule" in row["comment"]] if ipv6 else 0) is ipv6
        stands = snapshot(router)
        router.counters.by_path.clear()
        assert talk.install(target(server), FULL).good
        assert not [path for path in router.counters.by_path if path.rpartition("/")[2] in ("add", "remove", "move")]
        assert snapshot(router) == stands
        assert everything(router) != whole
        assert talk.uninstall(target(server)).good
        assert everything(router) == whole
        assert talk.uninstall(target(server)).good
        assert everything(router) == whole


def test_what_others_did_to_the_rules_is_put_right() -> None:
    router = Router(users={"wisp": "secret"})
    seed(router, 2)
    with SimulatorServer(router) as server:
        talk.install(target(server), FULL)
        good = snapshot(router)
        table = router.table(FILTER)
        ids = {row.get("comment", ""): row[".id"] for row in router.snapshot(FILTER)}
        table.set(ids["wisp-rule:ov-drop"], {"disabled": "yes"})
        table.move([ids["wisp-rule:fwd-overdue"]], None)
        table.add({"chain": "forward", "action": "drop", "comment": "wisp-rule:ov-drop"})
        table.remove(ids["wisp-rule:ov-allowed"])
        look = talk.read(target(server), FULL)
        assert [rule.key for rule in look.difference.missing] == ["ov-allowed"]
        assert [rule.key for rule, _row in look.difference.changed] == ["ov-drop"]
        assert len(look.difference.extra) == 1
        assert talk.install(target(server), FULL).good

        def plain(rows: list[dict[str, str]]) -> list[dict[str, str]]:
            return [{name: value for name, value in row.items() if name not in (".id", "disabled")} for row in rows]

        mine = [row for row in plain(router.snapshot(FILTER)) if ours(row)]
        assert sorted(map(str, mine)) == sorted(str(row) for row in plain(good[FILTER]) if ours(row))


def test_a_refusal_is_told_and_leaves_no_lie() -> None:
    router = Router(users={"wisp": "secret"})
    with SimulatorServer(router) as server:
        server.switch(full=True)
        done = talk.install(target(server), FULL)
        assert not done.good
        assert "out of memory" in done.failures["ov-drop"]
        server.switch(full=False, no_permission=True)
        done = talk.install(target(server), FULL)
        assert not done.good
        assert foreign(router) == snapshot(router)


def test_a_break_in_the_middle_is_an_error_and_the_next_time_finishes_it() -> None:
    router = Router(users={"wisp": "secret"})
    seed(router, 2)
    before = snapshot(router)
    with SimulatorServer(router) as server:
        server.router.faults.add(Fault("drop_after", f"{FILTER}/add", after=3))
        with pytest.raises(GatewayError):
            talk.install(target(server), FULL)
        server.router.faults.clear()
        assert talk.install(target(server), FULL).good
        assert foreign(router) == before


def test_the_facts_that_the_checks_need() -> None:
    router = Router(users={"wisp": "secret"})
    router.load("/ip/address", [{"address": "10.0.0.1/24", "interface": "bridge"}])
    router.load("/ipv6/address", [{"address": "2001:db8::1/64", "interface": "bridge"}])
    router.load("/ip/proxy", [{"enabled": "yes"}])
    router.out_of_reach.add("203.0.113.10")
    with SimulatorServer(router) as server:
        facts = talk.read(target(server), FULL, facts=True).facts
        assert facts == talk.Facts(["10.0.0.1/24"], ["2001:db8::1/64"], True, True, "8080", False)
        router.out_of_reach.clear()
        assert talk.read(target(server), FULL, facts=True).facts.ping is True


ENTRIES = st.fixed_dictionaries(
    {"list": st.sampled_from(["wisp-overdue", "wisp-allowed", "wisp-dns", "Morosos"]),
     "address": st.sampled_from(["10.9.0.1", "10.9.0.2", "203.0.113.10", "pay.example.net"])},
    optional={"comment": st.sampled_from(["mío", "wisp:ANA", "wisp-rulé:x"]), "disabled": st.just("true"),
              "dynamic": st.just("true")},
)  # fmt: skip
FILTER_ROWS = FOREIGN.filter(lambda row: row["action"] not in ("dst-nat", "masquerade"))
NAT_ROWS = FOREIGN.filter(
    lambda row: row["action"] not in ("drop", "fasttrack-connection") and "connection-state" not in row
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    filters=st.lists(FILTER_ROWS, max_size=8),
    nats=st.lists(NAT_ROWS, max_size=8),
    entries=st.lists(ENTRIES, max_size=6, unique_by=lambda row: (row["list"], row["address"])),
)
def test_nothing_of_others_is_ever_changed_moved_or_removed(
    rules_server: SimulatorServer,
    filters: list[dict[str, str]],
    nats: list[dict[str, str]],
    entries: list[dict[str, str]],
) -> None:
    router = rules_server.router
    for menu in MENUS:
        router.clear(menu)
    router.load(FILTER, filters)
    router.load(NAT, nats)
    router.load(LIST, entries)
    before = snapshot(router)
    done = talk.install(target(rules_server), FULL)
    assert done.good, done.failures
    assert foreign(router) == before
    assert talk.uninstall(target(rules_server)).good
    assert snapshot(router) == before


@pytest.fixture(scope="module")
def rules_server() -> Any:
    with SimulatorServer(Router(users={"wisp": "secret"})) as server:
        yield server
