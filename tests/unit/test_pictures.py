"""What is taken as the company's logo, by its bytes; what is left of it."""

import struct
import zlib

import pytest

from wisp.settings import pictures
from wisp.settings.domain import Invalid

SIGN = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 3, height: int = 2, *extra: bytes, noise: bytes = b"") -> bytes:
    """A grey PNG of that size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    return SIGN + head + b"".join(extra) + chunk(b"IDAT", pixels + noise) + chunk(b"IEND", b"")


def segment(code: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def jpeg(width: int = 3, height: int = 2, *extra: bytes) -> bytes:
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    start = b"\xff\xd8" + segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    return start + b"".join(extra) + frame + segment(0xDA, b"\x01\x01\0\0?\0") + b"\x12\x34\xff\xd9"


def code_of(data: bytes) -> str:
    with pytest.raises(Invalid) as found:
        pictures.check(data)
    return found.value.code


def test_a_png_and_a_jpeg_are_taken() -> None:
    found = pictures.check(png(300, 90))
    assert (found.kind, found.width, found.height, found.data) == ("image/png", 300, 90, png(300, 90))
    found = pictures.check(jpeg(300, 90))
    assert (found.kind, found.width, found.height, found.data) == ("image/jpeg", 300, 90, jpeg(300, 90))


def test_what_is_not_the_picture_is_left_behind() -> None:
    where = chunk(b"tEXt", b"Comment\0<script>") + chunk(b"eXIf", b"19.43 N") + chunk(b"acTL", b"\0" * 8)
    assert pictures.check(png(3, 2, where) + b"<html>").data == png()
    notes = segment(0xE1, b"Exif\0\0 19.43 N") + segment(0xFE, b"<script>")
    assert pictures.check(jpeg(3, 2, notes) + b"PK\x03\x04").data == jpeg()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GIF89a" + b"\0" * 20, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\0\0\0\0WEBPVP8 ", SIGN,
        png()[:-5], png()[:40] + b"\0" + png()[41:], SIGN + chunk(b"IEND", b""), jpeg()[:-2], jpeg()[:30],
        b"\xff\xd8\xff\xe0\x00\x00", b"\xff\xd8" + segment(0xDA, b"\0") + b"\xff\xd9", b"%PDF-1.7",
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    assert code_of(data) == "settings.picture"


def test_what_no_phone_should_unfold_or_a_poor_line_should_carry_is_refused() -> None:
    assert code_of(png(1001, 1)) == "settings.picture_side"
    assert code_of(png(1, 60_000)) == "settings.picture_side"
    assert code_of(png(0, 5)) == "settings.picture_side"
    assert code_of(png(noise=b"x" * pictures.MAX_BYTES)) == "settings.picture_size"
    assert pictures.check(png(noise=b"x" * (pictures.MAX_BYTES - len(png()))))
