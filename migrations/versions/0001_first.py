"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COMPANY = {
    "id": 1,
    "name": "",
    "legal_name": "",
    "tax_id": "",
    "address": "",
    "phone": "",
    "email": "",
    "timezone": "America/Mexico_City",
    "currency": "MXN",
    "language": "es",
    "tax_bp": 0,
    "tax_mode": "included",
    "document_title": "",
    "how_to_pay": "",
    "alert_addresses": "",
    "min_days_to_pay": 3,
    "late_days": 10,
    "prorate": False,
    "invoice_suspended": True,
    "tolerance": 0,
    "notice_minimum": 1,
    "review_days": 2,
    "notice_hours": 24,
    "notice_days": 30,
    "notice_text_es": "",
    "notice_text_en": "",
    "cut_text_es": "",
    "cut_text_en": "",
    "logo": "",
    "hold_mail_days": 3,
    "outage_minutes": 5,
    "probe_seconds": 60,
    "cut_from": "",
    "cut_until": "",
    "cut_days": "",
    "list_overdue": "wisp-overdue",
    "list_notice": "wisp-notice",
    "mail_server": "",
    "mail_port": 587,
    "mail_security": "starttls",
    "mail_username": "",
    "mail_password": "",
    "mail_sender": "",
    "list_seen": "wisp-seen",
    "list_allowed": "wisp-allowed",
    "list_dns": "wisp-dns",
    "page_servers": "",
    "page_port_cut": 8081,
    "page_port_notice": 8082,
    "seen_hours": 2,
    "payment_hosts": "",
    "resolvers": "",
}


def _first_rows() -> None:
    """The rows that always exist: the company, and the series that invoices are numbered in."""
    company = sa.table("company", *(sa.column(name) for name in COMPANY))
    series = sa.table("invoice_series", sa.column("prefix"), sa.column("next_number"))
    op.execute(company.insert().values(**COMPANY))
    op.execute(series.insert().values(prefix="A-", next_number=1))  # its id is 1: the first of a new table


