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


@pytest.mark.parametrize(
    ("words", "is_about"),
    [
        ("550 5.1.1 no such user", "recipient"),
        ("552 5.2.2 mailbox over quota", "recipient"),
        ("452 4.2.2 The email account is over quota", "recipient"),
        ("450 4.2.1 receiving mail at a rate that is too high", "recipient"),
        ("552 5.3.4 message size exceeds limit", "recipient"),
        ("552 message exceeds storage", "recipient"),
        ("550 5.4.5 Daily user sending limit exceeded", "service"),
        ("550 5.1.90 daily message limit reached", "service"),
        ("554 5.2.0 SubmissionQuotaExceededException", "service"),
        ("550 5.1.8 sender address refused", "service"),
        ("451 4.3.2 system not accepting messages", "service"),
        ("421 4.7.28 unusual rate of mail", "service"),
        ("550 5.7.1 our policy says no", "service"),
        ("554 rejected as spam", "service"),
        ("450 greylisted, come back", "unclear"),
        ("554 5.7.1 access denied", "unclear"),
        ("550 5.3.0 denied", "unclear"),
        ("nonsense", "unclear"),
    ],
)
def test_what_a_refusal_is_about(words: str, is_about: str) -> None:
    assert domain.about(words) == is_about


def test_answers_to_different_recipients_are_alike_but_for_what_names_them() -> None:
    one, two = "550 5.7.1 <ana@x.mx>: denied (id q8X1)", "550 5.7.1 <luis@y.mx>: Denied (id r77)"
    assert domain.alike(one) == domain.alike(two) != domain.alike("550 5.7.0 <ana@x.mx>: denied (id q8X1)")


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
