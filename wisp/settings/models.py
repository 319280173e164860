"""The company: one row that holds what the whole program needs to know about its owner."""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, Minor, UTCDateTime, one_of


class Company(Base):
    """The provider that runs this program; exactly one row, id 1. Money in minor units, tax in basis points.

    ``cut_from``, ``cut_until`` ("08:00", local to the zone) and ``cut_days`` (ISO weekdays, "1234") say when clients
    may be cut; empty: always. ``logo``: the digest of the picture in ``company_logo``; empty: none.
    """

    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    name: Mapped[str] = mapped_column(String(120), default="")
    legal_name: Mapped[str] = mapped_column(String(160), default="")
    tax_id: Mapped[str] = mapped_column(String(40), default="")
    address: Mapped[str] = mapped_column(String(300), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    timezone: Mapped[str] = mapped_column(String(64), default="America/Mexico_City")
    currency: Mapped[str] = mapped_column(String(3), default="MXN")
    language: Mapped[str] = mapped_column(String(5), default="es")
    tax_bp: Mapped[int] = mapped_column(default=0)
    tax_mode: Mapped[str] = mapped_column(String(8), default="included")
    tax_name: Mapped[str] = mapped_column(String(20), default="", server_default="")
    document_title: Mapped[str] = mapped_column(String(40), default="")
    how_to_pay: Mapped[str] = mapped_column(Text, default="")
    alert_addresses: Mapped[str] = mapped_column(Text, default="")
    min_days_to_pay: Mapped[int] = mapped_column(default=3)
    late_days: Mapped[int] = mapped_column(default=10)
    prorate: Mapped[bool] = mapped_column(default=False)
    bill_first_days: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    invoice_suspended: Mapped[bool] = mapped_column(default=True)
    tolerance: Mapped[Minor] = mapped_column(default=0)
    notice_minimum: Mapped[Minor] = mapped_column(default=1)
    promise_days: Mapped[int] = mapped_column(default=15, server_default="15")
    promises_a_year: Mapped[int] = mapped_column(default=6, server_default="6")
    review_days: Mapped[int] = mapped_column(default=2)
    notice_hours: Mapped[int] = mapped_column(default=24)
    notice_days: Mapped[int] = mapped_column(default=30)
    notice_text_es: Mapped[str] = mapped_column(Text, default="")
    notice_text_en: Mapped[str] = mapped_column(Text, default="")
    cut_text_es: Mapped[str] = mapped_column(Text, default="")
    cut_text_en: Mapped[str] = mapped_column(Text, default="")
    logo: Mapped[str] = mapped_column(String(64), default="")
    hold_mail_days: Mapped[int] = mapped_column(default=3)
    outage_minutes: Mapped[int] = mapped_column(default=5)
    probe_seconds: Mapped[int] = mapped_column(default=60)
    cut_from: Mapped[str] = mapped_column(String(5), default="")
    cut_until: Mapped[str] = mapped_column(String(5), default="")
    cut_days: Mapped[str] = mapped_column(String(16), default="")
    list_overdue: Mapped[str] = mapped_column(String(64), default="wisp-overdue")
    list_notice: Mapped[str] = mapped_column(String(64), default="wisp-notice")
    list_seen: Mapped[str] = mapped_column(String(64), default="wisp-seen")
    list_allowed: Mapped[str] = mapped_column(String(64), default="wisp-allowed")
    list_dns: Mapped[str] = mapped_column(String(64), default="wisp-dns")
    page_servers: Mapped[str] = mapped_column(Text, default="")
    page_port_cut: Mapped[int] = mapped_column(default=8081)
    page_port_notice: Mapped[int] = mapped_column(default=8082)
    seen_hours: Mapped[int] = mapped_column(default=2)
    payment_hosts: Mapped[str] = mapped_column(Text, default="")
    resolvers: Mapped[str] = mapped_column(Text, default="")
    mail_server: Mapped[str] = mapped_column(String(200), default="")
    mail_port: Mapped[int] = mapped_column(default=587)
    mail_security: Mapped[str] = mapped_column(String(8), default="starttls")
    mail_username: Mapped[str] = mapped_column(String(200), default="")
    mail_password: Mapped[str] = mapped_column(Text, default="")
    mail_sender: Mapped[str] = mapped_column(String(254), default="")

    __table_args__ = (
        CheckConstraint("id = 1", name="single_row"),
        CheckConstraint(one_of("tax_mode", "included", "added"), name="tax_mode"),
        CheckConstraint("tax_bp BETWEEN 0 AND 10000", name="tax_bp"),
        CheckConstraint(one_of("mail_security", "none", "starttls", "tls"), name="mail_security"),
        CheckConstraint("min_days_to_pay >= 0 AND late_days >= 0 AND tolerance >= 0", name="not_negative"),
    )


class CompanyLogo(Base):
    """The company's picture, apart from its row, which is read at every request. ``digest``: SHA-256 of ``data``."""

    __tablename__ = "company_logo"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    width: Mapped[int]
    height: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    uploaded_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint(one_of("kind", "image/png", "image/jpeg"), name="kind"),)
