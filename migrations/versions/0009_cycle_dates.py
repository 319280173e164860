"""Who ordered a month on saving a schedule, when an occurrence was noted, and the next date of cuts that a short month
would have put on their payment day.
"""

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("periodic_task", sa.Column("ordered_by", sa.String(200), server_default="", nullable=False))
    op.add_column("occurrence", sa.Column("noted_at", sa.DateTime(timezone=True), nullable=True))
    _plan_cuts(after_due_day=True)


def downgrade() -> None:
    _plan_cuts(after_due_day=False)
    op.drop_column("occurrence", "noted_at")
    op.drop_column("periodic_task", "ordered_by")


def _plan_cuts(after_due_day: bool) -> None:
    """Plan anew the cuts whose day and payment day are both clamped to the month's end."""
    moment = sa.DateTime(timezone=True)
    plain = [sa.column(name) for name in ("id", "schedule_id", "kind", "day", "minute", "shift_days")]
    task = sa.table("periodic_task", *plain, sa.column("next_month", sa.Date()), sa.column("next_at", moment))
    schedule = sa.table("billing_schedule", sa.column("id"), sa.column("due_day"), sa.column("timezone"))
    company = sa.table("company", sa.column("timezone"))
    bind = op.get_bind()
    of_company = bind.scalar(sa.select(company.c.timezone))
    rows = bind.execute(
        sa.select(task, schedule.c.due_day, schedule.c.timezone)
        .join(schedule, schedule.c.id == task.c.schedule_id)
        .where(task.c.kind == "cut", task.c.next_at.is_not(None), schedule.c.due_day < task.c.day)
        .where(schedule.c.due_day >= 28)
    ).all()
    for row in rows:
        last = calendar.monthrange(row.next_month.year, row.next_month.month)[1]
        if row.due_day < last:
            continue
        on = row.next_month.replace(day=last) + timedelta(days=row.day - row.due_day if after_due_day else 0)
        at = _instant(on + timedelta(days=row.shift_days), row.minute, ZoneInfo(row.timezone or of_company))
        bind.execute(sa.update(task).where(task.c.id == row.id).values(next_at=at))


def _instant(on: date, minute: int, tz: ZoneInfo) -> datetime:
    return datetime(on.year, on.month, on.day, *divmod(minute, 60), tzinfo=tz).astimezone(UTC)
