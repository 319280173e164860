"""Simulated routers for benches, several in a process: ``python -m tests.bench.routers COUNT CLIENTS``.

Prints the ports of the API and of the controls as JSON when all listen, and ends with SIGTERM.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any

from tests.bench.ground import Ground, running
from wisp.demo.routeros import ControlPort, Remote, Router, SimulatorServer, address_of, seed
from wisp.routers.models import Zone

ROUND_TRIP = 30
"""Milliseconds on the line to a router."""
LISTS = "/ip/firewall/address-list"


@dataclass
class Line:
    """One simulated router as another process sees it."""

    port: int
    remote: Remote

    def fresh(self) -> None:
        """As before any cut: nobody on the lists, everybody on line, counters at zero."""
        self.remote.call("switch", values={"round_trip": ROUND_TRIP})
        self.remote.call("clear", menu=LISTS)
        self.remote.call("dial_all")
        self.remote.call("reset_counters")

    def counters(self) -> dict[str, Any]:
        """What was done to it since."""
        found: dict[str, Any] = self.remote.call("state")["counters"]
        return found

    def entries(self) -> list[dict[str, str]]:
        """Its address lists."""
        found: list[dict[str, str]] = self.remote.call("snapshot", menu=LISTS)
        return found

    def sessions(self) -> int:
        """How many PPPoE clients are on line."""
        return len(self.remote.call("snapshot", menu="/ppp/active"))


@contextmanager
def lines(place: Ground, count: int, clients: int, processes: int = 1) -> Iterator[list[Line]]:
    """``count`` routers with ``clients`` clients each in so many processes of their own."""
    started = [place.start(__name__, count // processes, clients) for _ in range(processes)]
    with running(*started), ExitStack() as stack:
        found = []
        for process in started:
            for port, control in json.loads(_first_line(process)):
                remote = Remote(control, timeout=60)
                stack.callback(remote.close)
                found.append(Line(port, remote))
        yield found


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def client_rows(zone: Zone, plan_id: int, count: int, prefix: str, **values: Any) -> list[dict[str, Any]]:
    """Rows of the clients that such a router knows: the even ones dial in by PPPoE, the others have fixed addresses."""
    rows = []
    for number in range(1, count + 1):
        dials = number % 2 == 0
        rows.append(
            {
                "code": f"{prefix}{number:05}",
                "name": f"Cliente {prefix}{number:05}",
                "zone_id": zone.id,
                "router_id": zone.router_id,
                "plan_id": plan_id,
                "connection": "pppoe" if dials else "static",
                "username": f"ppp{number:05}" if dials else "",
                "address": None if dials else address_of(number),
                **values,
            }
        )
    return rows


def main(count: int, clients: int) -> None:
    """Run so many routers until told to stop."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            router = Router(dial_in=None)
            seed(router, clients)
            server = stack.enter_context(SimulatorServer(router))
            ports.append((server.port, ControlPort(server).start()))
        print(json.dumps(ports), flush=True)
        stop.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
