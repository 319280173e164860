"""Plans and clients with their connection."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, UTCDateTime
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule


class Plan(Base):
    """What a client buys: a monthly price in minor units (tax as the company's mode says), speeds in bit/s."""

    __tablename__ = "plan"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    price: Mapped[int]
    down: Mapped[int] = mapped_column(default=0)
    up: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("down >= 0 AND up >= 0", name="speed"),
    )


class Client(Base):
    """A client of a zone. ``code`` is fixed once it exists and never reused.

    ``router_id`` repeats the zone's router (the composite foreign key keeps it true), so that a fixed address
    can be unique among the non-cancelled clients of a router. Whether a client is suspended is kept in
    ``access``. ``billed_through``: the last day that another system has billed.
    """

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    language: Mapped[str] = mapped_column(String(5), default="es")
    legal_name: Mapped[str] = mapped_column(String(160), default="")
    tax_id: Mapped[str] = mapped_column(String(40), default="")
    fiscal_address: Mapped[str] = mapped_column(String(300), default="")
    zone_id: Mapped[int] = mapped_column(ForeignKey("zone.id"))
    router_id: Mapped[int]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    connection: Mapped[str] = mapped_column(String(8))
    address: Mapped[str | None] = mapped_column(String(45))
    mac: Mapped[str] = mapped_column(String(17), default="")
    username: Mapped[str] = mapped_column(String(64), default="")
    password: Mapped[str] = mapped_column(Text, default="")
    installed_on: Mapped[date | None]
    billed_through: Mapped[date | None]
    own_billing: Mapped[bool] = mapped_column(default=False)
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("billing_schedule.id"), unique=True)
    free: Mapped[bool] = mapped_column(default=False)
    no_notice: Mapped[bool] = mapped_column(default=False)
    no_cut: Mapped[bool] = mapped_column(default=False)
    no_cut_until: Mapped[date | None]
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    zone: Mapped[Zone] = relationship(foreign_keys=[zone_id], overlaps="zone")
    plan: Mapped[Plan] = relationship()
    schedule: Mapped[BillingSchedule | None] = relationship()

    __table_args__ = (
        ForeignKeyConstraint(["zone_id", "router_id"], ["zone.id", "zone.router_id"]),
        CheckConstraint("connection IN ('static', 'pppoe', 'hotspot', 'dhcp')", name="connection"),
        CheckConstraint("NOT own_billing OR schedule_id IS NOT NULL", name="own_billing"),
        CheckConstraint("length(code) > 0", name="code"),
        Index(
            "uq_client_router_address", "router_id", "address", unique=True,
            sqlite_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
        ),
        Index(
            "uq_client_router_username", "router_id", "connection", "username", unique=True,
            sqlite_where=text("cancelled_at IS NULL AND username <> ''"),
            postgresql_where=text("cancelled_at IS NULL AND username <> ''"),
        ),
        Index(None, "zone_id", "id"),
        Index(None, "name"),
    )  # fmt: skip
