"""One currency for all amounts: asked first, and fixed once there is any amount."""

import re
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_client, make_company, make_invoice, make_plan, make_zone, moment
from tests.support.staff import signed_in, token
from wisp.core import clock
from wisp.core.db import Base, money_columns, session, transaction
from wisp.core.errors import Refused
from wisp.invoices.models import Allocation, Payment
from wisp.settings import service

NOT_MONEY: set[str] = set()
"""Columns of 64 bits that are no amounts."""


def plan():
    make_plan(price=1)


def company():
    make_company(tolerance=1)


def invoice():
    make_invoice(make_client(make_zone(), make_plan(price=0)), total=1)


def payment():
    client = make_client(make_zone(), make_plan(price=0))
    with transaction() as s:
        paid = Payment(client_id=client.id, amount=1, remaining=0, method="cash", paid_on=date(2026, 11, 1),
                       actor="x", created_at=clock.now())  # fmt: skip
        s.add(paid)
        s.flush()
        return client, paid.id


def allocation():
    client, paid = payment()
    settled = make_invoice(client, total=1)
    with transaction() as s:
        s.add(Allocation(payment_id=paid, invoice_id=settled.id, amount=1))


MAKERS = {"plan": plan, "company": company, "invoice": invoice, "invoice_line": invoice, "payment": payment,
          "allocation": allocation}  # fmt: skip
"""What puts an amount into a table that can be the first to hold one."""
FOLLOWERS = {"task_run", "run_item", "plan_item"}
"""Tables whose amounts are copies of prices or invoices, which cannot go before them."""


@pytest.fixture(autouse=True)
def _still():
    with clock.frozen(moment("2026-11-10 10:00")):
        yield


def change(currency: str) -> set[str]:
    with transaction():
        return service.save_company({"currency": currency})


@pytest.mark.usefixtures("app")
def test_every_column_of_money_is_known_to_be_one():
    wide = {str(c) for table in Base.metadata.sorted_tables for c in table.c if isinstance(c.type, sa.BigInteger)}
    assert wide - {str(column) for _, columns in money_columns() for column in columns} == NOT_MONEY
    assert {table.name for table, _ in money_columns()} == set(MAKERS) | FOLLOWERS


@pytest.mark.usefixtures("ctx")
def test_without_amounts_the_currency_can_be_chosen():
    make_company()
    make_client(make_zone(), make_plan(price=0))
    assert change("CLP") == {"currency"}
    assert service.company().currency == "CLP"


@pytest.mark.usefixtures("ctx")
@pytest.mark.parametrize("table", sorted(MAKERS))
def test_any_amount_fixes_the_currency(table: str):
    make_company()
    MAKERS[table]()
    rows = sa.select(sa.func.count()).select_from(sa.table(table))
    assert session().scalar(rows)
    with pytest.raises(Refused, match="MXN") as refused:
        change("CLP")
    assert refused.value.code == "settings.currency_fixed"
    assert service.company().currency == "MXN"
    assert change("MXN") == set()
    with transaction():
        assert service.save_company({"name": "Another", "currency": "MXN"}) == {"name"}


def test_the_page_shows_it_fixed_with_the_reason_and_refuses_another(app: Flask):
    with app.app_context():
        make_company()
    client = signed_in(app)
    assert "MXN" in client.get("/planes/nuevo/").text
    assert "si es otra" in client.get("/planes/nuevo/").text
    assert "disabled" not in field(client.get("/ajustes/empresa/").text)
    with app.app_context():
        plan()
    page = client.get("/ajustes/empresa/").text
    assert "disabled" in field(page)
    assert "ya hay importes" in page
    assert "si es otra" not in client.get("/planes/nuevo/").text
    fields = {"name": "Red", "timezone": "UTC", "language": "es", "csrf_token": token(page)}
    refused = client.post("/ajustes/empresa/", data={**fields, "currency": "CLP"})
    assert refused.status_code == 422
    assert "La moneda sigue siendo MXN" in refused.text
    assert client.post("/ajustes/empresa/", data=fields).status_code == 303  # as a browser sends it
    with app.app_context():
        assert (service.company().name, service.company().currency) == ("Red", "MXN")


def field(page: str) -> str:
    """The field of the currency."""
    found = re.search(r'<select[^>]*name="currency"[^>]*>', page)
    assert found
    return found[0]


def test_the_command_line_refuses_another_too(app: Flask):
    with app.app_context():
        make_company()
        plan()
    ended = app.test_cli_runner().invoke(args=["company", "set", "--currency", "CLP"])
    assert ended.exit_code != 0
    with app.app_context():
        assert service.company().currency == "MXN"
