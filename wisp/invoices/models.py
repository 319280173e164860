"""Invoices, their lines and series, and the account: payments and how they settle invoices."""

import unicodedata
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, Minor, UTCDateTime, one_of


def reference_key(reference: str) -> str:
    """A payment's reference as it is compared: letters and digits alone, small, without leading zeros ("Ref. 00-12" and
    "REF 0012" are the same)."""
    plain = unicodedata.normalize("NFKC", reference).casefold()
    return "".join(letter for letter in plain if letter.isalnum()).lstrip("0")


def _reference_key(context: Any) -> str:
    return reference_key(context.get_current_parameters().get("reference") or "")


class InvoiceSeries(Base):
    """A gapless sequence of numbers; ``next_number`` is advanced under the row's lock."""

    __tablename__ = "invoice_series"
    id: Mapped[int] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    next_number: Mapped[int] = mapped_column(default=1)

    __table_args__ = (CheckConstraint("next_number >= 1", name="next_number"),)


class Invoice(Base):
    """What a client owes for a period. It copies what it says (name, plan, tax) and is immutable once issued; only
    ``paid``, ``state`` and the void columns change. Money in minor units of ``currency``.

    ``month`` is the billing month (first day) of a recurring invoice; NULL for an opening balance.
    """

    __tablename__ = "invoice"
    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("invoice_series.id"))
    number: Mapped[int]
    label: Mapped[str] = mapped_column(String(40))
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("task_run.id"))
    kind: Mapped[str] = mapped_column(String(9))
    month: Mapped[date | None]
    period_from: Mapped[date | None]
    period_to: Mapped[date | None]
    issued: Mapped[date]
    due: Mapped[date]
    currency: Mapped[str] = mapped_column(String(3))
    customer: Mapped[str] = mapped_column(String(160))
    customer_tax_id: Mapped[str] = mapped_column(String(40), default="")
    tax_bp: Mapped[int]
    net: Mapped[Minor]
    tax: Mapped[Minor]
    total: Mapped[Minor]
    paid: Mapped[Minor] = mapped_column(default=0, server_default="0")
    state: Mapped[str] = mapped_column(String(7), default="pending")
    voided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    void_reason: Mapped[str] = mapped_column(String(200), default="", server_default="")
    invoice_again: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    lines: Mapped[list["InvoiceLine"]] = relationship(order_by="InvoiceLine.position")

    __table_args__ = (
        UniqueConstraint("series_id", "number"),
        CheckConstraint(one_of("kind", "recurring", "opening"), name="kind"),
        CheckConstraint(one_of("state", "pending", "partial", "paid", "void"), name="state"),
        CheckConstraint("net + tax = total", name="adds_up"),
        CheckConstraint("paid >= 0 AND paid <= total", name="paid"),
        CheckConstraint("kind <> 'recurring' OR (month IS NOT NULL AND period_from IS NOT NULL)", name="recurring"),
        Index(
            "uq_invoice_client_month", "client_id", "month", unique=True,
            sqlite_where=text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=text("kind = 'recurring' AND state <> 'void'"),
        ),
        Index(
            "uq_invoice_client_period", "client_id", "period_from", unique=True,
            sqlite_where=text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=text("kind = 'recurring' AND state <> 'void'"),
        ),
        Index(
            "ix_invoice_open", "client_id", "due",
            sqlite_where=text("state IN ('pending', 'partial')"),
            postgresql_where=text("state IN ('pending', 'partial')"),
        ),
        Index(
            "ix_invoice_void", "client_id", "month",
            sqlite_where=text("state = 'void'"), postgresql_where=text("state = 'void'"),
        ),
        Index(None, "run_id"),
        Index(None, "client_id", "id"),
        Index(None, "issued", "id"),
        Index(None, "due", "id"),
        Index(None, "month", "id"),
        Index(None, "state", "id"),
    )  # fmt: skip


