"""The gateway against the simulated router over TCP: reading, changing, each change's own outcome."""

from collections.abc import Iterator

import pytest

from wisp.demo.routeros import Router, SimulatorServer
from wisp.gateway import (
    BATCH,
    Command,
    Connection,
    ErrorCode,
    GatewayError,
    NewEntry,
    Status,
    Target,
    connect,
)

LISTS = "/ip/firewall/address-list"


def target(server: SimulatorServer, **more: object) -> Target:
    return Target(server.host, server.port, "wisp", "secret", **more)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def router(server: SimulatorServer) -> Iterator[Connection]:
    with connect(target(server), deadline=20) as connection:
        yield connection


def addresses(count: int, net: str = "10.1") -> list[str]:
    return [f"{net}.{number // 250}.{number % 250 + 1}" for number in range(count)]


def entries(count: int, net: str = "10.1") -> list[NewEntry]:
    return [NewEntry("wisp-overdue", address, f"wisp:C{at}") for at, address in enumerate(addresses(count, net))]


@pytest.mark.parametrize(
    "version", ["6.42.9", "6.43.16", "6.45 (stable)", "6.49.19 (long-term)", "7.9", "7.20.6 (stable)"]
)
def test_logs_in_to_every_version(version: str) -> None:
    with SimulatorServer(Router(name="Torre", version=version, users={"wisp": "contraseña"})) as server:
        with connect(Target(server.host, server.port, "wisp", "contraseña"), deadline=10) as connection:
            assert connection.identity() == "Torre"
            assert connection.resource().version == version
        with pytest.raises(GatewayError) as caught, connect(target(server), deadline=10):
            pass
        assert caught.value.code is ErrorCode.login
        assert server.counters.logins == 1


def test_reads_what_the_router_is(router: Connection) -> None:
    resource = router.resource()
    assert (resource.release, resource.board, resource.cpu_load) == ((7, 20, 6), "RB5009UG+S+", 7)


def test_values_stay_strings_and_bytes_stay_readable(server: SimulatorServer, router: Connection) -> None:
    server.router.load(
        "/ppp/secret",
        [
            {"name": "12345", "password": "yes", "comment": "señal".encode("cp1252")},
            {"name": "0123", "comment": "señal"},
            {"name": "no", "comment": "yes", "disabled": "yes"},
        ],
    )
    secrets = router.ppp_secrets()
    assert [(secret.name, secret.comment, secret.disabled) for secret in secrets] == [
        ("12345", "señal", False),
        ("0123", "señal", False),
        ("no", "yes", True),
    ]
    assert router.print("/ppp/secret", ["password"], "?name=12345") == [{"password": "yes"}]


def test_reads_the_named_lists_in_one_print(server: SimulatorServer, router: Connection) -> None:
    server.router.load(
        LISTS,
        [
            {"list": "wisp-overdue", "address": "10.0.0.1/32", "comment": "wisp:C1"},
            {"list": "wisp-notice", "address": "10.0.0.1", "disabled": "yes"},
            {"list": "foreign", "address": "10.0.0.2"},
            {"list": "wisp-overdue", "address": "10.0.0.3", "dynamic": "true"},
        ],
    )
    server.counters.reset()
    read = router.read_lists(["wisp-overdue", "wisp-notice"])
    assert [(e.list, e.address, e.comment, e.disabled, e.dynamic) for e in read] == [
        ("wisp-overdue", "10.0.0.1", "wisp:C1", False, False),
        ("wisp-notice", "10.0.0.1", "", True, False),
        ("wisp-overdue", "10.0.0.3", "", False, True),
    ]
    assert (server.counters.commands, server.counters.turns) == (1, 1)
    assert len(router.read_lists([])) == 4