def _one_of(name: str, *values: str) -> str:
    """As wisp.core.db.one_of was when this was written."""
    return " OR ".join(f"{name} = '{value}'" for value in values)


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entry_actor_at"), ["actor", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_target_at"), ["target", "at"], unique=False)

    op.create_table(
        "billing_schedule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("billing_type", sa.String(length=8), nullable=False),
        sa.Column("due_day", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            _one_of("billing_type", "prepaid", "postpaid"), name=op.f("ck_billing_schedule_billing_type")
        ),
        sa.CheckConstraint("due_day BETWEEN 1 AND 31", name=op.f("ck_billing_schedule_due_day")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_schedule")),
    )
    op.create_table(
        "bulk_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("zone_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("zones", sa.Integer(), nullable=False),
        sa.Column("clients", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("undone_by", sa.String(length=200), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            _one_of("state", "queued", "running", "done", "undoing", "undone"), name=op.f("ck_bulk_run_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_run")),
        sa.UniqueConstraint("token", name=op.f("uq_bulk_run_token")),
    )
    with op.batch_alter_table("bulk_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bulk_run_state_touched_at"), ["state", "touched_at"], unique=False)

    op.create_table(
        "client_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=120), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_import")),
        sa.UniqueConstraint("token", name=op.f("uq_client_import_token")),
    )
    op.create_table(
        "company",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("legal_name", sa.String(length=160), nullable=False),
        sa.Column("tax_id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("tax_bp", sa.Integer(), nullable=False),
        sa.Column("tax_mode", sa.String(length=8), nullable=False),
        sa.Column("document_title", sa.String(length=40), nullable=False),
        sa.Column("how_to_pay", sa.Text(), nullable=False),
        sa.Column("alert_addresses", sa.Text(), nullable=False),
        sa.Column("min_days_to_pay", sa.Integer(), nullable=False),
        sa.Column("late_days", sa.Integer(), nullable=False),
        sa.Column("prorate", sa.Boolean(), nullable=False),
        sa.Column("invoice_suspended", sa.Boolean(), nullable=False),
        sa.Column("tolerance", sa.BigInteger(), nullable=False),
        sa.Column("notice_minimum", sa.BigInteger(), nullable=False),
        sa.Column("review_days", sa.Integer(), nullable=False),
        sa.Column("notice_hours", sa.Integer(), nullable=False),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("notice_text_es", sa.Text(), nullable=False),
        sa.Column("notice_text_en", sa.Text(), nullable=False),
        sa.Column("cut_text_es", sa.Text(), nullable=False),
        sa.Column("cut_text_en", sa.Text(), nullable=False),
        sa.Column("logo", sa.String(length=64), nullable=False),
        sa.Column("hold_mail_days", sa.Integer(), nullable=False),
        sa.Column("outage_minutes", sa.Integer(), nullable=False),
        sa.Column("probe_seconds", sa.Integer(), nullable=False),
        sa.Column("cut_from", sa.String(length=5), nullable=False),
        sa.Column("cut_until", sa.String(length=5), nullable=False),
        sa.Column("cut_days", sa.String(length=16), nullable=False),
        sa.Column("list_overdue", sa.String(length=64), nullable=False),
        sa.Column("list_notice", sa.String(length=64), nullable=False),
        sa.Column("list_seen", sa.String(length=64), nullable=False),
        sa.Column("list_allowed", sa.String(length=64), nullable=False),
        sa.Column("list_dns", sa.String(length=64), nullable=False),
        sa.Column("page_servers", sa.Text(), nullable=False),
        sa.Column("page_port_cut", sa.Integer(), nullable=False),
        sa.Column("page_port_notice", sa.Integer(), nullable=False),
        sa.Column("seen_hours", sa.Integer(), nullable=False),
        sa.Column("payment_hosts", sa.Text(), nullable=False),
        sa.Column("resolvers", sa.Text(), nullable=False),
        sa.Column("mail_server", sa.String(length=200), nullable=False),
        sa.Column("mail_port", sa.Integer(), nullable=False),
        sa.Column("mail_security", sa.String(length=8), nullable=False),
        sa.Column("mail_username", sa.String(length=200), nullable=False),
        sa.Column("mail_password", sa.Text(), nullable=False),
        sa.Column("mail_sender", sa.String(length=254), nullable=False),
        sa.CheckConstraint(_one_of("mail_security", "none", "starttls", "tls"), name=op.f("ck_company_mail_security")),
        sa.CheckConstraint(_one_of("tax_mode", "included", "added"), name=op.f("ck_company_tax_mode")),
        sa.CheckConstraint("id = 1", name=op.f("ck_company_single_row")),
        sa.CheckConstraint(
            "min_days_to_pay >= 0 AND late_days >= 0 AND tolerance >= 0", name=op.f("ck_company_not_negative")
        ),
        sa.CheckConstraint("tax_bp BETWEEN 0 AND 10000", name=op.f("ck_company_tax_bp")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
    )
    op.create_table(
        "company_logo",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(_one_of("kind", "image/png", "image/jpeg"), name=op.f("ck_company_logo_kind")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_company_logo")),
    )
    op.create_table(
        "invoice_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("next_number >= 1", name=op.f("ck_invoice_series_next_number")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_series")),
        sa.UniqueConstraint("prefix", name=op.f("uq_invoice_series_prefix")),
    )
    op.create_table(
        "mail_server",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=16), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_mail_server_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_server")),
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("down", sa.Integer(), nullable=False),
        sa.Column("up", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("router_profile", sa.String(length=64), server_default="", nullable=False),
        sa.CheckConstraint("down >= 0 AND up >= 0", name=op.f("ck_plan_speed")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_plan_price")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("name", name=op.f("uq_plan_name")),
    )
    op.create_table(
        "router",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=80), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("tls", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("online_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offline_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=120), nullable=False),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.Column("error_detail", sa.Text(), nullable=False),
        sa.Column("board", sa.String(length=64), server_default="", nullable=False),
        sa.Column("cpu_load", sa.Integer(), nullable=True),
        sa.Column("clock_offset", sa.Integer(), nullable=True),
        sa.Column("provision", sa.Boolean(), server_default=sa.text("(true)"), nullable=False),
        sa.Column("pppoe_cut", sa.String(length=8), server_default="profile", nullable=False),
        sa.Column("ppp_base", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("hotspot_base", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_one_of("pppoe_cut", "profile", "disable"), name=op.f("ck_router_pppoe_cut")),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_router_port")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router")),
    )
    with op.batch_alter_table("router", schema=None) as batch_op:
        batch_op.create_index(
            "uq_router_name",
            ["name"],
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )

    op.create_table(
        "staff_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("limited", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("totp_secret", sa.Text(), server_default="", nullable=False),
        sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            _one_of("role", "admin", "finance", "support", "technician", "cashier"), name=op.f("ck_staff_user_role")
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_staff_user_email_lower")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_user")),
        sa.UniqueConstraint("email", name=op.f("uq_staff_user_email")),
    )
    op.create_table(
        "outage",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("alerted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_outage_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage")),
    )
    with op.batch_alter_table("outage", schema=None) as batch_op:
        batch_op.create_index(
            "uq_outage_open",
            ["router_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "periodic_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_month", sa.Date(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shift_days", sa.Integer(), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("state_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state_run_id", sa.Integer(), nullable=True),
        sa.Column("last_run_id", sa.Integer(), nullable=True),
        sa.Column("last_applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("applied_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_ever", sa.Integer(), nullable=False),
        sa.CheckConstraint(_one_of("kind", "invoices", "notice", "cut"), name=op.f("ck_periodic_task_kind")),
        sa.CheckConstraint(
            _one_of("state", "pending", "success", "error", "missed"), name=op.f("ck_periodic_task_state")
        ),
        sa.CheckConstraint("day BETWEEN 1 AND 31", name=op.f("ck_periodic_task_day")),
        sa.CheckConstraint("minute BETWEEN 0 AND 1439", name=op.f("ck_periodic_task_minute")),
        sa.CheckConstraint(
            "next_at IS NULL OR (enabled AND archived_at IS NULL)", name=op.f("ck_periodic_task_next_only_active")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["billing_schedule.id"], name=op.f("fk_periodic_task_schedule_id_billing_schedule")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_periodic_task")),
        sa.UniqueConstraint("schedule_id", "kind", name=op.f("uq_periodic_task_schedule_id_kind")),
    )
    with op.batch_alter_table("periodic_task", schema=None) as batch_op:
        batch_op.create_index(
            "ix_periodic_task_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("next_at IS NOT NULL"),
            postgresql_where=sa.text("next_at IS NOT NULL"),
        )

    op.create_table(
        "router_difference",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("extra", sa.Integer(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
        sa.Column("foreign", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_difference_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_difference")),
    )
    with op.batch_alter_table("router_difference", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_router_difference_router_id_counted_at"), ["router_id", "counted_at"], unique=False
        )

    op.create_table(
        "router_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lists", sa.JSON(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("passed_over", sa.JSON(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("taken_over", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_import_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_import")),
        sa.UniqueConstraint("token", name=op.f("uq_router_import_token")),
    )
    with op.batch_alter_table("router_import", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_router_import_router_id"), ["router_id"], unique=False)

    op.create_table(
        "router_provision",
        sa.Column("router_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("requested", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("whole", sa.Integer(), server_default="0", nullable=False),
        sa.Column("whole_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provisioned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=16), server_default="", nullable=False),
        sa.Column("error_detail", sa.Text(), server_default="", nullable=False),
        sa.Column("counted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("added", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("removed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_provision_router_id_router")),
        sa.PrimaryKeyConstraint("router_id", name=op.f("pk_router_provision")),
    )
    op.create_table(
        "router_rules",
        sa.Column("router_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("failures", sa.JSON(), nullable=True),
        sa.CheckConstraint(_one_of("action", "install", "remove"), name=op.f("ck_router_rules_action")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_rules_router_id_router")),
        sa.PrimaryKeyConstraint("router_id", name=op.f("pk_router_rules")),
    )
    op.create_table(
        "router_sync",
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("requested", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.Column("error_detail", sa.Text(), nullable=False),
        sa.Column("lists", sa.Text(), server_default="", nullable=False),
        sa.Column("ipv6", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_sync_router_id_router")),
        sa.PrimaryKeyConstraint("router_id", name=op.f("pk_router_sync")),
    )
    op.create_table(
        "router_talk",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("talked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(length=16), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_router_talk_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_talk")),
    )
    with op.batch_alter_table("router_talk", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_router_talk_router_id"), ["router_id"], unique=False)

    op.create_table(
        "staff_grant",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("permission", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_user.id"], name=op.f("fk_staff_grant_staff_id_staff_user")),
        sa.PrimaryKeyConstraint("staff_id", "permission", name=op.f("pk_staff_grant")),
    )
    op.create_table(
        "staff_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_one_of("kind", "invitation", "password_reset"), name=op.f("ck_staff_link_kind")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_user.id"], name=op.f("fk_staff_link_staff_id_staff_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_link")),
    )
    with op.batch_alter_table("staff_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_link_staff_id_kind"), ["staff_id", "kind"], unique=False)

    op.create_table(
        "staff_recovery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_user.id"], name=op.f("fk_staff_recovery_staff_id_staff_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_recovery")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_staff_recovery_code_hash")),
    )
    with op.batch_alter_table("staff_recovery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_recovery_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "staff_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=43), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("remembered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_user.id"], name=op.f("fk_staff_session_staff_id_staff_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_session")),
        sa.UniqueConstraint("key", name=op.f("uq_staff_session_key")),
    )
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_session_seen_at"), ["seen_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_staff_session_staff_id"), ["staff_id"], unique=False)

    op.create_table(
        "zone",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_zone_router_id_router")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["billing_schedule.id"], name=op.f("fk_zone_schedule_id_billing_schedule")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone")),
        sa.UniqueConstraint("id", "router_id", name=op.f("uq_zone_id_router_id")),
        sa.UniqueConstraint("router_id", "name", name=op.f("uq_zone_router_id_name")),
        sa.UniqueConstraint("schedule_id", name=op.f("uq_zone_schedule_id")),
    )
    with op.batch_alter_table("zone", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_zone_router_id"), ["router_id"], unique=False)

    op.create_table(
        "client",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column(
            "name_key",
            sa.String(length=120).with_variant(sa.String(length=120, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("legal_name", sa.String(length=160), nullable=False),
        sa.Column("tax_id", sa.String(length=40), nullable=False),
        sa.Column("fiscal_address", sa.String(length=300), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("connection", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("address6", sa.String(length=49), nullable=True),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("installed_on", sa.Date(), nullable=True),
        sa.Column("billed_through", sa.Date(), nullable=True),
        sa.Column("own_billing", sa.Boolean(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("free", sa.Boolean(), nullable=False),
        sa.Column("no_notice", sa.Boolean(), nullable=False),
        sa.Column("no_cut", sa.Boolean(), nullable=False),
        sa.Column("no_cut_until", sa.Date(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            _one_of("connection", "static", "pppoe", "hotspot", "dhcp"), name=op.f("ck_client_connection")
        ),
        sa.CheckConstraint("NOT own_billing OR schedule_id IS NOT NULL", name=op.f("ck_client_own_billing")),
        sa.CheckConstraint("length(code) > 0", name=op.f("ck_client_code")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_client_plan_id_plan")),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["billing_schedule.id"], name=op.f("fk_client_schedule_id_billing_schedule")
        ),
        sa.ForeignKeyConstraint(
            ["zone_id", "router_id"], ["zone.id", "zone.router_id"], name=op.f("fk_client_zone_id_router_id_zone")
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_client_zone_id_zone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sa.UniqueConstraint("code", name=op.f("uq_client_code")),
        sa.UniqueConstraint("schedule_id", name=op.f("uq_client_schedule_id")),
    )
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.create_index(
            "ix_client_address",
            ["address"],
            unique=False,
            sqlite_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_client_address6",
            ["address6"],
            unique=False,
            sqlite_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_client_name_key_id"), ["name_key", "id"], unique=False)
        batch_op.create_index(
            "ix_client_own_schedule",
            ["router_id"],
            unique=False,
            sqlite_where=sa.text("schedule_id IS NOT NULL"),
            postgresql_where=sa.text("schedule_id IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_client_plan_id"), ["plan_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_client_zone_id_id"), ["zone_id", "id"], unique=False)
        batch_op.create_index(
            "uq_client_router_address",
            ["router_id", "address"],
            unique=True,
            sqlite_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_client_router_address6",
            ["router_id", "address6"],
            unique=True,
            sqlite_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_client_router_username",
            ["router_id", "connection", "username"],
            unique=True,
            sqlite_where=sa.text("cancelled_at IS NULL AND username <> ''"),
            postgresql_where=sa.text("cancelled_at IS NULL AND username <> ''"),
        )

    op.create_table(
        "occurrence",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(_one_of("state", "claimed", "missed", "skipped"), name=op.f("ck_occurrence_state")),
        sa.ForeignKeyConstraint(["task_id"], ["periodic_task.id"], name=op.f("fk_occurrence_task_id_periodic_task")),
        sa.PrimaryKeyConstraint("task_id", "month", name=op.f("pk_occurrence")),
    )
    with op.batch_alter_table("occurrence", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_occurrence_run_id"), ["run_id"], unique=False)

    op.create_table(
        "staff_zone",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_user.id"], name=op.f("fk_staff_zone_staff_id_staff_user")),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_staff_zone_zone_id_zone")),
        sa.PrimaryKeyConstraint("staff_id", "zone_id", name=op.f("pk_staff_zone")),
    )
    with op.batch_alter_table("staff_zone", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_staff_zone_zone_id"), ["zone_id"], unique=False)

    op.create_table(
        "task_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("nothing_to_do", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["periodic_task.id"], name=op.f("fk_task_plan_task_id_periodic_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_plan")),
    )
    with op.batch_alter_table("task_plan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_task_plan_created_at"), ["created_at"], unique=False)

    op.create_table(
        "access",
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("suspended", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("reason", sa.String(length=8), server_default="", nullable=False),
        sa.Column("basis", sa.String(length=8), server_default="overdue", nullable=False),
        sa.Column("keep", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notice", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("wanted_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("applied_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_version", sa.Integer(), server_default="-1", nullable=False),
        sa.Column("applied_suspended", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("applied_notice", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("applied_address", sa.String(length=45), nullable=True),
        sa.Column("applied_address6", sa.String(length=49), nullable=True),
        sa.Column("lever", sa.String(length=8), server_default="", nullable=False),
        sa.Column("lever_name", sa.String(length=64), server_default="", nullable=False),
        sa.Column("lever_before", sa.Text(), server_default="", nullable=False),
        sa.Column("applied_router_id", sa.Integer(), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("foreign", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(_one_of("basis", "overdue", "open"), name=op.f("ck_access_basis")),
        sa.CheckConstraint(
            _one_of("lever", "", "profile", "disable", "hotspot", "lease"), name=op.f("ck_access_lever")
        ),
        sa.CheckConstraint(_one_of("reason", "", "debt", "manual", "pause"), name=op.f("ck_access_reason")),
        sa.CheckConstraint("suspended = (reason <> '')", name=op.f("ck_access_suspended_has_reason")),
        sa.CheckConstraint("NOT (suspended AND notice)", name=op.f("ck_access_cut_has_no_notice")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_access_client_id_client")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_access_router_id_router")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_access")),
    )
    with op.batch_alter_table("access", schema=None) as batch_op:
        batch_op.create_index(
            "ix_access_applied_address",
            ["applied_address"],
            unique=False,
            sqlite_where=sa.text("applied_address IS NOT NULL"),
            postgresql_where=sa.text("applied_address IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_access_router_id_suspended_notice"), ["router_id", "suspended", "notice"], unique=False
        )
        batch_op.create_index(
            "ix_access_kept",
            ["client_id"],
            unique=False,
            sqlite_where=sa.text("keep = 1"),
            postgresql_where=sa.text("keep"),
        )
        batch_op.create_index(
            "ix_access_moved",
            ["applied_router_id"],
            unique=False,
            sqlite_where=sa.text("router_id <> applied_router_id"),
            postgresql_where=sa.text("router_id <> applied_router_id"),
        )
        batch_op.create_index(
            "ix_access_unsettled",
            ["router_id"],
            unique=False,
            sqlite_where=sa.text("wanted_version <> applied_version"),
            postgresql_where=sa.text("wanted_version <> applied_version"),
        )

    op.create_table(
        "access_leftover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("router_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("lever", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.CheckConstraint(
            _one_of("lever", "profile", "disable", "hotspot", "lease"), name=op.f("ck_access_leftover_lever")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_access_leftover_client_id_client")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_access_leftover_router_id_router")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_leftover")),
    )
    with op.batch_alter_table("access_leftover", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_leftover_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_leftover_router_id"), ["router_id"], unique=False)

    op.create_table(
        "bulk_change",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.CheckConstraint(_one_of("outcome", "", "failed", "restored", "kept"), name=op.f("ck_bulk_change_outcome")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_bulk_change_client_id_client")),
        sa.ForeignKeyConstraint(["run_id"], ["bulk_run.id"], name=op.f("fk_bulk_change_run_id_bulk_run")),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_bulk_change_zone_id_zone")),
        sa.PrimaryKeyConstraint("run_id", "target", name=op.f("pk_bulk_change")),
    )
    with op.batch_alter_table("bulk_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bulk_change_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bulk_change_zone_id"), ["zone_id"], unique=False)

    op.create_table(
        "client_provision",
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("router_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wanted_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("applied_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=8), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.String(length=8), server_default="", nullable=False),
        sa.Column("mark", sa.String(length=64), server_default="", nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            _one_of("state", "", "done", "waiting", "foreign", "failed"), name=op.f("ck_client_provision_state")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_client_provision_client_id_client")),
        sa.ForeignKeyConstraint(["router_id"], ["router.id"], name=op.f("fk_client_provision_router_id_router")),
        sa.PrimaryKeyConstraint("client_id", "router_id", name=op.f("pk_client_provision")),
    )
    with op.batch_alter_table("client_provision", schema=None) as batch_op:
        batch_op.create_index(
            "ix_client_provision_open",
            ["router_id", "client_id"],
            unique=False,
            sqlite_where=sa.text("wanted_version <> applied_version"),
            postgresql_where=sa.text("wanted_version <> applied_version"),
        )
        batch_op.create_index(batch_op.f("ix_client_provision_router_id_state"), ["router_id", "state"], unique=False)

    op.create_table(
        "client_term",
        sa.Column(
            "term", sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_client_term_client_id_client")),
        sa.PrimaryKeyConstraint("term", "client_id", name=op.f("pk_client_term")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("client_term", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_term_client_id"), ["client_id"], unique=False)

    op.create_table(
        "payment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("activate", sa.Boolean(), nullable=False),
        sa.Column("reactivated", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("void_reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            _one_of("method", "cash", "transfer", "card", "deposit", "credit", "other"), name=op.f("ck_payment_method")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name=op.f("ck_payment_remaining")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_payment_client_id_client")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("token", name=op.f("uq_payment_token")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payment_client_id_id"), ["client_id", "id"], unique=False)
        batch_op.create_index(
            "ix_payment_credit",
            ["client_id"],
            unique=False,
            sqlite_where=sa.text("remaining > 0 AND voided_at IS NULL"),
            postgresql_where=sa.text("remaining > 0 AND voided_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_payment_method_id"), ["method", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_paid_on_id"), ["paid_on", "id"], unique=False)
        batch_op.create_index(
            "ix_payment_reference",
            ["reference"],
            unique=False,
            sqlite_where=sa.text("reference <> ''"),
            postgresql_where=sa.text("reference <> ''"),
        )
        batch_op.create_index(
            "ix_payment_void",
            ["id"],
            unique=False,
            sqlite_where=sa.text("voided_at IS NOT NULL"),
            postgresql_where=sa.text("voided_at IS NOT NULL"),
        )

    op.create_table(
        "plan_item",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=32), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("without_email", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.CheckConstraint(_one_of("action", "invoice", "notify", "cut", "none"), name=op.f("ck_plan_item_action")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_plan_item_client_id_client")),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["task_plan.id"], name=op.f("fk_plan_item_plan_id_task_plan"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "client_id", name=op.f("pk_plan_item")),
    )
    op.create_table(
        "portal_pause",
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_portal_pause_client_id_client")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_portal_pause")),
    )
    with op.batch_alter_table("portal_pause", schema=None) as batch_op:
        batch_op.create_index(
            "ix_portal_pause_back_at",
            ["back_at"],
            unique=False,
            sqlite_where=sa.text("back_at IS NOT NULL"),
            postgresql_where=sa.text("back_at IS NOT NULL"),
        )

    op.create_table(
        "portal_visit",
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notice_first_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notice_last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_portal_visit_client_id_client")),
        sa.PrimaryKeyConstraint("client_id", "day", name=op.f("pk_portal_visit")),
    )
    with op.batch_alter_table("portal_visit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_portal_visit_day"), ["day"], unique=False)

    op.create_table(
        "promise",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_promise_client_id_client")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promise")),
    )
    with op.batch_alter_table("promise", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promise_client_id"), ["client_id"], unique=False)

    op.create_table(
        "router_import_row",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("include", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("zone_id", sa.Integer(), nullable=True),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("balance", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("connection", sa.String(length=8), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("address6", sa.String(length=49), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("up", sa.Integer(), nullable=False),
        sa.Column("down", sa.Integer(), nullable=False),
        sa.Column("dynamic", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("edited", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("reason_values", sa.JSON(), nullable=False),
        sa.Column("problems", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            _one_of("status", "new", "changed", "same", "conflict"), name=op.f("ck_router_import_row_status")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_router_import_row_client_id_client")),
        sa.ForeignKeyConstraint(
            ["import_id"], ["router_import.id"], name=op.f("fk_router_import_row_import_id_router_import")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_router_import_row_plan_id_plan")),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_router_import_row_zone_id_zone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_import_row")),
        sa.UniqueConstraint("import_id", "position", name=op.f("uq_router_import_row_import_id_position")),
    )
    with op.batch_alter_table("router_import_row", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_router_import_row_client_id"), ["client_id"], unique=False)

    op.create_table(
        "task_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("trigger", sa.String(length=8), nullable=False),
        sa.Column("scope", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("phase", sa.String(length=8), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("planned_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("sync_order", sa.Integer(), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("invoiced", sa.Integer(), nullable=False),
        sa.Column("notified", sa.Integer(), nullable=False),
        sa.Column("cut", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("mails", sa.Integer(), nullable=False),
        sa.Column("without_email", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("taken_by", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            _one_of("state", "queued", "running", "held", "error", "success", "undone"), name=op.f("ck_task_run_state")
        ),
        sa.CheckConstraint(_one_of("trigger", "schedule", "late", "manual", "undo"), name=op.f("ck_task_run_trigger")),
        sa.ForeignKeyConstraint(["plan_id"], ["task_plan.id"], name=op.f("fk_task_run_plan_id_task_plan")),
        sa.ForeignKeyConstraint(["taken_by"], ["task_run.id"], name=op.f("fk_task_run_taken_by_task_run")),
        sa.ForeignKeyConstraint(["task_id"], ["periodic_task.id"], name=op.f("fk_task_run_task_id_periodic_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_run")),
        sa.UniqueConstraint("token", name=op.f("uq_task_run_token")),
    )
    with op.batch_alter_table("task_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_task_run_created_at"), ["created_at"], unique=False)
        batch_op.create_index(
            "ix_task_run_retry",
            ["retry_at"],
            unique=False,
            sqlite_where=sa.text("retry_at IS NOT NULL"),
            postgresql_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_task_run_task_id_id"), ["task_id", "id"], unique=False)
        batch_op.create_index(
            "ix_task_run_working",
            ["state", "lease_until"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.create_index(
            "uq_task_run_open",
            ["task_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.create_index(
            "uq_task_run_scheduled",
            ["task_id", "month"],
            unique=True,
            sqlite_where=sa.text("trigger IN ('schedule', 'late')"),
            postgresql_where=sa.text("trigger IN ('schedule', 'late')"),
        )

    op.create_table(
        "invoice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("month", sa.Date(), nullable=True),
        sa.Column("period_from", sa.Date(), nullable=True),
        sa.Column("period_to", sa.Date(), nullable=True),
        sa.Column("issued", sa.Date(), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("customer", sa.String(length=160), nullable=False),
        sa.Column("customer_tax_id", sa.String(length=40), nullable=False),
        sa.Column("tax_bp", sa.Integer(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=7), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("void_reason", sa.String(length=200), server_default="", nullable=False),
        sa.Column("invoice_again", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind <> 'recurring' OR (month IS NOT NULL AND period_from IS NOT NULL)", name=op.f("ck_invoice_recurring")
        ),
        sa.CheckConstraint(_one_of("kind", "recurring", "opening"), name=op.f("ck_invoice_kind")),
        sa.CheckConstraint(_one_of("state", "pending", "partial", "paid", "void"), name=op.f("ck_invoice_state")),
        sa.CheckConstraint("net + tax = total", name=op.f("ck_invoice_adds_up")),
        sa.CheckConstraint("paid >= 0 AND paid <= total", name=op.f("ck_invoice_paid")),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_invoice_client_id_client")),
        sa.ForeignKeyConstraint(["run_id"], ["task_run.id"], name=op.f("fk_invoice_run_id_task_run")),
        sa.ForeignKeyConstraint(["series_id"], ["invoice_series.id"], name=op.f("fk_invoice_series_id_invoice_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("series_id", "number", name=op.f("uq_invoice_series_id_number")),
    )
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invoice_client_id_id"), ["client_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_due_id"), ["due", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_issued_id"), ["issued", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_month_id"), ["month", "id"], unique=False)
        batch_op.create_index(
            "ix_invoice_open",
            ["client_id", "due"],
            unique=False,
            sqlite_where=sa.text("state IN ('pending', 'partial')"),
            postgresql_where=sa.text("state IN ('pending', 'partial')"),
        )
        batch_op.create_index(batch_op.f("ix_invoice_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_state_id"), ["state", "id"], unique=False)
        batch_op.create_index(
            "ix_invoice_void",
            ["client_id", "month"],
            unique=False,
            sqlite_where=sa.text("state = 'void'"),
            postgresql_where=sa.text("state = 'void'"),
        )
        batch_op.create_index(
            "uq_invoice_client_month",
            ["client_id", "month"],
            unique=True,
            sqlite_where=sa.text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=sa.text("kind = 'recurring' AND state <> 'void'"),
        )
        batch_op.create_index(
            "uq_invoice_client_period",
            ["client_id", "period_from"],
            unique=True,
            sqlite_where=sa.text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=sa.text("kind = 'recurring' AND state <> 'void'"),
        )

    op.create_table(
        "outage_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("outage_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), server_default="0", nullable=False),
        sa.Column("clients", sa.JSON(), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alerted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["outage_id"], ["outage.id"], name=op.f("fk_outage_task_outage_id_outage")),
        sa.ForeignKeyConstraint(["run_id"], ["task_run.id"], name=op.f("fk_outage_task_run_id_task_run")),
        sa.ForeignKeyConstraint(["task_id"], ["periodic_task.id"], name=op.f("fk_outage_task_task_id_periodic_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outage_task")),
        sa.UniqueConstraint("outage_id", "task_id", name=op.f("uq_outage_task_outage_id_task_id")),
    )
    op.create_table(
        "router_import_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=True),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("ipv6", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("fixed", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            _one_of("state", "", "waiting", "removed", "gone", "changed"), name=op.f("ck_router_import_entry_state")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_router_import_entry_client_id_client")),
        sa.ForeignKeyConstraint(
            ["import_id"], ["router_import.id"], name=op.f("fk_router_import_entry_import_id_router_import")
        ),
        sa.ForeignKeyConstraint(
            ["row_id"], ["router_import_row.id"], name=op.f("fk_router_import_entry_row_id_router_import_row")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_router_import_entry")),
    )
    with op.batch_alter_table("router_import_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_router_import_entry_import_id"), ["import_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_router_import_entry_row_id"), ["row_id"], unique=False)
        batch_op.create_index(
            "ix_router_import_entry_waiting",
            ["client_id"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "allocation",
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("invoice_id", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_allocation_amount")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_allocation_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_allocation_payment_id_payment")),
        sa.PrimaryKeyConstraint("payment_id", "invoice_id", name=op.f("pk_allocation")),
    )
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allocation_invoice_id"), ["invoice_id"], unique=False)

    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("quantity", sa.Integer(), server_default="1", nullable=False),
        sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id_invoice")),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_line")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("priority", sa.Integer(), server_default="1", nullable=False),
        sa.Column("invoice_id", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("payment_id", sa.Integer(), nullable=True),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("resend_of", sa.Integer(), nullable=True),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("data", sa.JSON(), nullable=True),
        sa.Column("subject", sa.String(length=300), server_default="", nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("possible_duplicate", sa.Boolean(), server_default=sa.text("(false)"), nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            _one_of("state", "pending", "sending", "sent", "failed", "held"), name=op.f("ck_message_state")
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_message_client_id_client")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_message_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_message_payment_id_payment")),
        sa.ForeignKeyConstraint(["resend_of"], ["message.id"], name=op.f("fk_message_resend_of_message")),
        sa.ForeignKeyConstraint(["run_id"], ["task_run.id"], name=op.f("fk_message_run_id_task_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("resend_of", name=op.f("uq_message_resend_of")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_client_id"), ["client_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_message_run_id"), ["run_id"], unique=False)
        batch_op.create_index(
            "ix_message_unsent",
            ["state", "priority", "next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("state <> 'sent'"),
            postgresql_where=sa.text("state <> 'sent'"),
        )
        batch_op.create_index(
            "uq_message_invoice_kind_sequence",
            ["invoice_id", "kind", "sequence"],
            unique=True,
            sqlite_where=sa.text("invoice_id IS NOT NULL"),
            postgresql_where=sa.text("invoice_id IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_message_payment_kind_sequence",
            ["payment_id", "kind", "sequence"],
            unique=True,
            sqlite_where=sa.text("payment_id IS NOT NULL"),
            postgresql_where=sa.text("payment_id IS NOT NULL"),
        )

    op.create_table(
        "run_item",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=32), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("invoice_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            _one_of("state", "done", "unchanged", "waiting", "failed", "skipped", "superseded"),
            name=op.f("ck_run_item_state"),
        ),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name=op.f("fk_run_item_client_id_client")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_run_item_invoice_id_invoice")),
        sa.ForeignKeyConstraint(["run_id"], ["task_run.id"], name=op.f("fk_run_item_run_id_task_run")),
        sa.PrimaryKeyConstraint("run_id", "client_id", name=op.f("pk_run_item")),
    )
    with op.batch_alter_table("run_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_item_client_id_run_id"), ["client_id", "run_id"], unique=False)
        batch_op.create_index(
            "ix_run_item_open",
            ["client_id", "run_id"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    _first_rows()


def downgrade() -> None:
    with op.batch_alter_table("run_item", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_run_item_open", sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'")
        )
        batch_op.drop_index(batch_op.f("ix_run_item_client_id_run_id"))

    op.drop_table("run_item")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_message_payment_kind_sequence",
            sqlite_where=sa.text("payment_id IS NOT NULL"),
            postgresql_where=sa.text("payment_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "uq_message_invoice_kind_sequence",
            sqlite_where=sa.text("invoice_id IS NOT NULL"),
            postgresql_where=sa.text("invoice_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_message_unsent", sqlite_where=sa.text("state <> 'sent'"), postgresql_where=sa.text("state <> 'sent'")
        )
        batch_op.drop_index(batch_op.f("ix_message_run_id"))
        batch_op.drop_index(batch_op.f("ix_message_created_at"))
        batch_op.drop_index(batch_op.f("ix_message_client_id"))

    op.drop_table("message")
    op.drop_table("invoice_line")
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_allocation_invoice_id"))

    op.drop_table("allocation")
    with op.batch_alter_table("router_import_entry", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_router_import_entry_waiting",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.drop_index(batch_op.f("ix_router_import_entry_row_id"))
        batch_op.drop_index(batch_op.f("ix_router_import_entry_import_id"))

    op.drop_table("router_import_entry")
    op.drop_table("outage_task")
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_invoice_client_period",
            sqlite_where=sa.text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=sa.text("kind = 'recurring' AND state <> 'void'"),
        )
        batch_op.drop_index(
            "uq_invoice_client_month",
            sqlite_where=sa.text("kind = 'recurring' AND state <> 'void'"),
            postgresql_where=sa.text("kind = 'recurring' AND state <> 'void'"),
        )
        batch_op.drop_index(
            "ix_invoice_void", sqlite_where=sa.text("state = 'void'"), postgresql_where=sa.text("state = 'void'")
        )
        batch_op.drop_index(batch_op.f("ix_invoice_state_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_run_id"))
        batch_op.drop_index(
            "ix_invoice_open",
            sqlite_where=sa.text("state IN ('pending', 'partial')"),
            postgresql_where=sa.text("state IN ('pending', 'partial')"),
        )
        batch_op.drop_index(batch_op.f("ix_invoice_month_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_issued_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_due_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_client_id_id"))

    op.drop_table("invoice")
    with op.batch_alter_table("task_run", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_task_run_scheduled",
            sqlite_where=sa.text("trigger IN ('schedule', 'late')"),
            postgresql_where=sa.text("trigger IN ('schedule', 'late')"),
        )
        batch_op.drop_index(
            "uq_task_run_open",
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.drop_index(
            "ix_task_run_working",
            sqlite_where=sa.text("state IN ('queued', 'running')"),
            postgresql_where=sa.text("state IN ('queued', 'running')"),
        )
        batch_op.drop_index(batch_op.f("ix_task_run_task_id_id"))
        batch_op.drop_index(
            "ix_task_run_retry",
            sqlite_where=sa.text("retry_at IS NOT NULL"),
            postgresql_where=sa.text("retry_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_task_run_created_at"))

    op.drop_table("task_run")
    with op.batch_alter_table("router_import_row", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_router_import_row_client_id"))

    op.drop_table("router_import_row")
    with op.batch_alter_table("promise", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promise_client_id"))

    op.drop_table("promise")
    with op.batch_alter_table("portal_visit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_portal_visit_day"))

    op.drop_table("portal_visit")
    with op.batch_alter_table("portal_pause", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_portal_pause_back_at",
            sqlite_where=sa.text("back_at IS NOT NULL"),
            postgresql_where=sa.text("back_at IS NOT NULL"),
        )

    op.drop_table("portal_pause")
    op.drop_table("plan_item")
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_payment_void",
            sqlite_where=sa.text("voided_at IS NOT NULL"),
            postgresql_where=sa.text("voided_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_payment_reference", sqlite_where=sa.text("reference <> ''"), postgresql_where=sa.text("reference <> ''")
        )
        batch_op.drop_index(batch_op.f("ix_payment_paid_on_id"))
        batch_op.drop_index(batch_op.f("ix_payment_method_id"))
        batch_op.drop_index(
            "ix_payment_credit",
            sqlite_where=sa.text("remaining > 0 AND voided_at IS NULL"),
            postgresql_where=sa.text("remaining > 0 AND voided_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_payment_client_id_id"))

    op.drop_table("payment")
    with op.batch_alter_table("client_term", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_term_client_id"))

    op.drop_table("client_term")
    with op.batch_alter_table("client_provision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_provision_router_id_state"))
        batch_op.drop_index(
            "ix_client_provision_open",
            sqlite_where=sa.text("wanted_version <> applied_version"),
            postgresql_where=sa.text("wanted_version <> applied_version"),
        )

    op.drop_table("client_provision")
    with op.batch_alter_table("bulk_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bulk_change_zone_id"))
        batch_op.drop_index(batch_op.f("ix_bulk_change_client_id"))

    op.drop_table("bulk_change")
    with op.batch_alter_table("access_leftover", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_leftover_router_id"))
        batch_op.drop_index(batch_op.f("ix_access_leftover_client_id"))

    op.drop_table("access_leftover")
    with op.batch_alter_table("access", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_access_unsettled",
            sqlite_where=sa.text("wanted_version <> applied_version"),
            postgresql_where=sa.text("wanted_version <> applied_version"),
        )
        batch_op.drop_index("ix_access_kept", sqlite_where=sa.text("keep = 1"), postgresql_where=sa.text("keep"))
        batch_op.drop_index(
            "ix_access_moved",
            sqlite_where=sa.text("router_id <> applied_router_id"),
            postgresql_where=sa.text("router_id <> applied_router_id"),
        )
        batch_op.drop_index(batch_op.f("ix_access_router_id_suspended_notice"))
        batch_op.drop_index(
            "ix_access_applied_address",
            sqlite_where=sa.text("applied_address IS NOT NULL"),
            postgresql_where=sa.text("applied_address IS NOT NULL"),
        )

    op.drop_table("access")
    with op.batch_alter_table("task_plan", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_task_plan_created_at"))

    op.drop_table("task_plan")
    with op.batch_alter_table("staff_zone", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_zone_zone_id"))

    op.drop_table("staff_zone")
    with op.batch_alter_table("occurrence", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_occurrence_run_id"))

    op.drop_table("occurrence")
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_client_router_username",
            sqlite_where=sa.text("cancelled_at IS NULL AND username <> ''"),
            postgresql_where=sa.text("cancelled_at IS NULL AND username <> ''"),
        )
        batch_op.drop_index(
            "uq_client_router_address6",
            sqlite_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        )
        batch_op.drop_index(
            "uq_client_router_address",
            sqlite_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_client_zone_id_id"))
        batch_op.drop_index(batch_op.f("ix_client_plan_id"))
        batch_op.drop_index(
            "ix_client_own_schedule",
            sqlite_where=sa.text("schedule_id IS NOT NULL"),
            postgresql_where=sa.text("schedule_id IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_client_name_key_id"))
        batch_op.drop_index(
            "ix_client_address6",
            sqlite_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address6 IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_client_address",
            sqlite_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
            postgresql_where=sa.text("cancelled_at IS NULL AND address IS NOT NULL"),
        )

    op.drop_table("client")
    with op.batch_alter_table("zone", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_zone_router_id"))

    op.drop_table("zone")
    with op.batch_alter_table("staff_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_session_staff_id"))
        batch_op.drop_index(batch_op.f("ix_staff_session_seen_at"))

    op.drop_table("staff_session")
    with op.batch_alter_table("staff_recovery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_recovery_staff_id"))

    op.drop_table("staff_recovery")
    with op.batch_alter_table("staff_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staff_link_staff_id_kind"))

    op.drop_table("staff_link")
    op.drop_table("staff_grant")
    with op.batch_alter_table("router_talk", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_router_talk_router_id"))

    op.drop_table("router_talk")
    op.drop_table("router_sync")
    op.drop_table("router_rules")
    op.drop_table("router_provision")
    with op.batch_alter_table("router_import", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_router_import_router_id"))

    op.drop_table("router_import")
    with op.batch_alter_table("router_difference", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_router_difference_router_id_counted_at"))

    op.drop_table("router_difference")
    with op.batch_alter_table("periodic_task", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_periodic_task_due",
            sqlite_where=sa.text("next_at IS NOT NULL"),
            postgresql_where=sa.text("next_at IS NOT NULL"),
        )

    op.drop_table("periodic_task")
    with op.batch_alter_table("outage", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_outage_open", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )

    op.drop_table("outage")
    op.drop_table("staff_user")
    with op.batch_alter_table("router", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_router_name",
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )

    op.drop_table("router")
    op.drop_table("plan")
    op.drop_table("mail_server")
    op.drop_table("invoice_series")
    op.drop_table("company_logo")
    op.drop_table("company")
    op.drop_table("client_import")
    with op.batch_alter_table("bulk_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bulk_run_state_touched_at"))

    op.drop_table("bulk_run")
    op.drop_table("billing_schedule")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entry_target_at"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_at"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_actor_at"))

    op.drop_table("audit_entry")
