"""Who is logged in: read anew at each request, so that a withdrawal takes effect at the next one."""

from dataclasses import dataclass
from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import select

from wisp.core.db import session
from wisp.core.permissions import Permission, Role
from wisp.core.scope import EVERYTHING, Scope
from wisp.staff import sessions
from wisp.staff.models import StaffGrant, StaffSession, StaffUser, StaffZone
from wisp.staff.service import Manager, effective
from wisp.staff.texts import ROLES

LONGEST_KEY = 64


@dataclass(frozen=True, eq=False)
class Identity(UserMixin):
    """The logged-in staff user, detached from the database."""

    id: int
    email: str
    name: str
    role: str
    language: str
    key: str
    seen_at: datetime
    permissions: frozenset[Permission]
    scope: Scope = EVERYTHING

    def get_id(self) -> str:
        """What the signed cookie keeps: the key of the session's row."""
        return self.key

    @property
    def manager(self) -> Manager:
        """How far the user may change other staff."""
        return Manager(self.id, self.role, self.permissions, self.scope)

    @property
    def initials(self) -> str:
        """Up to two letters for the avatar."""
        words = self.name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()

    @property
    def role_label(self) -> object:
        """The role as people read it."""
        return ROLES[Role(self.role)]


def load(key: str) -> Identity | None:
    """The user of a session's key with its permissions, in one query (a limited user's zones are a second one); None
    where deactivated, or where the session was ended or has not been used for too long."""
    if len(key) > LONGEST_KEY:
        return None
    rows = (
        session()
        .execute(
            select(StaffUser, StaffSession, StaffGrant.permission)
            .join(StaffSession, StaffSession.staff_id == StaffUser.id)
            .outerjoin(StaffGrant, StaffGrant.staff_id == StaffUser.id)
            .where(StaffSession.key == key, StaffSession.epoch == StaffUser.session_epoch, StaffUser.active)
        )
        .all()
    )
    if not rows or not sessions.alive(rows[0][1]):
        return None
    user, row = rows[0][0], rows[0][1]
    return Identity(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        language=user.language,
        key=row.key,
        seen_at=row.seen_at,
        permissions=effective(user.role, {row[2] for row in rows if row[2]}),
        scope=_scope(user),
    )


def _scope(user: StaffUser) -> Scope:
    """Administrators, and whoever is not limited, see everything."""
    if user.role == Role.ADMIN or not user.limited:
        return EVERYTHING
    return Scope(frozenset(session().scalars(select(StaffZone.zone_id).where(StaffZone.staff_id == user.id))))
