"""In production a router is never this machine, whatever its address is written like."""

import socket

import pytest

from wisp.gateway import transport


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost"])
def test_an_address_of_this_machine_is_not_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        transport.open_socket("127.0.0.1", port, 5).close()  # allowed, as in the demo
        server.accept()[0].close()
        monkeypatch.setattr(transport, "own_machine_allowed", False)
        with pytest.raises(OSError, match="no router's address"):
            transport.open_socket(host, port, 5)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_interface_of_this_machine_is_known_without_a_list() -> None:
    assert transport._is_ours("127.0.0.1", 9)


@pytest.mark.parametrize("address, never", [
    ("127.0.0.1", True), ("0.0.0.0", True), ("169.254.1.1", True), ("224.0.0.1", True), ("::1", True), ("::", True),
    ("fe80::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.1", False), ("10.0.0.1", False), ("2001:db8::1", False),
])  # fmt: skip
def test_which_addresses_no_router_has(address: str, never: bool) -> None:
    assert transport.never_a_router(address) is never
