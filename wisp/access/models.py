"""Wanted and applied state of each client on its router, the synchronisation of a router, and outages."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime, one_of


class Access(Base):
    """One client: what should be on its router (wanted) and what the router last confirmed (applied).

    ``reason`` of a suspension: ``debt``; ``imported`` (for debt, taken over from another system), which only a payment,
    a promise or a person lifts; ``manual`` and ``pause``, which no money lifts. ``why``: what the person who suspended
    or paused said. ``pause_until``: the last day of a pause; ``resume``: the suspension that the pause took the place
    of. ``reactivated_at``: when a person last gave the service back: cuts planned before that act no more. ``basis``:
    the cut counted ``overdue`` invoices or all ``open`` ones (cut by hand with invoices not yet due).
    ``keep`` = paid with "solo registrar": stays suspended. ``wanted_version`` grows with each change of a wanted
    column; the row is settled where ``applied_version`` has reached it. ``foreign``: an entry of somebody else holds
    the address in our list. The applied_* columns say what stands on router ``applied_router_id``.
    ``sent_version`` is the version for which commands went out on a connection that broke before the end: what the
    next synchronisation then finds as wanted is our own work. ``lever``: by what the state stands on the router where
    it is not (only) by an entry of ours: the PPPoE secret's ``profile`` or its switch (``disable``), the ``hotspot``
    user, the DHCP ``lease``; on router ``router_id``, written before the command is sent. ``lever_name``: the user or
    the MAC address under which it stands there. ``lever_before``: what to put back, see levers.Lever.
    """

    __tablename__ = "access"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"))
    suspended: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    reason: Mapped[str] = mapped_column(String(8), default="", server_default="")
    basis: Mapped[str] = mapped_column(String(8), default="overdue", server_default="overdue")
    keep: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    suspended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    why: Mapped[str] = mapped_column(String(200), default="", server_default="")
    pause_until: Mapped[date | None]
    resume: Mapped[str] = mapped_column(String(8), default="", server_default="")
    reactivated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    notice: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    wanted_version: Mapped[int] = mapped_column(default=0, server_default="0")
    applied_version: Mapped[int] = mapped_column(default=0, server_default="0")
    sent_version: Mapped[int] = mapped_column(default=-1, server_default="-1")
    applied_suspended: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    applied_notice: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    applied_address: Mapped[str | None] = mapped_column(String(45))
    applied_address6: Mapped[str | None] = mapped_column(String(49))
    lever: Mapped[str] = mapped_column(String(8), default="", server_default="")
    lever_name: Mapped[str] = mapped_column(String(64), default="", server_default="")
    lever_before: Mapped[str] = mapped_column(Text, default="", server_default="")
    applied_router_id: Mapped[int | None]
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    foreign: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    error: Mapped[str] = mapped_column(Text, default="", server_default="")

    __table_args__ = (
        CheckConstraint(one_of("reason", "", "debt", "manual", "pause", "imported"), name="reason"),
        CheckConstraint(one_of("resume", "", "debt", "manual", "imported"), name="resume"),
        CheckConstraint("(reason = 'pause') = (pause_until IS NOT NULL)", name="pause_ends"),
        CheckConstraint(one_of("basis", "overdue", "open"), name="basis"),
        CheckConstraint("suspended = (reason <> '')", name="suspended_has_reason"),
        CheckConstraint(one_of("lever", "", "profile", "disable", "hotspot", "lease"), name="lever"),
        CheckConstraint("NOT (suspended AND notice)", name="cut_has_no_notice"),
        Index(None, "router_id", "suspended", "notice"),
        Index(
            "ix_access_applied_address", "applied_address",
            sqlite_where=text("applied_address IS NOT NULL"), postgresql_where=text("applied_address IS NOT NULL"),
        ),
        Index(
            "ix_access_kept", "client_id", sqlite_where=text("keep = 1"), postgresql_where=text("keep"),
        ),
        Index(
            "ix_access_paused", "pause_until",
            sqlite_where=text("pause_until IS NOT NULL"), postgresql_where=text("pause_until IS NOT NULL"),
        ),
        Index(
            "ix_access_moved", "applied_router_id",
            sqlite_where=text("router_id <> applied_router_id"),
            postgresql_where=text("router_id <> applied_router_id"),
        ),
        Index(
            "ix_access_unsettled", "router_id",
            sqlite_where=text("wanted_version <> applied_version"),
            postgresql_where=text("wanted_version <> applied_version"),
        ),
    )  # fmt: skip


class RouterAnswer(Base):
    """A router confirmed that a client has its service back (``restored``), or that it is ``cut`` for another reason
    than a run's; cuts of runs stand in their ledger. ``state`` as in domain.Outcome."""

    __tablename__ = "router_answer"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"))
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(10))
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")

    __table_args__ = (CheckConstraint(one_of("kind", "cut", "restored"), name="kind"), Index(None, "client_id", "at"))


