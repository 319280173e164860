"""The API's bytes as a router reads and writes them. Apart from the gateway's own, so that one checks the other.

Words are latin-1 strings: every byte is one character and none is lost.
"""

from collections.abc import Iterable, Mapping

MAX_WORD = 64 * 1024 * 1024


class GarbageError(Exception):
    """What arrived is not the API: a reserved control byte or an absurd length."""


def encode_length(length: int) -> bytes:
    """The bytes in front of a word of that many bytes; 1 to 5 of them."""
    if length < 0x80:
        return length.to_bytes(1, "big")
    if length < 0x4000:
        return (length | 0x8000).to_bytes(2, "big")
    if length < 0x200000:
        return (length | 0xC00000).to_bytes(3, "big")
    if length < 0x10000000:
        return (length | 0xE0000000).to_bytes(4, "big")
    return b"\xf0" + length.to_bytes(4, "big")


def decode_length(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """The length that starts at `at`, in any of its five forms, and where the word begins; None: more is needed."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first < 0xC0:
        size, value = 1, first & 0x3F
    elif first < 0xE0:
        size, value = 2, first & 0x1F
    elif first < 0xF0:
        size, value = 3, first & 0x0F
    elif first < 0xF8:
        size, value = 4, 0
    else:
        raise GarbageError(f"control byte {first:#x}")
    if at + 1 + size > len(data):
        return None
    for byte in data[at + 1 : at + 1 + size]:
        value = value << 8 | byte
    return value, at + 1 + size


def encode_sentence(words: Iterable[str]) -> bytes:
    """A sentence with its closing zero."""
    return "".join([*map(_with_length, words), "\0"]).encode("latin-1")


def encode_sentences(sentences: Iterable[Iterable[str]]) -> bytes:
    """Sentences one after another."""
    return "".join(["".join([*map(_with_length, words), "\0"]) for words in sentences]).encode("latin-1")


def encode_rows(rows: Iterable[Mapping[str, str]], end: Iterable[str]) -> bytes:
    """A `!re` sentence for each row, with its properties in their order and the words of ``end``; in one pass, since a
    table may have thousands."""
    tail = "".join(map(_with_length, end)) + "\0"
    out = []
    for row in rows:
        out.append("\x03!re")
        for name, value in row.items():
            size = len(name) + len(value) + 2
            out.append(f"{chr(size)}={name}={value}" if size < 0x80 else _with_length(f"={name}={value}"))
        out.append(tail)
    return "".join(out).encode("latin-1")


def _with_length(word: str) -> str:
    size = len(word)
    return (chr(size) if size < 0x80 else encode_length(size).decode("latin-1")) + word


class Decoder:
    """Collects bytes and gives out whole sentences; empty ones are left out."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[list[str]]:
        """The sentences that are complete with these bytes. Raises GarbageError."""
        self._data += data
        sentences: list[list[str]] = []
        words: list[str] = []
        at = start = 0
        while at < len(self._data):
            length, begin = self._data[at], at + 1
            if length >= 0x80:
                head = decode_length(self._data, at)
                if head is None:
                    break
                length, begin = head
            if length > MAX_WORD:
                raise GarbageError(f"a word of {length} bytes")
            if begin + length > len(self._data):
                break
            at = begin + length
            if length:
                words.append(self._data[begin:at].decode("latin-1"))
                continue
            if words:
                sentences.append(words)
            words, start = [], at
        del self._data[:start]
        return sentences
