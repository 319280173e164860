"""Task runs and run items: the ledger."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, Minor, UTCDateTime, one_of


class TaskRun(Base):
    """One run of a periodic task for one billing month.

    ``phase`` says where a running run stands: ``planning``, ``writing``, ``syncing``. ``cursor`` is the last client
    id that a chunk has finished with, so a killed run goes on there. ``day``: of a follow-up of broken promises, of
    which a task has one a day. ``sync_order`` is the order of its router's
    synchronisation (RouterSync.requested) that the run waits for. ``planned_for`` is the configured moment of an
    automatic run. Counts are kept up in the same transactions that write the items; ``not_enforced``: of those done or
    unchanged, whom no rule on the router holds. ``taken_by`` is the later run of the task that took over what this one
    left open.
    """

    __tablename__ = "task_run"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("periodic_task.id"))
    month: Mapped[date]
    day: Mapped[date | None]
    trigger: Mapped[str] = mapped_column(String(8))
    scope: Mapped[str] = mapped_column(String(4), default="")
    state: Mapped[str] = mapped_column(String(8))
    phase: Mapped[str] = mapped_column(String(8), default="")
    token: Mapped[str | None] = mapped_column(String(64), unique=True)
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    actor: Mapped[str] = mapped_column(String(200))
    planned_for: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lease_owner: Mapped[str] = mapped_column(String(64), default="")
    retry_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(default=0)
    sync_order: Mapped[int | None]
    expected: Mapped[int] = mapped_column(default=0)
    invoiced: Mapped[int] = mapped_column(default=0)
    notified: Mapped[int] = mapped_column(default=0)
    cut: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    waiting: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    not_enforced: Mapped[int] = mapped_column(default=0, server_default="0")
    skipped: Mapped[int] = mapped_column(default=0)
    mails: Mapped[int] = mapped_column(default=0)
    without_email: Mapped[int] = mapped_column(default=0)
    amount: Mapped[Minor] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("task_plan.id"))
    taken_by: Mapped[int | None] = mapped_column(ForeignKey("task_run.id"))

    __table_args__ = (
        CheckConstraint(one_of("trigger", "schedule", "late", "manual", "undo", "followup"), name="trigger"),
        CheckConstraint("(trigger = 'followup') = (day IS NOT NULL)", name="followup_day"),
        CheckConstraint(
            one_of("state", "queued", "running", "held", "error", "success", "undone"), name="state"
        ),
        Index(
            "uq_task_run_open", "task_id", unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "uq_task_run_scheduled", "task_id", "month", unique=True,
            sqlite_where=text("trigger IN ('schedule', 'late')"),
            postgresql_where=text("trigger IN ('schedule', 'late')"),
        ),
        Index(
            "uq_task_run_followup", "task_id", "day", unique=True,
            sqlite_where=text("day IS NOT NULL"), postgresql_where=text("day IS NOT NULL"),
        ),
        Index(
            "ix_task_run_working", "state", "lease_until",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "ix_task_run_retry", "retry_at",
            sqlite_where=text("retry_at IS NOT NULL"), postgresql_where=text("retry_at IS NOT NULL"),
        ),
        Index(None, "task_id", "id"),
        Index(None, "created_at"),
    )  # fmt: skip


class TaskPlan(Base):
    """What a simulation found, kept for a day so that it can be handed over to a run as its plan."""

    __tablename__ = "task_plan"
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("periodic_task.id"))
    month: Mapped[date]
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    actor: Mapped[str] = mapped_column(String(200))
    nothing: Mapped[int] = mapped_column("nothing_to_do", default=0)  # NOTHING is a keyword of SQLite
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class PlanItem(Base):
    """One client of a simulation: ``action`` invoice, notify, cut, or none with the ``reason`` that leaves it out."""

    __tablename__ = "plan_item"
    plan_id: Mapped[int] = mapped_column(ForeignKey("task_plan.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True)
    action: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(32), default="", server_default="")
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    amount: Mapped[Minor] = mapped_column(default=0, server_default="0")
    address: Mapped[str | None] = mapped_column(String(45))
    without_email: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    __table_args__ = (CheckConstraint(one_of("action", "invoice", "notify", "cut", "none"), name="action"),)


class RunItem(Base):
    """One client in one run: acted upon, tried, or left out by a rule (``skipped`` with its ``reason``).

    ``reason`` is a code (tasks.domain.Reason); ``detail`` its argument (a date, the router's answer).
    """

    __tablename__ = "run_item"
    run_id: Mapped[int] = mapped_column(ForeignKey("task_run.id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(32), default="", server_default="")
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    amount: Mapped[Minor] = mapped_column(default=0, server_default="0")
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    address: Mapped[str | None] = mapped_column(String(45))
    task_id: Mapped[int | None]
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(
            one_of("state", "done", "unchanged", "waiting", "failed", "skipped", "superseded"), name="state"
        ),
        Index(None, "client_id", "run_id"),
        Index(
            "ix_run_item_open", "client_id", "run_id",
            sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'"),
        ),
    )  # fmt: skip
