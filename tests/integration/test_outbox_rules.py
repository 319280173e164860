"""Rules of the outbox that need no database."""

from datetime import timedelta

import pytest

from wisp.outbox import domain
from wisp.outbox.rendering import wrap


def test_pauses_grow_and_stay_at_the_last() -> None:
    minutes = [domain.pause(n, lambda: 0.0) / timedelta(minutes=1) for n in (1, 2, 3, 4, 5, 50)]
    assert minutes == [1, 5, 15, 60, 60, 60]


def test_a_pause_is_lengthened_by_chance_but_never_shortened() -> None:
    assert domain.pause(2, lambda: 0.999) > domain.pause(2, lambda: 0.0) == timedelta(minutes=5)
    assert domain.pause(2, lambda: 0.999) <= timedelta(minutes=6)


@pytest.mark.parametrize(
    "address", ["ana@example.com", "a.b+c@sub.example.mx", "josé@example.com", "x@correo.ñandú.mx"]
)
def test_addresses_that_a_server_may_be_asked_about(address: str) -> None:
    assert domain.plausible_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "ana", "@example.com", "ana@", "a@b@c.com", "ana@example.com\nBcc: x@example.com", "ana@example.com\r",
        "a b@example.com", "<ana@example.com>", "ana@.com", "ana@example..com", "a" * 250 + "@example.com",
        "a,b@example.com",
    ],
)  # fmt: skip
def test_addresses_that_are_none(address: str) -> None:
    assert not domain.plausible_address(address)


def test_a_header_is_one_line() -> None:
    assert domain.one_line("Hola\r\nBcc: x@example.com\t\x00 fin") == "Hola Bcc: x@example.com fin"
    assert domain.one_line("ñ" * 400) == "ñ" * 299 + "…"


def test_addresses_of_a_setting() -> None:
    assert domain.addresses("a@x.mx, b@x.mx;c@x.mx\n a@x.mx\n") == ["a@x.mx", "b@x.mx", "c@x.mx"]


def test_lines_are_wrapped_and_addresses_stay_whole() -> None:
    link = "https://example.com/" + "x" * 90
    text = wrap("\n\n" + "palabra " * 30 + "\n\n\n\n  corta\n" + link + "\n")
    lines = text.split("\n")
    assert max(len(line) for line in lines if line != link) <= 72
    assert link in lines
    assert "" not in lines[:3]
    assert text.count("\n\n") == 1
    assert text.endswith("\n")
