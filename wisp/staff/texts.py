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
    P.CLIENTS_SUSPEND: _l("Suspend, pause and reactivate clients"),
    P.ROUTERS_VIEW: _l("See the routers"),
    P.ROUTERS_EDIT: _l("Add and edit routers and zones"),
    P.ROUTERS_SYNC: _l("Synchronise routers"),
    P.INVOICES_VIEW: _l("See the invoices"),
    P.INVOICES_VOID: _l("Void invoices"),
    P.PAYMENTS_REGISTER: _l("Register payments"),
    P.PAYMENTS_VOID: _l("Void payments"),
    P.PROMISES_GRANT: _l("Grant payment promises"),
    P.BULK_USE: _l("Use bulk actions"),
    P.REPORTS_VIEW: _l("See the company's month"),
    P.STAFF_MANAGE: _l("Manage the staff"),
    P.SETTINGS_MANAGE: _l("Manage the settings"),
    P.OUTBOX_VIEW: _l("See the e-mails"),
    P.OUTBOX_RESEND: _l("Send e-mails again"),
    P.AUDIT_VIEW: _l("See the audit log"),
}

HELP = {
    P.PERIODIC_TASKS_VIEW: _l("Opens the page of periodic tasks: when each runs, what it did and for whom."),
    P.PERIODIC_TASKS_APPLY: _l("Makes invoices, puts up notices and cuts at once with “Apply now”, for real."),
    P.PERIODIC_TASKS_TOGGLE: _l(
        "Switches the three tasks off and on, of a client, a zone or all zones. Switched off, nobody is invoiced, "
        "notified or cut by itself."
    ),
    P.RUNS_UNDO: _l("Reverts a run: reactivates those it cut, takes its notices off, voids its unpaid invoices."),
    P.CLIENTS_VIEW: _l("Finds clients and opens their files, with debt, connection and history."),
    P.CLIENTS_EDIT: _l("Adds clients and changes their data, connection, plan, zone and billing."),
    P.CLIENTS_CANCEL: _l("Ends a client's service for good; the history stays."),
    P.CLIENTS_IMPORT: _l("Brings in many clients from a CSV file, with their opening balances."),
    P.CLIENTS_SUSPEND: _l("Takes a client's service by hand, until a date or without one, and gives it back."),
    P.ROUTERS_VIEW: _l("Sees routers, their state and their billing zones, and asks a router how it is."),
    P.ROUTERS_EDIT: _l("Adds and changes routers with their access data, and the days and hours of zones."),
    P.ROUTERS_SYNC: _l("Has a router brought in line with the program, and its rules installed."),
    P.INVOICES_VIEW: _l("Sees invoices and payments, one by one and in lists, and exports the lists."),
    P.INVOICES_VOID: _l("Declares an invoice void; its number stays used."),
    P.PAYMENTS_REGISTER: _l("Takes payments, which settle invoices and give the service back."),
    P.PAYMENTS_VOID: _l("Declares a payment void; what it had settled is owed again."),
    P.PROMISES_GRANT: _l("Lets a client pay later: until the date there is neither notice nor cut."),
    P.BULK_USE: _l("Changes many clients or zones at once. Each action needs its own permission besides."),
    P.REPORTS_VIEW: _l("Sees on the first page what was invoiced and collected this month, within the own zones."),
    P.STAFF_MANAGE: _l("Invites, changes and deactivates staff, but gives nobody more than the own permissions."),
    P.SETTINGS_MANAGE: _l(
        "Changes company, taxes, alerts, hours of cuts, lists on the routers, and plans. Not the mail server."
    ),
    P.OUTBOX_VIEW: _l("Sees every e-mail with its state and its text."),
    P.OUTBOX_RESEND: _l("Sends e-mails again, holds them back and lets them go."),
    P.AUDIT_VIEW: _l("Sees who changed what, when and from where, and exports it."),
}
"""What each permission allows, in a sentence."""

GROUPS = {
    "periodic_tasks": _l("Periodic tasks"),
    "clients": _l("Clients"),
    "billing": _l("Billing"),
    "routers": _l("Routers"),
    "system": _l("System"),
}
_GROUP_OF = {
    "runs": "periodic_tasks", "bulk": "periodic_tasks", "invoices": "billing", "payments": "billing",
    "promises": "billing", "reports": "billing",
}  # fmt: skip


def group_of(permission: P) -> str:
    """The heading under which a permission is shown; a key of GROUPS."""
    resource = permission.value.partition(":")[0]
    found = _GROUP_OF.get(resource, resource)
    return found if found in GROUPS else "system"


