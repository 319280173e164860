"""A simulated RouterOS router: the real protocol over a real socket, with switches for everything that goes wrong."""

from wisp.demo.routeros.faults import Counters, Fault, Switches
from wisp.demo.routeros.router import Router
from wisp.demo.routeros.server import SimulatorServer

__all__ = ["Counters", "Fault", "Router", "SimulatorServer", "Switches"]
