"""Routers that misbehave: the error has the right name, nothing waits without end, and no change is called
done or failed of which nobody knows."""

import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from time import monotonic, sleep

import pytest

from wisp.demo.routeros import Router, SimulatorServer
from wisp.demo.routeros.codec import encode_sentence
from wisp.gateway import Connection, ErrorCode, GatewayError, NewEntry, Status, Target, connect

LISTS = "/ip/firewall/address-list"
ADD = f"{LISTS}/add"
SHORT = 0.2


def target(server: SimulatorServer, *, reply: float = 5.0, password: str = "secret") -> Target:
    return Target(server.host, server.port, "wisp", password, connect_timeout=2.0, reply_timeout=reply)


def failure(aim: Target, deadline: float = 5.0) -> GatewayError:
    with pytest.raises(GatewayError) as caught, connect(aim, deadline=deadline) as router:
        router.identity()
    return caught.value


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


def entries(count: int) -> list[NewEntry]:
    return [NewEntry("wisp-overdue", f"10.1.{at // 250}.{at % 250 + 1}", f"wisp:C{at}") for at in range(count)]


def stored(server: SimulatorServer) -> set[str]:
    return {row["address"] for row in server.router.snapshot(LISTS)}


# Not getting in


@pytest.mark.parametrize("switch", ["off", "refuse"])
def test_a_closed_port_is_refused(server: SimulatorServer, switch: str) -> None:
    server.switch(**{switch: True})
    assert failure(target(server)).code is ErrorCode.refused
    server.switch(**{switch: False})
    with connect(target(server), deadline=5) as router:
        assert router.identity() == "MikroTik"


def test_an_address_where_nobody_answers_is_unreachable() -> None:
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (first, second):  # with its queue full the port answers nothing more
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        aim = Target("127.0.0.1", full.getsockname()[1], "wisp", "secret", connect_timeout=SHORT)
        assert failure(aim).code is ErrorCode.unreachable
    assert failure(Target("x" * 64, 8728, "wisp", "secret")).code is ErrorCode.unreachable


def test_a_port_that_opens_and_never_answers_is_silent(server: SimulatorServer) -> None:
    server.switch(silent=True)
    assert failure(target(server, reply=SHORT)).code is ErrorCode.silent


def test_a_wrong_password_is_the_logins_fault(server: SimulatorServer) -> None:
    error = failure(target(server, password="hunter2"))
    assert (error.code, error.detail) == (ErrorCode.login, "invalid user name or password (6)")
    assert "hunter2" not in f"{error}{error!r}"
    server.switch(wrong_password=True)
    assert failure(target(server)).code is ErrorCode.login


