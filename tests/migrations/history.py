"""Data of an earlier version, for the tests of a migration: reflected tables, filled with what a test names."""

import datetime as dt
from typing import Any

from sqlalchemy import Boolean, Connection, DateTime, Integer, LargeBinary, MetaData, Table, insert
from sqlalchemy.types import TypeEngine

from tests.support.databases import ROOT

VERSIONS = ROOT / "migrations" / "versions"
NOW = dt.datetime(2026, 11, 20, 18, 0, tzinfo=dt.UTC)


def revision(name: str) -> tuple[str, str]:
    """The revision of the migration in ``NNNN_name.py``, and the one before it."""
    number = next(VERSIONS.glob(f"*_{name}.py")).name.split("_")[0]
    return number, f"{int(number) - 1:04}"


def name_of(revision: str) -> str:
    """The name of a revision's file, without its number."""
    return next(VERSIONS.glob(f"{revision}_*.py")).stem.split("_", 1)[1]


def _filler(type_: TypeEngine[Any], kind: str) -> Any:
    if isinstance(type_, Boolean):
        return False
    if isinstance(type_, Integer):
        return 0
    if isinstance(type_, DateTime):
        return moment(NOW, kind)
    if isinstance(type_, LargeBinary):
        return b""
    return NOW.date() if type_.python_type is dt.date else type_.python_type()


def moment(when: dt.datetime, kind: str) -> dt.datetime:
    """A moment as this kind of database keeps it (SQLite: UTC without saying so)."""
    return when.replace(tzinfo=None) if kind == "sqlite" else when


def table(connection: Connection, name: str) -> Table:
    """The table as it stands in this database now, whatever the models say."""
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)


def row(connection: Connection, name: str, /, **values: Any) -> int:
    """Insert one row and return its id. Obligatory columns without a default that are not named get an empty value."""
    target = table(connection, name)
    for column in target.columns:
        if column.name not in values and column.name != "id" and not column.nullable and column.server_default is None:
            values[column.name] = _filler(column.type, connection.dialect.name)
    key = connection.execute(insert(target).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0] or 0)


def company_of_0001(connection: Connection) -> None:
    """A provider as 0001 knew it: a router, a zone with its tasks, three clients, a run with three invoices,
    one of them paid.
    """
    router = row(connection, "router", name="Norte", host="192.0.2.1", port=8728, username="wisp")
    schedule = row(connection, "billing_schedule", timezone="America/Mexico_City", billing_type="prepaid", due_day=20)
    zone = row(connection, "zone", router_id=router, schedule_id=schedule, name="Centro")
    tasks = {
        kind: row(
            connection, "periodic_task", schedule_id=schedule, kind=kind, day=day, minute=540, enabled=True,
            next_month=dt.date(2026, 12, 1), state="success",
            next_at=moment(dt.datetime(2026, 12, day, 15, tzinfo=dt.UTC), connection.dialect.name),
        )
        for kind, day in (("invoices", 15), ("notice", 18), ("cut", 22))
    }  # fmt: skip
    plan = row(connection, "plan", name="Hogar", price=35000, down=20_000_000, up=5_000_000, active=True)
    month = dt.date(2026, 11, 1)
    run = row(
        connection, "task_run", task_id=tasks["invoices"], month=month, trigger="schedule", scope="zone",
        state="success", expected=3, invoiced=3, amount=105000,
    )  # fmt: skip
    for number, code in enumerate(("C1", "C2", "C3"), 1):
        client = row(
            connection, "client", code=code, name=f"Cliente {code}", name_key=f"cliente {code}", zone_id=zone,
            router_id=router, plan_id=plan, connection="static", address=f"10.0.0.{number}", language="es",
            email=f"{code}@example.com", phone="555 123", billed_through=dt.date(2026, 12, 19),
        )  # fmt: skip
        invoice = row(
            connection, "invoice", series_id=1, number=number, label=f"A-00000{number}", client_id=client, run_id=run,
            kind="recurring", month=month, period_from=dt.date(2026, 11, 20), period_to=dt.date(2026, 12, 19),
            issued=dt.date(2026, 11, 15), due=dt.date(2026, 11, 20), currency="MXN", net=35000, total=35000,
            paid=35000 if code == "C3" else 0, state="paid" if code == "C3" else "pending",
        )  # fmt: skip
        row(
            connection,
            "invoice_line",
            invoice_id=invoice,
            position=1,
            description="Hogar",
            net=35000,
            tax=0,
            total=35000,
        )
        row(connection, "run_item", run_id=run, client_id=client, state="done", amount=35000, invoice_id=invoice)
    payment = row(
        connection,
        "payment",
        client_id=client,
        amount=40000,
        remaining=5000,
        method="cash",
        paid_on=dt.date(2026, 11, 19),
    )
    row(connection, "allocation", payment_id=payment, invoice_id=invoice, amount=35000)
    row(connection, "invoice_series", prefix="B-", next_number=1)