class AccessLeftover(Base):
    """What a client has left behind on a router, to be put back there: it moved, or is known there by another name now.

    ``lever``, ``name``, ``before`` as in Access. Gone once the router has confirmed it.
    """

    __tablename__ = "access_leftover"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), index=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), index=True)
    lever: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(64))
    before: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (CheckConstraint(one_of("lever", "profile", "disable", "hotspot", "lease"), name="lever"),)


class RouterSync(Base):
    """The synchronisation of one router.

    ``requested`` counts the orders, ``done`` is the count that the last complete synchronisation had seen at its start;
    they are equal where nothing is asked. ``next_attempt_at`` set = look again then, whether or not something is asked.
    The lease lets one job at a time in. ``lists``: names of the address lists (JSON) that may hold entries of ours;
    ``ipv6``: those of IPv6 may hold some too.
    """

    __tablename__ = "router_sync"
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), primary_key=True)
    requested: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_owner: Mapped[str] = mapped_column(String(64), default="")
    synced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(16), default="")
    error_detail: Mapped[str] = mapped_column(Text, default="")
    lists: Mapped[str] = mapped_column(Text, default="", server_default="")
    ipv6: Mapped[bool] = mapped_column(default=False, server_default=text("false"))


class Outage(Base):
    """A time in which a router could not be reached; at most one open per router."""

    __tablename__ = "outage"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    alerted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(16), default="")

    __table_args__ = (
        Index(
            "uq_outage_open", "router_id", unique=True,
            sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL"),
        ),
    )  # fmt: skip


class OutageTask(Base):
    """A task whose work waits for the router in this outage; alerted once.

    ``waiting`` counts its clients at that moment, ``clients`` holds the codes of the first of them.
    """

    __tablename__ = "outage_task"
    id: Mapped[int] = mapped_column(primary_key=True)
    outage_id: Mapped[int] = mapped_column(ForeignKey("outage.id"))
    task_id: Mapped[int] = mapped_column(ForeignKey("periodic_task.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("task_run.id"))
    waiting: Mapped[int] = mapped_column(default=0, server_default="0")
    clients: Mapped[list[str] | None] = mapped_column(JSON)
    noted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    alerted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (UniqueConstraint("outage_id", "task_id"),)


class RouterRules(Base):
    """The last order to install (``install``) or take away (``remove``) the firewall rules of a router.

    ``asked`` counts the orders, ``done`` is the count that the last attempt had seen: they are equal where nothing is
    under way. ``error`` and ``detail`` say why the router was not reached, ``failures`` (JSON, by key) what it refused.
    """

    __tablename__ = "router_rules"
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), primary_key=True, autoincrement=False)
    action: Mapped[str] = mapped_column(String(8))
    asked: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    good: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(String(16), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    failures: Mapped[dict[str, str] | None] = mapped_column(JSON)

    __table_args__ = (CheckConstraint(one_of("action", "install", "remove"), name="action"),)


class RouterVerdict(Base):
    """What the last look at a router's firewall rules found: whether they apply our lists, and what is wrong.

    ``cut``, ``cut6``, ``notice``: whether the list of the suspended (IPv4, IPv6) and that of notices do anything there;
    NULL: never read. ``checks`` (JSON): the verdicts of the rules page. All are of ``checked_at``, the last look that
    read the router; ``error`` says why the one of ``looked_at`` could not.
    """

    __tablename__ = "router_verdict"
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), primary_key=True, autoincrement=False)
    looked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cut: Mapped[bool | None]
    cut6: Mapped[bool | None]
    notice: Mapped[bool | None]
    checks: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(String(16), default="", server_default="")


