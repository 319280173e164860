"""Questions out, answers in: tagged, pipelined, each answer matched to its question.

Untagged answers come in the order of the questions, so that one that never comes gives every later answer
to the wrong question. With tags they may come in any order and stay right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from librouteros.exceptions import ProtocolError

from wisp.gateway.errors import ErrorCode, GatewayError
from wisp.gateway.listening import present, readable
from wisp.gateway.transport import Transport
from wisp.gateway.wire import ENCODING, Answer, Wire, decode, encode, from_wire, to_wire

Words = tuple[str, ...]


@dataclass(slots=True)
class Reply:
    """Everything that came back for one command. The rows hold the router's bytes, one character (latin-1) each;
    ``readable``: they are plain ASCII, and so what people read too."""

    rows: list[dict[str, str]] = field(default_factory=list)
    traps: list[str] = field(default_factory=list)
    ret: str = ""
    readable: bool = True


class Exchange:
    """The conversation on one connection. Tags are never used twice, so that no late answer finds a taker."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._wire = Wire(transport)
        self._next_tag = 1
        self._listener = present()

    def ask(self, commands: Sequence[Words], replies: list[Reply | None], window: int) -> None:
        """Send the commands, at most `window` of them unanswered at a time, and fill in `replies` as they come.

        What has arrived is taken in before more is sent: that makes for fewer and fuller turns. Commands of one
        call may run at the same time on the router: what depends on order belongs into
        separate calls. Raises whatever breaks the connection; `replies` then holds what was answered.
        """
        self._transport.answered()
        first = self._next_tag
        self._next_tag += len(commands)
        open_replies: dict[str, tuple[int, Reply]] = {}
        sent = 0
        while sent < len(commands) or open_replies:
            self._take(open_replies, replies)
            if (sent < len(commands) or open_replies) and not self._transport.take_in():
                if sent < len(commands) and len(open_replies) <= window // 2:
                    batch = commands[sent : sent + window - len(open_replies)]
                    for index, _ in enumerate(batch, start=sent):
                        open_replies[str(first + index)] = (index, Reply())
                    if self._listener is not None:
                        self._listener(">", batch, _said)
                    self._transport.write(encode((*w, f".tag={first + sent + i}") for i, w in enumerate(batch)))
                    sent += len(batch)
                else:
                    self._transport.fill()

    def _take(self, open_replies: dict[str, tuple[int, Reply]], replies: list[Reply | None]) -> None:
        """Take in what is here."""
        heard: list[str] = []
        try:
            for answer in self._wire.answers():
                heard.append(answer[-1])
                self._accept(answer, open_replies, replies)
        finally:
            if heard:
                self._transport.answered()
                if self._listener is not None:
                    self._listener("<", heard, _heard)

    @staticmethod
    def _accept(answer: Answer, open_replies: dict[str, tuple[int, Reply]], replies: list[Reply | None]) -> None:
        kind, tag, values, sentence = answer
        if kind == "!fatal":
            raise GatewayError(ErrorCode.fatal, from_wire(" ".join(_words(sentence)[1:])))
        if tag not in open_replies:
            raise ProtocolError("an answer to a question that was not asked")
        index, reply = open_replies[tag]
        if kind == "!re":
            reply.rows.append(values)
            if reply.readable and not sentence.isascii():
                reply.readable = False
        elif kind == "!trap":
            reply.traps.append(from_wire(values.get("message", "")))
        elif kind == "!done":
            reply.ret = from_wire(values.get("ret", ""))
            replies[index] = reply
            del open_replies[tag]
        elif kind != "!empty":
            raise ProtocolError(f"an answer of unknown kind {kind[:20]!r}")


def _words(sentence: Sequence[str]) -> list[str]:
    """The words of a sentence as it came."""
    words, _end = next(decode("".join(sentence).encode(ENCODING)))
    return words


def _heard(sentence: Sequence[str]) -> list[str]:
    return readable(map(from_wire, _words(sentence)))


def _said(words: Sequence[str]) -> list[str]:
    return readable(map(from_wire, map(to_wire, words)))
