"""The client CSV: all or nothing, every problem named, the same file again changes nothing."""

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from wisp.clients import csvcheck, csvexport, csvfile, csvimport, networks, search, service
from wisp.clients.models import Client, ClientTerm
from wisp.core import clock, crypto, events, sheets
from wisp.core.audit import AuditEntry
from wisp.core.db import db, session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import Scope

HEADER = ",".join(csvfile.BASE)


@pytest.fixture(autouse=True)
def ground(ctx: Flask) -> None:
    """Zone Norte of router Torre, and the plan that rows name."""
    router = factories.make_router(name="Torre")
    factories.make_zone(router, name="Norte")
    factories.make_plan(name="Casa 20")


def row(code: str, **values: str) -> str:
    """A line of the file with sensible values."""
    cells = {
        "code": code, "name": f"Cliente {code}", "zone": "Norte", "plan": "Casa 20", "connection": "static",
        "address": f"10.1.0.{sum(code.encode()) % 250 + 1}", **values,
    }  # fmt: skip
    return ",".join(cells.get(name, "") for name in (*csvfile.BASE, *(n for n in values if n not in csvfile.BASE)))


def file(*rows: str, extra: str = "") -> bytes:
    return "\r\n".join([HEADER + extra, *rows, ""]).encode()


def imported(data: bytes) -> csvcheck.Review:
    with transaction():
        review = csvcheck.check(data)
        csvimport.apply(review)
    return review


def problems(data: bytes) -> list[tuple[int, str, str]]:
    review = csvcheck.check(data)
    assert review.problem_count == len(review.problems)
    return [(found.line, found.column, found.reason) for found in review.problems]


def get(code: str) -> Client:
    session().rollback()
    return service.find(code)


def count() -> int:
    session().rollback()
    return session().scalar(sa.select(sa.func.count()).select_from(Client)) or 0


def test_a_row_becomes_a_client() -> None:
    data = file(
        "C-1,José Ñúñez,jose@example.com,+52 55 1234 5678,Norte,Casa 20,pppoe,10.0.0.7,aabbccddeeff,jose@isp,"
        "s3cret,en,2026-02-03"
    )
    review = imported(data)
    assert (len(review.added), len(review.changed), review.unchanged) == (1, 0, 0)
    client = get("C-1")
    assert (client.name, client.email, client.phone) == ("José Ñúñez", "jose@example.com", "+52 55 1234 5678")
    assert (client.zone.name, client.zone.router.name, client.router_id) == ("Norte", "Torre", client.zone.router_id)
    assert (client.connection, client.address, client.mac) == ("pppoe", "10.0.0.7", "AA:BB:CC:DD:EE:FF")
    assert (client.username, client.language, client.installed_on) == ("jose@isp", "en", date(2026, 2, 3))
    assert client.name_key == "jose nunez"
    assert "s3cret" not in client.password
    assert crypto.decrypt(client.password) == "s3cret"


def test_the_same_file_again_changes_nothing() -> None:
    data = file(
        row("A", email="a@example.com", balance="120.50", billed_through="2026-10-31", state="suspended", tax_id="X1"),
        row("B", connection="pppoe", username="b", password="pw", balance="", billed_through="", state="", tax_id=""),
        extra=",balance,billed_through,state,tax_id",
    )
    imported(data)
    session().rollback()
    before = session().execute(sa.select(Client.__table__).order_by(Client.id)).all()
    lines = session().scalar(sa.select(sa.func.count()).select_from(AuditEntry))
    session().rollback()
    with transaction():
        # as if the opening balance had become an invoice or a credit of the account
        _open_account(before[0].id)
    review = imported(data)
    assert (len(review.added), len(review.changed), review.unchanged) == (0, 0, 2)
    session().rollback()
    assert session().execute(sa.select(Client.__table__).order_by(Client.id)).all() == before
    assert session().scalar(sa.select(sa.func.count()).select_from(AuditEntry)) == lines


def _open_account(client_id: int) -> None:
    from wisp.core import clock
    from wisp.invoices.models import Payment

    session().add(
        Payment(
            client_id=client_id, amount=1, remaining=1, method="credit", paid_on=date(2026, 1, 1), actor="t",
            created_at=clock.now(),
        )
    )  # fmt: skip


