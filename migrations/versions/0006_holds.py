"""Suspending, pausing and giving back by hand; suspensions taken over from another system; how promises end, and the
cut that follows a broken one.

Until now a suspension by hand could only come from an import, so that is what each of them is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REASONS_BEFORE = ("", "debt", "manual", "pause")
TRIGGERS_BEFORE = ("schedule", "late", "manual", "undo")


def _one_of(name: str, *values: str) -> str:
    return " OR ".join(f"{name} = '{value}'" for value in values)


def _partial_index(table: str, name: str, column: str | list[str], where: str, *, unique: bool = False) -> None:
    columns = [column] if isinstance(column, str) else column
    only = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=only, postgresql_where=only)


def upgrade() -> None:
    op.add_column("company", sa.Column("promise_days", sa.Integer(), server_default="15", nullable=False))
    op.add_column("company", sa.Column("promises_a_year", sa.Integer(), server_default="6", nullable=False))
    op.create_table(
        "client_pause",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_client_pause_client_id_client"),
        sa.PrimaryKeyConstraint("id", name="pk_client_pause"),
    )
    op.create_index("ix_client_pause_client_id_last_day", "client_pause", ["client_id", "last_day"])
    _partial_index("client_pause", "uq_client_pause_open", "client_id", "ended_at IS NULL", unique=True)
    _access_up()
    _promise_up()
    with op.batch_alter_table("task_run") as batch:
        batch.add_column(sa.Column("day", sa.Date(), nullable=True))
        batch.drop_constraint(op.f("ck_task_run_trigger"), type_="check")
        batch.create_check_constraint(op.f("ck_task_run_trigger"), _one_of("trigger", *TRIGGERS_BEFORE, "followup"))
        batch.create_check_constraint(op.f("ck_task_run_followup_day"), "(trigger = 'followup') = (day IS NOT NULL)")
    _partial_index("task_run", "uq_task_run_followup", ["task_id", "day"], "day IS NOT NULL", unique=True)


def _access_up() -> None:
    with op.batch_alter_table("access") as batch:
        batch.add_column(sa.Column("why", sa.String(200), server_default="", nullable=False))
        batch.add_column(sa.Column("pause_until", sa.Date(), nullable=True))
        batch.add_column(sa.Column("resume", sa.String(8), server_default="", nullable=False))
        batch.add_column(sa.Column("reactivated_at", sa.DateTime(timezone=True), nullable=True))
        batch.drop_constraint(op.f("ck_access_reason"), type_="check")
        batch.create_check_constraint(op.f("ck_access_reason"), _one_of("reason", *REASONS_BEFORE, "imported"))
        batch.create_check_constraint(op.f("ck_access_resume"), _one_of("resume", "", "debt", "manual", "imported"))
    access = sa.table("access", sa.column("reason"))
    op.execute(sa.update(access).where(access.c.reason.in_(["manual", "pause"])).values(reason="imported"))
    with op.batch_alter_table("access") as batch:
        batch.create_check_constraint(op.f("ck_access_pause_ends"), "(reason = 'pause') = (pause_until IS NOT NULL)")
    _partial_index("access", "ix_access_paused", "pause_until", "pause_until IS NOT NULL")


def _promise_up() -> None:
    with op.batch_alter_table("promise") as batch:
        batch.add_column(sa.Column("outcome", sa.String(8), server_default="", nullable=False))
        batch.add_column(sa.Column("spared", sa.Boolean(), server_default=sa.text("(false)"), nullable=False))
        batch.add_column(sa.Column("follow_on", sa.Date(), nullable=True))
        batch.add_column(sa.Column("run_id", sa.Integer(), nullable=True))
        batch.create_check_constraint(op.f("ck_promise_outcome"), _one_of("outcome", "", "kept", "broken", "replaced"))
        batch.create_foreign_key(op.f("fk_promise_run_id_task_run"), "task_run", ["run_id"], ["id"])
    promise = sa.table("promise", sa.column("outcome"), sa.column("ended_at"))
    op.execute(sa.update(promise).where(promise.c.ended_at.is_not(None)).values(outcome="replaced"))
    with op.batch_alter_table("promise") as batch:
        batch.create_check_constraint(op.f("ck_promise_ended"), "(ended_at IS NULL) = (outcome = '')")
    _partial_index("promise", "ix_promise_alive", "until", "ended_at IS NULL")
    _partial_index("promise", "ix_promise_follow", "follow_on", "follow_on IS NOT NULL")
    _partial_index("promise", "ix_promise_run", "run_id", "run_id IS NOT NULL")


def downgrade() -> None:
    """Taken over and paused become "by hand", which nothing lifted then either; a follow-up run becomes a late one of
    nobody's: its runs stay as orders by hand."""
    op.drop_index("uq_task_run_followup", "task_run")
    with op.batch_alter_table("task_run") as batch:
        batch.drop_constraint(op.f("ck_task_run_followup_day"), type_="check")
        batch.drop_constraint(op.f("ck_task_run_trigger"), type_="check")
    run = sa.table("task_run", sa.column("trigger"))
    op.execute(sa.update(run).where(run.c.trigger == "followup").values(trigger="manual"))
    with op.batch_alter_table("task_run") as batch:
        batch.create_check_constraint(op.f("ck_task_run_trigger"), _one_of("trigger", *TRIGGERS_BEFORE))
        batch.drop_column("day")
    for name in ("ix_promise_run", "ix_promise_follow", "ix_promise_alive"):
        op.drop_index(name, "promise")
    with op.batch_alter_table("promise") as batch:
        batch.drop_constraint(op.f("fk_promise_run_id_task_run"), type_="foreignkey")
        for name in ("ck_promise_ended", "ck_promise_outcome"):
            batch.drop_constraint(op.f(name), type_="check")
        for name in ("run_id", "follow_on", "spared", "outcome"):
            batch.drop_column(name)
    _access_down()
    op.drop_table("client_pause")
    op.drop_column("company", "promises_a_year")
    op.drop_column("company", "promise_days")


def _access_down() -> None:
    op.drop_index("ix_access_paused", "access")
    with op.batch_alter_table("access") as batch:
        for name in ("ck_access_pause_ends", "ck_access_resume", "ck_access_reason"):
            batch.drop_constraint(op.f(name), type_="check")
    access = sa.table("access", sa.column("reason"))
    op.execute(sa.update(access).where(access.c.reason.in_(["imported", "pause"])).values(reason="manual"))
    with op.batch_alter_table("access") as batch:
        batch.create_check_constraint(op.f("ck_access_reason"), _one_of("reason", *REASONS_BEFORE))
        for name in ("reactivated_at", "resume", "pause_until", "why"):
            batch.drop_column(name)