ACTIONS = {
    "account.open": _l("Opening balances"),
    "bulk.order": _l("Bulk action ordered"),
    "bulk.undo": _l("Bulk action undone"),
    "client.add": _l("Client added"),
    "client.billing": _l("Client's billing changed"),
    "client.cancel": _l("Client cancelled"),
    "client.edit": _l("Client changed"),
    "client.import": _l("Clients imported"),
    "client.pause": _l("Client paused"),
    "client.pause_end": _l("End of a client's pause"),
    "client.reactivate": _l("Service given back by hand"),
    "client.suspend": _l("Client suspended by hand"),
    "client.import_router": _l("Clients imported from a router"),
    "export": _l("List exported"),
    "invoice.void": _l("Invoice voided"),
    "outbox.hold": _l("E-mail held"),
    "clock.set_back": _l("The machine's clock was set back"),
    "outbox.release": _l("E-mail released"),
    "outbox.release_all": _l("Held e-mails released"),
    "outbox.resend": _l("E-mail sent again"),
    "outbox.resend_failed": _l("Failed e-mails sent again"),
    "outbox.test": _l("Test e-mail sent"),
    "payment.register": _l("Payment registered"),
    "payment.void": _l("Payment voided"),
    "plan.add": _l("Plan added"),
    "plan.edit": _l("Plan changed"),
    "portal.confirm": _l("Notice page confirmed"),
    "promise.end": _l("Payment promise ended"),
    "promise.grant": _l("Payment promise granted"),
    "router.add": _l("Router added"),
    "router.archive": _l("Router archived"),
    "router.edit": _l("Router changed"),
    "router.rules_install": _l("Installation of the firewall rules ordered"),
    "router.rules_remove": _l("Removal of the firewall rules ordered"),
    "router.repair": _l("Entries on a router put right by hand"),
    "router.adopt_entry": _l("Entry of others adopted on a router"),
    "router.adopt_object": _l("Object of others adopted on a router"),
    "router.provision": _l("Clients' objects on a router ordered"),
    "router.test": _l("Connection to a router tested"),
    "router.remove_entry": _l("Entry removed from a router"),
    "schedule.change": _l("Days and hours changed"),
    "settings.logo": _l("Logo changed"),
    "settings.save": _l("Settings changed"),
    "staff.active": _l("Staff user activated or deactivated"),
    "staff.create": _l("Staff user added"),
    "staff.edit": _l("Staff user changed"),
    "staff.grant": _l("Permission granted"),
    "staff.invite": _l("Invitation sent again"),
    "staff.log_in": _l("Log-in"),
    "staff.log_in_failed": _l("Log-in failed"),
    "staff.password": _l("Password changed"),
    "staff.permissions": _l("Permissions changed"),
    "staff.recovery": _l("Recovery codes"),
    "staff.reset_sent": _l("Link for a new password sent"),
    "staff.revoke": _l("Permission revoked"),
    "staff.session_end": _l("Session ended"),
    "staff.totp": _l("Second factor on or off"),
    "staff.zones": _l("Zones of a staff user changed"),
    "task.apply": _l("Task applied"),
    "task.archive": _l("Task archived"),
    "task.revive": _l("Task back from the archive"),
    "task.switch": _l("Task activated or deactivated"),
    "zone.add": _l("Zone added"),
    "zone.rename": _l("Zone renamed"),
}
"""What the audit log calls the changes; one that is missing is shown by its own name."""


def actor_text(actor: str) -> str:
    """Who acted, as people read it."""
    kind, _colon, name = actor.partition(":")
    if kind == "cli":
        return str(_l("Command line")) + f" ({name})"
    words = {"system": _l("The program"), "visitor": _l("Not logged in")}
    return str(words[kind]) if kind in words else name or actor


_BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "SamsungBrowser": "Samsung Internet", "Firefox/": "Firefox", "FxiOS": "Firefox",
    "Chrome/": "Chrome", "CriOS": "Chrome", "Safari/": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip


def browser_text(user_agent: str) -> str:
    """What a browser says of itself, short (Chrome · Windows); empty where it says nothing known."""
    signs = (_BROWSERS, _SYSTEMS)  # the first sign counts: Edge calls itself Chrome and Safari too
    found = [next((name for sign, name in known.items() if sign in user_agent), "") for known in signs]
    return " · ".join(name for name in found if name)


MESSAGES = {
    "staff.changed": _l(
        "Somebody has changed this meanwhile: nothing was saved. Look at it as it is now, then save again."
    ),
    "staff.gone": _l("This person does not exist any more."),
    "staff.yourself": _l("You cannot change your own role, permissions, zones or access."),
    "staff.only_admins": _l("Only an administrator may do this: the person is one, or may do or see more than you."),
    "staff.not_yours": _l("You can only give and take permissions that you have yourself."),
    "staff.no_zone": _l("Choose at least one zone, or no limit."),
    "staff.zones_yours": _l("You can only give zones that you see yourself."),
    "staff.accepted": _l("%(email)s has a password already, or is deactivated: no invitation was sent."),
    "staff.link": _l("This link was used already, is too old or is not complete."),
    "staff.no_session": _l("This session has ended already."),
    "staff.code": _l("The code is not right. Take the one that the phone shows now."),
    "staff.totp_on": _l("The second factor is on already."),
    "staff.totp_off": _l("The second factor is off."),
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
    "staff.password_common": _l(
        "This password is among the first that an attacker tries. Choose one that nobody would guess, such as four "
        "words that have nothing to do with each other."
    ),
    "staff.password_is_email": _l("The password must not be the e-mail address."),
    "staff.password_same": _l("The new password is the same as the present one."),
}