@pytest.mark.parametrize(
    "speech",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 200,
        b"\xff\xff",
        encode_sentence(["hello"]),
        encode_sentence(["!re", "x"]),
    ],
)
def test_what_is_not_the_api_is_not_taken_for_it(speech: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def talk() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(speech)
                client.recv(1000)

        thread = Thread(target=talk, daemon=True)
        thread.start()
        aim = Target("127.0.0.1", listener.getsockname()[1], "wisp", "secret", reply_timeout=SHORT)
        assert failure(aim).code in (ErrorCode.protocol, ErrorCode.timeout)
        thread.join(5)
        assert not thread.is_alive()


def test_answers_that_are_empty_sentences_are_passed_over(server: SimulatorServer) -> None:
    with connect(target(server), deadline=5) as router:
        router._transport.buffer += b"\x00\x00"
        assert router.identity() == "MikroTik"


# Too slow


def test_an_answer_that_drips_is_given_up_after_the_time_for_one(server: SimulatorServer) -> None:
    with connect(target(server, reply=2 * SHORT), deadline=30) as router:
        server.switch(drip=40)  # never long enough without a byte for a socket's own time-out
        with pytest.raises(GatewayError) as caught:
            router.identity()
    assert caught.value.code is ErrorCode.timeout


def test_many_slow_answers_are_given_up_when_the_job_is_over(server: SimulatorServer) -> None:
    server.router.load(LISTS, [{"list": "a", "address": entry.address} for entry in entries(200)])
    with connect(target(server), deadline=4 * SHORT) as router:
        server.switch(drip=1)  # each row is quick enough by itself
        with pytest.raises(GatewayError) as caught:
            router.read_lists(["a"])
    assert (caught.value.code, caught.value.detail) == (ErrorCode.timeout, "the time for the whole job is over")


def test_the_whole_job_ends_in_time_while_every_answer_is_in_time(server: SimulatorServer) -> None:
    server.switch(slow=10)
    with connect(target(server), deadline=3 * SHORT) as router:
        outcomes = router.add_entries(entries(300))
        assert router.error is not None
        assert router.error.code is ErrorCode.timeout
    statuses = [outcome.status for outcome in outcomes]
    known = statuses.index(Status.unknown)
    assert 0 < known < 300
    assert set(statuses[:known]) == {Status.ok}
    assert set(statuses[known:]) == {Status.unknown}


@pytest.mark.timeout(10)
def test_the_jobs_end_comes_before_a_late_answers(server: SimulatorServer) -> None:
    server.fault("hang", "/system/identity")
    with connect(target(server, reply=300), deadline=SHORT) as router, pytest.raises(GatewayError) as caught:
        router.identity()
    assert (caught.value.code, caught.value.detail) == (ErrorCode.timeout, "the time for the whole job is over")


def test_after_an_answer_stayed_out_the_connection_is_not_used_again(server: SimulatorServer) -> None:
    """A late answer would be taken for the next one's."""
    server.fault("hang", "/system/identity")
    with connect(target(server, reply=SHORT), deadline=5) as router:
        with pytest.raises(GatewayError) as first:
            router.identity()
        server.counters.reset()
        with pytest.raises(GatewayError) as second:
            router.resource()
    assert first.value.code is second.value.code is ErrorCode.timeout
    assert server.counters.commands == 0


@pytest.mark.parametrize("action", ["hang", "swallow"])
def test_one_answer_that_never_comes_leaves_only_its_own_command_unknown(server: SimulatorServer, action: str) -> None:
    server.fault(action, ADD, after=40)  # type: ignore[arg-type]
    with connect(target(server, reply=4 * SHORT), deadline=10) as router:
        outcomes = router.add_entries(entries(600))
    assert outcomes[40].status is Status.unknown
    assert {outcome.status for outcome in outcomes[:40] + outcomes[41:]} == {Status.ok}
    assert (entries(41)[40].address in stored(server)) is (action == "swallow")


def test_a_pause_of_ours_between_two_questions_is_nobodys_delay(server: SimulatorServer) -> None:
    with connect(target(server, reply=2 * SHORT), deadline=5) as router:
        sleep(2.2 * SHORT)
        assert router.identity() == "MikroTik"


# Breaking off


@pytest.mark.parametrize(("action", "done"), [("drop_before", 29), ("drop_after", 30), ("half_sentence", 30)])
def test_what_broke_off_is_unknown_and_reading_again_settles_it(
    server: SimulatorServer, action: str, done: int
) -> None:
    wanted = entries(100)
    server.fault(action, ADD, after=29)  # type: ignore[arg-type]
    with connect(target(server), deadline=5) as router:
        outcomes = router.add_entries(wanted)
        assert router.error is not None
        assert router.error.code is ErrorCode.closed
    assert {outcome.status for outcome in outcomes[:29]} == {Status.ok}
    assert {outcome.status for outcome in outcomes[29:]} == {Status.unknown}
    with connect(target(server), deadline=5) as router:
        there = {entry.address for entry in router.read_lists(["wisp-overdue"])}
        assert there == {entry.address for entry in wanted[:done]}
        rest = router.add_entries([entry for entry in wanted if entry.address not in there])
    assert {outcome.status for outcome in rest} == {Status.ok}
    assert len(server.router.snapshot(LISTS)) == 100


@pytest.mark.parametrize("action", ["drop_before", "drop_after", "half_sentence"])
def test_a_removal_that_broke_off_is_unknown(server: SimulatorServer, action: str) -> None:
    with connect(target(server), deadline=5) as router:
        ids = [outcome.ret for outcome in router.add_entries(entries(10))]
        server.fault(action, f"{LISTS}/remove")  # type: ignore[arg-type]
        assert {outcome.status for outcome in router.remove_entries(ids)} == {Status.unknown}
    assert len(stored(server)) == (10 if action == "drop_before" else 0)


def test_a_batch_that_failed_before_the_line_broke_is_unknown(server: SimulatorServer) -> None:
    with connect(target(server), deadline=5) as router:
        ids = [outcome.ret for outcome in router.add_entries(entries(150))]
        server.fault("trap", f"{LISTS}/remove", message="no such item")
        server.fault("drop_before", f"{LISTS}/remove")
        outcomes = router.remove_entries(ids)
    assert {outcome.status for outcome in outcomes} == {Status.unknown}


def test_a_reboot_in_the_middle_leaves_the_rest_unknown(server: SimulatorServer) -> None:
    server.switch(slow=5)
    with connect(target(server), deadline=10) as router:
        thread = Thread(target=lambda: (wait_for(server, 20), server.reboot(3600)), daemon=True)
        thread.start()
        outcomes = router.add_entries(entries(400))
        thread.join()
        assert outcomes[-1].status is Status.unknown
        assert router.error is not None
    assert failure(target(server)).code is ErrorCode.refused
    server.reboot(0)
    until = monotonic() + 5
    while not (there := read_if_there(server)) and monotonic() < until:
        pass
    assert len(there) == len(stored(server)) > 0


def read_if_there(server: SimulatorServer) -> list[str]:
    try:
        with connect(target(server), deadline=5) as router:
            return [entry.address for entry in router.read_lists(["wisp-overdue"])]
    except GatewayError:
        return []


def wait_for(server: SimulatorServer, commands: int) -> None:
    until = monotonic() + 5
    while server.counters.commands < commands and monotonic() < until:
        pass


def test_switched_off_in_between_is_a_broken_connection(server: SimulatorServer) -> None:
    with connect(target(server), deadline=5) as router:
        server.switch(off=True)
        with pytest.raises(GatewayError) as caught:
            router.identity()
    assert caught.value.code is ErrorCode.closed


def test_a_session_that_the_router_ends_says_why(server: SimulatorServer) -> None:
    server.fault("fatal", ADD, message="session terminated on request")
    with connect(target(server), deadline=5) as router:
        [outcome] = router.add_entries(entries(1))
        assert outcome.status is Status.unknown
        assert router.error is not None
        assert (router.error.code, router.error.detail) == (ErrorCode.fatal, "session terminated on request")


def test_an_exception_of_ours_closes_the_connection(server: SimulatorServer) -> None:
    kept: list[Connection] = []
    with pytest.raises(RuntimeError), connect(target(server), deadline=5) as router:
        kept.append(router)
        raise RuntimeError
    with pytest.raises(GatewayError):
        kept[0].identity()


def test_traps_of_some_commands_are_theirs_alone(server: SimulatorServer) -> None:
    server.fault("trap", ADD, after=10, count=5, message="failure: out of memory")
    with connect(target(server), deadline=5) as router:
        outcomes = router.add_entries(entries(30))
    assert [at for at, outcome in enumerate(outcomes) if outcome.status is Status.failed] == [10, 11, 12, 13, 14]
    assert outcomes[10].text == "failure: out of memory"


def test_an_old_router_that_expects_a_challenge_is_not_mistaken_for_logged_in() -> None:
    with SimulatorServer(Router(version="6.42.12")) as server:
        error = failure(target(server, password="wrong"))
        assert (error.code, error.detail) == (ErrorCode.login, "cannot log in")
        with connect(target(server), deadline=5) as router:
            assert router.identity() == "MikroTik"
