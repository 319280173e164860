"""Billing schedules, their three periodic tasks, and the occurrences that are dealt with."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, UTCDateTime, one_of


class BillingSchedule(Base):
    """When a zone (or a client of its own) is invoiced, notified and cut. ``timezone`` empty = the company's."""

    __tablename__ = "billing_schedule"
    id: Mapped[int] = mapped_column(primary_key=True)
    billing_type: Mapped[str] = mapped_column(String(8))
    due_day: Mapped[int]
    timezone: Mapped[str] = mapped_column(String(64), default="")
    tasks: Mapped[list["PeriodicTask"]] = relationship(back_populates="schedule", order_by="PeriodicTask.id")

    __table_args__ = (
        CheckConstraint(one_of("billing_type", "prepaid", "postpaid"), name="billing_type"),
        CheckConstraint("due_day BETWEEN 1 AND 31", name="due_day"),
    )


class PeriodicTask(Base):
    """One of the three tasks of a schedule.

    ``day`` is kept as meant (1-31), ``minute`` counts from local midnight. ``next_month`` is the calendar's pointer:
    every month before it is dealt with (run, missed or skipped), so a later day never runs a month twice. ``next_at``
    is its moment, shifted by ``shift_days`` where invoices came late; NULL while switched off or archived.
    ``forced``: a person chose to run that month on saving, however old its moment is; ``ordered_by`` is that person, in
    whose name it runs. ``state`` is that of the
    scheduled occurrence; a success counts until ``state_until`` (the end of the local month). ``applied`` counts the
    runs of the period that ends at ``applied_until``.
    """

    __tablename__ = "periodic_task"
    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("billing_schedule.id"))
    kind: Mapped[str] = mapped_column(String(8))
    day: Mapped[int]
    minute: Mapped[int]
    enabled: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    next_month: Mapped[date]
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    shift_days: Mapped[int] = mapped_column(default=0)
    forced: Mapped[bool] = mapped_column(default=False)
    ordered_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    state: Mapped[str] = mapped_column(String(8), default="pending")
    state_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    state_run_id: Mapped[int | None]
    last_run_id: Mapped[int | None]
    last_applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    applied: Mapped[int] = mapped_column(default=0)
    applied_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    applied_ever: Mapped[int] = mapped_column(default=0)
    schedule: Mapped[BillingSchedule] = relationship(back_populates="tasks")

    __table_args__ = (
        UniqueConstraint("schedule_id", "kind"),
        CheckConstraint(one_of("kind", "invoices", "notice", "cut"), name="kind"),
        CheckConstraint("day BETWEEN 1 AND 31", name="day"),
        CheckConstraint("minute BETWEEN 0 AND 1439", name="minute"),
        CheckConstraint(one_of("state", "pending", "success", "error", "missed"), name="state"),
        CheckConstraint("next_at IS NULL OR (enabled AND archived_at IS NULL)", name="next_only_active"),
        Index(
            "ix_periodic_task_due", "next_at",
            sqlite_where=text("next_at IS NOT NULL"), postgresql_where=text("next_at IS NOT NULL"),
        ),
    )  # fmt: skip


class Occurrence(Base):
    """A month of a task that has been dealt with: ``claimed`` by a run, ``missed`` (too old),
    ``skipped`` (a person chose to start next month). ``noted_at``: what the clock said when that was written."""

    __tablename__ = "occurrence"
    task_id: Mapped[int] = mapped_column(ForeignKey("periodic_task.id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[str] = mapped_column(String(8))
    run_id: Mapped[int | None]
    noted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", "claimed", "missed", "skipped"), name="state"),
        Index(None, "run_id"),
    )
