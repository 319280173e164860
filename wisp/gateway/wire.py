"""Words and sentences of the RouterOS API, and the bytes of the texts in them."""

from collections.abc import Iterable
from typing import cast

from librouteros.exceptions import ProtocolError
from librouteros.protocol import ApiProtocol, encode_sentence

from wisp.gateway.records import AsIs
from wisp.gateway.transport import Transport

# RouterOS keeps texts as bytes and never transcodes. latin-1 carries every byte unchanged.
ENCODING = "latin-1"
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
    return b"".join(encode_sentence(*map(to_wire, words), encoding=ENCODING) for words in sentences)


def decode_sentence(data: bytes | bytearray, at: int = 0) -> tuple[list[str], int] | None:
    """The sentence that starts at `at` and the place after it; None while it is incomplete.

    All five forms of a length are understood. Raises ProtocolError for a reserved control byte or a
    word of more than 64 MB, which no router sends.
    """
    words: list[str] = []
    size = len(data)
    while at < size:
        first = data[at]
        if first == 0:
            return words, at + 1
        length, at = (first, at + 1) if first < 0x80 else _long_length(data, at)
        if length > _LONGEST_WORD:
            raise ProtocolError(f"a word of {length} bytes")
        if at + length > size:
            return None
        words.append(data[at : at + length].decode(ENCODING))
        at += length
    return None


def _long_length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    first = data[at]
    if first >= 0xF8:
        raise ProtocolError(f"control byte {first:#x}")
    extra, mask = next(form for limit, *form in _FORMS if first < limit)
    end = at + 1 + extra
    if end > len(data):
        return 0, end + 1  # beyond the data: the caller sees an incomplete sentence
    return int.from_bytes(data[at:end], "big") & mask, end


# First byte below this: how many more bytes follow, and which bits of all of them are the length.
_FORMS = ((0xC0, 1, 0x3FFF), (0xE0, 2, 0x1FFFFF), (0xF0, 3, 0xFFFFFFF), (0xF8, 4, 0xFFFFFFFF))


class Wire(ApiProtocol):
    """The library's protocol on our transport: nothing is logged, no bad byte is dropped, reading is one pass."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport=transport, encoding=ENCODING)
        self._at = 0

    @property
    def _transport(self) -> Transport:
        return cast(Transport, self.transport)

    def writeSentence(self, cmd: str, *words: str) -> None:
        """Send one sentence; unlike the library's own, without writing its words (a password) to a log."""
        self._transport.write(encode([(cmd, *words)]))

    def readSentence(self) -> tuple[str, tuple[str, ...]]:
        """The next sentence that is not empty: its first word and the others. `!fatal` is returned, not raised."""
        while True:
            words = self.take()
            if words:
                self._transport.answered()
                return words[0], tuple(words[1:])
            if words is None:
                self._transport.fill()

    def take(self) -> list[str] | None:
        """The next sentence if it is already here."""
        buffer = self._transport.buffer
        found = decode_sentence(buffer, self._at)
        if found is None:
            del buffer[: self._at]
            self._at = 0
            return None
        words, self._at = found
        return words
