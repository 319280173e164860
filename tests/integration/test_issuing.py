"""Issuing: an invoice of several lines is their sum, and a step that does not add up leaves nothing."""

from datetime import date

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_company, make_plan, make_zone, moment
from tests.support.billing import gapless
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.invoices import issuing
from wisp.invoices.models import Invoice, InvoiceLine
from wisp.outbox.models import Message

pytestmark = pytest.mark.usefixtures("ctx")
TERMS = issuing.Terms(
    "opening", date(2026, 11, 10), date(2026, 11, 13), moment("2026-11-10 10:00"), "MXN", 1600, run_id=None
)


def eligible(net: int, tax: int) -> sa.Subquery:
    amounts = {"net": net, "tax": tax, "amount": net + tax}
    columns = [sa.literal(amount).label(name) for name, amount in amounts.items()]
    return sa.select(Client.id.label("client_id"), sa.literal(None, sa.Date).label("period_from"), *columns).subquery()


def line(words: str, net: int, tax: int, *where) -> issuing.Line:
    net_, tax_, total = (sa.literal(amount) for amount in (net, tax, net + tax))
    return issuing.Line(sa.literal(words), lambda language, start: f" ({language}, {start})", net_, tax_, total, where)


def test_an_invoice_of_several_lines_is_their_sum():
    make_company()
    zone, plan = make_zone(), make_plan()
    both, english = make_client(zone, plan), make_client(zone, plan, language="en", email="")
    with transaction():
        issued = issuing.issue(
            TERMS, eligible(300, 48), [line("first", 100, 16), line("then", 200, 32), line("no", 1, 0, sa.false())]
        )
        assert (issued.count, issued.amount, issuing.announce(issued, TERMS)) == (2, 696, 1)
    assert gapless() == [1, 2]
    made = session().scalars(sa.select(Invoice).order_by(Invoice.number)).all()
    assert [(i.client_id, i.net, i.tax, i.total) for i in made] == [
        (id_, 300, 48, 348) for id_ in (both.id, english.id)
    ]
    assert [(row.position, row.description, row.total) for row in made[0].lines] == [
        (1, "first (es, None)", 116),
        (2, "then (es, None)", 232),
    ]
    assert [row.description for row in made[1].lines] == ["first (en, None)", "then (en, None)"]
    assert session().scalars(sa.select(Message.client_id)).all() == [both.id]


@pytest.mark.parametrize("lines", [[], [line("short", 299, 48)], [line("all", 300, 48), line("more", 0, 1)]])
def test_what_does_not_add_up_to_its_lines_is_not_issued(lines):
    make_company()
    make_client(make_zone(), make_plan())
    with pytest.raises(ValueError, match="add up"), transaction():
        issuing.issue(TERMS, eligible(300, 48), lines)
    assert gapless() == []
    assert session().scalar(sa.select(sa.func.count()).select_from(InvoiceLine)) == 0
