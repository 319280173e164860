"""How questions are sent: in full windows, and never more at once than the window holds."""

from typing import Any

import pytest
from librouteros.exceptions import ProtocolError

from wisp.demo.routeros.codec import Decoder, encode_sentence
from wisp.gateway import GatewayError
from wisp.gateway.exchange import Exchange, Reply


class Piecemeal:
    """A line on which every answer arrives as a piece of its own, as over TLS."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.writes: list[int] = []
        self.under_way = 0
        self._decoder = Decoder()
        self._arrived: list[bytes] = []

    def write(self, data: bytes) -> None:
        sentences = self._decoder.feed(data)
        self.writes.append(len(sentences))
        self.under_way += len(sentences)
        self._arrived += [self.answer(words[-1]) for words in sentences]

    def answer(self, tag: str) -> bytes:
        return encode_sentence(["!done", f"=ret={tag}", tag])

    def take_in(self) -> bool:
        if not self._arrived:
            return False
        self.buffer += self._arrived.pop(0)
        self.under_way -= 1
        return True

    def fill(self) -> None:
        raise AssertionError("waited for an answer that nobody owes")

    def answered(self) -> None:
        pass


def ask(line: Any, count: int, window: int) -> list[Reply | None]:
    replies: list[Reply | None] = [None] * count
    Exchange(line).ask([("/x/print",)] * count, replies, window)
    return replies


def test_what_has_arrived_is_read_before_more_is_sent() -> None:
    line = Piecemeal()
    replies = ask(line, 45, 10)
    assert line.writes == [10, 10, 10, 10, 5]
    assert [reply and reply.ret for reply in replies] == [f".tag={number}" for number in range(1, 46)]


def test_a_slow_router_is_kept_busy_by_refilling_at_half() -> None:
    class Slow(Piecemeal):
        """One answer at a time, and only when waited for."""

        def take_in(self) -> bool:
            return False

        def fill(self) -> None:
            assert 0 < self.under_way <= 10
            super().take_in()

    line = Slow()
    ask(line, 25, 10)
    assert line.writes == [10, 5, 5, 5]


@pytest.mark.parametrize(
    "sentence",
    [
        ["!done", ".tag=99"],
        ["!done"],
        ["!done", "=ret", ".tag=1"],
        ["!done", "ret=1", ".tag=1"],
        ["!maybe", ".tag=1"],
        ["!fatal", "out of order"],
    ],
)
def test_an_answer_that_makes_no_sense_breaks_the_connection(sentence: list[str]) -> None:
    class Odd(Piecemeal):
        def answer(self, tag: str) -> bytes:
            return encode_sentence(sentence)

    with pytest.raises((ProtocolError, GatewayError)):
        ask(Odd(), 1, 1)


def test_a_tag_is_never_used_twice() -> None:
    line = Piecemeal()
    exchange = Exchange(line)  # type: ignore[arg-type]
    tags = []
    for _ in range(3):
        replies: list[Reply | None] = [None, None]
        exchange.ask([("/x/print",), ("/x/print",)], replies, 10)
        tags += [reply.ret for reply in replies if reply]
    assert len(set(tags)) == 6