class RouterDifference(Base):
    """How far a router was from what is wanted when it was counted, at most once a day.

    ``stale``: entries of ours for clients who are gone or at an address that they no longer have. ``error`` not empty =
    it could not be read, and the counts say nothing.
    """

    __tablename__ = "router_difference"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"))
    counted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    missing: Mapped[int] = mapped_column(default=0)
    extra: Mapped[int] = mapped_column(default=0)
    stale: Mapped[int] = mapped_column(default=0)
    foreign: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(16), default="")

    __table_args__ = (Index(None, "router_id", "counted_at"),)


class RouterTalk(Base):
    """What was sent to a router and answered in one of its last synchronisations, secrets hidden.

    Only the last ones of each router are kept. ``lines``: JSON, pairs of direction and words.
    """

    __tablename__ = "router_talk"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), index=True)
    talked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(16), default="")
    left_out: Mapped[int] = mapped_column(default=0)
    lines: Mapped[list[list[str]]] = mapped_column(JSON)


class RouterProvision(Base):
    """Writing what each client needs (queue, secret, hotspot user, lease) to one router.

    ``requested`` and ``done`` count orders as in RouterSync, whose lease it shares; ``whole``: number of the last order
    to compare everything, orphans too, ``whole_done``: the last that was dealt with. ``next_attempt_at`` set = look
    again then. The counts are those of order ``counted``.
    """

    __tablename__ = "router_provision"
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), primary_key=True, autoincrement=False)
    requested: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    whole: Mapped[int] = mapped_column(default=0, server_default="0")
    whole_done: Mapped[int] = mapped_column(default=0, server_default="0")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    provisioned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str] = mapped_column(String(16), default="", server_default="")
    error_detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    counted: Mapped[int] = mapped_column(default=0, server_default="0")
    added: Mapped[int] = mapped_column(default=0, server_default="0")
    changed: Mapped[int] = mapped_column(default=0, server_default="0")
    removed: Mapped[int] = mapped_column(default=0, server_default="0")
    unchanged: Mapped[int] = mapped_column(default=0, server_default="0")


class ClientProvision(Base):
    """What one client needs on one router: a row for its router, and one for each earlier router until that has
    nothing of it any more.

    Settled where ``applied_version`` has reached ``wanted_version``. ``state``: empty (not yet looked at), ``done``,
    ``waiting`` (for something on the router), ``foreign`` (an object of somebody else stands in its place) or
    ``failed``; ``detail`` is a code of wisp.access.provision.texts, perhaps with a value. ``kind``: the kind of
    connection whose object was last written. ``mark``: a digest of the stored password that the router was last given.
    """

    __tablename__ = "client_provision"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, autoincrement=False)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), primary_key=True, autoincrement=False)
    wanted_version: Mapped[int] = mapped_column(default=1, server_default="1")
    applied_version: Mapped[int] = mapped_column(default=0, server_default="0")
    state: Mapped[str] = mapped_column(String(8), default="", server_default="")
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    kind: Mapped[str] = mapped_column(String(8), default="", server_default="")
    mark: Mapped[str] = mapped_column(String(64), default="", server_default="")
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", "", "done", "waiting", "foreign", "failed"), name="state"),
        Index(None, "router_id", "state"),
        Index(
            "ix_client_provision_open", "router_id", "client_id",
            sqlite_where=text("wanted_version <> applied_version"),
            postgresql_where=text("wanted_version <> applied_version"),
        ),
    )  # fmt: skip
