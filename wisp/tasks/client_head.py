"""The head of a client's file, the same above every tab: how it stands, what it owes, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import request
from flask_babel import gettext as _

from wisp.access import service as access
from wisp.clients import listing
from wisp.clients import texts as client_texts
from wisp.clients.models import Client
from wisp.core import money
from wisp.core.db import session
from wisp.core.permissions import Permission
from wisp.invoices import service as invoices
from wisp.invoices.models import Payment, Promise
from wisp.payments import promises
from wisp.settings import service as settings
from wisp.tasks import outlook
from wisp.web import can
from wisp.web.formats import format_day


@dataclass(frozen=True)
class Head:
    """``since``: of a suspension. ``kept``: paid, and still suspended because somebody said so. What is about money is
    None for whoever may not see invoices."""

    standing: listing.Standing
    since: datetime | None
    kept: bool
    notice: bool
    next: outlook.Next
    promise: Promise | None
    debt: invoices.Debt | None = None
    payment: Payment | None = None

    @property
    def state(self) -> tuple[str, str]:
        """Look and words of the state: "Suspendido por adeudo"."""
        if self.kept:
            return "warning", str(_("Paid, still suspended"))
        words = str(client_texts.STATES[self.standing.state])
        why = client_texts.SUSPENSIONS.get(self.standing.reason)
        return client_texts.STATE_LOOKS[self.standing.state], f"{words} {why}" if why else words

    @property
    def unpaid(self) -> str:
        """What follows if the client does not pay: "aviso 18 dic, corte 22 dic"; empty where nothing does."""
        parts = []
        if self.next.notice:
            parts.append(_("notice %(day)s", day=format_day(self.next.notice, "d MMM")))
        if self.next.cut:
            parts.append(_("cut %(day)s", day=format_day(self.next.cut, "d MMM")))
        return ", ".join(parts)


def of_client(client: Client) -> Head:
    """The head of a client, worked out once for a page."""
    known: dict[int, Head] = request.environ.setdefault("wisp.client_heads", {})
    if client.id not in known:
        known[client.id] = _head(client)
    return known[client.id]


def _head(client: Client) -> Head:
    state, promise = access.state_of(client.id), promises.promise_of(client.id)
    debt = invoices.debt_of(client.id)
    sees_money = can(Permission.INVOICES_VIEW)
    return Head(
        standing=listing.standings([client])[client.id],
        since=state.since if state.kind == "suspended" else None,
        kept=state.keep and debt.overdue <= settings.company().tolerance,
        notice=state.notice,
        next=outlook.of_client(client, promise),
        promise=promise,
        debt=debt if sees_money else None,
        payment=_last_payment(client.id) if sees_money else None,
    )


def _last_payment(client_id: int) -> Payment | None:
    query = sa.select(Payment).where(
        Payment.client_id == client_id, Payment.voided_at.is_(None), Payment.method != "credit"
    )
    return session().scalars(query.order_by(Payment.id.desc()).limit(1)).one_or_none()


def as_json(clients: Sequence[Client], whole: bool) -> dict[int, dict[str, Any]]:
    """What the account and the tasks add to a client in JSON, by id; the dates of what comes next only with ``whole``.
    A few statements for all of them."""
    debts = invoices.debts_of([client.id for client in clients])
    found: dict[int, dict[str, Any]] = {}
    for client in clients:
        debt = debts[client.id]
        amounts = {"debt": debt.open, "overdue": debt.overdue, "credit": debt.credit}
        found[client.id] = {name: money.plain(minor, settings.company().currency) for name, minor in amounts.items()}
        if whole:
            following = outlook.of_client(client, promises.promise_of(client.id))
            found[client.id]["next"] = {name: getattr(following, name) for name in ("invoice", "due", "notice", "cut")}
    return found
