"""The simulated router as clients of others' making see it, and byte by byte: it must be right where the gateway
would not notice."""

import asyncio
import hashlib
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
import routeros_api
from librouteros import connect as librouteros_connect
from librouteros.exceptions import FatalError, MultiTrapError, TrapError
from librouteros.login import token
from routeros_api.exceptions import RouterOsApiCommunicationError, RouterOsApiConnectionError
from routeros_api.resource import RouterOsResource

from wisp.demo.routeros import ControlPort, Remote, Router, SimulatorServer
from wisp.demo.routeros.codec import Decoder, encode_sentence
from wisp.demo.routeros.session import Line

LISTS = "/ip/firewall/address-list"


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


class Raw:
    """A client that sends and reads sentences as they are."""

    def __init__(self, server: SimulatorServer) -> None:
        self.sock = socket.create_connection((server.host, server.port), timeout=5)
        self._decoder = Decoder()
        self._read: list[list[str]] = []

    def send(self, *sentences: list[str]) -> None:
        self.sock.sendall(b"".join(map(encode_sentence, sentences)))

    def read(self, count: int) -> list[list[str]]:
        while len(self._read) < count:
            data = self.sock.recv(65536)
            if not data:
                break
            self._read += self._decoder.feed(data)
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def ended(self) -> bool:
        return self.sock.recv(1) == b""

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def raw(server: SimulatorServer) -> Iterator[Raw]:
    with closing(Raw(server)) as client:
        client.send(["/login", "=name=wisp", "=password=secret"])
        assert client.read(1) == [["!done"]]
        yield client


# RouterOS-api, a client with nothing in common with librouteros


def pool(server: SimulatorServer, **more: object) -> routeros_api.RouterOsApiPool:
    options = {"username": "wisp", "password": "secret", "port": server.port, "plaintext_login": True, **more}
    return routeros_api.RouterOsApiPool(server.host, **options)


@pytest.mark.parametrize(
    ("version", "plain"), [("6.42.9", False), ("6.43.16", True), ("6.43.16", False), ("7.20.6", True)]
)
def test_another_client_logs_in_both_ways(version: str, plain: bool) -> None:
    with SimulatorServer(Router(version=version)) as server:
        client = pool(server, plaintext_login=plain)
        identity = client.get_api().get_resource("/system/identity")
        assert identity.get() == [{"name": "MikroTik"}]
        client.disconnect()
        with pytest.raises(RouterOsApiCommunicationError, match=r"cannot log in|invalid user name or password"):
            pool(server, plaintext_login=plain, password="wrong").get_api()


def lists(client: routeros_api.RouterOsApiPool) -> RouterOsResource:
    return client.get_api().get_resource(LISTS)


def test_another_client_adds_reads_changes_and_removes(server: SimulatorServer) -> None:
    client = pool(server)
    menu = lists(client)
    added = menu.add(list="wisp-overdue", address="10.0.0.7/32", comment="wisp:C7")
    assert added.done_message["ret"] == "*1"
    with pytest.raises(RouterOsApiCommunicationError, match="failure: already have such entry"):
        menu.add(list="wisp-overdue", address="10.0.0.7")
    menu.add(list="wisp-notice", address="10.0.0.7")
    assert [row["address"] for row in menu.get(list="wisp-overdue")] == ["10.0.0.7"]
    assert menu.get(list="nothing") == []
    menu.set(id="*1", disabled="yes")
    assert [(row["list"], row["disabled"]) for row in menu.get()] == [
        ("wisp-overdue", "true"),
        ("wisp-notice", "false"),
    ]
    menu.remove(id="*1")
    with pytest.raises(RouterOsApiCommunicationError, match="no such item"):
        menu.remove(id="*1")
    assert [row["id"] for row in menu.get()] == ["*2"]
    client.disconnect()


