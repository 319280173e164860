"""Where a router is, how to log in, and how far to trust the line."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A router's address and log-in.

    Times in seconds: `connect_timeout` for the connection (and the TLS handshake), `reply_timeout` for each
    answer. With `tls` the router is verified by `fingerprint` (SHA-256 of its certificate, hex, colons
    allowed), else by `ca` (PEM text of an own authority), else by the machine's authorities. `anonymous`
    is for routers without a certificate: encrypted, but anybody in between could pose as the router.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: bool = False
    fingerprint: str | None = None
    connect_timeout: float = 5.0
    reply_timeout: float = 10.0
    ca: str | None = field(default=None, repr=False)
    anonymous: bool = False
