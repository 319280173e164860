"""The simulated router on a port: a thread of its own, switched from any other."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from threading import Event, Thread
from typing import Any, Literal, Self, TypeVar

from wisp.demo.routeros.faults import Action, Counters, Fault, Switches
from wisp.demo.routeros.router import Router
from wisp.demo.routeros.session import Session
from wisp.demo.routeros.tls import Certificate, anonymous, make_certificate, with_certificate

Result = TypeVar("Result")
_PATIENCE = 10.0


class SimulatorServer:
    """A router that listens. `tls`: `certificate` (made by itself, see `certificate`) or `anonymous`.

    The port stays the same, and taken, while the router is switched off. Methods may be called from any
    thread and have taken effect when they return.
    """

    def __init__(
        self,
        router: Router | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Literal["certificate", "anonymous"] | None = None,
    ) -> None:
        self.router = router or Router()
        self.host = host
        self.port = port
        self.certificate: Certificate | None = make_certificate(host) if tls == "certificate" else None
        self._tls: ssl.SSLContext | None = None
        if self.certificate is not None:
            self._tls = with_certificate(self.certificate)
        elif tls == "anonymous":
            self._tls = anonymous()
        self.when_stopping: list[Callable[[], object]] = []
        self._loop = asyncio.new_event_loop()
        self._thread: Thread | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._sessions: set[Session] = set()
        self._unanswered: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._rebooting: asyncio.TimerHandle | None = None

    # Life

    def start(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        self._listener = self._bind()
        self.port = self._listener.getsockname()[1]
        ready = Event()
        self._loop.call_soon(ready.set)
        self._thread = Thread(target=self._loop.run_forever, name=f"router-{self.port}", daemon=True)
        self._thread.start()
        ready.wait(_PATIENCE)
        self._in_loop(self._apply)
        return self

    def stop(self) -> None:
        """Hang up on everybody and end the thread. May be called again."""
        if self._thread is None:
            return
        self._in_loop(self._shut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._thread = None
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What tests and the demo do to it

    @property
    def switches(self) -> Switches:
        """The switches as they stand; change them with `switch`."""
        return self.router.switches

    @property
    def counters(self) -> Counters:
        """What clients did."""
        return self.router.counters

    def switch(self, **changes: object) -> None:
        """Change switches (see Switches), for example `switch(off=True)`. Raises ValueError for unknown ones."""
        self._in_loop(lambda: self.switch_now(changes))

    def fault(
        self,
        action: Action,
        path: str | None = None,
        *,
        after: int = 0,
        count: int | None = 1,
        message: str = "failure: simulated",
        category: int | None = None,
    ) -> None:
        """Let something happen to some of the coming commands (see Fault)."""
        fault = Fault(action, path, after, count, message, category)
        self._in_loop(lambda: self.router.faults.add(fault))

    def normal(self) -> None:
        """All switches and faults back to a healthy router."""
        self._in_loop(self.normal_now)

    def reboot(self, seconds: float = 0.0) -> None:
        """Reset all connections, forget what lives in memory, listen again after so many seconds."""
        self._in_loop(lambda: self.reboot_now(seconds))

    # The same in the loop's own thread, for the control port

    def switch_now(self, changes: dict[str, object]) -> None:
        """See `switch`."""
        self.router.switches.change(changes)
        self._apply()

    def normal_now(self) -> None:
        """See `normal`."""
        self.router.faults.clear()
        self.switch_now(vars(Switches()))

    def reboot_now(self, seconds: float) -> None:
        """See `reboot`."""
        if self._rebooting is not None:
            self._rebooting.cancel()
        self._rebooting = self._loop.call_later(seconds, self._booted)
        self._apply()
        self.router.lose_power()

    def _booted(self) -> None:
        self._rebooting = None
        self._apply()

    def run_in_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Let the router's thread do something, and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    # Inside

    def _in_loop(self, act: Callable[[], Result]) -> Result:
        async def call() -> Result:
            return act()

        return self.run_in_loop(call())

    def _bind(self) -> socket.socket:
        """A socket that holds the port without listening: connections are refused."""
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        try:
            sock.bind((self.host, self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def _apply(self) -> None:
        """Make the port and the connections what the switches say."""
        switches = self.router.switches
        off = switches.off or self._rebooting is not None
        if off or switches.refuse:
            self._stop_listening()
        elif self._accepting is None and self._listener is not None:
            self._listener.listen(512)
            self._accepting = self._loop.create_task(self._accept(self._listener))
        if off:
            self._hang_up()

    def _stop_listening(self) -> None:
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            self._accepting = None
            self._listener.close()
            self._listener = self._bind()

    def _hang_up(self) -> None:
        for task in list(self._handshakes):
            task.cancel()
        for session in list(self._sessions):
            session.reset()
        for sock in self._unanswered:
            sock.close()
        self._unanswered.clear()

    def _shut(self) -> None:
        if self._rebooting is not None:
            self._rebooting.cancel()
        for act in self.when_stopping:
            act()
        self._stop_listening()
        self._hang_up()
        if self._listener is not None:
            self._listener.close()
        for task in asyncio.all_tasks(self._loop):
            if task is not asyncio.current_task(self._loop):
                task.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = await self._loop.sock_accept(listener)
            except OSError:
                return
            self.router.counters.connections += 1
            if self._tls is not None and self.router.switches.silent:
                self._unanswered.append(sock)  # not even a handshake
                continue
            task = self._loop.create_task(self._serve(sock))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _serve(self, sock: socket.socket) -> None:
        session = Session(self.router, sock, self._sessions.discard)
        self._sessions.add(session)
        try:
            await self._loop.connect_accepted_socket(lambda: session, sock, ssl=self._tls)
        except OSError:  # a handshake that failed, a client that went away
            self._sessions.discard(session)
            sock.close()
        except asyncio.CancelledError:
            self._sessions.discard(session)
            sock.close()
            raise
