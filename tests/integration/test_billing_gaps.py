"""Days without an invoice: found when billing days change, asked about, and charged by the next recurring invoice."""

from datetime import date
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests import factories
from tests.factories import moment
from wisp.clients import service as clients
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.invoices.models import BillingGap, Invoice, InvoiceLine
from wisp.routers.models import Zone
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.settings.models import Company
from wisp.tasks import service
from wisp.tasks.models import PlanItem, RunItem

OWN = {Kind.invoices: (25, 720), Kind.notice: (27, 540), Kind.cut: (30, 480)}
PRICE = 35_000


@pytest.fixture
def world(app: Flask) -> Any:
    """Zone "Norte" (invoices on the 15th, due on the 20th, prepaid), billed through 19 December; 20 November."""
    with app.app_context():
        with clock.frozen(moment("2026-11-10 10:00")):
            factories.make_company(tax_bp=1600)
            zone = factories.make_zone(factories.make_router(name="Torre"), name="Norte")
            plan = factories.make_plan()
            for code in ("ANA", "EVA"):
                factories.make_client(zone, plan, code=code)
            known = SimpleNamespace(id=zone.id, router_id=zone.router_id)
        ticks("2026-11-15 12:00")
        with clock.frozen(moment("2026-11-20 10:00")):
            yield known


def ticks(at: str) -> None:
    for _ in range(3):
        with clock.frozen(moment(at)), queue.inline():
            queue.enqueue("tasks.tick")
        session().rollback()
        session().expire_all()


def schedule(zone: Zone) -> Any:
    session().expire_all()
    return session().get_one(Zone, zone.id).schedule


def move_payment_day(zone: Zone, gap: str = "bill") -> None:
    with transaction():
        schedules.change(schedule(zone), due_day=28, moments={Kind.cut: (30, 480)}, gap=gap)


def latest(code: str = "ANA") -> tuple[str, str, int, list[int]]:
    """Period, total and lines of a client's newest invoice."""
    found = (
        session()
        .scalars(
            sa.select(Invoice).where(Invoice.client_id == clients.find(code).id).order_by(Invoice.id.desc()).limit(1)
        )
        .one()
    )
    lines = (
        session()
        .scalars(sa.select(InvoiceLine).where(InvoiceLine.invoice_id == found.id).order_by(InvoiceLine.position))
        .all()
    )
    assert sum(line.net for line in lines) == found.net
    assert sum(line.tax for line in lines) == found.tax
    return str(found.period_from), str(found.period_to), found.total, [line.total for line in lines]


def test_a_payment_day_moved_asks_and_its_days_are_charged(world: Zone) -> None:
    with pytest.raises(Refused) as refused:
        move_payment_day(world, "ask")
    assert refused.value.values == {"clients": 2, "days": 8, "amount": "180.64", "too_long": 0}
    assert session().scalars(sa.select(BillingGap.client_id)).all() == []
    assert schedule(world).due_day == 20
    move_payment_day(world)
    with transaction():
        clients.choose_gap(clients.find("EVA"), "waive")
    with clock.frozen(moment("2026-12-10 10:00")), transaction():
        plan = service.simulate(schedule(world).tasks[0], date(2026, 12, 1))
    shown = {item.client_id: (item.reason, item.detail, item.amount) for item in session().scalars(sa.select(PlanItem))}
    assert shown[clients.find("ANA").id] == ("gap", "2026-12-20", PRICE + 9_032)
    assert shown[clients.find("EVA").id] == ("gap_left", "2026-12-20", PRICE)
    assert service.totals(plan).amount == 2 * PRICE + 9_032
    ticks("2026-12-15 12:00")
    assert latest("ANA") == ("2026-12-20", "2027-01-27", PRICE + 9_032, [PRICE, 9_032])  # 350 × 8 ÷ 31
    assert latest("EVA") == ("2026-12-28", "2027-01-27", PRICE, [PRICE])
    reasons = sa.select(RunItem.reason).order_by(RunItem.run_id.desc(), RunItem.client_id).limit(2)
    assert session().scalars(reasons).all() == ["gap", ""]
    ticks("2027-01-15 12:00")
    assert latest("ANA") == ("2027-01-28", "2027-02-27", PRICE, [PRICE])


def test_days_of_an_invoice_that_was_missed_are_no_gap(world: Zone) -> None:
    move_payment_day(world)
    ticks("2027-01-15 12:00")  # December's occurrence is too old to run
    assert latest() == ("2027-01-28", "2027-02-27", PRICE, [PRICE])


