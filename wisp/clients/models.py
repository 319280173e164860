"""Plans, clients with their connection, what they are found by, and CSV files that wait for a confirmation."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from wisp.clients.domain import fold
from wisp.core.db import Base, Minor, UTCDateTime, one_of
from wisp.routers.models import Zone
from wisp.schedules.models import BillingSchedule


def _bytewise(length: int) -> String:
    """Text that both databases compare byte by byte: an index serves prefixes, and both sort alike."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _name_key(context: Any) -> str:
    return name_key(context.get_current_parameters()["name"])


def name_key(name: str) -> str:
    """What clients are sorted by: the name without accents and capitals."""
    return fold(name)[:120]


class Plan(Base):
    """What a client buys: a monthly price in minor units (tax as the company's mode says), speeds in bit/s.

    ``router_profile``: name of a PPP or hotspot profile that the routers have already; empty: we make one.
    """

    __tablename__ = "plan"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    price: Mapped[Minor]
    down: Mapped[int] = mapped_column(default=0)
    up: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)
    router_profile: Mapped[str] = mapped_column(String(64), default="", server_default="")

    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("down >= 0 AND up >= 0", name="speed"),
    )


class Client(Base):
    """A client of a zone. ``code`` is fixed once it exists and never reused.

    ``router_id`` repeats the zone's router (the composite foreign key keeps it true), so that a fixed address
    can be unique among the non-cancelled clients of a router. ``address6``: its IPv6 address or prefix, in canonical
    form; what else it has stands in ``client_network``. ``email``: one address, or several separated by "; ".
    ``coordinates``: degrees, "19.432608, -99.133209". Whether a client is suspended is kept in ``access``.
    ``billed_through``: the last day that another system has billed. ``password`` (PPPoE, hotspot) is encrypted
    (core.crypto). ``name_key`` follows the name by itself, except in an UPDATE that is not made by the ORM.
    """

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    name_key: Mapped[str] = mapped_column(_bytewise(120), default=_name_key)
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    language: Mapped[str] = mapped_column(String(5), default="es")
    legal_name: Mapped[str] = mapped_column(String(160), default="")
    tax_id: Mapped[str] = mapped_column(String(40), default="")
    fiscal_address: Mapped[str] = mapped_column(String(300), default="")
    phone2: Mapped[str] = mapped_column(String(40), default="", server_default="")
    service_address: Mapped[str] = mapped_column(String(300), default="", server_default="")
    coordinates: Mapped[str] = mapped_column(String(40), default="", server_default="")
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    zone_id: Mapped[int] = mapped_column(ForeignKey("zone.id"))
    router_id: Mapped[int]
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    connection: Mapped[str] = mapped_column(String(8))
    address: Mapped[str | None] = mapped_column(String(45))
    address6: Mapped[str | None] = mapped_column(String(49))
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
        CheckConstraint(one_of("connection", "static", "pppoe", "hotspot", "dhcp"), name="connection"),
        CheckConstraint("NOT own_billing OR schedule_id IS NOT NULL", name="own_billing"),
        CheckConstraint("length(code) > 0", name="code"),
        Index(
            "uq_client_router_address", "router_id", "address", unique=True,
            sqlite_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
        ),
        Index(
            "uq_client_router_address6", "router_id", "address6", unique=True,
            sqlite_where=text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        ),
        Index(
            "uq_client_router_username", "router_id", "connection", "username", unique=True,
            sqlite_where=text("cancelled_at IS NULL AND username <> ''"),
            postgresql_where=text("cancelled_at IS NULL AND username <> ''"),
        ),
        Index(
            "ix_client_address", "address",
            sqlite_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=text("cancelled_at IS NULL AND address IS NOT NULL"),
        ),
        Index(
            "ix_client_address6", "address6",
            sqlite_where=text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        ),
        Index(
            "ix_client_own_schedule", "router_id",
            sqlite_where=text("schedule_id IS NOT NULL"), postgresql_where=text("schedule_id IS NOT NULL"),
        ),
        Index("uq_client_id_router_id", "id", "router_id", unique=True),
        Index(None, "zone_id", "id"),
        Index(None, "name_key", "id"),
    )  # fmt: skip

    @validates("name")
    def _follow_name(self, _key: str, value: str) -> str:
        self.name_key = name_key(value)
        return value


class ClientNetwork(Base):
    """A further address or prefix of a client, IPv4 or IPv6, in canonical form ("10.0.0.9", "203.0.113.8/29").

    ``router_id`` follows the client's router by itself; it is NULL for a cancelled client, whose networks are free.
    """

    __tablename__ = "client_network"
    client_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    network: Mapped[str] = mapped_column(String(49), primary_key=True)
    router_id: Mapped[int | None]

    __table_args__ = (
        ForeignKeyConstraint(["client_id"], ["client.id"]),
        ForeignKeyConstraint(["client_id", "router_id"], ["client.id", "client.router_id"], onupdate="CASCADE"),
        UniqueConstraint("router_id", "network"),
    )


class ClientTerm(Base):
    """Something by whose beginning a client is found (domain.search_terms). Kept by clients.search alone."""

    __tablename__ = "client_term"
    term: Mapped[str] = mapped_column(_bytewise(64), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, index=True, autoincrement=False)

    __table_args__ = ({"sqlite_with_rowid": False},)


class ClientPause(Base):
    """Days, both in, on which a client's service rests by its own wish: they are never charged, and the next period
    begins the day after. ``last_day`` before ``first_day``: given up on the day on which it began. ``ended_at``: when
    it was over; at most one of a client is not."""

    __tablename__ = "client_pause"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    first_day: Mapped[date]
    last_day: Mapped[date]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        Index(None, "client_id", "last_day"),
        Index(
            "uq_client_pause_open", "client_id", unique=True,
            sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
        ),
    )  # fmt: skip


class ClientImport(Base):
    """A CSV file that was uploaded and reviewed. ``token`` lets it be confirmed once; ``content`` is encrypted (it may
    hold passwords) and emptied when done."""

    __tablename__ = "client_import"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    filename: Mapped[str] = mapped_column(String(120))
    content: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
