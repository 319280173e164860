"""The outbox: every e-mail is a row before it is sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime

STATES = ("pending", "sending", "sent", "failed", "held")


class Message(Base):
    """One e-mail. Its text is made from ``kind``, ``data`` and the invoice when it is sent, and kept once sent.

    ``sequence`` is 0 for the message itself, counting up for those a person sent again. ``sending`` with an
    old lease means that its fate is unknown: it is tried once more and marked ``possible_duplicate``.
    """

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("task_run.id"))
    payment_id: Mapped[int | None] = mapped_column(ForeignKey("payment.id"))
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))
    recipient: Mapped[str] = mapped_column(String(254))
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
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'sending', 'sent', 'failed', 'held')", name="state"),
        Index(
            "uq_message_invoice_kind_sequence", "invoice_id", "kind", "sequence",
            unique=True, sqlite_where=text("invoice_id IS NOT NULL"), postgresql_where=text("invoice_id IS NOT NULL"),
        ),
        Index(
            "uq_message_payment_kind_sequence", "payment_id", "kind", "sequence",
            unique=True, sqlite_where=text("payment_id IS NOT NULL"), postgresql_where=text("payment_id IS NOT NULL"),
        ),
        Index(
            "ix_message_waiting", "state", "next_attempt_at",
            sqlite_where=text("state IN ('pending', 'sending')"),
            postgresql_where=text("state IN ('pending', 'sending')"),
        ),
        Index(None, "run_id"),
        Index(None, "client_id"),
        Index(None, "created_at"),
    )  # fmt: skip
