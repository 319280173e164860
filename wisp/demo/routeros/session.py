"""One connection to the simulated router: the line, the log-in, the commands, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from wisp.demo.routeros.codec import Decoder, GarbageError, encode_sentence
from wisp.demo.routeros.faults import Fault
from wisp.demo.routeros.reply import Request, Result
from wisp.demo.routeros.spec import Trap

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router

_RESET = struct.pack("ii", 1, 0)
_CHALLENGE_ONLY_BEFORE = (6, 43)
_CHALLENGE_GONE_FROM = (6, 45, 1)


class Line:
    """Things on their way: each becomes due at its own time, in order, without queueing behind one another."""

    def __init__(self) -> None:
        self._items: deque[tuple[float, bytes | None]] = deque()
        self._arrived = asyncio.Event()

    def put(self, due: float, data: bytes | None) -> None:
        """Send something (None: the end) that arrives at `due`."""
        self._items.append((due, data))
        self._arrived.set()

    async def get(self) -> bytes | None:
        """The next thing, when it has arrived."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        wait = self._items[0][0] - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        return self._items.popleft()[1]

    def here(self) -> bool:
        """Whether something has arrived that was not yet taken."""
        return bool(self._items) and self._items[0][0] <= asyncio.get_running_loop().time()


class Session(asyncio.Protocol):
    """What a client talks to. Commands of a session are carried out one after the other."""

    def __init__(self, router: Router, sock: socket.socket, closed: Callable[[Session], None]) -> None:
        self._sock = sock
        self._router = router
        self._closed = closed
        self._decoder = Decoder()
        self._incoming = Line()
        self._outgoing = Line()
        self._transport: asyncio.Transport | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._user: str | None = None
        self._challenge = ""
        self._ending = False
        self._hanging: list[str] = []

    # The event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start working."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - the loop's promise, for the type checker
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._work()), loop.create_task(self._deliver())]

    def data_received(self, data: bytes) -> None:
        """Something was sent; it reaches the router after half a round trip."""
        self._incoming.put(self._due(), data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away."""
        for task in self._tasks:
            task.cancel()
        self._closed(self)

    def reset(self) -> None:
        """Break the connection as a router does that loses power: the client gets a reset."""
        with contextlib.suppress(OSError):  # closed already
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self._transport is not None:
            self._transport.abort()

    # The line

    def _due(self) -> float:
        return asyncio.get_running_loop().time() + self._router.switches.round_trip / 2000

    async def _deliver(self) -> None:
        assert self._transport is not None  # noqa: S101
        while (data := await self._outgoing.get()) is not None:
            if pause := self._router.switches.drip:
                for byte in data:
                    self._transport.write(bytes([byte]))
                    await asyncio.sleep(pause / 1000)
            else:
                self._transport.write(data)
        self._transport.close()

    # The router's side

    async def _work(self) -> None:
        while not self._ending:
            data = await self._incoming.get()
            try:
                sentences = self._decoder.feed(data or b"")
            except GarbageError:
                self._ending, sentences = True, []
            if await self._answer_all(sentences) and not self._incoming.here():
                self._router.counters.turns += 1
        self._outgoing.put(self._due(), None)

    async def _answer_all(self, sentences: list[list[str]]) -> bool:
        """Answer what has arrived; whether anything was."""
        switches = self._router.switches
        answers: list[bytes] = []
        answered = False
        self._router.let_pass()
        for words in sentences:
            if self._ending or switches.silent:
                break
            if switches.slow:
                self._send(answers)
                await asyncio.sleep(switches.slow / 1000)
                self._router.let_pass()
            answers.append(self._answer(Request.parse(words)))
            answered = True
        self._send(answers)
        return answered

    def _send(self, answers: list[bytes]) -> None:
        if self._router.switches.reorder:
            answers.reverse()
        if data := b"".join(answers):
            self._outgoing.put(self._due(), data)
        answers.clear()

    def _answer(self, request: Request) -> bytes:
        counters = self._router.counters
        counters.by_path[request.path] += 1
        if request.path == "/login":
            return self._log_in(request).encoded(request.tag)
        if self._user is None:
            return self._last("not logged in")
        if request.path == "/quit":
            return self._last("session terminated on request")
        if request.path == "/cancel":
            return self._cancel(request)
        counters.commands += 1
        fault = self._router.faults.strike(request.path)
        if fault is not None:
            return self._strike(fault, request)
        return self._router.execute(request, together=True).encoded(request.tag)

    def _last(self, text: str) -> bytes:
        self._ending = True
        return encode_sentence(["!fatal", text])

    def _strike(self, fault: Fault, request: Request) -> bytes:
        """Carry out the command as far as the fault lets it, and what is then sent of the answer."""
        action = fault.action
        if action == "trap":
            return Result(traps=[Trap(fault.message, fault.category)]).encoded(request.tag)
        if action == "fatal":
            return self._last(fault.message)
        if action in ("hang", "swallow") and request.tag is not None:
            self._hanging.append(request.tag)
        self._ending = action in ("drop_before", "drop_after", "half_sentence")
        if action in ("drop_before", "hang"):
            return b""
        answer = self._router.execute(request, together=True).encoded(request.tag)
        return answer[: (len(answer) + 1) // 2] if action == "half_sentence" else b""

    def _cancel(self, request: Request) -> bytes:
        """Interrupt a command that hangs (without `=tag=`: all of them)."""
        tag = request.attributes.get("tag")
        cancelled = [hanging for hanging in self._hanging if tag in (None, hanging)]
        self._hanging = [hanging for hanging in self._hanging if hanging not in cancelled]
        out = b""
        for hanging in cancelled:
            out += encode_sentence(["!trap", "=category=2", "=message=interrupted", f".tag={hanging}"])
        out += Result().encoded(request.tag)
        for hanging in cancelled:
            out += encode_sentence(["!done", f".tag={hanging}"])
        return out

    # Logging in

    def _log_in(self, request: Request) -> Result:
        release = self._router.release
        name = request.attributes.get("name")
        old = release < _CHALLENGE_ONLY_BEFORE
        if "response" in request.attributes and release < _CHALLENGE_GONE_FROM:
            good = request.attributes["response"] == self._expected(name)
        elif release < _CHALLENGE_GONE_FROM and (old or "password" not in request.attributes):
            self._challenge = secrets.token_hex(16)
            return Result(ret=self._challenge)
        else:
            good = name is not None and self._password(name) == request.attributes.get("password", "")
        if not good or self._router.switches.wrong_password:
            return Result(traps=[Trap("cannot log in" if old else "invalid user name or password (6)")])
        self._user = name
        self._router.counters.logins += 1
        return Result()

    def _password(self, name: str) -> str | None:
        """The user's password as it looks on the wire."""
        for user, password in self._router.users.items():
            if user.encode().decode("latin-1") == name:
                return password.encode().decode("latin-1")
        return None

    def _expected(self, name: str | None) -> str | None:
        """The right answer to the challenge, which is used up by it."""
        challenge, self._challenge = self._challenge, ""
        password = self._password(name or "")
        if password is None or not challenge:
            return None
        raw = b"\0" + password.encode("latin-1") + bytes.fromhex(challenge)
        return f"00{hashlib.md5(raw, usedforsecurity=False).hexdigest()}"
