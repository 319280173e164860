"""A socket under librouteros that keeps to time and reads in large pieces."""

import encodings.idna  # noqa: F401  (else the first look-up of a name imports it, in each child of a worker anew)
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic

from librouteros.connections import SocketTransport
from librouteros.exceptions import ConnectionClosed

from wisp.gateway.errors import DeadlinePassed, ReplyTimeout

_PIECE = 65536
own_machine_allowed = True
"""False in production: a router is another machine, and what listens on this one is not to be asked by its name."""


class Transport(SocketTransport):
    """Buffers what the router sends and holds two clocks against it.

    A socket's own timeout starts anew with every byte, so a router that drips would be waited for without
    end. Here one clock runs for the whole job (`deadline`, a `monotonic()` value) and one for each answer
    (`reply_timeout` seconds, started again by `answered()`).
    """

    def __init__(self, sock: socket.socket, *, deadline: float, reply_timeout: float) -> None:
        super().__init__(sock)
        self.buffer = bytearray()
        self.heard = False
        self._deadline = deadline
        self._reply_timeout = reply_timeout
        self._answer_until = monotonic() + reply_timeout

    def answered(self) -> None:
        """A whole answer has come (or a question is about to go out): the next one has its full time."""
        self._answer_until = monotonic() + self._reply_timeout

    def write(self, data: bytes) -> None:
        """Send all of it, within the time of an answer and of the job."""
        self.answered()
        self._arm()
        self.sock.sendall(data)

    def fill(self) -> None:
        """Wait for at least one byte and take all that is there, up to 64 kB."""
        self._arm()
        try:
            piece = self.sock.recv(_PIECE)
        except TimeoutError:
            self._arm()  # names the clock that ran out
            raise ReplyTimeout("no answer in time") from None
        self._keep(piece)

    def take_in(self) -> bool:
        """Take what has arrived already, without waiting; whether there was anything.

        That a TLS socket is readable says nothing: it may hold a session ticket and no data.
        """
        self._arm()
        self.sock.settimeout(0)
        try:
            piece = self.sock.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        self._keep(piece)
        return True

    def _keep(self, piece: bytes) -> None:
        if not piece:
            raise ConnectionClosed("the router closed the connection")
        self.heard = True
        self.buffer += piece

    def read(self, length: int) -> bytes:
        """Exactly `length` bytes, as librouteros asks for them."""
        while len(self.buffer) < length:
            self.fill()
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        return data

    def _arm(self) -> None:
        now = monotonic()
        if now >= self._deadline:
            raise DeadlinePassed("the time for the whole job is over")
        if now >= self._answer_until:
            raise ReplyTimeout("no answer in time")
        self.sock.settimeout(min(self._deadline, self._answer_until) - now)


def open_socket(host: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection with keepalive. Raises OSError."""
    if not own_machine_allowed:
        host = _elsewhere(host, port)
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _elsewhere(host: str, port: int) -> str:
    """The first address of ``host``, which stays the one that is asked. OSError where it is no router's. Judged by the
    address, since a name or a number may stand for any."""
    address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    if never_a_router(address) or _is_ours(address, port):
        raise OSError(f"{address} is no router's address")
    return address


def never_a_router(address: str) -> bool:
    """True for addresses of this machine (loopback) and those that no router is reached by."""
    ip = ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified


def _is_ours(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((address, port))  # nothing is sent: it chooses the address from which we would go there
        return bool(probe.getsockname()[0] == address)
    return False  # no way there at all: the connection will say so
