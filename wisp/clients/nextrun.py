"""How many clients of a file would be invoiced in the next run of their zone, or of their own schedule.

What a run bills is known to a higher slice, which gives the answer for a schedule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from wisp.clients.models import Plan
from wisp.core.db import Base, session
from wisp.routers.models import Zone
from wisp.settings import service as settings


@dataclass(frozen=True)
class NextRun:
    """The next invoice run of a schedule: its day, its billing month, the last day of the period that it bills."""

    day: date
    month: date
    period_to: date


Finder = Callable[[Sequence[int]], Mapping[int, NextRun]]
_finders: list[Finder] = []


def answered_by(finder: Finder) -> None:
    """Who knows the next run of schedules; those without one are left out of the answer."""
    _finders[:] = [finder]


class Counter:
    """Counts while a file is gone through; what it looks up, it looks up once."""

    def __init__(self) -> None:
        self.total = 0
        self._suspended_too = settings.company().invoice_suspended
        self._schedules = dict(session().execute(sa.select(Zone.id, Zone.schedule_id)).all())
        self._prices = dict(session().execute(sa.select(Plan.id, Plan.price)).all())
        self._runs = dict(_finders[0](list(self._schedules.values()))) if _finders else {}

    def add(self, rows: Sequence[tuple[Any, Mapping[str, Any] | None]]) -> None:
        """Count those of the rows (csvcheck.Planned, the client as it is) that would be invoiced."""
        own = {before["schedule_id"] for _plan, before in rows if before and before["own_billing"]}
        if _finders and (unknown := [schedule_id for schedule_id in own if schedule_id not in self._runs]):
            self._runs |= _finders[0](unknown)
        wanted = [(plan, run) for plan, before in rows if (run := self._run(plan, before))]
        billed = _billed([plan.client_id for plan, _run in wanted if plan.client_id])
        self.total += sum((plan.client_id, run.month) not in billed for plan, run in wanted)

    def _run(self, plan: Any, before: Mapping[str, Any] | None) -> NextRun | None:
        """The run that invoices the client, unless it has been invoiced already; None where none does."""
        now = {**(before or {}), **plan.values}
        own = before and before["own_billing"]
        run = self._runs.get(now["schedule_id"] if own else self._schedules.get(now["zone_id"], 0))
        suspended = bool(before["suspended"]) if before else plan.state == "suspended"
        if run is None or now.get("free") or plan.state == "cancelled" or (suspended and not self._suspended_too):
            return None
        installed, billed = now.get("installed_on"), now.get("billed_through")
        late = installed is not None and installed > min(run.day, run.period_to)
        done = billed is not None and billed >= run.period_to
        return None if late or done or not self._prices.get(now["plan_id"]) else run


def _billed(client_ids: Sequence[int]) -> set[tuple[int, date]]:
    """(client, month) of the recurring invoices of these clients, with the months that a void one has exempted.
    Invoices are of a higher slice: asked by table name."""
    if not client_ids:
        return set()
    invoice = Base.metadata.tables["invoice"]
    query = sa.select(invoice.c.client_id, invoice.c.month).where(
        invoice.c.client_id.in_(client_ids), invoice.c.kind == "recurring",
        sa.or_(invoice.c.state != "void", invoice.c.invoice_again.is_(False)),
    )  # fmt: skip
    return {(client_id, month) for client_id, month in session().execute(query)}
