"""The list of the staff in words, on the page and in the CSV file."""

from collections.abc import Iterable, Iterator

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core.permissions import Role
from wisp.core.scope import Scope
from wisp.staff import service, totp
from wisp.staff.listing import state_of
from wisp.staff.models import StaffUser
from wisp.staff.texts import PERMISSIONS, ROLES
from wisp.web.formats import format_moment

STATES = {"active": _l("Active"), "invited": _l("Invited"), "off": _l("Deactivated")}


def zones_text(user: StaffUser, names: dict[int, str], scope: Scope) -> str:
    """The zones that the user sees. Whoever looks and is limited itself reads only the names of its own ones."""
    if user.role == Role.ADMIN or not user.limited:
        return str(_("All zones"))
    mine = [zone.zone_id for zone in user.zones if scope.allows(zone.zone_id)]
    others = len(user.zones) - len(mine)
    shown = sorted(names[zone_id] for zone_id in mine if zone_id in names)
    if others:
        shown.append(_("others (%(count)s)", count=others))
    return ", ".join(shown) or _("None")


def csv_head() -> list[str]:
    """The names of the columns of the CSV file."""
    return [
        _("Name"), _("E-mail"), _("Role"), _("State"), _("Permissions"), _("Zones"), _("Second factor"),
        _("Last log-in"), _("Added"),
    ]  # fmt: skip


def csv_rows(people: Iterable[StaffUser], names: dict[int, str], scope: Scope) -> Iterator[list[str]]:
    """The rows of the CSV file, in words."""
    for user in people:
        granted = ", ".join(str(PERMISSIONS[item]) for item in sorted(service.permissions_of(user)))
        yield [
            user.name, user.email, str(ROLES[Role(user.role)]), str(STATES[state_of(user)]),
            _("All") if user.role == Role.ADMIN else granted, zones_text(user, names, scope),
            _("yes") if totp.enabled(user) else _("no"),
            format_moment(user.last_login_at) if user.last_login_at else "", format_moment(user.created_at),
        ]  # fmt: skip