def test_only_what_differs_is_changed() -> None:
    imported(file(row("A", address="10.0.0.1"), row("B", address="10.0.0.2")))
    review = imported(file(row("A", address="10.0.0.1", phone="555"), row("B", address="10.0.0.2")))
    assert [(plan.code, plan.values) for plan in review.changed] == [("A", {"phone": "555"})]
    assert review.unchanged == 1
    assert get("A").phone == "555"
    entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "client.edit")).one()
    assert (entry.target, entry.before, entry.after) == ("client:A", {"phone": ""}, {"phone": "555"})


def test_an_empty_password_keeps_the_present_one() -> None:
    imported(file(row("A", connection="pppoe", username="a", password="one")))
    review = imported(file(row("A", connection="pppoe", username="a")))
    assert review.unchanged == 1
    assert crypto.decrypt(get("A").password) == "one"
    imported(file(row("A", connection="pppoe", username="a", password="two")))
    assert crypto.decrypt(get("A").password) == "two"


def test_any_error_writes_nothing_and_names_line_column_and_reason() -> None:
    factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    factories.make_zone(factories.make_router(name="Valle"), name="Sur")
    data = file(
        row("good", address="10.0.0.1"),
        row("bad code"),
        row("N", name=""),
        row("E", email="nobody"),
        row("Z", zone="Oeste"),
        row("Y", zone="Sur"),
        row("P", plan="Nube"),
        row("K", connection="fibre"),
        row("I", address="10.0.0.300"),
        row("M", mac="zz"),
        row("U", connection="pppoe"),
        row("D", installed_on="31/01/26"),
        row("L", language="fr"),
        "short,row",
    )
    assert problems(data) == [
        (3, "code", "code"), (4, "name", "required"), (5, "email", "email"), (6, "zone", "zone_unknown"),
        (7, "zone", "zone_ambiguous"), (8, "plan", "plan_unknown"), (9, "connection", "choice"),
        (10, "address", "address"), (11, "mac", "mac"), (12, "username", "username_required"),
        (13, "installed_on", "date"), (14, "language", "choice"), (15, "", "cells"),
    ]  # fmt: skip
    with pytest.raises(Refused):
        imported(data)
    assert count() == 0


def test_every_problem_of_a_row_is_named() -> None:
    assert problems(file(row("A", email="x", mac="y", plan="z"))) == [
        (2, "email", "email"), (2, "mac", "mac"), (2, "plan", "plan_unknown"),
    ]  # fmt: skip


def test_a_zone_may_be_named_with_its_router() -> None:
    factories.make_zone(factories.make_router(name="Cerro"), name="Norte")
    assert problems(file(row("A"))) == [(2, "zone", "zone_ambiguous")]
    imported(file(row("A", zone="Cerro/Norte")))
    assert get("A").zone.router.name == "Cerro"


def test_addresses_are_unique_on_a_router_in_the_file_and_against_others() -> None:
    other = factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    factories.make_client(other, code="far", address="10.0.0.9")
    zone = service_zone()
    factories.make_client(zone, code="near", name="Vecina", address="10.0.0.8")
    factories.make_client(zone, code="gone", address="10.0.0.7", cancelled_at=factories.moment("2026-01-01 00:00"))
    data = file(row("A", address="10.0.0.9"), row("B", address="10.0.0.7"), row("C", address="10.0.0.8"))
    assert problems(data) == [(4, "address", "address_taken")]
    assert csvcheck.check(data).problems[0].values == {"value": "10.0.0.8", "code": "near", "name": "Vecina"}
    twice = file(row("A", address="10.0.0.1"), row("B", address="10.0.0.1"))
    assert problems(twice) == [(3, "address", "address_twice")]
    users = file(
        row("A", connection="pppoe", username="u", address=""), row("B", connection="pppoe", username="u", address="")
    )
    assert problems(users) == [(3, "username", "username_twice")]


