"""What a client's values look like, and how they are searched and written into a CSV cell."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wisp.clients import domain
from wisp.core.text import read_emails, split_emails


@pytest.mark.parametrize("text", ["A", "c-1", "ana@isp.mx", "a_b.c", "9" * 64, "-", "@"])
def test_codes_of_the_allowed_signs(text: str) -> None:
    assert domain.read_code(f" {text} ") == text


@pytest.mark.parametrize("text", ["a b", "ñ", "a/b", "x" * 65, "a\n", "á", "a:b", "\u0660"])
def test_other_codes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^code$"):
        domain.read_code("." + text + ".")


@pytest.mark.parametrize("text", [".", "..", " .. "])
def test_a_code_is_no_folder(text: str) -> None:
    with pytest.raises(ValueError, match=r"^code$"):
        domain.read_code(text)
    assert domain.read_code("...") == "..."


@pytest.mark.parametrize(
    ("text", "read"),
    [("10.0.0.7", "10.0.0.7"), (" 10.0.0.7 ", "10.0.0.7"), ("2001:DB8:0::1", "2001:db8::1"), ("", None), ("  ", None)],
)
def test_addresses_in_their_normal_form(text: str, read: str | None) -> None:
    assert domain.read_address(text) == read


@pytest.mark.parametrize(
    "text", ["10.0.0.256", "10.0.0.0/24", "10.0.0.1-10.0.0.9", "010.0.0.1", "0.0.0.0", "127.0.0.1", "224.0.0.1",
             "::1", "fe80::1%eth0", "host", "10.0.0"],
)  # fmt: skip
def test_what_is_not_one_device_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^address$"):
        domain.read_address(text)


@pytest.mark.parametrize("text", ["aa:bb:cc:dd:ee:0f", "AA-BB-CC-DD-EE-0F", "aabb.ccdd.ee0f", "aabbccddee0f"])
def test_hardware_addresses_of_every_spelling(text: str) -> None:
    assert domain.read_mac(text) == "AA:BB:CC:DD:EE:0F"


def test_wrong_hardware_addresses_are_refused() -> None:
    for text in ("aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:gg", "aa:bb:cc:dd:ee:ff:00"):
        with pytest.raises(ValueError, match=r"^mac$"):
            domain.read_mac(text)


def test_dates_are_iso_and_sensible() -> None:
    assert domain.read_date("2026-02-28") == date(2026, 2, 28)
    assert domain.read_date("") is None
    for text in ("2026-02-29", "28/02/2026", "20260228", "2026-W01-1", "1889-01-01", "2026-2-8", "9999-01-01"):
        with pytest.raises(ValueError, match=r"^date$"):
            domain.read_date(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [("ana@example.com", "ana@example.com"), (" a.b+c@Sub.Example.mx ", "a.b+c@sub.example.mx"), ("", ""),
     ("a@x.mx,b@x.mx ; a@x.mx", "a@x.mx; b@x.mx"), ("a@x.mx\nb@x.mx", "a@x.mx; b@x.mx"),
     ("ana@ñandú.mx", "ana@xn--and-6ma2c.mx")],
)  # fmt: skip
def test_email_addresses(text: str, read: str) -> None:
    assert domain.READERS["email"](text) == read
    assert read_emails(read) == read
    assert "; ".join(split_emails(read)) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [("ana", "email"), ("ana@", "email"), ("@x.mx", "email"), ("a b@x.mx", "email"), ("a@x", "email"),
     ("a@x.mx\nBcc: b@x.mx", "email"), ("<a@x.mx>", "email"), ("josé@isp.mx", "email"), ("a@x.mx\u200b", "email"),
     ("a@1.2.3.4", "email"), ("a@x..mx", "email"), ("; ".join(f"{n:060}@x.mx" for n in range(5)), "too_long")],
)  # fmt: skip
def test_what_cannot_be_sent_to_is_no_email_address(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        domain.READERS["email"](text)


@pytest.mark.parametrize("text", ["", "555", "+52 (55) 1234-5678", "55.1234.5678"])
def test_phones(text: str) -> None:
    assert domain.read_phone(f" {text} ") == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [("5.2155E+11", "damaged"), ("5,2155e+11", "damaged"), ("555 ext 3", "phone"), ("555/666", "phone"), ("+", "phone"),
     ("\u202a+52 55", "invisible"), ("٥٥", "phone")],
)  # fmt: skip
def test_what_is_no_phone(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        domain.read_phone(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [("", ()), ("10.0.0.9", ("10.0.0.9",)), ("10.0.0.9/32 203.0.113.8/29", ("10.0.0.9", "203.0.113.8/29")),
     ("2001:DB8:0:4000::/56,10.0.0.9; 10.0.0.9", ("10.0.0.9", "2001:db8:0:4000::/56")),
     ("2001:db8::1/128", ("2001:db8::1",))],
)  # fmt: skip
def test_networks_in_their_normal_form(text: str, read: tuple[str, ...]) -> None:
    assert domain.read_networks(text) == read
    assert domain.read_networks(" ".join(read)) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [("10.0.0.5/24", "network_bits"), ("2001:db8::5/64", "network_bits"), ("10.0.0.0/8", "network"),
     ("0.0.0.0/16", "network"), ("127.0.0.1", "network"), ("10.0.0.1-10.0.0.9", "network"), ("fe80::1", "network"),
     ("2001::/16", "network"), ("10.0.0.256", "network"), ("lan", "network")],
)  # fmt: skip
def test_what_is_no_network_of_a_client(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        domain.read_networks(text)


def test_coordinates() -> None:
    for text in ("19.432608,-99.133209", "19.432608 -99.133209", " 19.432608 ; -99.133209 ", "19.432608, -99.133209"):
        assert domain.read_coordinates(text) == "19.432608, -99.133209"
    assert domain.read_coordinates("") == ""
    for text in ("91, 0", "0, 181", "19.43", "here", "19,43, -99,13", '19°25"N'):
        with pytest.raises(ValueError, match=r"^coordinates$"):
            domain.read_coordinates(text)


def test_notes_keep_their_lines_and_nothing_invisible() -> None:
    assert domain.read_note(" casa azul\r\nperro bravo \n") == "casa azul\nperro bravo"
    for text, reason in (("a\x07", "control"), ("a\u200bb", "invisible"), ("x" * 2_001, "too_long")):
        with pytest.raises(ValueError, match=f"^{reason}$"):
            domain.read_note(text)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("20M", 20_000_000), ("512k", 512_000), ("1.5g", 1_500_000_000), ("64000", 64_000), ("", 0), ("2.5M", 2_500_000)],
)
def test_speeds(text: str, bits: int) -> None:
    assert domain.read_speed(text) == bits


def test_wrong_speeds_are_refused() -> None:
    for text in ("fast", "20 M", "-5M", "0.5", "20MB", "9999999999999", "999999999G"):
        with pytest.raises(ValueError, match=r"^speed$"):
            domain.read_speed(text)


@given(st.integers(0, domain.MAX_SPEED))
def test_a_written_speed_reads_back(bits: int) -> None:
    assert domain.read_speed(domain.write_speed(bits)) == bits


@given(st.text())
def test_a_guarded_cell_is_no_formula_and_reads_back(text: str) -> None:
    cell = domain.guard_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert domain.unguard_cell(cell) == text


def found(query: str, **values: Any) -> bool:
    client = {"name": "", "code": "", "address": "", "phone": "", "username": "", **values}
    terms = domain.search_terms(**client)
    words = domain.query_terms(query)
    return bool(words) and all(any(term.startswith(word) for term in terms) for word in words)


@pytest.mark.parametrize(
    "query", ["María", "maria", "NUNEZ", "ñúñez mar", "garcia", "García-L", "lopez", "c-001", "001",
              "10.1.2", "10.1.2.33", "555 123 45", "(52) 555-123-4567", "5551234567", "1234567", "isp.maria"],
)  # fmt: skip
def test_a_client_is_found_by(query: str) -> None:
    assert found(
        query, name="María de Ñúñez García-López", code="C-001", address="10.1.2.33", phone="+52 555 123 4567",
        username="isp.maria@isp",
    )  # fmt: skip


@pytest.mark.parametrize("query", ["b@x.mx", "203.0.113", "55 6677 88", "6778899"])
def test_a_client_is_found_by_whatever_it_has_besides(query: str) -> None:
    more = {"email": "a@x.mx; b@x.mx", "networks": ("203.0.113.8/29",), "phone2": "55 66 77 88 99"}
    assert found(query, **more)


@pytest.mark.parametrize("query", ["aria", "pedro", "maria pedro", "10.1.3", "999", "", "  "])
def test_a_client_is_not_found_by(query: str) -> None:
    assert not found(query, name="María Núñez", code="C-001", address="10.1.2.33", phone="555 123 4567")


@given(st.text(max_size=300))
def test_no_query_breaks_the_search(query: str) -> None:
    words = domain.query_terms(query)
    assert len(words) <= 8
    assert all(word and "\0" not in word and len(word) <= domain.TERM_LENGTH for word in words)


@pytest.mark.parametrize("code", [".", ".."])
def test_a_code_that_would_name_a_folder_in_an_address_is_none(code: str) -> None:
    with pytest.raises(ValueError, match="code"):
        domain.read_code(code)
    assert domain.read_code(f"{code}.C") == f"{code}.C"


def test_a_name_holds_no_signs_that_nobody_sees() -> None:
    with pytest.raises(ValueError, match="invisible"):
        domain.read_text("\u200b=1", 120)
