"""P8: a storm on the client pages: 2,000 clients at once ask for their page, and their phones for a portal.

Beside it, over the same server with the same processes and threads, a bare Flask response of the page's size. Each
client comes on a connection of its own, as phones do; the first look of each is written down.
"""

import http.client
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from flask import Flask

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, running, session, until
from tests.factories import make_clients, make_company, make_router, make_zone
from tests.support import slow
from tests.support.access import owe
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core.db import session as database
from wisp.core.db import transaction
from wisp.core.process import SUPERVISOR
from wisp.core.processes import serve_command

CLIENTS = 2_000
CALLERS = 32
SLOWEST = 0.99
PAGE, PROBE = "/aviso/", "/generate_204"
bare = Flask("bare")
bare.cli.add_command(serve_command)


@bare.get("/")
def whole() -> str:
    """As much text as a notice page."""
    return "x" * 2_300


def _provide(place: Ground) -> list[str]:
    """Clients who owe and have the notice; their addresses."""
    with place.app.app_context():
        make_company(name="Red Norte", phone="555 100", how_to_pay="OXXO 1234 5678\nEn caja, de 9 a 18 h")
        ids = make_clients(CLIENTS, make_zone(make_router()))
        owe(ids)
        with transaction() as s:
            s.execute(sa.update(Access).values(notice=True))
        return [address for address in database().scalars(sa.select(Client.address)) if address]


@contextmanager
def _served(place: Ground, application: str) -> Iterator[int]:
    """The application as in production, two processes that share a port; the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"WISP_PROXIES": "127.0.0.1", "PORT": str(port), SUPERVISOR: str(os.getpid())}
    with ExitStack() as processes:
        for _ in range(2):
            processes.enter_context(
                running(place.start("flask", "--app", application, "serve", quiet=True, **settings))
            )
        until(lambda: _answers(port), 60, 0.1)
        yield port


def _answers(port: int) -> bool:
    try:
        return _ask(port, "/", "10.255.0.1")[0] > 0
    except OSError:
        return False


def _ask(port: int, path: str, address: str) -> tuple[int, float, bytes]:
    """Status, seconds and body of one request from ``address``."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"X-Forwarded-For": address, "Host": "127.0.0.1"})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, time.perf_counter() - begun, body
    finally:
        connection.close()


def storm(port: int, path: str, addresses: Sequence[str]) -> dict[str, float]:
    """Everybody asks once, CALLERS at a time: answers a second, and the seconds of the 99th of 100."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda address: _ask(port, path, address), addresses))
    seconds = time.perf_counter() - begun
    wrong = [status for status, _seconds, body in answers if status != 200 or not body]
    if wrong or (path == PAGE and any(b"350.00" not in body for _status, _seconds, body in answers)):
        raise RuntimeError(f"{len(wrong)} answers to {path} are not the page")
    times = sorted(one for _status, one, _body in answers)
    return {"rate": len(answers) / seconds, "p99": times[int(len(times) * SLOWEST)]}


def _measure(place: Ground) -> dict[str, Any]:
    addresses = _provide(place)
    place.settle()
    with _served(place, "tests.bench.p8:bare") as port:
        storm(port, "/", addresses[:200])
        floor = storm(port, "/", addresses)
    with _served(place, "app:app") as port:
        first = storm(port, PAGE, addresses)
        again = storm(port, PAGE, addresses)
        probe = storm(port, PROBE, addresses)
        with slow.visitors(port):
            beside = storm(port, PAGE, addresses)
    return {"floor": floor, "first": first, "again": again, "probe": probe, "beside": beside}


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place:
            found = _measure(place)
        print(kind, json.dumps(found), file=sys.stderr)
        floor = found["floor"]
        for what, work in (
            ("first", "first look at the page"),
            ("again", "the page again"),
            ("probe", "phones' probe"),
            ("beside", f"the page beside {len(slow.KINDS) * slow.EACH} slow connections"),
        ):
            rate, slowest = found[what]["rate"], found[what]["p99"] * 1000
            figures += [
                Figure("P8", f"{work}, {CLIENTS} clients, {kind}", rate, floor["rate"] / SHARE[what], "1/s",
                       floor["rate"], at_least=True),
                Figure("P8", f"{work}, 99 of 100 within, {kind}", slowest, floor["p99"] * 1000 * SLOWER, "ms",
                       floor["p99"] * 1000),
            ]  # fmt: skip
    return figures


SHARE = {"first": 20, "again": 12, "probe": 12, "beside": 12}
"""The rate must be at least this part of the bare response's."""
SLOWER = 6
"""The slowest of a hundred may take so many times as long as that of the bare response."""