@pytest.mark.parametrize("version", ["6.49.19", "7.17.2", "7.20.6"])
def test_no_rows_are_no_rows_in_every_version(version: str) -> None:
    server = SimulatorServer(Router(version=version, empty_all=True))
    with server, connect(target(server), deadline=10) as router:
        assert router.read_lists(["wisp-overdue"]) == []
        added = router.add_entries(entries(1))
        assert [outcome.status for outcome in router.remove_entries([added[0].ret])] == [Status.ok]


def test_ipv6_has_its_own_lists(server: SimulatorServer, router: Connection) -> None:
    assert router.add_entries([NewEntry("wisp-overdue", "2001:db8::7", "wisp:C1")], ipv6=True)[0].status is Status.ok
    assert router.read_lists(["wisp-overdue"]) == []
    assert [entry.address for entry in router.read_lists(["wisp-overdue"], ipv6=True)] == ["2001:db8::7/128"]
    wrong = router.add_entries([NewEntry("wisp-overdue", "2001:db8::7", "wisp:C1")])[0]
    assert (wrong.status, wrong.text) == (Status.failed, "failure: 2001:db8::7 is not a valid dns name")


@pytest.mark.parametrize("reorder", [False, True])
def test_each_add_has_its_own_outcome_also_out_of_order(
    server: SimulatorServer, router: Connection, reorder: bool
) -> None:
    server.switch(reorder=reorder)
    wanted = entries(1000)
    taken = {5, 150, 151, 999}
    server.router.load(LISTS, [{"list": "wisp-overdue", "address": wanted[at].address} for at in taken])
    wanted[7] = NewEntry("wisp-overdue", "300.1.1.1", "")
    outcomes = router.add_entries(wanted)
    there = {row["address"]: row[".id"] for row in server.router.snapshot(LISTS)}
    for at, (entry, outcome) in enumerate(zip(wanted, outcomes, strict=True)):
        if at in taken:
            assert outcome.status is Status.exists
        elif at == 7:
            assert outcome.status is Status.failed
        else:
            assert (outcome.status, outcome.ret) == (Status.ok, there[entry.address])


@pytest.mark.parametrize("atomic", [False, True])
def test_each_removal_has_its_own_outcome(atomic: bool) -> None:
    with SimulatorServer(Router(atomic_batches=atomic)) as server:
        with connect(target(server), deadline=10) as router:
            ids = [outcome.ret for outcome in router.add_entries(entries(3 * BATCH))]
            kept = ids.pop()
            ids.insert(BATCH + 10, "*FFFF")
            server.counters.reset()
            outcomes = router.remove_entries(ids)
        assert outcomes[BATCH + 10].status is Status.gone
        done = {outcome.status for outcome in outcomes[: BATCH + 10] + outcomes[BATCH + 11 :]}
        assert done <= {Status.ok, Status.gone}
        assert Status.gone not in {outcome.status for outcome in outcomes[:BATCH]}
        assert [row[".id"] for row in server.router.snapshot(LISTS)] == [kept]
        assert server.counters.commands == 3 + BATCH


def test_an_id_named_twice_is_removed_once(router: Connection) -> None:
    [added] = router.add_entries(entries(1))
    assert [outcome.status for outcome in router.remove_entries([added.ret, added.ret])] == [Status.ok] * 2


def test_no_ids_send_nothing_and_bad_ones_are_refused(server: SimulatorServer, router: Connection) -> None:
    server.counters.reset()
    assert router.remove_entries([]) == []
    assert router.add_entries([]) == []
    for bad in ("", "*1,*2"):
        with pytest.raises(ValueError, match="an id"):
            router.remove_entries([bad])
    assert server.counters.commands == 0


def test_many_ids_are_set_at_once(server: SimulatorServer, router: Connection) -> None:
    ids = [outcome.ret for outcome in router.add_entries(entries(BATCH + 1))]
    assert {outcome.status for outcome in router.set(LISTS, ids, {"disabled": "yes"})} == {Status.ok}
    assert {row["disabled"] for row in server.router.snapshot(LISTS)} == {"true"}


