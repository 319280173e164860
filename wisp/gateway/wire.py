"""Words and sentences of the RouterOS API, and the bytes of the texts in them."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias, cast

from librouteros.exceptions import ProtocolError
from librouteros.protocol import ApiProtocol, encode_length

from wisp.gateway.records import AsIs
from wisp.gateway.transport import Transport

# RouterOS keeps texts as bytes and never transcodes. latin-1 carries every byte unchanged.
ENCODING = "latin-1"
Answer: TypeAlias = tuple[str, str, dict[str, str], str]
"""A sentence of a router: its kind (``!re``), its tag, its `=name=value` words, and the whole of it as it came."""
_EQUALS = ord("=")
_LONGEST_WORD = 64 * 1024 * 1024


def to_wire(text: str) -> str:
    """Our text as the library's latin-1 characters: the router gets UTF-8 bytes. What is bytes already stays."""
    return text if text.isascii() or isinstance(text, AsIs) else text.encode().decode(ENCODING)


def from_wire(text: str) -> str:
    """A router's text for people: UTF-8 where the bytes are, else the Windows code page that WinBox writes."""
    if text.isascii():
        return text
    raw = text.encode(ENCODING)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def encode(sentences: Iterable[Iterable[str]]) -> bytes:
    """Sentences as bytes, one after another, for a single write."""
    return "".join(["".join([*map(_with_length, words), "\0"]) for words in sentences]).encode(ENCODING)


def _with_length(word: str) -> str:
    """A word as it stands on the wire."""
    if len(word) < 0x80 and word.isascii():
        return chr(len(word)) + word
    word = to_wire(word)
    size = len(word)
    return (chr(size) if size < 0x80 else encode_length(size).decode(ENCODING)) + word


def decode(data: bytes | bytearray) -> Iterator[tuple[list[str], int]]:
    """The sentences that are complete in `data`, one after another, each with the place after it.

    All five forms of a length are understood. Raises ProtocolError for a reserved control byte or a
    word of more than 64 MB, which no router sends.
    """
    text = data.decode(ENCODING)  # once: a piece of it is then a word
    words: list[str] = []
    at, size = 0, len(text)
    while at < size:
        length = ord(text[at])
        if length == 0:
            at += 1
            yield words, at
            words = []
            continue
        if length < 0x80:
            at += 1
        else:
            length, at = _long_length(text, at)
        end = at + length
        if end > size:
            return
        words.append(text[at:end])
        at = end


def _long_length(text: str, at: int) -> tuple[int, int]:
    """The length that stands at the place `at`, and where its word begins."""
    head = text[at : at + 5].encode(ENCODING)
    if head[0] >= 0xF8:
        raise ProtocolError(f"control byte {head[0]:#x}")
    extra, mask = next(form for limit, *form in _FORMS if head[0] < limit)
    if len(head) <= extra:
        return 1, at + len(head)  # beyond the data: the caller sees an incomplete sentence
    length = int.from_bytes(head[: 1 + extra], "big") & mask
    if length > _LONGEST_WORD:
        raise ProtocolError(f"a word of {length} bytes")
    return length, at + 1 + extra


# First byte below this: how many more bytes follow, and which bits of all of them are the length.
_FORMS = ((0xC0, 1, 0x3FFF), (0xE0, 2, 0x1FFFFF), (0xF0, 3, 0xFFFFFFF), (0xF8, 4, 0xFFFFFFFF))


class Wire(ApiProtocol):
    """The library's protocol on our transport: nothing is logged, no bad byte is dropped, reading is one pass."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport=transport, encoding=ENCODING)

    @property
    def _transport(self) -> Transport:
        return cast(Transport, self.transport)

    def writeSentence(self, cmd: str, *words: str) -> None:
        """Send one sentence; unlike the library's own, without writing its words (a password) to a log."""
        self._transport.write(encode([(cmd, *words)]))

    def readSentence(self) -> tuple[str, tuple[str, ...]]:
        """The next sentence that is not empty: its first word and the others. `!fatal` is returned, not raised."""
        while True:
            for words in self.here():
                if words:
                    self._transport.answered()
                    return words[0], tuple(words[1:])
            self._transport.fill()

    def here(self) -> Iterator[list[str]]:
        """The sentences that are here already. One that was given out is not given out again."""
        buffer = self._transport.buffer
        end = 0
        try:
            for words, end in decode(buffer):  # noqa: B007  (end is for the way out)
                yield words
        finally:
            del buffer[:end]

    def answers(self) -> Iterator[Answer]:
        """The same taken apart, in one pass over the text: it is done for thousands of rows in a row.

        Raises ProtocolError for a word that is neither attribute nor tag (but in `!fatal`, which is plain text).
        """
        buffer = self._transport.buffer
        raw = bytes(buffer)
        text, size = raw.decode(ENCODING), len(raw)
        begin = at = 0
        kind = tag = ""
        values: dict[str, str] = {}
        try:
            while at < size:
                length = raw[at]
                at += 1
                if length == 0:
                    sentence, begin = text[begin:at], at
                    if kind:
                        yield kind, tag, values, sentence
                        kind, tag, values = "", "", {}
                    continue
                if length >= 0x80:
                    length, at = _long_length(text, at - 1)
                end = at + length
                if end > size:
                    return
                if not kind:
                    kind = text[at:end]
                elif length and raw[at] == _EQUALS:
                    name, separator, value = text[at + 1 : end].partition("=")
                    if not separator:
                        raise ProtocolError("an attribute without a value")
                    values[name] = value
                elif text.startswith(".tag=", at, end):
                    tag = text[at + 5 : end]
                elif kind != "!fatal":
                    raise ProtocolError("a word that is neither attribute nor tag")
                at = end
        finally:
            del buffer[:begin]
