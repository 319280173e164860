"""A real SMTP server in a thread, with faults that a test switches on and off."""

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

REFUSED = "550 5.1.1 no such mailbox here"
CLOSED = "554 5.7.1 nothing is accepted at present"


@dataclass
class Received:
    """A message that the server took."""

    sender: str
    recipients: list[str]
    message: EmailMessage


@dataclass
class MailServer:
    """``messages`` holds what was accepted, in order. The faults, each off by default:

    ``refused``: addresses refused at RCPT · ``refuse_all``: every RCPT is refused · ``slow``: seconds before each
    answer to DATA · ``drop_after_data``: takes the message, then closes without an answer, so that the sender does not
    know its fate · ``after``: having taken so many messages it answers DATA with ``then``.
    ``off()`` and ``on()`` close and open the port.
    """

    refused: set[str] = field(default_factory=set)
    refuse_all: bool = False
    slow: float = 0
    drop_after_data: bool = False
    after: int | None = None
    then: str = ""
    messages: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail server", daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()
        self.on()

    def addresses(self) -> list[str]:
        """The recipients of all messages, in order."""
        return [address for received in self.messages for address in received.recipients]

    def on(self) -> None:
        """Listen: on the same port as before, after ``off()``."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def off(self) -> None:
        """Stop listening and cut the open connections; who connects is refused."""
        asyncio.run_coroutine_threadsafe(self._silence(), self._loop).result(10)

    def stop(self) -> None:
        """End the server and its thread."""
        self.off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def reset(self) -> None:
        """All faults off, no messages."""
        self.refused, self.refuse_all, self.slow, self.drop_after_data = set(), False, 0, False
        self.messages, self.connections = [], 0
        self.after, self.then = None, ""
        self.on()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(self._conversation, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _silence(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._open):
            transport.abort()  # type: ignore[attr-defined]

    def _conversation(self) -> SMTP:
        return _Conversation(self, enable_SMTPUTF8=True, loop=self._loop, hostname="mail.test")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer one recipient."""
        if self.refuse_all:
            return CLOSED
        if address in self.refused:
            return REFUSED.format(address=address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Take one message."""
        if self.after is not None and len(self.messages) >= self.after:
            return self.then
        if self.slow:
            await asyncio.sleep(self.slow)
        parsed = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        self.messages.append(Received(envelope.mail_from or "", list(envelope.rcpt_tos), parsed))  # type: ignore[arg-type]
        if self.drop_after_data:
            server.transport.abort()
        return "250 OK"


class _Conversation(SMTP):
    """One connection, known to the server so that it can be cut."""

    def __init__(self, owner: MailServer, **options: object) -> None:
        super().__init__(owner, **options)
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._owner._open.add(transport)
        self._owner.connections += 1
        self._mine = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner._open.discard(self._mine)
        super().connection_lost(error)
