"""Visitors who say nothing, or go on saying a little: they hold connections, and a server must not hold threads for
them."""

import contextlib
import socket
import threading
from collections.abc import Iterator

EACH = 64
HEAD = b"GET /aviso/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = (
    b"POST /aviso/entendido/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100000\r\n\r\ntoken="
)
KINDS = {"silent": (b"", b""), "dripping heads": (HEAD, b"X-More: 1\r\n"), "dripping bodies": (BODY, b"x")}
"""What each sends at once, and what it sends now and then."""


@contextlib.contextmanager
def visitors(port: int, pause: float = 0.25) -> Iterator[None]:
    """EACH of every kind, connected before the block begins; they drip until it ends."""
    opened: list[tuple[socket.socket, bytes]] = []
    over = threading.Event()

    def drip() -> None:
        while not over.wait(pause):
            for one, more in opened:
                with contextlib.suppress(OSError):  # the server has had enough of it
                    one.send(more)

    try:
        for first, more in KINDS.values():
            for _ in range(EACH):
                one = socket.create_connection(("127.0.0.1", port), 10)
                one.sendall(first)
                opened.append((one, more))
        threading.Thread(target=drip, daemon=True).start()
        yield
    finally:
        over.set()
        for one, _more in opened:
            one.close()
