"""Permissions: the one list of what a staff user may be allowed, and the presets that a role starts from."""

from enum import StrEnum


class Permission(StrEnum):
    """``resource:action``; granted one by one."""

    PERIODIC_TASKS_VIEW = "periodic_tasks:view"
    PERIODIC_TASKS_APPLY = "periodic_tasks:apply"
    PERIODIC_TASKS_TOGGLE = "periodic_tasks:toggle"
    RUNS_UNDO = "runs:undo"
    CLIENTS_VIEW = "clients:view"
    CLIENTS_EDIT = "clients:edit"
    CLIENTS_CANCEL = "clients:cancel"
    CLIENTS_IMPORT = "clients:import"
    CLIENTS_SUSPEND = "clients:suspend"
    ROUTERS_VIEW = "routers:view"
    ROUTERS_EDIT = "routers:edit"
    ROUTERS_SYNC = "routers:sync"
    INVOICES_VIEW = "invoices:view"
    INVOICES_VOID = "invoices:void"
    PAYMENTS_REGISTER = "payments:register"
    PAYMENTS_VOID = "payments:void"
    PROMISES_GRANT = "promises:grant"
    BULK_USE = "bulk:use"
    REPORTS_VIEW = "reports:view"
    STAFF_MANAGE = "staff:manage"
    SETTINGS_MANAGE = "settings:manage"
    OUTBOX_VIEW = "outbox:view"
    OUTBOX_RESEND = "outbox:resend"
    AUDIT_VIEW = "audit:view"


WITHOUT_FEATURE = frozenset({Permission.RUNS_UNDO})
"""Permissions of what the program cannot do yet: no page offers them."""


class Role(StrEnum):
    """Presets; ``admin`` always has every permission."""

    ADMIN = "admin"
    FINANCE = "finance"
    SUPPORT = "support"
    TECHNICIAN = "technician"
    CASHIER = "cashier"


P = Permission
PRESETS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.FINANCE: frozenset(
        {
            P.PERIODIC_TASKS_VIEW, P.PERIODIC_TASKS_APPLY, P.CLIENTS_VIEW, P.CLIENTS_EDIT, P.INVOICES_VIEW,
            P.INVOICES_VOID, P.PAYMENTS_REGISTER, P.PAYMENTS_VOID, P.PROMISES_GRANT, P.BULK_USE,
            P.OUTBOX_VIEW, P.OUTBOX_RESEND, P.ROUTERS_VIEW, P.CLIENTS_SUSPEND, P.REPORTS_VIEW,
        }
    ),
    Role.SUPPORT: frozenset(
        {
            P.PERIODIC_TASKS_VIEW, P.CLIENTS_VIEW, P.CLIENTS_EDIT, P.INVOICES_VIEW, P.PROMISES_GRANT,
            P.OUTBOX_VIEW, P.ROUTERS_VIEW, P.CLIENTS_SUSPEND,
        }
    ),
    Role.TECHNICIAN: frozenset(
        {P.CLIENTS_VIEW, P.CLIENTS_EDIT, P.ROUTERS_VIEW, P.ROUTERS_EDIT, P.ROUTERS_SYNC, P.PERIODIC_TASKS_VIEW}
    ),
    Role.CASHIER: frozenset({P.CLIENTS_VIEW, P.INVOICES_VIEW, P.PAYMENTS_REGISTER}),
}  # fmt: skip
