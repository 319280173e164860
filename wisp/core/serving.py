"""The web server process: waitress. One loop takes heads and bodies, however slowly they come, and a thread is given
whole requests only; so slow visitors cost a socket each and keep nobody waiting, without a proxy in front.

Several processes may share an address (``shared``): the kernel gives each new connection to one of them.
"""

import logging
import resource
import signal
import socket
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

from flask import Flask
from waitress import create_server

from wisp.core.config import port_of

THREADS = 8
CONNECTIONS = 1000
FILES = 4096
"""Open files that a process may have, where the system lets it: connections, and those to the database."""
QUIET = 30
"""Seconds after which a connection without a sign of life is closed."""
LARGEST = 32 * 1024 * 1024
"""Bytes of a body that is taken at all; over the limit of the pages, but under this, a page says so."""

log = logging.getLogger(__name__)


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """HOST and PORT, by default this machine alone, 8000. Raises ConfigError."""
    return environment.get("HOST", "").strip() or "127.0.0.1", port_of(dict(environment), "PORT", 8000)


def listen(host: str, port: int, shared: bool = False) -> list[socket.socket]:
    """Sockets for every address that ``host`` names. OSError where one is taken."""
    found = []
    for family, kind, protocol, _name, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        one = socket.socket(family, kind, protocol)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        one.bind(address)
        found.append(one)
    return found


def serve(app: Flask, host: str, port: int, shared: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first, for five seconds at most."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 <= hard < FILES else FILES, hard))
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that a request waits for a thread is no news
    server = create_server(
        app,
        sockets=listen(host, port, shared),
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=QUIET,
        cleanup_interval=QUIET // 3,
        max_request_body_size=LARGEST,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=False,  # whom to believe is for wisp.web.proxy
        ident=None,
    )
    signal.signal(signal.SIGTERM, _stop)
    log.info("pages are served at http://%s:%s", host, port)
    server.run()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
