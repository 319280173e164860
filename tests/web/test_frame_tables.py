"""Lists, amounts and dates: what every page builds on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from tests.factories import make_company
from wisp.core.audit import AuditEntry
from wisp.core.db import db, session, transaction
from wisp.core.locales import formatting_locale
from wisp.web import formats, tables
from wisp.web.tables import Listing

START = datetime(2026, 1, 1, tzinfo=UTC)
SORTS = {"target": AuditEntry.target, "at": AuditEntry.at}


@contextmanager
def counted() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    bind = db.engine
    event.listen(bind, "before_cursor_execute", note)
    yield seen
    event.remove(bind, "before_cursor_execute", note)


@pytest.fixture
def rows(ctx: Flask) -> None:
    """120 rows, of which many share the same target."""
    with transaction() as s:
        for number in range(120):
            s.add(AuditEntry(at=START + timedelta(minutes=number), actor="x", action="y", target=f"t{number % 7}"))


def listing(app: Flask, address: str, **kwargs: Any) -> Listing:
    with app.test_request_context(address):
        return Listing(sa.select(AuditEntry), SORTS, "target", **kwargs)


@pytest.mark.usefixtures("rows")
class TestListing:
    """Sorting and paging."""

    def test_all_pages_together_hold_every_row_once(self, app: Flask) -> None:
        for sort in ("target", "-target", "at", "-at"):
            pages = [listing(app, f"/inicio/?page={number}&sort={sort}") for number in (1, 2, 3)]
            assert [len(page.rows) for page in pages] == [50, 50, 20]
            assert len({row.id for page in pages for row in page.rows}) == 120
            assert [page.has_next for page in pages] == [True, True, False]
        assert (pages[2].first, pages[2].last, pages[2].total, pages[2].pages) == (101, 120, 120, 3)

    def test_the_order_is_the_one_asked_for(self, app: Flask) -> None:
        assert listing(app, "/inicio/?sort=at").rows[0].at == START
        assert listing(app, "/inicio/?sort=-at").rows[0].at == START + timedelta(minutes=119)

    @pytest.mark.parametrize("address, page", [
        ("page=99", 3), ("page=0", 1), ("page=-1", 1), ("page=x", 1), ("page=", 1), ("page=99999999999999", 1),
        ("sort=password", 1), ("sort=-", 1), ("sort=at;drop", 1), ("page=٣", 1),
    ])  # fmt: skip
    def test_rubbish_in_the_address_is_ignored(self, app: Flask, address: str, page: int) -> None:
        found = listing(app, f"/inicio/?{address}")
        assert found.page == page
        assert found.rows
        assert found.sort == "target"

    def test_two_statements_and_a_count_with_a_bound(self, app: Flask) -> None:
        with counted() as seen:
            listing(app, "/inicio/")
        assert len(seen) == 2
        found = listing(app, "/inicio/?page=3", count_limit=60)
        assert (found.more, found.total, found.pages) == (True, 60, None)
        assert (found.first, found.last, found.has_next) == (101, 120, False)

    def test_grouped_and_distinct_lists_count_groups(self, app: Flask) -> None:
        with app.test_request_context("/inicio/"):
            grouped = sa.select(AuditEntry.target, sa.func.count()).group_by(AuditEntry.target)
            found = Listing(grouped, {"target": AuditEntry.target}, "target")
            assert (found.total, len(found.rows)) == (7, 7)
            distinct = sa.select(AuditEntry.target).distinct()
            assert Listing(distinct, {"target": AuditEntry.target}, "target").total == 7

    def test_an_empty_list_has_no_pages(self, app: Flask) -> None:
        with app.test_request_context("/inicio/?page=4"):
            found = Listing(sa.select(AuditEntry).where(AuditEntry.id < 0), SORTS, "at")
        assert (found.rows, found.total, found.page, found.first, found.has_next) == ([], 0, 1, 0, False)

    def test_links_keep_the_filters(self, app: Flask) -> None:
        with app.test_request_context("/inicio/?q=a%26b&state=x&state=y&page=2&sort=at"):
            found = Listing(sa.select(AuditEntry), SORTS, "target")
            assert found.url(page=3) == "/inicio/?q=a%26b&state=x&state=y&sort=at&page=3"
            assert found.sort_url("at") == "/inicio/?q=a%26b&state=x&state=y&sort=-at"
            assert found.sort_url("target") == "/inicio/?q=a%26b&state=x&state=y&sort=target"
            assert (found.q, found.direction("at"), found.direction("target")) == ("a&b", "ascending", "")


def test_what_is_typed_is_not_a_pattern(ctx: Flask) -> None:
    with transaction() as s:
        for target in ("100%", "100x", "a_b", "axb", "c\\d"):
            s.add(AuditEntry(at=START, actor="x", action="y", target=target))
    for text, found in (("0%", ["100%"]), ("a_b", ["a_b"]), ("c\\d", ["c\\d"]), ("100", ["100%", "100x"])):
        query = sa.select(AuditEntry.target).where(AuditEntry.target.like(tables.like(text), escape="\\"))
        assert sorted(session().scalars(query)) == found, text


def test_a_csv_file_runs_nothing_in_a_spreadsheet(app: Flask) -> None:
    with app.test_request_context("/"):
        rows = [("=1+1", "@x", -5, None, "a,b"), ("+52 55", "-1", "\tx", "ñ", 'say "hi"')]
        text = tables.csv_response("x.csv", ["a", "b", "c", "d", "e"], rows).get_data(as_text=True)
    assert text == ('\ufeffa,b,c,d,e\r\n\'=1+1,\'@x,-5,,"a,b"\r\n\'+52 55,\'-1,\'\tx,ñ,"say ""hi"""\r\n')


class TestFormats:
    """As people write."""

    @pytest.mark.parametrize("language, currency, locale", [
        ("es", "MXN", "es_MX"), ("es", "COP", "es_CO"), ("en", "USD", "en_US"), ("es", "EUR", "es_ES"),
        ("en", "MXN", "en_US"), ("fr", "MXN", "es_MX"), ("es", "QQQ", "es_MX"), ("", "PEN", "es_PE"),
    ])  # fmt: skip
    def test_the_locale_is_the_language_in_the_country(self, language: str, currency: str, locale: str) -> None:
        assert str(formatting_locale(language, currency)) == locale

    def test_amounts_days_and_hours(self, app: Flask) -> None:
        with app.app_context():
            make_company(timezone="America/Mexico_City", currency="MXN")
        with app.test_request_context("/"):
            moment = datetime(2026, 1, 1, 5, 30, tzinfo=UTC)
            assert formats.format_money(135_000) == "$1,350.00"
            assert formats.format_money(None) == "–"
            assert formats.format_moment(moment) == "31 dic 2025 23:30"
            assert formats.format_moment(moment, "America/Tijuana") == "31 dic 2025 21:30"
            assert formats.format_day(moment) == "31 dic 2025"
            assert formats.format_day(date(2026, 3, 5)) == "5 mar 2026"
            assert formats.format_month(date(2026, 11, 1)) == "noviembre de 2026"
            assert formats.format_number(12345) == "12,345"
        with app.test_request_context("/", headers={"Cookie": "wisp_language=en"}):
            assert formats.format_month(date(2026, 11, 1)) == "November 2026"
            assert formats.format_moment(moment) == "Dec 31, 2025 23:30"

    def test_a_currency_without_cents_shows_none(self, app: Flask) -> None:
        with app.app_context():
            make_company(currency="CLP", timezone="America/Santiago")
        with app.test_request_context("/"):
            assert formats.format_money(15_990) == "$15.990"