def test_another_client_reads_long_words_and_many_rows(server: SimulatorServer) -> None:
    server.router.load(LISTS, [{"list": "a", "address": f"10.0.{n // 250}.{n % 250}"} for n in range(3000)])
    server.router.load(LISTS, [{"list": "b", "address": "10.9.9.9", "comment": "x" * 70_000}])
    client = pool(server)
    rows = lists(client).get()
    assert len(rows) == 3001
    assert len(rows[-1]["comment"]) == 70_000
    client.disconnect()


def test_another_client_over_tls() -> None:
    with SimulatorServer(tls="certificate") as server:
        assert server.certificate is not None
        context = ssl.create_default_context(cadata=server.certificate.pem)
        client = pool(server, ssl_context=context)
        assert client.get_api().get_resource("/system/identity").get() == [{"name": "MikroTik"}]
        client.disconnect()


def test_another_client_sees_the_line_break(server: SimulatorServer) -> None:
    menu = lists(pool(server))
    server.switch(off=True)
    with pytest.raises((RouterOsApiConnectionError, OSError)):
        menu.get()


# librouteros as it is


def test_librouteros_reads_and_takes_both_kinds_of_error(server: SimulatorServer) -> None:
    api = librouteros_connect(server.host, "wisp", "secret", port=server.port, encoding="latin-1")
    path = api.path("ip", "firewall", "address-list")
    assert path.add(list="a", address="10.0.0.1") == "*1"
    assert [row["address"] for row in path] == ["10.0.0.1"]
    with pytest.raises(TrapError, match="already have such entry"):
        path.add(list="a", address="10.0.0.1")
    with pytest.raises(MultiTrapError) as caught:
        tuple(api.path("ip", "nowhere"))
    assert [(trap.message, trap.category) for trap in caught.value.traps] == [
        ("no such command or directory (nowhere)", 0),
        ("no such command prefix", None),
    ]
    api.close()


def test_librouteros_plain_log_in_to_an_old_router_only_looks_successful() -> None:
    with SimulatorServer(Router(version="6.42.9")) as server:
        api = librouteros_connect(server.host, "wisp", "secret", port=server.port)
        with pytest.raises(FatalError, match="not logged in"):
            tuple(api("/system/identity/print"))
        api = librouteros_connect(server.host, "wisp", "secret", port=server.port, login_method=token)
        assert tuple(api("/system/identity/print")) == ({"name": "MikroTik"},)
        api.close()


# Byte by byte


def test_a_command_before_the_log_in_ends_the_session(server: SimulatorServer) -> None:
    with closing(Raw(server)) as client:
        client.send(["/system/identity/print"])
        assert client.read(1) == [["!fatal", "not logged in"]]
        assert client.ended()


def test_the_challenge_is_asked_once_and_answered_with_md5() -> None:
    with SimulatorServer(Router(version="6.40")) as server, closing(Raw(server)) as client:
        client.send(["/login"])
        [[done, ret]] = client.read(1)
        challenge = bytes.fromhex(ret.removeprefix("=ret="))
        assert (done, len(challenge)) == ("!done", 16)
        good = "00" + hashlib.md5(b"\0secret" + challenge).hexdigest()
        client.send(["/login", "=name=nobody", f"=response={good}"])
        assert client.read(2) == [["!trap", "=message=cannot log in"], ["!done"]]
        for response in (good, ""):  # the challenge was used up by the first try
            client.send(["/login", "=name=wisp", f"=response={response}"])
            assert client.read(2) == [["!trap", "=message=cannot log in"], ["!done"]]


def test_a_new_router_knows_no_challenge(server: SimulatorServer) -> None:
    with closing(Raw(server)) as client:
        client.send(["/login"])
        assert client.read(2) == [["!trap", "=message=invalid user name or password (6)"], ["!done"]]


def test_quit_says_good_bye(raw: Raw) -> None:
    raw.send(["/system/identity/print"], ["/quit"], ["/system/identity/print"])
    assert raw.read(3) == [["!re", "=name=MikroTik"], ["!done"], ["!fatal", "session terminated on request"]]
    assert raw.ended()


