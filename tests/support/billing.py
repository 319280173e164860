"""What the scheduler and the workers do, in this process and at a chosen moment; and what then stands in the books."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from wisp.clients.models import Client
from wisp.core import clock, queue
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, InvoiceLine, InvoiceSeries
from wisp.outbox.models import Message
from wisp.routers.models import Zone
from wisp.schedules.models import PeriodicTask
from wisp.tasks import service
from wisp.tasks.models import RunItem, TaskRun

LISTS = "/ip/firewall/address-list"
CUT, NOTICE = "wisp-overdue", "wisp-notice"


def task_of(owner: Zone | Client, kind: str = "invoices") -> PeriodicTask:
    """The task of a zone, or of a client with own billing, as it stands now."""
    query = sa.select(PeriodicTask).where(PeriodicTask.schedule_id == owner.schedule_id, PeriodicTask.kind == kind)
    return session().scalars(query.execution_options(populate_existing=True)).one()


def order(owner: Zone | Client, kind: str = "invoices", **chosen: Any) -> int:
    """ "Aplicar ahora", not yet worked off: the run's id."""
    with transaction():
        return service.order(task_of(owner, kind), **chosen).id


def by_hand(owner: Zone | Client, kind: str = "invoices", **chosen: Any) -> TaskRun:
    """ "Aplicar ahora" and everything that follows."""
    with at_work():
        run_id = order(owner, kind, **chosen)
    return fresh(run_id)


@contextmanager
def at_work() -> Iterator[None]:
    """What the block orders is done at its end; what this process had read is forgotten."""
    with queue.inline():
        yield
    forget()


def forget() -> None:
    """Look anew from now on."""
    session().rollback()
    session().expire_all()


def tick(now: datetime | None = None) -> list[TaskRun]:
    """One minute of the scheduler and the workers: the tick, the sweep, and all that they enqueue. The runs begun."""
    session().rollback()
    before = session().scalar(sa.select(sa.func.max(TaskRun.id))) or 0
    with clock.frozen(now or clock.now()), at_work():
        queue.enqueue("tasks.tick")
        queue.enqueue("access.sweep")
    return list(session().scalars(sa.select(TaskRun).where(TaskRun.id > before).order_by(TaskRun.id)))


def ticks(now: datetime, count: int = 4) -> list[TaskRun]:
    """Several minutes in a row at the same moment: what waited for an earlier kind gets its turn."""
    return [run for _ in range(count) for run in tick(now)]


def fresh(run_id: int) -> TaskRun:
    """The run as it stands in the database."""
    session().rollback()
    return session().get_one(TaskRun, run_id, populate_existing=True)


def items_of(run: TaskRun) -> dict[str, tuple[str, str]]:
    """Client code -> (state, reason)."""
    rows = session().execute(
        sa.select(Client.code, RunItem.state, RunItem.reason)
        .join(RunItem, RunItem.client_id == Client.id)
        .where(RunItem.run_id == run.id)
    )
    return {code: (state, reason) for code, state, reason in rows}


def listed(server: SimulatorServer, name: str = CUT) -> dict[str, str]:
    """Address -> comment of the entries on a list of the router. Fails where an address is there twice."""
    rows = [(row["address"], row.get("comment", "")) for row in server.router.snapshot(LISTS) if row["list"] == name]
    assert len(dict(rows)) == len(rows), "an entry twice"
    return dict(rows)


def settle(client_ids: list[int]) -> None:
    """Mark every invoice of these clients as paid, without telling anybody."""
    with transaction() as s:
        s.execute(sa.update(Invoice).where(Invoice.client_id.in_(client_ids)).values(paid=Invoice.total, state="paid"))


def count(table: Any, *where: Any) -> int:
    """How many rows."""
    session().rollback()
    return session().scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def gapless() -> list[int]:
    """The numbers of all invoices; fails where one is missing or the series disagrees."""
    session().rollback()
    numbers = sorted(session().scalars(sa.select(Invoice.number)))
    assert numbers == list(range(1, len(numbers) + 1)), numbers
    assert session().scalar(sa.select(InvoiceSeries.next_number)) == len(numbers) + 1
    return numbers


def books_balance(run: TaskRun, clients: int, month: date) -> None:
    """An invoice run that ended well over so many clients, all with an e-mail: everything once and counted exactly."""
    assert (run.state, run.invoiced, run.mails, run.failed, run.waiting) == ("success", clients, clients, 0, 0)
    assert len(gapless()) == clients
    invoices = session().execute(sa.select(Invoice.client_id, Invoice.month, Invoice.run_id, Invoice.total)).all()
    assert set(Counter(row.client_id for row in invoices).values()) == {1}
    assert {(row.month, row.run_id) for row in invoices} == {(month, run.id)}
    assert run.amount == sum(row.total for row in invoices)
    mails = session().scalars(sa.select(Message.invoice_id).where(Message.kind == "invoice")).all()
    assert len(set(mails)) == len(mails) == clients
    for table in (InvoiceLine, RunItem):
        assert count(table) == clients