def test_own_billing_and_back_charge_what_falls_between(world: Zone) -> None:
    values: Any = {"billing_type": "prepaid", "due_day": 28, "moments": OWN, "this_month": "skip"}
    with pytest.raises(Refused, match="8"), transaction():
        clients.own_billing(clients.find("ANA"), **values, gap="ask")
    with transaction():
        clients.own_billing(clients.find("ANA"), **values)
    ticks("2026-12-25 12:00")
    assert latest() == ("2026-12-20", "2027-01-27", PRICE + 9_032, [PRICE, 9_032])
    with clock.frozen(moment("2026-12-26 10:00")), transaction():
        clients.zone_billing(clients.find("ANA"), gap="ask")  # the zone's next period overlaps: nothing to ask
    ticks("2027-01-15 12:00")
    assert latest()[0] == "2027-01-28"


def test_a_client_moved_pays_the_days_between(world: Zone) -> None:
    south = factories.make_zone(factories.make_router(name="Sur"), name="Sur", due_day=28,
                                moments={"invoices": (1, 720), "notice": (2, 540), "cut": (30, 480)})  # fmt: skip
    with transaction():
        clients.edit(clients.find("ANA"), zone=session().get_one(Zone, south.id), gap="bill")
    kept = session().get_one(BillingGap, clients.find("ANA").id)
    assert (kept.since, kept.month) == (date(2026, 12, 19), date(2026, 12, 1))
    ticks("2026-12-01 12:00")
    ticks("2027-01-01 12:00")
    periods = sa.select(Invoice.period_from, Invoice.period_to).where(Invoice.client_id == clients.find("ANA").id)
    found = sorted(tuple(row) for row in session().execute(periods))
    for (_, ends), (begins, _end) in pairwise(found):
        assert (begins - ends).days == 1, found


def test_who_comes_from_another_system_is_billed_from_the_day_after(world: Zone) -> None:
    with transaction():
        client = clients.add(code="NEW", name="Nueva", zone=session().get_one(Zone, world.id),
                             plan=clients.find("ANA").plan, connection="static", address="10.9.9.9",
                             billed_through="2026-12-09")  # fmt: skip
    assert session().get_one(BillingGap, client.id).since == date(2026, 12, 9)
    ticks("2026-12-15 12:00")
    assert latest("NEW") == ("2026-12-10", "2027-01-19", PRICE + 11_290, [PRICE, 11_290])  # 350 × 10 ÷ 31


def test_the_first_days_of_a_new_client_are_a_setting(world: Zone) -> None:
    for code, address, installed in (("NEW", "10.9.9.8", "2026-12-10"), ("OLD", "10.9.9.7", "2026-11-14")):
        with transaction():
            clients.add(code=code, name="Nueva", zone=session().get_one(Zone, world.id),
                        plan=clients.find("ANA").plan, connection="static", address=address,
                        installed_on=installed)  # fmt: skip
    with transaction():
        session().execute(sa.update(Company).values(bill_first_days=True))
    ticks("2026-12-15 12:00")
    assert latest("NEW") == ("2026-12-10", "2027-01-19", PRICE + 11_290, [PRICE, 11_290])
    assert latest("OLD")[0] == "2026-12-20"  # it was there for the invoices of November
    assert latest("ANA")[0] == "2026-12-20"


def test_more_than_two_months_are_named_and_not_charged(world: Zone) -> None:
    eva, ana = clients.find("EVA").id, clients.find("ANA").id
    for client_id, since in ((ana, date(2026, 10, 18)), (eva, date(2026, 10, 17))):
        with transaction():
            session().execute(sa.update(Invoice).where(Invoice.client_id == client_id).values(state="void"))
            session().add(BillingGap(client_id=client_id, since=since, month=date(2026, 12, 1)))
    ticks("2026-12-15 12:00")
    assert latest("ANA") == ("2026-10-19", "2027-01-19", 3 * PRICE, [PRICE, 2 * PRICE])  # 62 days
    assert latest("EVA") == ("2026-12-20", "2027-01-19", PRICE, [PRICE])


def test_the_command_line_charges_unless_told_otherwise(app: Flask, world: Zone) -> None:
    run = app.test_cli_runner()
    for args, kept in (
        (["--due", "28", "--cut", "30 08:00"], [True, True]),
        (["--due", "27"], []),
    ):
        assert run.invoke(args=["zones", "set", "Norte", *args, *([] if kept else ["--gap", "waive"])]).exit_code == 0
        session().rollback()
        assert session().scalars(sa.select(BillingGap.bill)).all() == (kept or [False, False])
