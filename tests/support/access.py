"""A provider with one simulated router, for tests of what reaches it: debts, wanted states, what then stands there."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from tests.factories import make_clients, make_company, make_router, make_zone
from wisp.access import service
from wisp.access.domain import SyncReport
from wisp.access.jobs import synchronise
from wisp.access.models import Access, RouterSync
from wisp.clients.models import Client
from wisp.core import clock, events
from wisp.core.db import session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices.models import Invoice, InvoiceSeries
from wisp.routers.models import Router

LISTS = "/ip/firewall/address-list"
CUT, NOTICE = "wisp-overdue", "wisp-notice"


def owe(client_ids: Collection[int], amount: int = 35_000, due: date | None = None) -> None:
    """Give each of these clients one open invoice, overdue since yesterday where nothing is said."""
    today = clock.now().date()
    due = due or today - timedelta(days=2)
    with transaction() as s:
        series = s.scalar(sa.select(InvoiceSeries)) or InvoiceSeries(prefix="T")
        s.add(series)
        s.flush()
        rows = []
        for client_id in client_ids:
            rows.append(
                {
                    "series_id": series.id, "number": series.next_number, "label": f"T-{series.next_number}",
                    "client_id": client_id, "kind": "opening", "issued": due - timedelta(days=5), "due": due,
                    "currency": "MXN", "customer": "X", "tax_bp": 0, "net": amount, "tax": 0, "total": amount,
                    "created_at": clock.now(),
                }
            )  # fmt: skip
            series.next_number += 1
        if rows:
            s.execute(sa.insert(Invoice), rows)


def pay(client_ids: Collection[int]) -> None:
    """Mark every invoice of these clients as paid, without telling anybody."""
    with transaction() as s:
        s.execute(sa.update(Invoice).where(Invoice.client_id.in_(client_ids)).values(paid=Invoice.total, state="paid"))


class Site:
    """A router in the database, the simulated one that it stands for, a zone and some clients who owe.

    ``reports`` collects what the synchronisations say, in order.
    """

    def __init__(
        self,
        server: SimulatorServer,
        clients: int = 3,
        owing: bool = True,
        alerts: str = "noc@example.com",
        **values: Any,
    ) -> None:
        self.server = server
        make_company(alert_addresses=alerts)
        self.router_id = make_router(host=server.host, port=server.port).id
        self.zone_id = make_zone(session().get_one(Router, self.router_id)).id
        self.clients = self.add(clients, owing, **values)
        self.reports: list[SyncReport] = []
        events.router_synced.connect(self._listen)

    def _listen(self, router_id: int, report: SyncReport) -> None:
        if router_id == self.router_id:
            self.reports.append(report)

    def close(self) -> None:
        """Listen no more."""
        events.router_synced._receivers.remove(self._listen)

    def add(self, count: int, owing: bool = True, **values: Any) -> list[int]:
        """More clients of this router; their ids."""
        from wisp.routers.models import Zone

        ids = make_clients(count, session().get_one(Zone, self.zone_id), **values)
        if owing:
            owe(ids)
        return ids

    # What is wanted

    def cut(self, ids: Collection[int] | None = None, **options: Any) -> None:
        """Suspend clients (all, where none are named) and order the synchronisation."""
        with transaction():
            service.want_suspended(self.clients if ids is None else ids, **options)
            service.request_sync([self.router_id])

    def notify(self, ids: Collection[int] | None = None) -> None:
        """Put the notice on clients' screens and order the synchronisation."""
        with transaction():
            service.want_notice(self.clients if ids is None else ids)
            service.request_sync([self.router_id])

    def lift(self, ids: Collection[int] | None = None) -> None:
        """Give the service back and order the synchronisation."""
        with transaction():
            service.lift(self.clients if ids is None else ids)
            service.request_sync([self.router_id])

    def order(self) -> int:
        """Order the synchronisation."""
        with transaction():
            return service.request_sync([self.router_id])[self.router_id]

    def sync(self, force: bool = True) -> SyncReport:
        """Synchronise in this process; what was reported last."""
        before = len(self.reports)
        synchronise(self.router_id, force)
        assert len(self.reports) > before, "nothing was synchronised"
        return self.reports[-1]

    # What there is

    def entries(self) -> list[dict[str, str]]:
        """The router's lists as they are."""
        return self.server.router.snapshot(LISTS)

    def ours(self) -> set[tuple[str, str, str]]:
        """The enabled entries with our mark: list, address, comment. Fails where one is there twice."""
        rows = [
            (row["list"], row["address"], row.get("comment", ""))
            for row in self.entries()
            if row.get("comment", "").startswith("wisp:") and row.get("disabled") != "true"
        ]
        assert len(set(rows)) == len(rows), "an entry twice"
        return set(rows)

    def load(self, *rows: dict[str, str]) -> list[str]:
        """Put entries on the router as if they had always been there."""
        return self.server.router.load(LISTS, rows)

    def access(self, client_id: int) -> Access:
        """The access row as it is now."""
        session().rollback()
        return session().get_one(Access, client_id, populate_existing=True)

    def state(self) -> RouterSync:
        """The synchronisation's row as it is now."""
        session().rollback()
        return session().get_one(RouterSync, self.router_id, populate_existing=True)

    def client(self, client_id: int) -> Client:
        """The client's row as it is now."""
        session().rollback()
        return session().get_one(Client, client_id, populate_existing=True)

    def wanted(self) -> set[tuple[str, str, str]]:
        """The entries that should stand on the router, going by the database."""
        session().rollback()
        rows = session().execute(
            sa.select(Access.suspended, Client.address, Client.code)
            .join(Client, Client.id == Access.client_id)
            .where(Access.router_id == self.router_id, Client.cancelled_at.is_(None), Access.suspended | Access.notice)
        )
        return {(CUT if cut else NOTICE, address, f"wisp:{code}") for cut, address, code in rows}

    def recorded(self) -> set[tuple[str, str, str]]:
        """The entries that stand on the router, going by what the database says was applied there."""
        session().rollback()
        rows = session().execute(
            sa.select(Access.applied_suspended, Access.applied_notice, Access.applied_address, Client.code)
            .join(Client, Client.id == Access.client_id)
            .where(Access.applied_router_id == self.router_id)
        )
        return {(name, row.applied_address, f"wisp:{row.code}") for row in rows
                for name, stands in ((CUT, row.applied_suspended), (NOTICE, row.applied_notice)) if stands}  # fmt: skip

    def unsettled(self) -> int:
        """How many clients the router has not confirmed."""
        session().rollback()
        count = session().scalar(
            sa.select(sa.func.count())
            .select_from(Access)
            .where(Access.router_id == self.router_id, service.unsettled())
        )
        return count or 0

    def agree(self) -> None:
        """Router, wanted state and recorded state say the same, nothing is open, nobody holds the lease."""
        assert self.ours() == self.wanted()
        assert self.recorded() == self.ours()
        assert self.unsettled() == 0
        state = self.state()
        assert state.done == state.requested
        assert state.error == ""
        assert state.lease_until is None