def test_every_answer_carries_its_tag(raw: Raw) -> None:
    raw.send(
        [f"{LISTS}/add", "=list=a", "=address=10.0.0.1", ".tag=x"],
        [".tag=y", f"{LISTS}/print"][::-1],
        [f"{LISTS}/print", "?list=b", ".tag=z"],
        [f"{LISTS}/print", "=count-only=", ".tag=n"],
        ["/nowhere/print", ".tag=t"],
    )
    answers = raw.read(9)
    assert [(answer[0], answer[-1]) for answer in answers] == [
        ("!done", ".tag=x"),
        ("!re", ".tag=y"),
        ("!done", ".tag=y"),
        ("!empty", ".tag=z"),
        ("!done", ".tag=z"),
        ("!done", ".tag=n"),
        ("!trap", ".tag=t"),
        ("!trap", ".tag=t"),
        ("!done", ".tag=t"),
    ]
    assert answers[0] == ["!done", "=ret=*1", ".tag=x"]
    assert answers[5] == ["!done", "=ret=1", ".tag=n"]


@pytest.mark.parametrize(("version", "kinds"), [("7.17.2", ["!done"]), ("7.18", ["!empty", "!done"])])
def test_nothing_to_return_is_said_from_7_18_on(version: str, kinds: list[str]) -> None:
    with SimulatorServer(Router(version=version)) as server, closing(Raw(server)) as client:
        client.send(["/login", "=name=wisp", "=password=secret"], [f"{LISTS}/print"])
        assert [answer[0] for answer in client.read(1 + len(kinds))] == ["!done", *kinds]


def test_words_in_their_long_forms_are_understood(raw: Raw) -> None:
    word = b"/system/identity/print"
    for head in (b"\x80", b"\xc0\x00", b"\xe0\x00\x00", b"\xf0\x00\x00\x00"):
        raw.sock.sendall(b"\x00" + head + bytes([len(word)]) + word + b"\x00")
        assert raw.read(2) == [["!re", "=name=MikroTik"], ["!done"]]


def test_a_reserved_control_byte_ends_the_session(raw: Raw) -> None:
    raw.sock.sendall(b"\xf8\x01\x00")
    assert raw.ended()


def test_a_hanging_command_can_be_cancelled(server: SimulatorServer, raw: Raw) -> None:
    server.fault("hang", LISTS)
    raw.send([f"{LISTS}/print", ".tag=h"], ["/cancel", "=tag=h", ".tag=c"])
    assert raw.read(3) == [
        ["!trap", "=category=2", "=message=interrupted", ".tag=h"],
        ["!done", ".tag=c"],
        ["!done", ".tag=h"],
    ]


