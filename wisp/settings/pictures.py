"""A picture that a person uploads: PNG or JPEG by its bytes, not by its name, stripped of all that is not the picture.

Only these two: every phone and every mail program shows them, and neither can hold a script.
"""

import struct
import zlib
from dataclasses import dataclass

from wisp.settings.domain import Invalid

MAX_BYTES = 15_000
"""Of the stripped file: as text in a page it is a third longer, and the page must stay under 30 kB."""
MAX_SIDE = 1000
"""Pixels: a small file can unfold into a picture that no phone can hold."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"IDAT", b"IEND")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a JPEG that give its size."""


@dataclass(frozen=True)
class Picture:
    """A checked picture: its type as HTTP names it, its pixels, its bytes."""

    kind: str
    width: int
    height: int
    data: bytes


def check(data: bytes) -> Picture:
    """The picture in an uploaded file. Raises Invalid where it is none, broken, too large or too big."""
    try:
        if data.startswith(_PNG):
            found = _png(data)
        elif data.startswith(b"\xff\xd8\xff"):
            found = _jpeg(data)
        else:
            raise Invalid("settings.picture")
    except (struct.error, IndexError):
        raise Invalid("settings.picture") from None
    if not 1 <= found.width <= MAX_SIDE or not 1 <= found.height <= MAX_SIDE:
        raise Invalid("settings.picture_side", limit=MAX_SIDE)
    if len(found.data) > MAX_BYTES:
        raise Invalid("settings.picture_size", limit=MAX_BYTES // 1000, size=-(-len(found.data) // 1000))
    return found


def _png(data: bytes) -> Picture:
    """Every part is checked against its sum; comments, positions and whatever follows the end are left behind."""
    out, at, width, height = _PNG, len(_PNG), 0, 0
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        part = data[at : at + 12 + length]
        if len(part) != 12 + length or zlib.crc32(part[4:-4]) != struct.unpack(">I", part[-4:])[0]:
            raise Invalid("settings.picture")
        if name == b"IHDR":
            width, height = struct.unpack_from(">II", part, 8)
        if name in _PNG_KEPT:
            out += part
        at += len(part)
        if name == b"IEND":
            if b"IDAT" not in out:
                raise Invalid("settings.picture")
            return Picture("image/png", width, height, out)


def _jpeg(data: bytes) -> Picture:
    """Segments up to the picture itself, without comments and what cameras note (place and time among it)."""
    out, at, width, height = data[:2], 2, 0, 0
    while True:
        mark, code, length = struct.unpack_from(">BBH", data, at)
        part = data[at : at + 2 + length]
        if mark != 0xFF or length < 2 or len(part) != 2 + length:
            raise Invalid("settings.picture")
        if code in _FRAMES:
            height, width = struct.unpack_from(">HH", part, 5)
        if code in (0xE0, 0xEE) or not (0xE0 <= code <= 0xEF or code == 0xFE):
            out += part
        at += len(part)
        if code == 0xDA:
            end = data.rfind(b"\xff\xd9", at)
            if end < 0 or not width:
                raise Invalid("settings.picture")
            return Picture("image/jpeg", width, height, out + data[at : end + 2])
