"""Routers and their billing zones."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, UTCDateTime, one_of
from wisp.schedules.models import BillingSchedule


class Router(Base):
    """A MikroTik router that this program talks to. ``password`` is encrypted (core.crypto).

    ``online`` is None until it was first asked; ``error`` is the code of wisp.gateway.ErrorCode of the last failure.
    ``cpu_load`` in per cent, ``clock_offset`` in seconds (positive: the router's clock is ahead of ours).
    ``probing_until``: somebody asks it now, and has until then.

    ``provision``: saving a client writes its queue, secret, user or lease. ``pppoe_cut``: how a PPPoE client without a
    fixed address is cut: its secret gets a ``profile`` that puts it on the list, or is switched off (``disable``).
    ``ppp_base``, ``hotspot_base``: the profiles that ours are copies of, but for the speed.
    """

    __tablename__ = "router"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    host: Mapped[str] = mapped_column(String(253))
    port: Mapped[int]
    username: Mapped[str] = mapped_column(String(80))
    password: Mapped[str] = mapped_column(Text)
    tls: Mapped[bool] = mapped_column(default=False)
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    online: Mapped[bool | None]
    online_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    offline_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    probing_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    version: Mapped[str] = mapped_column(String(64), default="")
    identity: Mapped[str] = mapped_column(String(120), default="")
    error: Mapped[str] = mapped_column(String(16), default="")
    error_detail: Mapped[str] = mapped_column(Text, default="")
    board: Mapped[str] = mapped_column(String(64), default="", server_default="")
    cpu_load: Mapped[int | None]
    clock_offset: Mapped[int | None]
    provision: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    pppoe_cut: Mapped[str] = mapped_column(String(8), default="profile", server_default="profile")
    ppp_base: Mapped[str] = mapped_column(String(64), default="default", server_default="default")
    hotspot_base: Mapped[str] = mapped_column(String(64), default="default", server_default="default")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
        CheckConstraint(one_of("pppoe_cut", "profile", "disable"), name="pppoe_cut"),
        Index(
            "uq_router_name", "name", unique=True,
            sqlite_where=text("archived_at IS NULL"), postgresql_where=text("archived_at IS NULL"),
        ),
    )  # fmt: skip


class Zone(Base):
    """A billing zone of a router: always has a schedule, hence always its three tasks."""

    __tablename__ = "zone"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    schedule_id: Mapped[int] = mapped_column(ForeignKey("billing_schedule.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    router: Mapped[Router] = relationship()
    schedule: Mapped[BillingSchedule] = relationship()

    __table_args__ = (UniqueConstraint("router_id", "name"), UniqueConstraint("id", "router_id"))
