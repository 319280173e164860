"""Switching a simulated router from another process: one JSON object a line on a loopback port, one answered.

`{"do": "switch", "values": {"off": true}}` is answered with `{"ok": true}`; a mistake with `{"error": "..."}`,
after which the connection is closed.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, Self

from wisp.demo.routeros.faults import Fault
from wisp.demo.routeros.server import SimulatorServer

_LONGEST_LINE = 16 * 1024 * 1024


class ControlPort:
    """Listens for orders in the simulated router's own thread, until that router stops."""

    def __init__(self, server: SimulatorServer) -> None:
        self._server = server
        router = server.router
        self._orders: dict[str, Callable[..., Any]] = {
            "switch": lambda values: server.switch_now(values),
            "fault": lambda **fault: router.faults.add(Fault(**fault)),
            "normal": server.normal_now,
            "reboot": lambda seconds=0.0: server.reboot_now(seconds),
            "state": self._state,
            "reset_counters": router.counters.reset,
            "snapshot": lambda menu: router.snapshot(menu),
            "tally": lambda menus: [router.tally(menu) for menu in menus],
            "load": lambda menu, rows: router.load(menu, rows),
            "clear": lambda menu: router.clear(menu),
            "dial_all": router.dial_all,
            "hotspot_login": lambda name, address, mac: router.hotspot_login(name, address, mac),
        }

    def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; the port. Raises OSError where it is taken."""
        return self._server.run_in_loop(self._listen(port))

    async def _listen(self, port: int) -> int:
        listening = await asyncio.start_server(self._talk, "127.0.0.1", port, limit=_LONGEST_LINE)
        self._server.when_stopping.append(listening.close)
        bound: int = listening.sockets[0].getsockname()[1]
        return bound

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = self._obey(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
                if "error" in answer:
                    break
        except (OSError, ValueError, asyncio.CancelledError):  # it has gone, sent a line without end, or we stop
            pass
        finally:
            writer.close()

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            order = json.loads(line)
            act = self._orders[order.pop("do")]
            return {"ok": True, "value": act(**order)}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _state(self) -> dict[str, Any]:
        router = self._server.router
        return {
            "port": self._server.port,
            "version": router.version,
            "switches": vars(router.switches),
            "counters": router.counters.as_dict(),
        }


class Remote:
    """The other end of a control port. One thread uses it; to be closed."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = 10.0) -> None:
        self._sock = socket.create_connection((host, port), timeout=timeout)
        self._file = self._sock.makefile("rb")

    def call(self, do: str, **details: Any) -> Any:
        """Give an order and wait until it has taken effect; what it returns. Raises ValueError, OSError.

        Orders: switch(values={…}) · fault(action, path, after, count, message, category) · normal() ·
        reboot(seconds) · state() · reset_counters() · snapshot(menu) · tally(menus) · load(menu, rows) · clear(menu) ·
        dial_all() · hotspot_login(name, address, mac).
        """
        self._sock.sendall(json.dumps({"do": do, **details}).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise ConnectionError("the simulated router has gone")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
