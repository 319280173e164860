"""The guard: no test reaches out of this machine."""

import sys
from typing import Any

LOCAL = ("127.", "localhost", "::1", "0.0.0.0", "::ffff:127.")
_reached: list[str] = []


class OutsideConnection(OSError):
    """A test tried to reach another machine."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a name in the file system is always local
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host and not host.startswith(LOCAL):
        _reached.append(f"{event} {host}")
        raise OutsideConnection(f"this test reached out to {host}")


def install() -> None:
    """Refuse and note every connection, datagram and look-up that leaves this machine; for the whole process."""
    sys.addaudithook(_watch)


def reached() -> list[str]:
    """What was refused since the last call."""
    seen, _reached[:] = list(_reached), []
    return seen
