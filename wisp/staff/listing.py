"""The list of the staff: searched, narrowed down, sorted."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from wisp.core.db import session
from wisp.staff.models import StaffUser

STATES = ("active", "invited", "off")
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
        found = found.where(_state == STATES.index(only.state))
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
    """One of STATES."""
    if not user.active:
        return "off"
    return "active" if user.password_hash else "invited"


def prepared(people: Sequence[StaffUser]) -> Sequence[StaffUser]:
    """The same people with their grants and zones, in two queries for all."""
    ids = [user.id for user in people]
    options = selectinload(StaffUser.grants), selectinload(StaffUser.zones)
    session().scalars(sa.select(StaffUser).where(StaffUser.id.in_(ids)).options(*options)).all()
    return people
