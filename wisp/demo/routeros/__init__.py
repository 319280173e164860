"""A simulated RouterOS router: the real protocol over a real socket, with switches for everything that goes wrong."""

from wisp.demo.routeros.control import ControlPort, Remote
from wisp.demo.routeros.faults import Counters, Fault, Switches
from wisp.demo.routeros.router import Router
from wisp.demo.routeros.seed import address_of, seed
from wisp.demo.routeros.server import SimulatorServer

__all__ = [
    "ControlPort",
    "Counters",
    "Fault",
    "Remote",
    "Router",
    "SimulatorServer",
    "Switches",
    "address_of",
    "seed",
]