def test_permission_withheld_is_an_outcome_and_does_not_repeat_singly(
    server: SimulatorServer, router: Connection
) -> None:
    ids = [outcome.ret for outcome in router.add_entries(entries(10))]
    server.switch(no_permission=True)
    server.counters.reset()
    outcomes = router.remove_entries(ids)
    assert {(outcome.status, outcome.code) for outcome in outcomes} == {(Status.failed, ErrorCode.permission)}
    assert server.counters.commands == 1
    assert len(router.read_lists(["wisp-overdue"])) == 10


def test_a_full_router_refuses_and_the_rest_goes_on(server: SimulatorServer, router: Connection) -> None:
    server.switch(full=True)
    assert {outcome.status for outcome in router.add_entries(entries(3))} == {Status.failed}
    server.switch(full=False)
    assert {outcome.status for outcome in router.add_entries(entries(3))} == {Status.ok}


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("6.49.19", "no such command prefix"),
        ("7.20.6", "no such command or directory (nowhere), no such command prefix"),
    ],
)
def test_a_menu_that_is_not_there_is_an_error_that_leaves_the_connection_good(version: str, text: str) -> None:
    with SimulatorServer(Router(version=version)) as server, connect(target(server), deadline=10) as router:
        with pytest.raises(GatewayError) as caught:
            router.print("/ip/nowhere", ["name"])
        assert (caught.value.code, caught.value.detail) == (ErrorCode.trap, text)
        [outcome] = router.run([Command("/ip/nowhere/add", {"name": "x"})])
        assert (outcome.status, outcome.text) == (Status.failed, text)
        assert router.identity() == "MikroTik"
        assert router.error is None


def test_a_session_that_is_gone_already_is_gone(server: SimulatorServer, router: Connection) -> None:
    server.router.load("/ppp/secret", [{"name": f"u{n}", "remote-address": f"10.9.0.{n}"} for n in (1, 2, 3)])
    server.router.dial_all()
    sessions = router.active_ppp()
    assert [(session.name, session.address) for session in sessions] == [
        ("u1", "10.9.0.1"),
        ("u2", "10.9.0.2"),
        ("u3", "10.9.0.3"),
    ]
    assert router.drop_active_ppp([sessions[1].id])[0].status is Status.ok
    statuses = [outcome.status for outcome in router.drop_active_ppp([session.id for session in sessions])]
    assert statuses[1] is Status.gone
    assert server.router.snapshot("/ppp/active") == []


def test_reads_queues_as_they_are_printed(server: SimulatorServer, router: Connection) -> None:
    added = router.run(
        [
            Command(
                "/queue/simple/add", {"name": "C1", "target": "10.0.0.9", "max-limit": "5M/20M", "comment": "wisp:C1"}
            )
        ]
    )
    [queue] = router.simple_queues()
    assert (queue.id, queue.target, queue.max_limit) == (added[0].ret, "10.0.0.9/32", "5000000/20000000")


def test_a_cut_of_a_thousand_needs_few_turns_and_one_connection(server: SimulatorServer) -> None:
    """The line's round trip is what costs: the fewer turns, the better. A turn: the router waits for us."""
    server.router.load("/ppp/secret", [{"name": f"u{at}", "remote-address": a} for at, a in enumerate(addresses(1000))])
    server.router.dial_all()
    server.router.load(LISTS, [{"list": "wisp-overdue", "address": a} for a in addresses(4000, "10.7")])
    server.switch(round_trip=4)
    server.counters.reset()
    with connect(target(server), deadline=30) as router:
        assert len(router.read_lists(["wisp-overdue", "wisp-notice"])) == 4000
        assert {outcome.status for outcome in router.add_entries(entries(1000))} == {Status.ok}
        dropped = router.drop_active_ppp([session.id for session in router.active_ppp()])
        assert {outcome.status for outcome in dropped} == {Status.ok}
    assert server.counters.connections == 1
    assert server.counters.turns <= 25
    assert len(server.router.snapshot(LISTS)) == 5000
