"""A simulated router as a process: `python -m wisp.demo.routeros --port 8728 --control 8799 --clients 500`.

Prints one line of JSON with both ports when it listens, and ends with SIGINT or SIGTERM.
"""

import argparse
import json
import signal
import sys
from threading import Event

from wisp.demo import tower
from wisp.demo.routeros.control import ControlPort
from wisp.demo.routeros.router import Router
from wisp.demo.routeros.seed import seed
from wisp.demo.routeros.server import SimulatorServer


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wisp.demo.routeros", description="A simulated RouterOS router.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the API; 0 takes any free one")
    parser.add_argument("--control", type=int, default=0, help="port for switching it, on 127.0.0.1")
    parser.add_argument("--clients", type=int, default=0, help="how many clients to fill it with")
    parser.add_argument("--demo", action="store_true", help="of the demo company, with every kind of connection")
    parser.add_argument("--version", default="7.20.6 (stable)", help="RouterOS version, as the router prints it")
    parser.add_argument("--user", default="wisp")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--dial-in", type=float, default=2.0, help="seconds until a dropped PPP client is back")
    parser.add_argument("--tls", choices=["certificate", "anonymous"])
    options = parser.parse_args(arguments)

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    router = Router(version=options.version, users={options.user: options.password}, dial_in=options.dial_in)
    if options.demo:
        tower.fill(router, options.clients)
    elif options.clients:
        seed(router, options.clients)
    with SimulatorServer(router, options.host, options.port, options.tls) as server:
        control = ControlPort(server).start(options.control)
        print(json.dumps({"port": server.port, "control": control}), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
