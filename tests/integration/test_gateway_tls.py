"""API-SSL: a router is who its certificate says, or the connection is not made."""

from collections.abc import Iterator

import pytest

from wisp.demo.routeros import SimulatorServer
from wisp.demo.routeros.tls import make_certificate
from wisp.gateway import ErrorCode, GatewayError, NewEntry, Status, Target, connect, fetch_fingerprint


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(tls="certificate") as running:
        yield running


def target(server: SimulatorServer, **more: object) -> Target:
    more = {"tls": True, "reply_timeout": 2.0, "connect_timeout": 2.0, **more}
    return Target(server.host, server.port, "wisp", "secret", **more)  # type: ignore[arg-type]


def pem(server: SimulatorServer) -> str:
    assert server.certificate is not None
    return server.certificate.pem


def failure(aim: Target) -> GatewayError:
    with pytest.raises(GatewayError) as caught, connect(aim, deadline=5):
        pass
    return caught.value


def test_the_pinned_certificate_is_trusted(server: SimulatorServer) -> None:
    assert server.certificate is not None
    written = ":".join(server.certificate.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    with connect(target(server, fingerprint=written), deadline=10) as router:
        outcomes = router.add_entries([NewEntry("l", f"10.0.{n // 250}.{n % 250}", "") for n in range(600)])
        assert {outcome.status for outcome in outcomes} == {Status.ok}
        assert len(router.read_lists(["l"])) == 600


def test_many_answers_over_tls_take_few_turns_too(server: SimulatorServer) -> None:
    assert server.certificate is not None
    server.switch(round_trip=4)
    with connect(target(server, fingerprint=server.certificate.fingerprint), deadline=10) as router:
        server.counters.reset()
        router.add_entries([NewEntry("l", f"10.0.{n // 250}.{n % 250}", "") for n in range(1000)])
    assert server.counters.turns <= 12


def test_another_certificate_is_refused_before_the_password_is_sent(server: SimulatorServer) -> None:
    error = failure(target(server, fingerprint=make_certificate().fingerprint))
    assert error.code is ErrorCode.tls
    assert server.certificate is not None
    assert server.certificate.fingerprint in error.detail
    assert server.counters.by_path["/login"] == 0


def test_an_own_authority_is_trusted_and_no_other(server: SimulatorServer) -> None:
    with connect(target(server, ca=pem(server)), deadline=10) as router:
        assert router.identity() == "MikroTik"
    assert failure(target(server, ca=make_certificate().pem)).code is ErrorCode.tls
    assert failure(target(server)).code is ErrorCode.tls
    assert failure(target(server, ca="not a certificate")).code is ErrorCode.tls
    assert server.counters.by_path["/login"] == 1


def test_the_certificate_can_be_looked_at_first(server: SimulatorServer) -> None:
    assert server.certificate is not None
    assert fetch_fingerprint(target(server)) == server.certificate.fingerprint
    assert server.counters.by_path["/login"] == 0


def test_a_router_without_certificate_only_where_that_is_said() -> None:
    with SimulatorServer(tls="anonymous") as server:
        assert fetch_fingerprint(target(server)) is None
        assert failure(target(server)).code is ErrorCode.tls
        assert failure(target(server, fingerprint="0" * 64)).code is ErrorCode.tls
        with connect(target(server, anonymous=True), deadline=10) as router:
            assert router.identity() == "MikroTik"


def test_silent_over_tls_is_silent(server: SimulatorServer) -> None:
    server.switch(silent=True)
    assert failure(target(server, connect_timeout=0.2)).code is ErrorCode.silent


def test_the_plain_port_and_the_secured_one_are_told_apart(server: SimulatorServer) -> None:
    assert failure(target(server, tls=False)).code in (ErrorCode.protocol, ErrorCode.closed)
    with SimulatorServer() as plain:
        assert failure(target(plain, connect_timeout=0.2)).code in (ErrorCode.silent, ErrorCode.tls)


@pytest.mark.parametrize("switch", ["off", "refuse"])
def test_faults_look_the_same_over_tls(server: SimulatorServer, switch: str) -> None:
    assert server.certificate is not None
    aim = target(server, fingerprint=server.certificate.fingerprint)
    server.switch(**{switch: True})
    assert failure(aim).code is ErrorCode.refused
    server.normal()
    server.fault("half_sentence", "/system/identity")
    with connect(aim, deadline=5) as router, pytest.raises(GatewayError) as caught:
        router.identity()
    assert caught.value.code is ErrorCode.closed
