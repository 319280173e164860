"""What a client's debt justifies, and what spares it: conditions that planning, synchronisation and payments share."""

from collections.abc import Collection
from datetime import date

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement

from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.invoices import service as invoices
from wisp.settings import service as settings

FOR_DEBT = ("debt", "imported")
"""Suspensions for a debt, our own or taken over; the others are by hand, and no money, promise or task lifts them."""


def within_tolerance(owed: invoices.Owed) -> ColumnElement[bool]:
    """Over Access: the debt of its basis is within the tolerance, and justifies no cut."""
    amount = sa.case((Access.basis == "open", owed.open_debt), else_=owed.overdue_debt)
    return amount <= settings.company().tolerance


def cut_settled(owed: invoices.Owed, reasons: Collection[str] = ("debt",)) -> ColumnElement[bool]:
    """True for a suspension for debt (for one of these ``reasons``) that the debt of its basis no longer justifies."""
    return sa.and_(Access.suspended, Access.reason.in_(reasons), within_tolerance(owed))


def spared(today: ColumnElement[date]) -> ColumnElement[bool]:
    """Over Client: no cut is made on ``today`` whatever is owed: free, excluded, or with a promise alive."""
    return sa.or_(
        Client.free,
        invoices.promised(Client.id, today),
        sa.and_(Client.no_cut, Client.no_cut_until.is_(None)),
        sa.and_(Client.no_cut_until.is_not(None), Client.no_cut_until >= today),
    )


def notice_settled(owed: invoices.Owed) -> ColumnElement[bool]:
    """True for a notice that the open debt no longer justifies."""
    return sa.and_(Access.notice, owed.open_debt < max(1, settings.company().notice_minimum))
