"""New permissions of the presets, for whoever still has just what the role brought.

Whose permissions were edited by hand keeps exactly those.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FINANCE = {
    "periodic_tasks:view", "periodic_tasks:apply", "clients:view", "clients:edit", "invoices:view", "invoices:void",
    "payments:register", "payments:void", "promises:grant", "bulk:use", "outbox:view", "outbox:resend", "routers:view",
}  # fmt: skip
SUPPORT = {
    "periodic_tasks:view", "clients:view", "clients:edit", "invoices:view", "promises:grant", "outbox:view",
    "routers:view",
}  # fmt: skip
BEFORE = {"finance": FINANCE, "support": SUPPORT}
NEW = {"finance": ["clients:suspend", "reports:view"], "support": ["clients:suspend"]}
staff_user = sa.table("staff_user", sa.column("id"), sa.column("role"))
staff_grant = sa.table("staff_grant", sa.column("staff_id"), sa.column("permission"))


def upgrade() -> None:
    connection = op.get_bind()
    held: dict[int, set[str]] = {}
    for staff_id, permission in connection.execute(sa.select(staff_grant.c.staff_id, staff_grant.c.permission)):
        held.setdefault(staff_id, set()).add(permission)
    people = connection.execute(sa.select(staff_user.c.id, staff_user.c.role).where(staff_user.c.role.in_(BEFORE)))
    rows = [
        {"staff_id": staff_id, "permission": permission}
        for staff_id, role in people.all()
        if held.get(staff_id) == BEFORE[role]
        for permission in NEW[role]
    ]
    if rows:
        connection.execute(sa.insert(staff_grant), rows)


def downgrade() -> None:
    known = sorted({permission for permissions in NEW.values() for permission in permissions})
    op.execute(sa.delete(staff_grant).where(staff_grant.c.permission.in_(known)))