def service_zone() -> Any:
    from wisp.routers.service import find_zone

    return find_zone("Torre/Norte")


def test_two_clients_may_swap_their_addresses() -> None:
    imported(file(row("A", address="10.0.0.1"), row("B", address="10.0.0.2")))
    imported(file(row("A", address="10.0.0.2"), row("B", address="10.0.0.1")))
    assert (get("A").address, get("B").address) == ("10.0.0.2", "10.0.0.1")


def test_a_code_twice_and_a_code_of_a_cancelled_client_are_refused() -> None:
    assert problems(file(row("A", address="10.0.0.1"), row("A", address="10.0.0.2"))) == [(3, "code", "code_twice")]
    factories.make_client(code="old", cancelled_at=factories.moment("2026-01-01 00:00"))
    assert problems(file(row("old"))) == [(2, "code", "code_cancelled")]
    assert problems(file(row("old", state="cancelled"), extra=",state")) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(1, "", "empty")]),
        (b"code,name\nA,b\n", [(1, name, "column_missing") for name in csvfile.BASE[2:]]),
        (HEADER.encode() + b",colour\n", [(1, "colour", "column_unknown")]),
        (HEADER.encode() + b",code\n", [(1, "code", "column_twice")]),
        (HEADER.encode() + b"\nA,Jos\x82\n", [(2, "", "encoding")]),
        (b"PK\x03\x04 no spreadsheet", [(1, "", "spreadsheet_damaged")]),
        (HEADER.encode() + b"\nA,\0\n", [(2, "", "nul")]),
        (b"x" * (sheets.MAX_BYTES + 1), [(1, "", "too_large")]),
        (HEADER.encode() + b'\nA,"never closed\n', [(2, "", "quoting")]),
    ],
)
def test_a_file_that_is_not_one_of_ours_is_refused(data: bytes, expected: list[tuple[int, str, str]]) -> None:
    assert problems(data) == expected


def test_marks_semicolons_empty_lines_and_breaks_inside_a_cell_are_read() -> None:
    text = HEADER.replace(",", ";") + "\n\n" + row("A", name='"Ana\tMaría"').replace(",", ";") + "\n;;;;;;;;;;;;\n"
    assert problems(text.encode("utf-8-sig")) == [(3, "name", "control")]
    broken = HEADER + '\n"A","two\nlines",,,Norte,Casa 20,static,,,,,,\n' + row("bad code") + "\n"
    assert problems(broken.encode()) == [(2, "name", "control"), (4, "code", "code")]
    imported((HEADER.replace(",", ";") + "\n" + row("A").replace(",", ";")).encode("utf-8-sig"))
    assert get("A").name == "Cliente A"


@pytest.fixture
def heard() -> Iterator[list[csvimport.Imported]]:
    """What the slices above are told."""
    told: list[csvimport.Imported] = []

    def receive(rows: list[csvimport.Imported]) -> None:
        told.extend(rows)

    kept = list(events.clients_imported._receivers)
    events.clients_imported._receivers[:] = [receive]
    yield told
    events.clients_imported._receivers[:] = kept


def test_balance_and_state_are_told_once(heard: list[csvimport.Imported]) -> None:
    data = file(
        row("A", balance='"1,250.50"', billed_through="2026-11-30", state="suspended"),
        row("B", balance="-80", billed_through="", state=""),
        row("C", balance="0", billed_through="", state="cancelled"),
        extra=",balance,billed_through,state",
    )
    imported(data)
    told = {row.code: (row.new, row.balance, row.state) for row in heard}
    assert told == {"A": (True, 125_050, "suspended"), "B": (True, -8_000, ""), "C": (True, None, "cancelled")}
    assert get("A").billed_through == date(2026, 11, 30)
    assert get("C").cancelled_at is not None
    heard.clear()
    with transaction():
        for client_id in session().scalars(sa.select(Client.id)).all():
            _open_account(client_id)
    review = imported(data)
    assert (review.unchanged, review.ignored, heard) == (3, 2, [])