def test_a_half_sentence_ends_in_the_middle(server: SimulatorServer, raw: Raw) -> None:
    server.fault("half_sentence", "/system/identity")
    raw.send(["/system/identity/print"])
    data = b""
    while piece := raw.sock.recv(1000):
        data += piece
    whole = encode_sentence(["!re", "=name=MikroTik"]) + encode_sentence(["!done"])
    assert data == whole[: (len(whole) + 1) // 2]


def test_turns_count_how_often_the_router_waits(server: SimulatorServer, raw: Raw) -> None:
    server.counters.reset()
    one = ["/system/identity/print"]
    raw.send(*[one] * 50)
    raw.read(100)
    assert (server.counters.turns, server.counters.commands) == (1, 50)
    for _ in range(3):
        raw.send(one)
        raw.read(2)
    assert server.counters.turns == 4


def test_what_arrives_while_the_router_works_belongs_to_the_same_turn(server: SimulatorServer, raw: Raw) -> None:
    server.switch(slow=100)
    server.counters.reset()
    for _ in range(2):
        raw.send(["/system/identity/print"])
    raw.read(4)
    server.switch(slow=0)
    assert server.counters.turns == 1


def test_what_is_on_the_line_does_not_queue() -> None:
    """Two things sent together arrive together, half a round trip later, and not one half after the other."""

    async def travel() -> list[object]:
        line = Line()
        due = asyncio.get_running_loop().time() + 0.05
        line.put(due, b"first")
        line.put(due, b"second")
        on_the_way = line.here()
        first = await line.get()
        return [on_the_way, first, line.here(), await line.get()]

    assert asyncio.run(travel()) == [False, b"first", True, b"second"]


def test_faults_wait_for_their_command(server: SimulatorServer, raw: Raw) -> None:
    server.fault("trap", f"{LISTS}/print", after=1, count=2, message="failure: busy", category=4)
    for expected in (["!empty"], ["!trap", "=category=4", "=message=failure: busy"], None, ["!empty"]):
        raw.send([f"{LISTS}/print"], ["/system/identity/print"])
        first = raw.read(4)[0]
        assert expected is None or first == expected


def test_the_port_is_the_same_after_it_was_off(server: SimulatorServer) -> None:
    port = server.port
    for _ in range(3):
        server.switch(off=True)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        server.switch(off=False)
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_off_resets_and_refuse_leaves_alone(server: SimulatorServer, raw: Raw) -> None:
    server.switch(refuse=True)
    raw.send(["/system/identity/print"])
    assert raw.read(2)[1] == ["!done"]
    server.switch(off=True)
    with pytest.raises(ConnectionResetError):
        raw.sock.recv(1)


def test_silent_answers_nothing_and_does_nothing(server: SimulatorServer, raw: Raw) -> None:
    server.switch(silent=True)
    raw.send([f"{LISTS}/add", "=list=a", "=address=10.0.0.1"])
    raw.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        raw.sock.recv(1)
    server.switch(silent=False)
    raw.sock.settimeout(5)
    raw.send(["/system/identity/print"])
    assert raw.read(1) == [["!re", "=name=MikroTik"]]
    assert server.router.snapshot(LISTS) == []


@pytest.mark.parametrize("changes", [{"of": True}, {"off": 1}, {"slow": "much"}, {"slow": True}])
def test_a_mistaken_switch_is_refused(server: SimulatorServer, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        server.switch(**changes)
    with pytest.raises(ValueError):
        server.fault("explode")  # type: ignore[arg-type]


# From another process


def test_the_control_port_switches_and_shows(server: SimulatorServer) -> None:
    with Remote(ControlPort(server).start()) as remote:
        remote.call("switch", values={"off": True})
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), timeout=5)
        assert remote.call("state")["switches"]["off"] is True
        remote.call("normal")
        assert remote.call("load", menu=LISTS, rows=[{"list": "a", "address": "10.0.0.1", "comment": "ñ"}]) == ["*1"]
        assert remote.call("snapshot", menu=LISTS)[0]["comment"] == "ñ"
        remote.call("fault", action="trap", path=LISTS, message="failure: told so")
        with closing(Raw(server)) as client:
            client.send(["/login", "=name=wisp", "=password=secret"], [f"{LISTS}/print"])
            assert client.read(2)[1] == ["!trap", "=message=failure: told so"]
        assert remote.call("state")["counters"]["by_path"][f"{LISTS}/print"] == 1
        with pytest.raises(ValueError, match="no switch"):
            remote.call("switch", values={"nonsense": True})


def test_the_control_port_hangs_up_on_a_browser(server: SimulatorServer) -> None:
    port = ControlPort(server).start()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5)) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\n\r\n" + json.dumps({"do": "switch", "values": {"off": True}}).encode() + b"\n"
        )
        while client.recv(1000):
            pass
    assert server.switches.off is False


def test_runs_as_a_process_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "wisp.demo.routeros", "--clients", "10", "--version", "7.9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            ports = json.loads(process.stdout.readline())
            with Remote(ports["control"]) as remote:
                state = remote.call("state")
                assert (state["port"], state["version"]) == (ports["port"], "7.9")
                assert len(remote.call("snapshot", menu="/ppp/active")) == 5
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
                assert process.stderr.read() == ""
        finally:
            process.kill()
