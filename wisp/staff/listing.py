"""The list of the staff: searched, narrowed down, sorted, exported."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from wisp.core.db import session
from wisp.core.permissions import Role
from wisp.core.scope import Scope
from wisp.staff import service, totp
from wisp.staff.models import StaffUser
from wisp.staff.texts import PERMISSIONS, ROLES
from wisp.web.formats import format_moment

STATES = {"active": _l("Active"), "invited": _l("Invited"), "off": _l("Deactivated")}
_state = sa.case(
    (StaffUser.active.is_(False), 2), (StaffUser.password_hash == "", 1), else_=0
)  # fmt: skip
SORTS: dict[str, Any] = {
    "name": sa.func.lower(StaffUser.name),
    "role": [StaffUser.role, sa.func.lower(StaffUser.name)],
    "state": [_state, sa.func.lower(StaffUser.name)],
    "login": [StaffUser.last_login_at.is_not(None), StaffUser.last_login_at],
}
"""By what the list can be sorted; never logged in comes before the oldest log-in."""


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; empty = no limit."""

    text: str = ""
    role: str = ""
    state: str = ""


def query(only: Filters) -> sa.Select[StaffUser]:
    """The people that ``only`` leaves, unordered."""
    found = sa.select(StaffUser)
    if only.role:
        found = found.where(StaffUser.role == only.role)
    if only.state in STATES:
        found = found.where(_state == list(STATES).index(only.state))
    return found.where(StaffUser.id.in_(_matching(only.text))) if only.text.strip() else found


def _matching(text: str) -> list[int]:
    """Whose name or address holds the text, whatever its accents and capitals; the staff is few people."""
    word = _folded(text.strip())
    people = session().execute(sa.select(StaffUser.id, StaffUser.name, StaffUser.email))
    return [row.id for row in people if word in _folded(f"{row.name} {row.email}")]


def _folded(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def state_of(user: StaffUser) -> str:
    """A key of STATES."""
    if not user.active:
        return "off"
    return "active" if user.password_hash else "invited"


def prepared(people: Sequence[StaffUser]) -> Sequence[StaffUser]:
    """The same people with their grants and zones, in two queries for all."""
    ids = [user.id for user in people]
    options = selectinload(StaffUser.grants), selectinload(StaffUser.zones)
    session().scalars(sa.select(StaffUser).where(StaffUser.id.in_(ids)).options(*options)).all()
    return people


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