def test_a_client_without_an_account_can_still_be_given_its_balance(heard: list[csvimport.Imported]) -> None:
    imported(file(row("A")))
    heard.clear()
    review = imported(file(row("A", balance="10"), extra=",balance"))
    assert len(review.changed) == 1
    assert [(row.new, row.balance) for row in heard] == [(False, 1_000)]


def test_wrong_optional_values_are_named() -> None:
    data = file(row("A", balance="ten", state="dead", billed_through="soon"), extra=",balance,state,billed_through")
    assert problems(data) == [(2, "billed_through", "date"), (2, "balance", "amount.amount"), (2, "state", "choice")]


def test_moving_by_file_tells_the_routers() -> None:
    imported(file(row("A")))
    old = get("A").router_id
    factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    moves: list[Any] = []

    def moved(**values: Any) -> None:
        moves.append(values)

    events.client_moved.connect(moved)
    try:
        imported(file(row("A", zone="Sur")))
    finally:
        events.client_moved._receivers.remove(moved)
    client = get("A")
    assert client.zone.name == "Sur"
    assert moves == [{"client_ids": [client.id], "old_router_id": old, "new_router_id": client.router_id}]


def test_imported_clients_are_found_at_once() -> None:
    imported(file(row("A", name="Águeda Peña", phone="+52 (55) 1234-5678")))
    client = get("A")
    terms = set(session().scalars(sa.select(ClientTerm.term).where(ClientTerm.client_id == client.id)))
    assert {"agueda", "pena", "a", "525512345678", "5512345678"} <= terms
    imported(file(row("A", name="Berta Ruiz")))
    session().rollback()
    condition = search.matching("berta")
    assert condition is not None
    assert session().scalars(sa.select(Client.code).where(condition)).all() == ["A"]
    old = search.matching("agueda")
    assert old is not None
    assert session().scalars(sa.select(Client.code).where(old)).all() == []


def test_a_person_limited_to_zones_cannot_reach_others_by_file() -> None:
    other = factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    factories.make_client(other, code="theirs")
    mine = Scope(frozenset({service_zone().id}))
    review = csvcheck.check(file(row("theirs"), row("A", zone="Sur")), mine)
    assert [(p.line, p.reason) for p in review.problems] == [(2, "code_taken"), (3, "zone_unknown")]


def test_what_is_exported_imports_again_without_a_change() -> None:
    imported(
        file(
            row("A", name="=1+1", phone="+52 1", legal_name="'=quoted", tax_id="-", billed_through="2026-01-31"),
            row("@b", name="-Ñ", connection="pppoe", username="+u", password="@p", legal_name='"a ""b"""', tax_id="",
                billed_through="", address="2001:db8::1"),
            extra=",legal_name,tax_id,billed_through",
        )
    )  # fmt: skip
    factories.make_client(code="old", cancelled_at=factories.moment("2026-01-01 00:00"))
    for passwords in (True, False):
        session().rollback()
        text = "".join(csvexport.export(passwords=passwords))
        assert ("@p" in text) is passwords
        assert "'=1+1" in text
        assert ",=" not in text
        review = csvcheck.check(text.encode())
        assert review.problems == []
        assert (len(review.added), len(review.changed), review.unchanged) == (0, 0, 3)


def test_an_export_rebuilds_the_clients_elsewhere() -> None:
    imported(file(row("A", name="=1+1", connection="pppoe", username="u", password="pw")))
    before = service.describe(get("A"))
    text = "".join(csvexport.export(passwords=True))
    session().rollback()
    with transaction() as s:
        for table in ("client_term", "client_provision", "access", "client"):
            s.execute(sa.text(f"DELETE FROM {table}"))
    imported(text.encode())
    assert service.describe(get("A")) == before
    assert crypto.decrypt(get("A").password) == "pw"