class InvoiceLine(Base):
    """One line. ``total`` = ``net`` + ``tax``; ``discount`` is already taken off."""

    __tablename__ = "invoice_line"
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int] = mapped_column(default=1, server_default="1")
    discount: Mapped[Minor] = mapped_column(default=0, server_default="0")
    net: Mapped[Minor]
    tax: Mapped[Minor]
    total: Mapped[Minor]


class BillingGap(Base):
    """Days that no recurring invoice covers since a client's billing days changed: those after ``since``, up to the
    period of the first invoice afterwards, which is that of ``month``. ``bill`` False: a person chose not to charge."""

    __tablename__ = "billing_gap"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True)
    since: Mapped[date]
    month: Mapped[date]
    bill: Mapped[bool] = mapped_column(default=True, server_default=text("true"))


class Payment(Base):
    """Money (or a credit) on a client's account. ``remaining`` is what no invoice has used: the credit.

    ``activate`` False = "registrar sin activar": the client stays suspended although it has paid. ``reactivated``: it
    lifted a suspension. ``reference_key`` (see the function) is what two payments with the same reference share. A void
    payment settles nothing and has nothing left; its number stays.
    """

    __tablename__ = "payment"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    amount: Mapped[Minor]
    remaining: Mapped[Minor]
    method: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(120), default="")
    reference_key: Mapped[str] = mapped_column(Text, default=_reference_key, server_default="")
    note: Mapped[str] = mapped_column(Text, default="")
    paid_on: Mapped[date]
    activate: Mapped[bool] = mapped_column(default=True)
    reactivated: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    token: Mapped[str | None] = mapped_column(String(64), unique=True)
    actor: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    voided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    void_reason: Mapped[str] = mapped_column(String(200), default="")

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining"),
        CheckConstraint(one_of("method", "cash", "transfer", "card", "deposit", "credit", "other"), name="method"),
        Index(None, "client_id", "id"),
        Index(None, "paid_on", "id"),
        Index(None, "method", "id"),
        Index(
            "ix_payment_void", "id",
            sqlite_where=text("voided_at IS NOT NULL"), postgresql_where=text("voided_at IS NOT NULL"),
        ),
        Index(
            "ix_payment_reference", "reference",
            sqlite_where=text("reference <> ''"), postgresql_where=text("reference <> ''"),
        ),
        Index(
            "ix_payment_reference_key", "reference_key",
            sqlite_where=text("reference_key <> ''"), postgresql_where=text("reference_key <> ''"),
        ),
        Index(
            "ix_payment_credit", "client_id",
            sqlite_where=text("remaining > 0 AND voided_at IS NULL"),
            postgresql_where=text("remaining > 0 AND voided_at IS NULL"),
        ),
    )  # fmt: skip


class Allocation(Base):
    """How much of a payment settles an invoice."""

    __tablename__ = "allocation"
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("invoice.id"), primary_key=True, index=True)
    amount: Mapped[Minor]

    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)


class Promise(Base):
    """ "Promesa de pago": until ``until`` (included) the client is neither notified nor cut.

    ``outcome`` once it has ended: ``kept``; ``broken``, with overdue debt above the tolerance; ``replaced`` by another
    one. ``spared``: it brought the client back from a cut, or a cut run passed the client over because of it.
    ``follow_on``: the day from which such a client, its promise broken, is to be cut by a follow-up run of its cut
    task; ``run_id`` is that run.
    """

    __tablename__ = "promise"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    until: Mapped[date]
    actor: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str] = mapped_column(String(8), default="", server_default="")
    spared: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    follow_on: Mapped[date | None]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("task_run.id"))

    __table_args__ = (
        CheckConstraint(one_of("outcome", "", "kept", "broken", "replaced"), name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome = '')", name="ended"),
        Index(
            "ix_promise_alive", "until",
            sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_promise_follow", "follow_on",
            sqlite_where=text("follow_on IS NOT NULL"), postgresql_where=text("follow_on IS NOT NULL"),
        ),
        Index(
            "ix_promise_run", "run_id",
            sqlite_where=text("run_id IS NOT NULL"), postgresql_where=text("run_id IS NOT NULL"),
        ),
    )  # fmt: skip
