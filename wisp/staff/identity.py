"""Who is logged in: read anew at each request, so that a withdrawal takes effect at the next one."""

from dataclasses import dataclass

from flask_login import UserMixin
from sqlalchemy import select

from wisp.core.db import session
from wisp.core.permissions import Permission, Role
from wisp.core.scope import EVERYTHING, Scope
from wisp.staff.models import StaffGrant, StaffUser
from wisp.staff.service import effective
from wisp.staff.texts import ROLES


@dataclass(frozen=True, eq=False)
class Identity(UserMixin):
    """The logged-in staff user, detached from the database."""

    id: int
    email: str
    name: str
    role: str
    language: str
    epoch: int
    permissions: frozenset[Permission]
    scope: Scope = EVERYTHING

    def get_id(self) -> str:
        """What the session keeps: the user and the epoch, which grows to end all sessions."""
        return f"{self.id}.{self.epoch}"

    @property
    def initials(self) -> str:
        """Up to two letters for the avatar."""
        words = self.name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    @property
    def role_label(self) -> object:
        """The role as people read it."""
        return ROLES[Role(self.role)]


def load(session_id: str) -> Identity | None:
    """The user of a session; None where deactivated, deleted or where all sessions were ended since."""
    number, _, epoch = session_id.partition(".")
    if not (number.isdigit() and epoch.isdigit()):
        return None
    found = identity(int(number))
    return found if found is not None and found.epoch == int(epoch) else None


def identity(user_id: int) -> Identity | None:
    """The active staff user with its permissions, in one query."""
    rows = (
        session()
        .execute(
            select(StaffUser, StaffGrant.permission)
            .outerjoin(StaffGrant, StaffGrant.staff_id == StaffUser.id)
            .where(StaffUser.id == user_id, StaffUser.active)
        )
        .all()
    )
    if not rows:
        return None
    user = rows[0][0]
    return Identity(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        language=user.language,
        epoch=user.session_epoch,
        permissions=effective(user.role, [row[1] for row in rows if row[1]]),
    )