def test_five_thousand_rows_cost_a_bounded_number_of_statements() -> None:
    rows = [row(f"C{n:05}", address=f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}") for n in range(1, 5_001)]
    statements = 0

    def counted(*_: Any) -> None:
        nonlocal statements
        statements += 1

    bind = db.engine
    sa.event.listen(bind, "before_cursor_execute", counted)
    try:
        imported(file(*rows))
    finally:
        sa.event.remove(bind, "before_cursor_execute", counted)
    assert count() == 5_000
    assert statements < 60


MORE = {
    "networks": "203.0.113.8/29 2001:db8:1::/56", "phone2": "55-2", "service_address": "Calle 5", "note": "azul",
    "coordinates": "19.4 -99.1", "free": "no", "no_notice": "yes", "no_cut": "2027-01-31", "fiscal_address": "Calle 6",
}  # fmt: skip


def test_the_other_columns_come_and_go_without_a_change() -> None:
    imported(file(row("A", email="a@x.mx;b@x.mx", **MORE), extra="," + ",".join(MORE)))
    client = get("A")
    assert (client.email, client.phone2, client.coordinates) == ("a@x.mx; b@x.mx", "55-2", "19.4, -99.1")
    assert (client.free, client.no_notice, client.no_cut, client.no_cut_until) == (
        False,
        True,
        False,
        date(2027, 1, 31),
    )
    assert networks.of([client.id]) == {client.id: ("2001:db8:1::/56", "203.0.113.8/29")}
    session().rollback()
    text = "".join(csvexport.export(passwords=True))
    for value in ("203.0.113.8/29", "2027-01-31", "Calle 6"):
        assert value in text
    review = csvcheck.check(text.encode())
    assert (review.problems, review.unchanged, review.ignored, review.notes) == ([], 1, 0, [])
    later = imported(file(row("A", networks="203.0.113.8/29", no_cut="si", free="x"), extra=",networks,no_cut,free"))
    assert set(later.changed[:1][0].values) == {"email", "networks", "no_cut", "free"}
    assert networks.of([client.id]) == {client.id: ("203.0.113.8/29",)}


def test_networks_move_swap_and_never_overlap() -> None:
    factories.make_zone(factories.make_router(name="Cerro"), name="Sur")
    extra = ",networks"
    rows = (row("A", address="10.1.0.1", networks="10.8.0.0/24"), row("B", address="10.1.0.2", networks="10.8.1.0/24"))
    imported(file(*rows, extra=extra))
    swapped = (
        row("A", address="10.1.0.2", networks="10.8.1.0/24"),
        row("B", address="10.1.0.1", networks="10.8.0.0/24"),
    )
    imported(file(*swapped, extra=extra))
    imported(file(row("A", zone="Sur", address="10.1.0.2")))
    assert networks.of([get("A").id]) == {get("A").id: ("10.8.1.0/24",)}
    far = {(row.router_id, row.value) for row in session().execute(networks.everything())}
    assert (get("A").router_id, "10.8.1.0/24") in far
    session().rollback()
    assert problems(file(row("C", address="10.8.0.9"))) == [(2, "address", "network_taken")]
    inside = file(row("C", address="10.1.0.3", networks="10.8.0.16/28"), extra=extra)
    assert problems(inside) == [(2, "networks", "network_taken")]
    twice = file(
        row("C", address="10.7.0.3", networks=""), row("D", address="10.1.0.4", networks="10.7.0.0/24"), extra=extra
    )
    assert problems(twice) == [(3, "networks", "network_twice")]


def test_what_a_spreadsheet_has_damaged_is_refused_with_line_and_column() -> None:
    imported(file(row("00123", phone="0155", connection="pppoe", username="a", password="00451")))
    data = file(
        row("N", phone="5.2155E+11"), row("123", address="10.1.9.9"),
        row("00123", phone="155", connection="pppoe", username="a", password="451"),
    )  # fmt: skip
    assert problems(data) == [
        (2, "phone", "damaged"), (3, "code", "zeros_lost"), (4, "phone", "zeros_lost"), (4, "password", "zeros_lost"),
    ]  # fmt: skip


def test_amounts_and_dates_are_read_as_the_column_writes_them() -> None:
    factories.make_company(currency="ARS")
    extra = ",balance"

    def lines(*cells: str) -> bytes:
        pairs = [cell.split("|") for cell in cells]
        found = [row(f"C{n}", address=f"10.1.2.{n}", installed_on=day, balance=f'"{sum_}"')
                 for n, (day, sum_) in enumerate(pairs, 1)]  # fmt: skip
        return file(*found, extra=extra)

    review = csvcheck.check(lines("01/02/2026|33.871", "31/01/2026|1.350,50", "2026-01-05|-1.350"))
    assert review.problems == []
    assert [plan.values["installed_on"] for plan in review.added] == [
        date(2026, 2, 1),
        date(2026, 1, 31),
        date(2026, 1, 5),
    ]
    assert [plan.balance for plan in review.added] == [3_387_100, 135_050, -135_000]
    assert problems(lines("01/02/2026|33,871", "2026-01-05|5")) == [
        (2, "installed_on", "date_order"), (2, "balance", "amount.ambiguous"),
    ]  # fmt: skip
    assert problems(lines("2026-01-05|33.871", "2026-01-05|350.50")) == [(2, "balance", "amount.ambiguous")]


def test_a_spanish_spreadsheet_is_imported() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([*(csvfile.SPANISH[name] for name in csvfile.BASE if name != "address"), "IP", "Dirección", "Saldo"])
    cells = {"code": 7, "name": "José", "phone": 5215512345678, "zone": "Norte", "plan": "Casa 20",
             "connection": "Estática", "language": "Español", "installed_on": date(2026, 1, 31)}  # fmt: skip
    sheet.append([*(cells.get(name) for name in csvfile.BASE if name != "address"), "10.1.0.1", "Calle 5", 350.5])
    saved = io.BytesIO()
    book.save(saved)
    review = imported(saved.getvalue())
    (plan,) = review.added
    assert (plan.line, plan.balance) == (2, 35_050)
    client = get("7")
    assert (client.phone, client.address, client.service_address) == ("5215512345678", "10.1.0.1", "Calle 5")
    assert (client.connection, client.language, client.installed_on) == ("static", "es", date(2026, 1, 31))


def test_the_review_counts_passwords_and_names_what_it_passes_over() -> None:
    imported(file(row("A", connection="pppoe", username="a", password="one"), row("B", address="10.1.9.1")))
    told = file(
        row("A", connection="pppoe", username="a", password="two", state="suspended"),
        row("B", address="10.1.9.1", phone="555\u200b", state="active"), extra=",state",
    )  # fmt: skip
    review = csvcheck.check(told)
    assert (len(review.changed), review.passwords, review.ignored, review.dropped) == (2, 1, 1, 1)
    assert {(note.line, note.column, note.reason) for note in review.notes} == {
        (2, "state", "state_ignored"), (3, "phone", "dropped"),
    }  # fmt: skip
    hidden = file(row("A", connection="pppoe", username="a", password="two\u200b"))
    assert problems(hidden) == [(2, "password", "invisible_in")]
    later = file(row("A", price="5", payer="B"), extra=",price,payer")
    assert problems(later) == [(2, "price", "not_yet"), (2, "payer", "not_yet")]


def test_the_review_says_how_many_the_next_run_invoices() -> None:
    with clock.frozen(factories.moment("2026-11-01 00:00")):
        factories.make_zone(name="Oeste")  # invoices on the 15th, due on the 20th: 20 November to 19 December
        with transaction():
            billed = factories.make_client(service_zone(), factories.make_plan(), code="old")
            factories.make_invoice(billed, month=date(2026, 11, 1))
        data = file(
            *(
                row(f"C{n}", zone="Oeste", address=f"10.1.2.{n}", **values)
                for n, values in enumerate(
                    (
                        {"free": ""}, {"free": "yes"}, {"free": "", "billed_through": "2026-12-19"},
                        {"free": "", "billed_through": "2026-12-18"}, {"free": "", "installed_on": "2027-02-01"},
                        {"free": "", "state": "cancelled"}, {"free": "", "state": "suspended"},
                    ),
                    1,
                )
                for values in [{"billed_through": "", "state": "", **values}]
                for values in [{name: values[name] for name in ("free", "billed_through", "state")} | values]
            ),
            extra=",free,billed_through,state",
        )  # fmt: skip
        review = csvcheck.check(data)
        assert review.problems == []
        assert review.next_run == 3
