"""The outbox: every e-mail is a row before it is sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime, one_of

STATES = ("pending", "sending", "sent", "failed", "held")
URGENT, BULK = 0, 1
UNSENT = text("state <> 'sent'")
"""The condition of the index of unsent messages; a query that repeats it can use that index on both databases."""


class Message(Base):
    """One e-mail, to one address or to several ("a@example.com; b@example.com"). Its text is made from ``kind``,
    ``data`` and the invoice whenever it is sent or looked at; the subject is kept once sent.

    ``priority`` 0 goes before 1, so that an alert does not wait behind ten thousand invoices. ``sequence`` is 0 for
    the message itself, counting up for those a person sent again; ``resend_of`` names the one before.

    ``lease_until`` on a ``pending`` row: a deliverer has taken it but not begun with it. ``sending``: it is being
    handed to the mail server; with an old lease its fate is unknown, so it is tried once more and marked
    ``possible_duplicate``. ``error`` is the mail server's text, or a code of ``wisp.outbox.texts``.
    ``released_at``: a person let it go although it was old.
    """

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    priority: Mapped[int] = mapped_column(default=BULK, server_default="1")
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("task_run.id"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))
    resend_of: Mapped[int | None] = mapped_column(ForeignKey("message.id"), unique=True)
    recipient: Mapped[str] = mapped_column(String(1000))
    language: Mapped[str] = mapped_column(String(5), default="es")
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    subject: Mapped[str] = mapped_column(String(300), default="", server_default="")
    state: Mapped[str] = mapped_column(String(8), default="pending")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    possible_duplicate: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    error: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", "pending", "sending", "sent", "failed", "held"), name="state"),
        Index(
            "uq_message_invoice_kind_sequence", "invoice_id", "kind", "sequence",
            unique=True, sqlite_where=text("invoice_id IS NOT NULL"), postgresql_where=text("invoice_id IS NOT NULL"),
        ),
        Index(
            "uq_message_payment_kind_sequence", "payment_id", "kind", "sequence",
            unique=True, sqlite_where=text("payment_id IS NOT NULL"), postgresql_where=text("payment_id IS NOT NULL"),
        ),
        Index(
            "ix_message_unsent", "state", "priority", "next_attempt_at",
            sqlite_where=UNSENT, postgresql_where=UNSENT,
        ),
        Index(None, "run_id"),
        Index(None, "client_id"),
        Index(None, "created_at"),
    )  # fmt: skip


class MailServer(Base):
    """How the mail server last answered; one row, id 1. While ``paused_until`` is ahead nobody connects, so that a
    server that is away costs one attempt in an hour and not one per message.

    ``error`` is a code of ``wisp.outbox.transport.Trouble``, empty where the last attempt went well.
    """

    __tablename__ = "mail_server"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(16), default="", server_default="")
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    succeeded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)
