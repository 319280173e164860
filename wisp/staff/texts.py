"""What people read about staff: names of roles and permissions, sentences of refusals."""

from flask_babel import lazy_gettext as _l

from wisp.core.permissions import Permission as P
from wisp.core.permissions import Role

ROLES = {
    Role.ADMIN: _l("Administrator"),
    Role.FINANCE: _l("Finance"),
    Role.SUPPORT: _l("Support"),
    Role.TECHNICIAN: _l("Technician"),
    Role.CASHIER: _l("Cashier"),
}

PERMISSIONS = {
    P.PERIODIC_TASKS_VIEW: _l("See the periodic tasks"),
    P.PERIODIC_TASKS_APPLY: _l("Apply periodic tasks now"),
    P.PERIODIC_TASKS_TOGGLE: _l("Activate and deactivate periodic tasks"),
    P.RUNS_UNDO: _l("Undo runs"),
    P.CLIENTS_VIEW: _l("See the clients"),
    P.CLIENTS_EDIT: _l("Add and edit clients"),
    P.CLIENTS_CANCEL: _l("Cancel clients"),
    P.CLIENTS_IMPORT: _l("Import clients"),
    P.ROUTERS_VIEW: _l("See the routers"),
    P.ROUTERS_EDIT: _l("Add and edit routers and zones"),
    P.ROUTERS_SYNC: _l("Synchronise routers"),
    P.INVOICES_VIEW: _l("See the invoices"),
    P.INVOICES_VOID: _l("Void invoices"),
    P.PAYMENTS_REGISTER: _l("Register payments"),
    P.PAYMENTS_VOID: _l("Void payments"),
    P.PROMISES_GRANT: _l("Grant payment promises"),
    P.BULK_USE: _l("Use bulk actions"),
    P.STAFF_MANAGE: _l("Manage the staff"),
    P.SETTINGS_MANAGE: _l("Manage the settings"),
    P.OUTBOX_VIEW: _l("See the e-mails"),
    P.OUTBOX_RESEND: _l("Send e-mails again"),
    P.AUDIT_VIEW: _l("See the audit log"),
}

MESSAGES = {
    "staff.unknown": _l("There is no staff user with the address “%(email)s”."),
    "staff.email": _l("“%(email)s” is not an e-mail address."),
    "staff.name": _l("The name must have 1 to 120 characters."),
    "staff.role": _l("There is no role “%(role)s”. Known: %(known)s."),
    "staff.taken": _l("There is already a staff user with the address “%(email)s”."),
    "staff.permission": _l("There is no permission “%(permission)s”. Known: %(known)s."),
    "staff.admin_has_all": _l("%(email)s is an administrator and always has every permission."),
    "staff.last_admin": _l("The last administrator cannot be removed."),
    "staff.password_wrong": _l("The present password is not right."),
    "staff.password_short": _l("The password must have at least %(minimum)s characters."),
    "staff.password_long": _l("The password may have at most %(maximum)s characters."),
    "staff.password_is_email": _l("The password must not be the e-mail address."),
    "staff.password_same": _l("The new password is the same as the present one."),
}
