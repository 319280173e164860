"""Bulk actions that were ordered, and every single change that they made."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime, one_of


class BulkRun(Base):
    """One order. ``token`` is made with the form: sent twice it is one order. ``choices``: what was chosen.

    ``zone_ids``: the zones of a person who is limited to some, NULL for everything. ``cursor`` is the last target
    that a step has dealt with, so that a killed run goes on there; ``touched_at`` says when that was. ``expected``,
    ``zones`` and ``clients`` are what the confirmation said.
    """

    __tablename__ = "bulk_run"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    action: Mapped[str] = mapped_column(String(40))
    choices: Mapped[dict[str, Any]] = mapped_column(JSON)
    zone_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[str] = mapped_column(String(8), default="queued")
    actor: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    touched_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cursor: Mapped[int] = mapped_column(default=0)
    expected: Mapped[int] = mapped_column(default=0)
    zones: Mapped[int] = mapped_column(default=0)
    clients: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    undone_by: Mapped[str] = mapped_column(String(200), default="")
    undone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    restored: Mapped[int] = mapped_column(default=0)
    kept: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        CheckConstraint(one_of("state", "queued", "running", "done", "undoing", "undone"), name="state"),
        Index(None, "state", "touched_at"),
    )


class BulkChange(Base):
    """One change of one order. ``target`` is the id of what the action changes (a task, a client).

    ``outcome``: empty, ``failed`` (could not be changed), and after an undo ``restored`` or ``kept`` (somebody has
    changed it since).
    """

    __tablename__ = "bulk_change"
    run_id: Mapped[int] = mapped_column(ForeignKey("bulk_run.id"), primary_key=True)
    target: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    zone_id: Mapped[int] = mapped_column(ForeignKey("zone.id"), index=True)
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"), index=True)
    subject: Mapped[str] = mapped_column(String(20), default="")
    before: Mapped[dict[str, Any]] = mapped_column(JSON)
    after: Mapped[dict[str, Any]] = mapped_column(JSON)
    outcome: Mapped[str] = mapped_column(String(8), default="")

    __table_args__ = (CheckConstraint(one_of("outcome", "", "failed", "restored", "kept"), name="outcome"),)
